package peer

import (
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// moveLine brings a window from one state to another, or to a state from nothing. It may be changed until it is taken to
// be encoded.
type moveLine struct {
	feed  *windowFeed
	step  *window.Step  // nil: the window is sent whole
	state *window.State // then this
	id    string        // of what it answers
	by    protocol.Func // what it answers, FuncGet or FuncResume; "" if it answers nothing
	want  *window.Want  // of the get
	must  bool          // it is sent also if nothing differs
}

// fold has the line lead on to where a step leads, which begins where the line leads.
func (l *moveLine) fold(step *window.Step) {
	if l.step == nil {
		l.state = step.To
		return
	}
	l.step = l.step.Then(step)
}

// to is where the line leads.
func (l *moveLine) to() *window.State {
	if l.step == nil {
		return l.state
	}
	return l.step.To
}

func (l *moveLine) encode(buf [][]byte) [][]byte {
	var body window.Shared
	switch {
	case l.step == nil:
		body = l.state.Shared()
	case l.by != "":
		body = l.step.AsStep()
	case l.must || !l.step.Empty():
		body = l.step.Shared()
	default:
		return buf
	}
	return append(buf, body.Message(l.feed.name, l.feed.route(l.id)))
}

func (l *moveLine) answers() []string { return []string{l.id} }

func (l *moveLine) again() []ask {
	switch l.by {
	case protocol.FuncGet:
		return []ask{{id: l.id, want: *l.want}}
	case protocol.FuncResume:
		return []ask{{run: func() { l.feed.resume(l.id) }}}
	}
	return nil
}

// weight is about how much memory the line holds on to.
func (l *moveLine) weight() int {
	n := 0
	for _, row := range l.to().Rows {
		n += len(row.JSON) + 64
	}
	return n
}
