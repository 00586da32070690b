package peer

import (
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

var errNoWindow = &protocol.Error{Code: protocol.InvalidFunc, Message: "no window"}

// pause holds a window: the other end is only told how much it is missing. All that is kept is what it sees and what there
// is now. It is guarded by Peer.mu.
type pause struct {
	seen   *window.State
	behind *window.Step  // from seen to the newest state; nil if that is the same
	told   *window.State // what the last line that was taken tells of
	line   *missLine     // among the lines; nil if there is nothing to fold into
}

// hold answers a pause.
func (f *windowFeed) hold(id string) {
	if f.now == nil {
		f.fail(errNoWindow, id)
		return
	}
	if f.pause == nil {
		f.freeze()
		f.pause = &pause{seen: f.now, told: f.now}
	} else if id == "" {
		return
	}
	line := &holdLine{feed: f, id: id}
	f.lines = append(f.lines, line)
	f.count(len(line.message()))
}

// holdLine is where the other end has asked for a pause, which is answered if it has an id.
type holdLine struct {
	feed *windowFeed
	id   string
}

func (l *holdLine) message() []byte {
	if l.id == "" {
		return nil
	}
	return protocol.AppendOK(nil, l.id)
}

func (l *holdLine) encode(buf [][]byte) [][]byte {
	if message := l.message(); message != nil {
		buf = append(buf, message)
	}
	return buf
}

func (l *holdLine) again() []ask {
	return []ask{{run: func() { l.feed.hold(l.id) }}}
}

// resume answers a resume, by one step in any case.
func (f *windowFeed) resume(id string) {
	switch {
	case f.now == nil:
		f.fail(errNoWindow, id)
		return
	case f.pause != nil:
		step := f.pause.missed(f.now)
		f.unpause()
		f.push(&moveLine{step: step})
	default:
		f.freeze()
		f.push(&moveLine{step: window.NewStep(f.now, f.now, "")})
	}
	f.tail.id, f.tail.by = id, protocol.FuncResume
	f.remind()
}

// unpause ends the pause, if there is one.
func (f *windowFeed) unpause() {
	if f.pause != nil {
		if f.pause.line != nil {
			f.remove(f.pause.line)
		}
		f.pause = nil
	}
}

// missed is the step from what the other end sees to the newest state.
func (p *pause) missed(now *window.State) *window.Step {
	if p.behind == nil {
		return window.NewStep(now, now, "")
	}
	return p.behind
}

// miss takes a step that the other end is not shown, and has it told of.
func (f *windowFeed) miss(step *window.Step) {
	p := f.pause
	if p.behind == nil {
		p.behind = step
	} else {
		p.behind = p.behind.Then(step)
	}
	if p.line == nil {
		p.line = &missLine{feed: f, seen: p.seen, told: p.told}
		f.lines = append(f.lines, p.line)
	}
	p.line.now = step.To
}

// taken says that the lines have been taken.
func (p *pause) taken() {
	if p.line != nil {
		p.told, p.line = p.line.now, nil
	}
}

// missLine tells what a paused window is missing. It may be changed until it is taken to be encoded.
type missLine struct {
	feed      *windowFeed
	seen, now *window.State
	told      *window.State // what the line before it tells of
}

func (l *missLine) encode(buf [][]byte) [][]byte {
	if l.now.Same(l.told) {
		return buf // there and back
	}
	f := l.feed
	return append(buf, protocol.AppendSetPending(nil, f.name, f.route(""), l.now.Total, l.now.Pending(l.seen)))
}
