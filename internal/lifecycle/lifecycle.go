// Package lifecycle is the start and stop of a component that works in the background, the same for every component:
//
//   - Start is idempotent: while the component runs, another Start does nothing, and one that meets a Start under way
//     waits for its result. After an end the component may be started again.
//   - Start does its check before it returns, so that a wrong address is an error of Start and not a line in a log.
//   - Stop waits until all of the component has ended. It tolerates a component that was never started and one that was
//     stopped before, and it may be called again after its context ended, to wait on.
//   - The reason of the end travels to the component as the cause of its context.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrStopped is the cause of a component's context after Stop.
var ErrStopped = errors.New("stopped")

// Service is the start and stop of one component, to be kept as a field of it. The zero value has not been started. Its
// methods may be called from any goroutine.
type Service struct {
	mu  sync.Mutex // held for a few instructions only
	run *run       // the last run; nil: never started
}

// run is the time from one Start to its end.
type run struct {
	cancel  context.CancelCauseFunc
	started chan struct{} // closed when the check is over
	ended   chan struct{} // closed when all has ended
	err     error         // of the check; may be read once started is closed
	result  error         // of work; may be read once ended is closed
}

// Start runs check and returns its error, or else leaves work running in the background. Work returns when its context
// ends, or earlier when it cannot go on, and only after everything that it started has ended. A nil check passes.
//
// The context of both ends with ctx, or with Stop, and with the same cause. If it ends while check runs and check passes
// all the same, work still runs, so that it can let go of what check took; Start then returns the cause, after work.
func (s *Service) Start(ctx context.Context, check, work func(context.Context) error) error {
	return s.start(ctx, ctx, check, work)
}

// Launch is Start for a component whose life ctx does not bound: it bounds the check, and the wait for that of another
// call, but work ends only with Stop. The context of work carries ctx's values.
func (s *Service) Launch(ctx context.Context, check, work func(context.Context) error) error {
	bounded := func(run context.Context) error {
		both, cancel := context.WithCancelCause(run)
		defer cancel(nil)
		defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
		if check == nil {
			return nil
		}
		return check(both)
	}
	return s.start(ctx, context.WithoutCancel(ctx), bounded, work)
}

// start begins a run that ends with the context life, or waits for the check of the one that goes on.
func (s *Service) start(ctx, life context.Context, check, work func(context.Context) error) error {
	r, runCtx, mine := s.begin(life)
	if mine {
		r.execute(runCtx, check, work)
	}
	if isClosed(r.started) {
		return r.err // however ctx stands
	}
	select {
	case <-r.started:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("wait for another start: %w", context.Cause(ctx))
	}
}

// begin returns the run that goes on, or a new one, which is the caller's to execute.
func (s *Service) begin(ctx context.Context) (r *run, runCtx context.Context, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run != nil && !isClosed(s.run.ended) {
		return s.run, nil, false
	}
	runCtx, cancel := context.WithCancelCause(ctx)
	s.run = &run{cancel: cancel, started: make(chan struct{}), ended: make(chan struct{})}
	return s.run, runCtx, true
}

// execute runs check in this goroutine and work in another one.
func (r *run) execute(ctx context.Context, check, work func(context.Context) error) {
	defer close(r.started)
	if check != nil {
		r.err = check(ctx)
	}
	if r.err != nil {
		r.end(r.err)
		return
	}
	if r.err = context.Cause(ctx); r.err != nil { // stopped during the check
		r.end(work(ctx))
		return
	}
	go func() { r.end(work(ctx)) }()
}

func (r *run) end(result error) {
	r.result = result
	r.cancel(result) // frees the context's resources
	close(r.ended)
}

// Stop ends the component with ErrStopped as the cause and waits until it has ended or ctx has. It returns an error only
// in the second case; what work returned is for Err.
func (s *Service) Stop(ctx context.Context) error {
	return s.StopCause(ctx, ErrStopped)
}

// StopCause is Stop with a cause of the caller's. The first cause stands.
func (s *Service) StopCause(ctx context.Context, cause error) error {
	r := s.last()
	if r == nil {
		return nil
	}
	r.cancel(cause)
	select {
	case <-r.ended:
		return nil
	default:
	}
	select {
	case <-r.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the end: %w", context.Cause(ctx))
	}
}

// Ended returns a channel that is closed when the last run has ended. Before the first Start it is closed.
func (s *Service) Ended() <-chan struct{} {
	if r := s.last(); r != nil {
		return r.ended
	}
	never := make(chan struct{})
	close(never)
	return never
}

// Err returns what ended the last run: the error of its check or of its work. It is nil while the component runs, and
// before the first Start.
func (s *Service) Err() error {
	r := s.last()
	if r == nil || !isClosed(r.ended) {
		return nil
	}
	return r.result
}

func (s *Service) last() *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
