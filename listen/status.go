package listen

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Reasons for which a feed is not ready. They are for errors.Is.
var (
	// ErrNotRunning says that the feed was not started, or was stopped.
	ErrNotRunning = errors.New("the feed does not run")
	// ErrDown says that the database cannot be reached, or cannot be read.
	ErrDown = errors.New("the database cannot be read")
	// ErrTriggers says that tables lack triggers, so that changes of them go unnoticed.
	ErrTriggers = errors.New("triggers are missing")
)

// staleAfter is how long the last drain may be ago before Ready says so. A quiet feed drains each second.
const staleAfter = 10 * time.Second

// status is what Ready tells and Load waits for. The mutex guards it.
type status struct {
	mu        sync.Mutex
	running   bool
	err       error    // why nothing can be read now
	untracked []string // tables that lack triggers
	drained   time.Time
	up        chan struct{} // closed while the feed is up
	isUp      bool
	life      context.Context //nolint:containedctx // ends loads when the feed stops
	end       context.CancelCauseFunc
}

func newStatus() *status {
	s := &status{up: make(chan struct{})}
	s.life, s.end = context.WithCancelCause(context.Background())
	return s
}

// start and stop are the ends of a run.
func (s *status) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.err = true, fmt.Errorf("%w: not read yet", ErrDown)
	if s.life.Err() != nil {
		s.life, s.end = context.WithCancelCause(context.Background())
	}
}

func (s *status) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
	s.lower()
	s.end(ErrNotRunning)
}

// during returns a context that ends with ctx, and with the feed.
func (s *status) during(ctx context.Context) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	life := s.life
	s.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	unregister := context.AfterFunc(life, func() { cancel(context.Cause(life)) })
	return ctx, func() {
		unregister()
		cancel(nil)
	}
}

// failed says why the feed stands still. Loads wait if it lost the connection.
func (s *status) failed(err error, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = fmt.Errorf("%w: %w", ErrDown, err)
	if lost {
		s.lower()
	}
}

func (s *status) lower() {
	if s.isUp {
		s.up, s.isUp = make(chan struct{}), false
	}
}

// succeeded says that a drain was committed.
func (s *status) succeeded(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.drained = nil, now
	if !s.isUp {
		s.isUp = true
		close(s.up)
	}
}

func (s *status) setUntracked(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.untracked = names
}

func (s *status) ready(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.running:
		return ErrNotRunning
	case s.err != nil:
		return s.err
	case now.Sub(s.drained) > staleAfter:
		return fmt.Errorf("%w: nothing read for %s", ErrDown, now.Sub(s.drained).Round(time.Second))
	case len(s.untracked) > 0:
		return fmt.Errorf("%w: %s", ErrTriggers, strings.Join(s.untracked, ", "))
	}
	return nil
}

// wait returns when the feed is up.
func (s *status) wait(ctx context.Context) error {
	s.mu.Lock()
	up := s.up
	s.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
