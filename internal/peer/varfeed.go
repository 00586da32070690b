package peer

import (
	"bytes"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// varFeed is a subscription to a var.
type varFeed struct {
	script
	source       window.ValueSource
	subscription window.ValueSubscription // used by who has the turn
	last         *window.Value            // the last one sent; owned by the writer

	// Guarded by Peer.mu.
	sink *varSink // of the subscription
	gets int      // that the source has not answered
	own  bool     // the first of them is ours
	told bool     // a value was taken

	restoring restoring
}

func newVarFeed(p *Peer, source window.ValueSource) *varFeed {
	f := &varFeed{source: source}
	f.script = script{peer: p, owner: f}
	f.sink = &varSink{f}
	f.subscription = source.Subscribe(f.sink, window.Options{Identity: p.Credentials().Identity})
	return f
}

func (f *varFeed) get(*request) error {
	f.peer.mu.Lock()
	f.gets++
	f.peer.mu.Unlock()
	f.subscription.Get(nil)
	return nil
}

// varSink is the [window.ValueSink] of one subscription of a feed, as valueSink
// is for version 2.
type varSink struct{ feed *varFeed }

// change runs a change of the feed's script, as long as this is the feed's sink.
func (s *varSink) change(do func(f *varFeed)) {
	f := s.feed
	f.change(func() {
		if f.sink == s {
			do(f)
		}
	})
}

// Set is called when the value has changed.
func (s *varSink) Set(v *window.Value) {
	s.change(func(f *varFeed) {
		f.restoring.on = false
		f.say(v, 0)
	})
}

// Answer is called when the source answers gets.
func (s *varSink) Answer(v *window.Value, gets int) {
	s.change(func(f *varFeed) {
		f.restoring.on = false
		f.say(v, f.others(gets))
	})
}

// Fail is called when the source cannot answer gets.
func (s *varSink) Fail(err error, gets int) {
	message := s.feed.peer.refusal(err, "var not available")
	s.change(func(f *varFeed) {
		if gets = f.others(gets); gets == 0 {
			f.restoring.failed()
		}
		for range gets {
			f.reply(message)
		}
		f.restoreLater()
	})
}

// The following methods need Peer.mu.

// others counts gets as answered, and returns how many of the other end's those
// are.
func (f *varFeed) others(gets int) int {
	f.gets -= gets
	if f.own {
		gets--
		f.own = false
	}
	return gets
}

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

func (f *varFeed) speak() []line {
	for _, l := range f.lines {
		if _, ok := l.(valueLine); ok {
			f.told = true
		}
	}
	return f.take()
}

func (f *varFeed) close(bool) {
	f.subscription.Close()
	f.giveUpRestoring()
	f.finish()
}

// forbid ends the subscription, as listFeed.forbid does.
func (f *varFeed) forbid() {
	f.subscription.Close()
	f.giveUpRestoring()
	p := f.peer
	p.mu.Lock()
	gets := max(f.open(), 1)
	p.mu.Unlock()
	f.finish()
	p.mu.Lock()
	defer p.mu.Unlock()
	for range gets {
		p.out.reply(p.forbidden(protocol.TypeVar, f.source.Name(), protocol.Route{}))
	}
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
