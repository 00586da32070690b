package peer

import (
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// listFeed is a subscription to a list.
//
// Its script holds at most one state and one step between two errors, and the
// errors count as replies.
type listFeed struct {
	script
	source       window.Source
	subscription window.Subscription // used by who has the turn

	// Guarded by Peer.mu.
	sink  *listSink // of the subscription
	gets  listGets
	bad   [][]byte      // errors that answer gets which came after those
	want  *window.Want  // the get that the page answers; nil while there was none
	now   *window.State // the newest state that was told; nil for none
	shown shownList

	restoring restoring
}

// listGets are the gets that the source has not answered. It is guarded by
// Peer.mu.
type listGets struct {
	n    int
	last window.Want
	// more are those of the other end that one of the n stands for besides: they
	// were asked of another subscription, before the identity changed.
	more int
	// own says that the first of the n is ours.
	own bool
}

func newListFeed(p *Peer, source window.Source) *listFeed {
	f := &listFeed{source: source}
	f.script = script{peer: p, owner: f}
	f.sink = &listSink{f}
	f.subscription = source.Subscribe(f.sink, window.Options{Identity: p.Credentials().Identity})
	return f
}

// get passes a get on to the source. One that is bad is answered after those
// before it.
func (f *listFeed) get(r *request) error {
	g, err := r.GetList()
	if err != nil {
		return f.refuse(err)
	}
	var want window.Want
	if g.PageSize != nil {
		want.Size = *g.PageSize
	}
	if g.Page != nil {
		want.Page = *g.Page
	}
	f.awaitTurn(want)
	f.subscription.Get(want)
	return nil
}

// awaitTurn waits until no error is left that has to be said before the answer
// to the next get, and counts that get. So the source never answers together
// what has an error in between.
func (f *listFeed) awaitTurn(want window.Want) {
	p := f.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(f.bad) > 0 && !p.out.closing {
		p.out.room.Wait()
	}
	f.gets.n++
	f.gets.last = want
}

// refuse returns the error if it can be said at once.
func (f *listFeed) refuse(err error) error {
	later := false
	f.change(func() {
		if later = f.gets.n > 0 || len(f.lines) > 0; !later {
			return
		}
		message := errorMessage(err)
		if f.gets.n == 0 {
			f.reply(message)
			return
		}
		f.bad = append(f.bad, message)
		f.peer.out.scripted += len(message)
	})
	if later {
		return nil
	}
	return err
}

// listSink is the [window.Sink] of one subscription of a feed, as windowSink is
// for version 2.
type listSink struct{ feed *listFeed }

// change runs a change of the feed's script, as long as this is the feed's sink.
func (s *listSink) change(do func(f *listFeed)) {
	f := s.feed
	f.change(func() {
		if f.sink == s {
			do(f)
		}
	})
}

// Step is called when the window has moved on.
func (s *listSink) Step(step *window.Step) {
	s.change(func(f *listFeed) {
		if !f.restoring.on {
			f.move(step)
		}
	})
}

// Answer is called when the source answers gets. What was not said of the
// window before needs not be said anymore.
func (s *listSink) Answer(state *window.State, gets int) {
	s.change(func(f *listFeed) {
		f.restoring.on = false
		gets = f.others(gets)
		if gets == 0 {
			f.restored(state)
			return
		}
		if n := len(f.lines); n > 0 && f.lastState() == n-1 {
			if a, ok := f.lines[n-1].(answerLine); ok {
				gets += a.gets
			}
			f.lines = f.lines[:n-1]
		}
		want := f.gets.last
		f.lines = append(f.lines, answerLine{state, want, gets})
		f.want, f.now = &want, state
		f.settle()
	})
}

// Fail is called when the source cannot answer gets.
func (s *listSink) Fail(err error, gets int) {
	message := s.feed.peer.refusal(err, "list not available")
	s.change(func(f *listFeed) {
		gets = f.others(gets)
		if gets == 0 {
			f.restoring.failed()
		}
		for range gets {
			f.reply(message)
		}
		f.settle()
		f.restoreLater()
	})
}

// Resume is not called: it is of version 2.
func (s *listSink) Resume(*window.Step, int) {}

// Still is nothing that version 1 tells.
func (s *listSink) Still(error) {}

// The following methods need Peer.mu.

// move says a step.
func (f *listFeed) move(step *window.Step) {
	f.now = step.To
	switch i := f.lastState(); {
	case i < 0:
		f.lines = append(f.lines, stepLine{step})
	default:
		f.lines[i] = after(f.lines[i], step)
	}
}

// lastState returns the index of the last line that is not an error, or -1.
func (f *listFeed) lastState() int {
	for i := len(f.lines) - 1; i >= 0; i-- {
		if _, ok := f.lines[i].(replyLine); !ok {
			return i
		}
	}
	return -1
}

// after folds a step into the line before it.
func after(l line, step *window.Step) line {
	switch before := l.(type) {
	case stepLine:
		return stepLine{before.step.Then(step)}
	case answerLine:
		before.state = step.To
		return before
	}
	return l
}

// others counts gets as answered, and returns how many of the other end's those
// are.
func (f *listFeed) others(gets int) int {
	q := &f.gets
	q.n -= gets
	if q.own {
		gets--
	}
	gets += q.more
	q.own, q.more = false, 0
	return gets
}

// settle lets the errors follow that waited for gets.
func (f *listFeed) settle() {
	if f.gets.n > 0 {
		return
	}
	for _, message := range f.bad {
		f.peer.out.scripted -= len(message)
		f.reply(message)
	}
	f.bad = nil
	f.peer.out.room.Broadcast()
}

func (f *listFeed) speak() []line {
	f.show()
	return f.take()
}

func (f *listFeed) close(bool) {
	f.subscription.Close()
	f.settleAll()
	f.finish()
}

// forbid ends the subscription, which the other end may not have any more. Every
// get that has not been answered is refused, and the other end is told if there
// is none.
func (f *listFeed) forbid() {
	f.subscription.Close()
	p := f.peer
	p.mu.Lock()
	gets := max(f.open(), 1)
	p.mu.Unlock()
	f.settleAll()
	f.finish()
	p.mu.Lock()
	defer p.mu.Unlock()
	for range gets {
		p.out.reply(p.forbidden(protocol.TypeList, f.source.Name(), protocol.Route{}))
	}
}

// settleAll gives up the gets that have not been answered.
func (f *listFeed) settleAll() {
	f.peer.mu.Lock()
	defer f.peer.mu.Unlock()
	f.gets = listGets{}
	f.restoring.stop()
	f.settle()
}

// answerLine answers gets of a list.
type answerLine struct {
	state *window.State
	want  window.Want // of the last get
	gets  int
}

func (l answerLine) encode(buf [][]byte) [][]byte { return append(buf, l.state.SetAll()) }

// stepLine leads from what was said before to a newer state.
type stepLine struct{ step *window.Step }

func (l stepLine) encode(buf [][]byte) [][]byte { return append(buf, l.step.Messages()...) }
