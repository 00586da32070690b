package peer

import (
	"bytes"
	"slices"
	"sync/atomic"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// valueFeed is a view of a var that the other end follows in version 2. It is the [window.ValueSink] of it.
//
// Its script holds replies and values that answer gets, all of which count, and at most one other value.
type valueFeed struct {
	routed
	subscription window.ValueSubscription // used by the goroutine of Run

	// Guarded by Peer.mu.
	chosen   []window.Condition // the parameters of the value that is followed
	answered bool               // there is one
	tail     *routedValue       // among the lines; nil if there is no value of these parameters to fold into

	last atomic.Pointer[window.Value] // the last one encoded
}

const noVar = "var not available"

func newValueFeed(p *Peer, view string, source window.ValueSource) *valueFeed {
	f := &valueFeed{}
	f.routed = routed{kind: protocol.TypeVar, name: source.Name(), view: view}
	f.script = script{peer: p, owner: f}
	f.subscription = source.Subscribe(f, window.Options{})
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

// Set is called when the value has changed. Nothing is said before the first answer.
func (f *valueFeed) Set(v *window.Value) {
	f.change(func() {
		if f.answered {
			f.say(v)
		}
	})
}

// Answer is called when the source answers gets, of which the last counts. Others for the same parameters have the same
// answer.
func (f *valueFeed) Answer(v *window.Value, gets int) {
	f.answerAlike(gets, func(a ask) {
		f.choose(a.want.Choice.Filter)
		f.sayTo(a.id, v)
	})
}

// Fail is called when the source cannot answer gets. The rules are those of Answer.
func (f *valueFeed) Fail(err error, gets int) {
	e := f.peer.public(err, noVar)
	f.answerAlike(gets, func(a ask) { f.fail(e, a.id) })
}

// answerAlike answers the last of so many gets, and those for the same parameters, by the function. The others have been
// superseded.
func (f *valueFeed) answerAlike(gets int, answer func(a ask)) {
	f.change(func() {
		last := f.asks.last(gets)
		f.answer(gets, func(a ask, _ int) {
			if !sameFilter(a.want.Choice.Filter, last.want.Choice.Filter) {
				f.fail(errSuperseded, a.id)
				return
			}
			answer(a)
		})
	})
}

// choose has the subscription follow the value of other parameters. What was not said of the one before needs not be said
// anymore, unless it is an answer.
func (f *valueFeed) choose(filter []window.Condition) {
	if !f.answered || !sameFilter(f.chosen, filter) {
		f.forget()
		f.chosen, f.answered, f.tail = filter, true, nil
	}
}

// forget takes back a value that answers nothing.
func (f *valueFeed) forget() {
	if f.tail != nil && len(f.tail.ids) == 0 {
		f.lines = slices.DeleteFunc(f.lines, func(l line) bool { return l == line(f.tail) })
		f.tail = nil
	}
}

// sayTo answers a get, after what has to be said before it.
func (f *valueFeed) sayTo(id string, v *window.Value) {
	f.forget()
	if f.tail != nil && f.lines[len(f.lines)-1] != line(f.tail) {
		f.tail = nil
	}
	f.say(v)
	f.tail.ids = append(f.tail.ids, id)
	f.count(len(v.JSON))
}

// say folds a value into the last one: nobody needs to see an old value.
func (f *valueFeed) say(v *window.Value) {
	if f.tail == nil {
		f.tail = &routedValue{feed: f, value: v}
		f.lines = append(f.lines, f.tail)
		return
	}
	f.count(len(f.tail.ids) * (len(v.JSON) - len(f.tail.value.JSON)))
	f.tail.value = v
}

func (f *valueFeed) speak() []line {
	f.tail = nil
	return f.take()
}

// close ends the subscription.
func (f *valueFeed) close(bool) {
	f.subscription.Close()
	f.finish()
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
	ids   []string // of the gets, "" for those that have none
}

func (l *routedValue) encode(buf [][]byte) [][]byte {
	f := l.feed
	ids := l.ids
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

// awaited reports whether somebody waits for the line, and can tell it from others.
func (l *routedValue) awaited() bool {
	return slices.ContainsFunc(l.ids, func(id string) bool { return id != "" })
}
