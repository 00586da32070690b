package peer

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// windowFeed is a view of a list that the other end follows in version 2.
//
// Its script holds any number of replies, which count, and at most one line that brings the window from what the other
// end has been sent to what it is now, into which everything newer is folded; [windowFeed.freeze] has the exceptions.
// There is at most one line that tells what a paused window is missing, and one that tells that it stands still.
type windowFeed struct {
	routed
	source       window.Source
	subscription window.Subscription // used by who has the turn

	// Guarded by Peer.mu.
	sink  *windowSink   // of the subscription
	want  *window.Want  // the get that the window answers
	now   *window.State // the newest state; nil while there is no window
	held  *window.State // what the other end has when it has everything that is said before tail
	tail  *moveLine     // among the lines; nil if there is nothing to fold into
	pause *pause        // nil if the window is not paused
	still *still        // nil if the window does not stand still
	shown shownWindow

	restoring restoring
}

const noList = "list not available"

func newWindowFeed(p *Peer, view string, source window.Source) *windowFeed {
	f := &windowFeed{source: source}
	f.routed = routed{kind: protocol.TypeList, name: source.Name(), view: view}
	f.script = script{peer: p, owner: f}
	f.sink = &windowSink{f}
	f.subscription = source.Subscribe(f.sink, f.options(p.Credentials().Identity, nil))
	return f
}

func (f *windowFeed) options(id window.Identity, instead window.Subscription) window.Options {
	return window.Options{Quiet: true, Account: f.peer.account, Identity: id, Instead: instead}
}

// get handles a get, pause or resume.
func (f *windowFeed) get(r *request) error {
	id := r.route.ID
	switch {
	case r.Func == protocol.FuncGet:
		f.ask(r)
	case r.bad != nil:
		f.refuse(r.bad, id)
	case r.Func == protocol.FuncPause:
		f.inTurn(func() { f.hold(id) })
	default:
		f.inTurn(func() { f.resume(id) })
	}
	return nil
}

// ask passes a get on to the source. One that is bad is answered after those before it.
func (f *windowFeed) ask(r *request) {
	g, err := r.GetList()
	if err != nil {
		f.refuse(err, r.route.ID)
		return
	}
	want := wanted(g)
	if c, ok := f.subscription.(window.Checker); ok {
		if err := c.Check(want); err != nil {
			f.refuse(f.peer.public(err, noList), r.route.ID)
			return
		}
	}
	f.enqueue(ask{id: r.route.ID, want: want})
	f.subscription.Get(want)
}

// wanted returns what a get asks for, without the message, which is the reader's.
func wanted(g protocol.GetList) window.Want {
	want := window.Want{Anchored: g.Anchored, Choice: g.Choice, Rev: g.Rev}
	if g.PageSize != nil {
		want.Size = *g.PageSize
	}
	if g.Page != nil {
		want.Page = *g.Page
	}
	want.After = slices.Clone(g.After)
	for i, v := range want.After {
		want.After[i] = bytes.Clone(v)
	}
	want.Choice.Filter = kept(g.Choice.Filter)
	return want
}

// kept returns conditions without the message that they came in.
func kept(filter []window.Condition) []window.Condition {
	filter = slices.Clone(filter)
	for i := range filter {
		filter[i].Value = bytes.Clone(filter[i].Value)
	}
	return filter
}

// windowSink is the [window.Sink] of one subscription of a feed. Another takes its place when the other end has another
// identity: what it is told from then on is nobody's.
type windowSink struct{ feed *windowFeed }

// change runs a change of the feed's script, as long as this is the feed's sink.
func (s *windowSink) change(do func(f *windowFeed)) {
	f := s.feed
	f.change(func() {
		if f.sink == s {
			do(f)
		}
	})
}

// Step is called when the window has moved on. Nothing is said before there is a window.
func (s *windowSink) Step(step *window.Step) {
	s.change(func(f *windowFeed) {
		if f.now != nil && !f.restoring.on {
			f.goTo(step)
		}
	})
}

// Answer is called when the source answers gets.
func (s *windowSink) Answer(state *window.State, gets int) {
	s.change(func(f *windowFeed) {
		f.settle(gets, state, func(a ask) { f.replace(&moveLine{state: state, id: a.id, by: protocol.FuncGet}) })
	})
}

