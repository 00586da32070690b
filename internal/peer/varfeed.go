package peer

import (
	"bytes"

	"github.com/socksync/socksync/internal/window"
)

// varFeed is a subscription to a var. It is the [window.ValueSink] of it.
type varFeed struct {
	script
	subscription window.ValueSubscription // used by the goroutine of Run
	last         *window.Value            // the last one sent; owned by the writer
}

func newVarFeed(p *Peer, source window.ValueSource) *varFeed {
	f := &varFeed{}
	f.script = script{peer: p, owner: f}
	f.subscription = source.Subscribe(f, window.Options{})
	return f
}

func (f *varFeed) get(*request) error {
	f.subscription.Get(nil)
	return nil
}

// Set is called when the value has changed.
func (f *varFeed) Set(v *window.Value) { f.change(func() { f.say(v, 0) }) }

// Answer is called when the source answers gets.
func (f *varFeed) Answer(v *window.Value, gets int) { f.change(func() { f.say(v, gets) }) }

// say folds a value into the last line if that is a value too: every get has an
// answer of its own, but nobody needs to see an old value.
func (f *varFeed) say(v *window.Value, gets int) {
	if n := len(f.lines); n > 0 {
		if before, ok := f.lines[n-1].(valueLine); ok {
			gets += before.gets
			f.count(-before.bytes())
			f.lines = f.lines[:n-1]
		}
	}
	now := valueLine{f, v, gets}
	f.count(now.bytes())
	f.lines = append(f.lines, now)
}

// Fail is called when the source cannot answer gets.
func (f *varFeed) Fail(err error, gets int) {
	message := f.peer.refusal(err, "var not available")
	f.change(func() {
		for range gets {
			f.reply(message)
		}
	})
}

func (f *varFeed) speak() []line { return f.take() }

func (f *varFeed) close(bool) {
	f.subscription.Close()
	f.finish()
}

// valueLine says a value, as often as there were gets, or else once if it
// differs from the last one sent.
type valueLine struct {
	feed  *varFeed
	value *window.Value
	gets  int
}

// bytes is what counts as replies.
func (l valueLine) bytes() int { return l.gets * len(l.value.JSON) }

func (l valueLine) encode(buf [][]byte) [][]byte {
	last := l.feed.last
	if l.gets == 0 && last != nil && bytes.Equal(last.JSON, l.value.JSON) {
		return buf
	}
	l.feed.last = l.value
	for range max(l.gets, 1) {
		buf = append(buf, l.value.Set())
	}
	return buf
}
