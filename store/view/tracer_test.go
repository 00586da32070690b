package view_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// shownPage is what a subscriber saw at one time.
type shownPage struct {
	page, size, total int
	items             []string
}

func (s shownPage) equal(o shownPage) bool {
	return s.page == o.page && s.size == o.size && s.total == o.total && slices.Equal(s.items, o.items)
}

// tracer is a subscriber of a list that applies every message strictly, as the wire
// has it, and remembers every state.
type tracer struct {
	t   testing.TB
	sub window.Subscription

	mu     sync.Mutex    // guards all below
	wake   chan struct{} // closed and replaced at every call
	held   protocol.Page
	last   *window.State
	seen   []shownPage
	early  []string // messages before the first answer
	asked  int      // gets without an answer
	failed bool
	err    error // of the last get that failed
	bad    []string
}

// trace subscribes a tracer, which holds nothing before its first get.
func trace(t testing.TB, source window.Source) *tracer {
	s := &tracer{t: t, wake: make(chan struct{})}
	s.sub = source.Subscribe(s, window.Options{})
	t.Cleanup(s.sub.Close)
	return s
}

func (s *tracer) get(page, size int) {
	s.mu.Lock()
	s.asked++
	s.failed = false
	s.mu.Unlock()
	s.sub.Get(window.Want{Page: page, Size: size})
}

func (s *tracer) called(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.wake)
	s.wake = make(chan struct{})
}

func (s *tracer) wrong(what string) { s.bad = append(s.bad, what) }

// Step implements window.Sink.
func (s *tracer) Step(step *window.Step) {
	s.called(func() {
		s.checkShown(step)
		if s.last == nil { // it holds nothing
			for _, m := range step.Messages() {
				s.early = append(s.early, string(m))
			}
			return
		}
		if !sameKeys(s.last, step.From) {
			s.wrong("a step does not begin where the one before ended")
		}
		s.last = step.To
		for _, m := range step.Messages() {
			s.apply(m)
		}
		s.remember(step.To)
	})
}

// checkShown checks that what a step inserts or sets has values.
func (s *tracer) checkShown(step *window.Step) {
	for _, c := range window.Diff(step.From.Rows, step.To.Rows, step.Changed) {
		if c.Op != window.OpDelete && c.Value == nil {
			s.wrong("a step shows a row that has not been read")
		}
	}
}

// Answer implements window.Sink.
func (s *tracer) Answer(state *window.State, gets int) {
	s.called(func() {
		s.asked -= gets
		if s.asked < 0 || !state.Filled() {
			s.wrong("an answer too many, or without rows")
		}
		s.last = state
		s.apply(state.SetAll())
		s.remember(state)
	})
}

// Resume implements window.Sink.
func (s *tracer) Resume(step *window.Step, gets int) { s.Answer(step.To, gets) }

// Still implements window.Sink.
func (*tracer) Still(error) {}

// Fail implements window.Sink.
func (s *tracer) Fail(err error, gets int) {
	s.called(func() {
		s.asked -= gets
		s.failed, s.err = true, err
		if s.asked < 0 {
			s.wrong("an answer too many")
		}
	})
}

func (s *tracer) apply(message []byte) {
	frame, err := protocol.Parse(message)
	if err == nil {
		_, err = s.held.Apply(&frame)
	}
	if err != nil {
		s.wrong(err.Error() + ": " + string(message))
	}
	if len(s.held.Items) > s.held.PageSize {
		s.wrong("the page overflows: " + string(message))
	}
}

// remember keeps what is shown now, which must be what the state says.
func (s *tracer) remember(state *window.State) {
	now := shownPage{page: s.held.Page, size: s.held.PageSize, total: s.held.Total}
	for _, item := range s.held.Items {
		now.items = append(now.items, string(item))
	}
	if !now.equal(shownPage{state.Page, state.Size, state.Total, shown(state)}) {
		s.wrong("the messages do not lead to the state")
	}
	s.seen = append(s.seen, now)
}

func sameKeys(a, b *window.State) bool {
	return a.Total == b.Total && slices.EqualFunc(a.Rows, b.Rows, func(x, y window.Row) bool { return x.Key == y.Key })
}

// until waits until the page is as wanted, and asks again after an error.
func (s *tracer) until(want shownPage) {
	s.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		s.mu.Lock()
		wake, failed, bad := s.wake, s.failed, s.bad
		var have shownPage
		if len(s.seen) > 0 {
			have = s.seen[len(s.seen)-1]
		}
		s.mu.Unlock()
		require.Empty(s.t, bad)
		if have.equal(want) {
			return
		}
		if failed {
			s.get(want.page, want.size)
			// An error at once would have this loop turn all the time.
			wake = nil
		}
		select {
		case <-wake:
		case <-time.After(50 * time.Millisecond):
		case <-limit.C:
			require.Equal(s.t, want, have)
			return
		}
	}
}
