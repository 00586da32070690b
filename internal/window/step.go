package window

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"

	"github.com/socksync/socksync/protocol"
)

// Step leads a window from one state to the next. It is immutable and shared
// by all subscribers of the window.
type Step struct {
	From, To *State
	// Changed is the key of the row that changed if it is known that exactly
	// one did and that it kept its key, otherwise "".
	Changed string

	once     sync.Once
	messages [][]byte

	onceStep sync.Once
	step     []byte
	empty    bool
	first    wholeMessage

	// mu guards the last result of Then.
	mu           sync.Mutex
	next, folded *Step
}

// NewStep returns the step between two states of one window.
func NewStep(from, to *State, changed string) *Step {
	return &Step{From: from, To: to, Changed: changed}
}

// Messages returns the version 1 messages of the step, encoded once: the
// changes, or the set_all of the new state where that is shorter and several
// rows changed. It is empty if nothing differs. The caller must not modify the
// bytes. It may be called by any goroutine.
func (s *Step) Messages() [][]byte {
	s.once.Do(func() { s.messages = encode(s.From, s.To, s.Changed) })
	return s.messages
}

// AsStep returns the step as one message of version 2, encoded once. Both states must be filled. Its changes are empty if
// nothing differs. It may be called by any goroutine.
func (s *Step) AsStep() Shared {
	s.onceStep.Do(func() {
		step := s.changes()
		s.step, s.empty = protocol.AppendStepBody(nil, step), len(step.Changes) == 0 && !step.Anchored
	})
	return Shared{protocol.FuncStep, s.step, &s.first}
}

// Empty reports whether nothing differs but the Rev. The rules are those of AsStep.
func (s *Step) Empty() bool {
	s.AsStep()
	return s.empty
}

// Shared returns the shorter one of AsStep and the set_all of the new state; AsStep if one row changed.
func (s *Step) Shared() Shared {
	step := s.AsStep()
	if s.Changed == "" && len(step.Body) > atLeast(s.To) {
		if all := s.To.Shared(); len(all.Body) < len(step.Body) {
			return all
		}
	}
	return step
}

// changes is the step as version 2 has it.
func (s *Step) changes() protocol.Step {
	step := protocol.Step{Rev: s.To.Rev}
	if s.From.Anchored && !sameKey(s.From.After, s.To.After) {
		step.Anchored, step.After = true, s.To.After
	}
	if s.From.Total != s.To.Total {
		step.Changes = append(step.Changes, protocol.Change{Func: protocol.FuncSetCount, Total: s.To.Total})
	}
	for _, c := range Diff(s.From.Rows, s.To.Rows, s.Changed) {
		step.Changes = append(step.Changes, protocol.Change{Func: c.Op.fn(), Index: c.Index, Value: c.Value})
	}
	return step
}

func sameKey(a, b []json.RawMessage) bool {
	return (a == nil) == (b == nil) && slices.EqualFunc(a, b, func(x, y json.RawMessage) bool { return bytes.Equal(x, y) })
}

// Then returns the step from s.From to next.To; next must follow s. A change of
// one row followed by a change of the same row is still a change of one row.
//
// All subscribers that fold the same two steps get the same step, so that a
// burst is encoded once however many connections are behind.
func (s *Step) Then(next *Step) *Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != next {
		s.next, s.folded = next, s.fold(next)
	}
	return s.folded
}

func (s *Step) fold(next *Step) *Step {
	changed := ""
	if s.Changed == next.Changed {
		changed = s.Changed
	}
	return NewStep(s.From, next.To, changed)
}
