package window

import "sync"

// Step leads a window from one state to the next. It is immutable and shared
// by all subscribers of the window.
type Step struct {
	From, To *State
	// Changed is the key of the row that changed if it is known that exactly
	// one did and that it kept its key, otherwise "".
	Changed string

	once     sync.Once
	messages [][]byte

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
