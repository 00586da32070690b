package view

import (
	"errors"
	"sync"

	"github.com/socksync/socksync/internal/window"
)

// follower is one subscription of a var.
type follower struct {
	variable *variable
	sink     window.ValueSink
	who      subject
	barred   error // why it follows nothing, fit for the peer: its identity lacks a value
	asked    valueGets

	// Owned by the feed goroutine.
	at     *instance  // what it follows; nil before the first get of a var with parameters
	next   *instance  // what its unanswered gets are for
	gets   int        // unanswered
	late   []valueGet // gets that are refused, once those before them are answered
	owed   bool       // a get was answered by an error, and no value has come since
	closed bool
}

// valueGet is a get, or several for the same parameters.
type valueGet struct {
	params params
	err    error // why it is refused, fit for the peer
	times  int
}

// valueGets are the gets that the feed goroutine has not taken. mu guards them.
type valueGets struct {
	mu   sync.Mutex
	gets []valueGet
}

// add reports whether the get is the first since the last take.
func (a *valueGets) add(p params, err error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.gets); n > 0 && err == nil && a.gets[n-1].err == nil && a.gets[n-1].params.key == p.key {
		a.gets[n-1].times++
		return false
	}
	a.gets = append(a.gets, valueGet{params: p, err: err, times: 1})
	return len(a.gets) == 1
}

func (a *valueGets) take() []valueGet {
	a.mu.Lock()
	defer a.mu.Unlock()
	gets := a.gets
	a.gets = nil
	return gets
}

// open has it follow a var without parameters, now or as soon as there is room. It is then told the value if a get was
// refused for that.
func (f *follower) open() {
	if f.closed || f.at != nil || f.next != nil {
		return
	}
	v := f.variable
	p, err := f.params(nil)
	if err != nil {
		return
	}
	i, err := v.instance(p)
	if err != nil {
		v.engine.later(v.engine.config.Retry, f.open)
		return
	}
	f.at = i
	i.join(f)
	i.refresh()
	if i.present() {
		f.tell(i, false)
	}
}

// params are those of a get, with who asks.
func (f *follower) params(filter []window.Condition) (params, error) {
	if f.barred != nil {
		return params{}, f.barred
	}
	p, err := f.variable.statement.params(filter)
	p.key, p.who = f.who.key+p.key, f.who
	return p, err
}

// Get implements [window.ValueSubscription].
func (f *follower) Get(filter []window.Condition) {
	if f.asked.add(f.params(filter)) {
		f.variable.engine.feed.Do(f.serve)
	}
}

// serve takes the gets that have come in.
func (f *follower) serve() {
	for _, get := range f.asked.take() {
		if !f.closed {
			f.take(get)
		}
	}
}

// take answers a get or has the query run. Gets are answered in order.
func (f *follower) take(get valueGet) {
	var i *instance
	if get.err == nil {
		i, get.err = f.variable.instance(get.params)
	}
	switch {
	case get.err == nil:
		f.ask(i, get.times)
	case f.gets > 0:
		f.late = append(f.late, get)
	default:
		f.owed = f.owed || errors.Is(get.err, errTooMany) && !f.variable.hasParams() // open tries on
		f.sink.Fail(get.err, get.times)
	}
}

// errSuperseded answers a get that another one with other parameters has followed.
var errSuperseded = window.Refusal("superseded")

// ask answers gets for an instance, at once if its value is the present one.
func (f *follower) ask(i *instance, gets int) {
	i.join(f)
	if f.gets > 0 && (f.next != i || len(f.late) > 0) {
		before := f.next
		f.next = i
		f.answered(func(gets int) { f.sink.Fail(errSuperseded, gets) })
		f.part(before)
	}
	f.next = i
	f.gets += gets
	i.refresh()
	if i.present() {
		f.arrive()
	}
}

// answered has the outstanding gets answered, and then those that waited behind them.
func (f *follower) answered(answer func(gets int)) {
	gets, late := f.gets, f.late
	f.gets, f.late = 0, nil
	if gets > 0 {
		answer(gets)
	}
	for _, get := range late {
		f.sink.Fail(get.err, get.times)
	}
}

// part leaves an instance unless it is still wanted.
func (f *follower) part(i *instance) {
	if i != nil && i != f.at && i != f.next {
		i.leave(f)
	}
}

// arrive answers the outstanding gets with the present value, and follows that.
func (f *follower) arrive() {
	before := f.at
	f.at, f.next, f.owed = f.next, nil, false
	f.answered(func(gets int) { f.sink.Answer(f.at.value, gets) })
	f.part(before)
}

// tell says that the value of an instance is known, and whether it has changed. One who
// was told that it could not be read is told the value, also if it is what it was.
func (f *follower) tell(i *instance, changed bool) {
	switch {
	case f.next == i:
		f.arrive()
	case changed || f.owed:
		f.owed = false
		f.sink.Set(i.value)
	}
}

// fail says that an instance cannot be read now, or that its parameters are refused. One
// who follows nothing yet follows it from now on, unless it is refused; others stay
// where they are.
func (f *follower) fail(i *instance, refusal error) {
	if f.next != i {
		return
	}
	f.next = nil
	if f.at == nil && refusal == nil {
		f.at = i
	}
	f.owed = f.owed || f.at == i
	if refusal == nil {
		refusal = errUnreadable
	}
	f.answered(func(gets int) { f.sink.Fail(refusal, gets) })
	f.part(i)
}

var errUnreadable = window.Refusal("the var cannot be read now")

// Close implements [window.ValueSubscription].
func (f *follower) Close() {
	f.variable.engine.feed.Do(func() {
		at, next := f.at, f.next
		f.at, f.next, f.gets, f.late, f.closed = nil, nil, 0, nil, true
		f.part(at)
		if next != at {
			f.part(next)
		}
	})
}