// Resume is called when the source answers gets by a step, which begins at what the other end says that it holds, or at
// the newest state. The other end may have said what it holds of this window before it got what was sent since. Then the
// step would lead it astray, so it is sent the window whole.
func (s *windowSink) Resume(step *window.Step, gets int) {
	s.change(func(f *windowFeed) {
		f.settle(gets, step.To, func(a ask) { f.resumeFrom(step, a) })
	})
}

// Fail is called when the source cannot answer gets. The window is what it was. The error is about the last of them.
func (s *windowSink) Fail(err error, gets int) {
	e := s.feed.peer.public(err, noList)
	s.change(func(f *windowFeed) {
		f.answerLast(gets, func(a ask) {
			if a.own {
				f.cannotRestore(e)
				return
			}
			f.fail(e, a.id)
		})
		f.restoreLater()
	})
}

// Still is called when the source cannot follow the window any more.
func (s *windowSink) Still(err error) {
	e := s.feed.peer.public(err, noList)
	s.change(func(f *windowFeed) { f.stand(e) })
}

// The following methods need Peer.mu.

// goTo has the window move on.
func (f *windowFeed) goTo(step *window.Step) {
	f.now = step.To
	if f.pause != nil {
		f.awake()
		f.miss(step)
		return
	}
	f.move(step, f.awake())
}

// resumeFrom answers a get by a step. See windowSink.Resume.
func (f *windowFeed) resumeFrom(step *window.Step, a ask) {
	if f.tail != nil && f.tail.by == protocol.FuncResume {
		f.freeze()
	}
	literal := &moveLine{step: step, id: a.id, by: protocol.FuncGet}
	switch {
	case alike(step.From, f.held):
		f.replace(literal)
	case step.From == f.now && step.From.Rev != a.want.Rev:
		f.goOn(step, a.id)
	case f.held != nil && f.isAt(a.want):
		f.replace(&moveLine{state: step.To, id: a.id, by: protocol.FuncGet})
	default:
		f.replace(literal)
	}
}

// settle answers gets, the last by the function, which pushes a line, or has the window go on to a state if it is our own.
func (f *windowFeed) settle(gets int, state *window.State, last func(a ask)) {
	f.answerLast(gets, func(a ask) {
		f.restoring.on = false
		if a.own {
			f.goTo(window.NewStep(f.now, state, ""))
			return
		}
		last(a)
		f.want, f.now = &a.want, f.tail.to()
		f.tail.want = f.want
	})
}

func (f *windowFeed) speak() []line {
	if f.tail != nil {
		f.held, f.tail = f.tail.to(), nil
	}
	if f.pause != nil {
		f.pause.taken()
	}
	if f.still != nil {
		f.still.taken()
	}
	f.show()
	return f.take()
}

// close ends the subscription.
func (f *windowFeed) close(gone bool) {
	if gone {
		f.subscription.Leave()
	} else {
		f.subscription.Close()
	}
	f.finish()
}

// finish ends the feed.
func (f *windowFeed) finish() {
	f.giveUpRestoring()
	f.routed.finish()
}

// forbid ends the subscription, which the other end may not have any more.
func (f *windowFeed) forbid() {
	f.subscription.Close()
	f.giveUpRestoring()
	f.routed.forbid()
}

// isAt reports whether a get asks for the page or anchor of the window, of whatever choice and size. An anchor may be named
// as it was asked for or as it is now.
func (f *windowFeed) isAt(want window.Want) bool {
	if want.Page != f.want.Page || want.Anchored != f.want.Anchored {
		return false
	}
	return slices.ContainsFunc([][]json.RawMessage{f.want.After, f.held.After, f.now.After}, func(after []json.RawMessage) bool {
		return slices.EqualFunc(after, want.After, func(x, y json.RawMessage) bool { return bytes.Equal(x, y) })
	})
}

// alike reports whether two states look the same to who holds them.
func alike(a, b *window.State) bool {
	return a != nil && b != nil && (a.Rev == b.Rev && len(a.Rows) == len(b.Rows) || a.Same(b))
}
