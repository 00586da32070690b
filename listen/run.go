package listen

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// run is the feed goroutine, from Start to Stop.
func (f *Feed) run(ctx context.Context) error {
	f.status.start()
	f.reset()
	f.work.Go(func() { f.prune(ctx) })
	f.keepConnected(ctx)
	f.status.stop()
	f.failJoins(ErrNotRunning)
	f.work.Wait()
	return context.Cause(ctx)
}

// reset forgets what a former run knew.
func (f *Feed) reset() {
	f.position = position{}
	f.history = history{}
	f.repair = repair{}
	f.tables.reset()
	select {
	case <-f.marks:
	default:
	}
}

// keepConnected connects again and again until ctx ends.
func (f *Feed) keepConnected(ctx context.Context) {
	t := &f.config.tuning
	wait := newBackoff(t.redialMin, t.redialMax)
	down := false
	for {
		worked, err := f.connected(ctx)
		if ctx.Err() != nil {
			return
		}
		if worked {
			down = false
			wait.Reset()
		}
		f.status.failed(err, true)
		f.failJoins(err)
		if !down {
			down = true
			f.config.Log.Error("the change feed lost the database and keeps trying", "error", err)
			f.drainer.Down(err)
		}
		f.pause(ctx, wait.NextBackOff())
	}
}

func newBackoff(first, last time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = first, last
	b.Multiplier = 2
	b.Reset()
	return b
}

// pause waits. Functions run meanwhile.
func (f *Feed) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-f.inbox.wake:
			f.runFunctions()
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (f *Feed) runFunctions() {
	for _, fn := range f.inbox.takeFunctions() {
		fn()
	}
}

// failJoins ends the loads that wait for a drain.
func (f *Feed) failJoins(err error) {
	joins := f.inbox.takeJoins()
	for _, j := range joins {
		j.settle(err)
	}
}

// connected runs one connection until it fails or ctx ends, and reports whether a drain was committed on it.
func (f *Feed) connected(ctx context.Context) (worked bool, err error) {
	s, err := f.newSession(ctx)
	if err != nil {
		return false, err
	}
	defer s.close(ctx)
	err = s.loop(ctx)
	return s.worked, err
}

// loop drains, again and again. It returns when the connection is of no use any more, or ctx has ended.
func (s *session) loop(ctx context.Context) error {
	for {
		s.feed.inbox.heard()
		s.feed.runFunctions()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := s.maintain(ctx); err != nil {
			return err
		}
		begin := time.Now()
		found, err := s.drain(ctx)
		if err != nil {
			return err
		}
		if err := s.rest(ctx, found, time.Since(begin)); err != nil {
			return err
		}
	}
}
