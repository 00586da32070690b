package peer

import (
	"slices"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// The methods in this file need Peer.mu.

// move has the other end told of a step.
func (f *windowFeed) move(step *window.Step, must bool) {
	if f.tail == nil {
		f.push(&moveLine{step: step})
	} else {
		f.tail.fold(step)
	}
	f.tail.must = f.tail.must || must
}

// replace shows another window, or the same whole. What was not said of the one before needs not be said anymore.
func (f *windowFeed) replace(line *moveLine) {
	f.awake()
	f.unpause()
	f.supersede()
	f.push(line)
}

// goOn has the window move on from the newest state by a step that answers a get.
func (f *windowFeed) goOn(step *window.Step, id string) {
	line := &moveLine{step: step}
	if f.pause != nil {
		line.step = f.pause.missed(f.now).Then(step)
	} else if f.tail != nil {
		line.step, line.state = f.tail.step, f.tail.state
		line.fold(step)
	}
	line.id, line.by = id, protocol.FuncGet
	f.replace(line)
}

// push says a line that moves the window.
func (f *windowFeed) push(line *moveLine) {
	line.feed, f.tail = f, line
	f.lines = append(f.lines, line)
}

// supersede takes back the line that was to move the window. If it answers a get, the other end is told so.
func (f *windowFeed) supersede() {
	switch line := f.tail; {
	case line == nil:
		return
	case line.by == protocol.FuncResume:
		f.freeze()
	case line.by == protocol.FuncGet:
		f.lines[f.find(line)] = f.superseded(line)
	default:
		f.remove(line)
	}
	f.tail = nil
}

// superseded returns what is said instead of a line that answers something.
func (f *windowFeed) superseded(line *moveLine) line {
	message := f.failure(errSuperseded, line.id)
	f.count(len(message))
	return replyLine(message)
}

// freeze has nothing folded any more into the line that moves the window, because what comes next has to be said behind
// it. From then on it counts as a reply does, so that there are not many of them.
func (f *windowFeed) freeze() {
	if f.tail != nil {
		f.count(f.tail.weight())
		f.held, f.tail = f.tail.to(), nil
	}
}

func (f *windowFeed) find(l line) int { return slices.Index(f.lines, l) }

func (f *windowFeed) remove(l line) {
	if i := f.find(l); i >= 0 {
		f.lines = slices.Delete(f.lines, i, i+1)
	}
}
