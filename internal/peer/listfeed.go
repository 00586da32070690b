package peer

import (
	"github.com/socksync/socksync/internal/window"
)

// listFeed is a subscription to a list. It is the [window.Sink] of it.
//
// Its script holds at most one state and one step between two errors, and the
// errors count as replies.
type listFeed struct {
	script
	subscription window.Subscription // used by the goroutine of Run

	// Guarded by Peer.mu.
	asked int      // gets that the source has not answered
	bad   [][]byte // errors that answer gets which came after those
}

func newListFeed(p *Peer, source window.Source) *listFeed {
	f := &listFeed{}
	f.script = script{peer: p, owner: f}
	f.subscription = source.Subscribe(f, window.Options{})
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
	f.awaitTurn()
	f.subscription.Get(want)
	return nil
}

// awaitTurn waits until no error is left that has to be said before the answer
// to the next get, and counts that get. So the source never answers together
// what has an error in between.
func (f *listFeed) awaitTurn() {
	p := f.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(f.bad) > 0 && !p.out.closing {
		p.out.room.Wait()
	}
	f.asked++
}

// refuse returns the error if it can be said at once.
func (f *listFeed) refuse(err error) error {
	later := false
	f.change(func() {
		if later = f.asked > 0 || len(f.lines) > 0; !later {
			return
		}
		message := errorMessage(err)
		if f.asked == 0 {
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

// Step is called when the window has moved on.
func (f *listFeed) Step(step *window.Step) {
	f.change(func() {
		switch i := f.lastState(); {
		case i < 0:
			f.lines = append(f.lines, stepLine{step})
		default:
			f.lines[i] = after(f.lines[i], step)
		}
	})
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
	if before, ok := l.(stepLine); ok {
		return stepLine{before.step.Then(step)}
	}
	return answerLine{step.To}
}

// Answer is called when the source answers gets. What was not said of the
// window before needs not be said anymore.
func (f *listFeed) Answer(state *window.State, gets int) {
	f.change(func() {
		if n := len(f.lines); n > 0 && f.lastState() == n-1 {
			f.lines = f.lines[:n-1]
		}
		f.lines = append(f.lines, answerLine{state})
		f.settle(gets)
	})
}

// Fail is called when the source cannot answer gets.
func (f *listFeed) Fail(err error, gets int) {
	message := f.peer.refusal(err, "list not available")
	f.change(func() {
		for range gets {
			f.reply(message)
		}
		f.settle(gets)
	})
}

// Resume is not called: it is of version 2.
func (f *listFeed) Resume(*window.Step, int) {}

// Still is nothing that version 1 tells.
func (f *listFeed) Still(error) {}

// settle counts answered gets, and lets the errors follow that waited for them.
func (f *listFeed) settle(gets int) {
	if f.asked -= gets; f.asked > 0 {
		return
	}
	for _, message := range f.bad {
		f.peer.out.scripted -= len(message)
		f.reply(message)
	}
	f.bad = nil
	f.peer.out.room.Broadcast()
}

func (f *listFeed) speak() []line { return f.take() }

func (f *listFeed) close(bool) {
	f.subscription.Close()
	f.settleAll()
	f.finish()
}

// settleAll gives up the gets that have not been answered.
func (f *listFeed) settleAll() {
	f.peer.mu.Lock()
	defer f.peer.mu.Unlock()
	f.settle(f.asked)
}
