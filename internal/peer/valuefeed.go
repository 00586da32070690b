package peer

import (
	"bytes"
	"slices"
	"sync/atomic"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// valueFeed is a view of a var that the other end follows in version 2.
//
// Its script holds replies and values that answer gets, all of which count, and at most one other value.
type valueFeed struct {
	routed
	source       window.ValueSource
	subscription window.ValueSubscription // used by who has the turn

	// Guarded by Peer.mu.
	sink   *valueSink // of the subscription
	chosen chosenValue
	tail   *routedValue // among the lines; nil if there is no value of these parameters to fold into
	shown  chosenValue  // chosen as of what was taken

	restoring restoring

	last atomic.Pointer[window.Value] // the last one encoded
}

// chosenValue is what is followed of a var.
type chosenValue struct {
	filter   []window.Condition // the parameters
	answered bool               // a get was
}

const noVar = "var not available"

func newValueFeed(p *Peer, view string, source window.ValueSource) *valueFeed {
	f := &valueFeed{source: source}
	f.routed = routed{kind: protocol.TypeVar, name: source.Name(), view: view}
	f.script = script{peer: p, owner: f}
	f.sink = &valueSink{f}
	f.subscription = source.Subscribe(f.sink, window.Options{Identity: p.Credentials().Identity})
	return f
}

// get handles a get. One that is bad is answered after those before it.
func (f *valueFeed) get(r *request) error {
	g, err := r.GetVar()
	if err != nil {
		f.refuse(err, r.route.ID)
		return nil
	}
	filter := kept(g.Filter)
	f.enqueue(ask{id: r.route.ID, want: window.Want{Choice: window.Choice{Filter: filter}}})
	f.subscription.Get(filter)
	return nil
}

// valueSink is the [window.ValueSink] of one subscription of a feed, as windowSink is for lists.
type valueSink struct{ feed *valueFeed }

// change runs a change of the feed's script, as long as this is the feed's sink.
func (s *valueSink) change(do func(f *valueFeed)) {
	f := s.feed
	f.change(func() {
		if f.sink == s {
			do(f)
		}
	})
}

// Set is called when the value has changed. Nothing is said before the first answer.
func (s *valueSink) Set(v *window.Value) {
	s.change(func(f *valueFeed) {
		if f.chosen.answered && !f.restoring.on {
			f.say(v)
		}
	})
}

// Answer is called when the source answers gets, of which the last counts. Others for the same parameters have the same
// answer.
func (s *valueSink) Answer(v *window.Value, gets int) {
	s.change(func(f *valueFeed) {
		f.answerAlike(gets, func(a ask) {
			f.restoring.on = false
			if a.own {
				f.say(v)
				return
			}
			f.choose(a.want.Choice.Filter)
			f.sayTo(a, v)
		})
	})
}

// Fail is called when the source cannot answer gets. The rules are those of Answer.
func (s *valueSink) Fail(err error, gets int) {
	e := s.feed.peer.public(err, noVar)
	s.change(func(f *valueFeed) {
		f.answerAlike(gets, func(a ask) {
			if a.own {
				f.cannotRestore(e)
				return
			}
			f.fail(e, a.id)
		})
		f.restoreLater()
	})
}

// The following methods need Peer.mu.

// answerAlike answers the last of so many gets, and those for the same parameters, by the function. The others have been
// superseded.
func (f *valueFeed) answerAlike(gets int, answer func(a ask)) {
	last := f.asks.last(gets)
	f.answer(gets, func(a ask, left int) {
		switch {
		case a.own && left > 0:
		case !sameFilter(a.want.Choice.Filter, last.want.Choice.Filter):
			f.fail(errSuperseded, a.id)
		default:
			answer(a)
		}
	})
}

// choose has the subscription follow the value of other parameters. What was not said of the one before needs not be said
// anymore, unless it is an answer.
func (f *valueFeed) choose(filter []window.Condition) {
	if !f.chosen.answered || !sameFilter(f.chosen.filter, filter) {
		f.forget()
		f.chosen, f.tail = chosenValue{filter, true}, nil
	}
}

// forget takes back a value that answers nothing.
func (f *valueFeed) forget() {
	if f.tail != nil && len(f.tail.asks) == 0 {
		f.lines = slices.DeleteFunc(f.lines, func(l line) bool { return l == line(f.tail) })
		f.tail = nil
	}
}

// sayTo answers a get, after what has to be said before it.
func (f *valueFeed) sayTo(a ask, v *window.Value) {
	f.forget()
	if f.tail != nil && f.lines[len(f.lines)-1] != line(f.tail) {
		f.tail = nil
	}
	f.say(v)
	f.tail.asks = append(f.tail.asks, a)
	f.count(len(v.JSON))
}

// say folds a value into the last one: nobody needs to see an old value.
func (f *valueFeed) say(v *window.Value) {
	if f.tail == nil {
		f.tail = &routedValue{feed: f, value: v}
		f.lines = append(f.lines, f.tail)
		return
	}
	f.count(len(f.tail.asks) * (len(v.JSON) - len(f.tail.value.JSON)))
	f.tail.value = v
}

func (f *valueFeed) speak() []line {
	f.tail, f.shown = nil, f.chosen
	return f.take()
}

// close ends the subscription.
func (f *valueFeed) close(bool) {
	f.subscription.Close()
	f.giveUpRestoring()
	f.finish()
}

// forbid ends the subscription, which the other end may not have any more.
func (f *valueFeed) forbid() {
	f.subscription.Close()
	f.giveUpRestoring()
	f.routed.forbid()
}

func sameFilter(a, b []window.Condition) bool {
	return slices.EqualFunc(a, b, func(x, y window.Condition) bool {
		return x.Column == y.Column && x.Operator == y.Operator && bytes.Equal(x.Value, y.Value)
	})
}

// routedValue says a value: to every get that it answers, or else once if it differs from the last one sent. It may be
// changed until it is taken to be encoded.
type routedValue struct {
	feed  *valueFeed
	value *window.Value
	asks  []ask // the gets
}

func (l *routedValue) encode(buf [][]byte) [][]byte {
	f := l.feed
	ids := l.answers()
	if len(ids) == 0 {
		if last := f.last.Load(); last != nil && bytes.Equal(last.JSON, l.value.JSON) {
			return buf
		}
		ids = []string{""}
	}
	f.last.Store(l.value)
	for _, id := range ids {
		buf = append(buf, protocol.AppendSetVarV2(nil, f.name, f.route(id), l.value.JSON))
	}
	return buf
}

// answers returns the ids of the gets, "" for those that have none.
func (l *routedValue) answers() []string {
	var ids []string
	for _, a := range l.asks {
		ids = append(ids, a.id)
	}
	return ids
}

func (l *routedValue) again() []ask { return l.asks }
