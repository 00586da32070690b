package lifecycle_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/socksync/socksync/internal/lifecycle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errTest = errors.New("test")

// untilDone is work that ends with its context and reports the cause.
func untilDone(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	var s lifecycle.Service
	require.NoError(t, s.Stop(t.Context()), "never started")
	<-s.Ended()
	require.NoError(t, s.Err())

	require.NoError(t, s.Start(t.Context(), nil, untilDone))
	require.NoError(t, s.Start(t.Context(), nil, func(context.Context) error { panic("a second run") }))
	require.NoError(t, s.Err(), "it runs")
	require.NoError(t, s.Stop(t.Context()))
	<-s.Ended()
	require.ErrorIs(t, s.Err(), lifecycle.ErrStopped)
	require.NoError(t, s.Stop(t.Context()), "twice")

	require.NoError(t, s.Start(t.Context(), nil, untilDone), "again")
	require.NoError(t, s.Err())
	require.NoError(t, s.StopCause(t.Context(), errTest))
	require.ErrorIs(t, s.Err(), errTest)
}

func TestStartReturnsTheErrorOfTheCheck(t *testing.T) {
	t.Parallel()
	var s lifecycle.Service
	fail := func(context.Context) error { return errTest }
	require.ErrorIs(t, s.Start(t.Context(), fail, func(context.Context) error { panic("work after a failed check") }), errTest)
	<-s.Ended()
	require.ErrorIs(t, s.Err(), errTest)
	require.NoError(t, s.Stop(t.Context()))
	require.NoError(t, s.Start(t.Context(), nil, untilDone), "a failed start may be tried again")
	require.NoError(t, s.Stop(t.Context()))
}

func TestTheContextOfStartEndsTheRun(t *testing.T) {
	t.Parallel()
	var s lifecycle.Service
	ctx, cancel := context.WithCancelCause(t.Context())
	require.NoError(t, s.Start(ctx, nil, untilDone))
	cancel(errTest)
	<-s.Ended()
	require.ErrorIs(t, s.Err(), errTest)
}

func TestWorkThatEndsByItself(t *testing.T) {
	t.Parallel()
	var s lifecycle.Service
	require.NoError(t, s.Start(t.Context(), nil, func(context.Context) error { return errTest }))
	<-s.Ended()
	require.ErrorIs(t, s.Err(), errTest)
	require.NoError(t, s.Stop(t.Context()))
	require.ErrorIs(t, s.Err(), errTest, "the first cause stands")
}

func TestStopMayBeCalledAgainAfterATimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s lifecycle.Service
		require.NoError(t, s.Start(t.Context(), nil, func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Minute) // the fake clock's: closing takes its time
			return nil
		}))
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, s.Stop(short), context.DeadlineExceeded)
		begin := time.Now()
		require.NoError(t, s.Stop(t.Context()))
		require.Equal(t, 59*time.Second, time.Since(begin))
		require.NoError(t, s.Stop(short), "what has ended needs no time")
	})
}

func TestStartsShareTheResultOfTheFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s lifecycle.Service
		result := make(chan error)
		check := func(context.Context) error { return <-result }
		got := make(chan error, 2)
		for range 2 {
			go func() { got <- s.Start(t.Context(), check, untilDone) }()
		}
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, s.Start(short, check, untilDone), context.DeadlineExceeded, "tired of waiting")
		result <- errTest
		require.ErrorIs(t, <-got, errTest)
		require.ErrorIs(t, <-got, errTest)
	})
}

func TestStopDuringTheCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, check := range []func(context.Context) error{
			untilDone,
			func(ctx context.Context) error { <-ctx.Done(); return nil },
		} {
			var s lifecycle.Service
			got := make(chan error, 1)
			worked := false
			work := func(ctx context.Context) error { worked = true; return untilDone(ctx) }
			passes := check(stopped(t)) == nil
			go func() { got <- s.Start(t.Context(), check, work) }()
			synctest.Wait()
			require.NoError(t, s.Stop(t.Context()))
			require.ErrorIs(t, <-got, lifecycle.ErrStopped)
			require.ErrorIs(t, s.Err(), lifecycle.ErrStopped)
			require.Equal(t, passes, worked, "work lets go of what a check took that passed, and of nothing else")
		}
	})
}

func TestLaunchIsNotBoundedByItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s lifecycle.Service
		type key struct{}
		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
		require.NoError(t, s.Launch(ctx, func(context.Context) error { return nil }, untilDone))
		cancel(errTest)
		synctest.Wait()
		require.NoError(t, s.Err(), "it runs on")
		require.NoError(t, s.Launch(ctx, untilDone, untilDone), "it runs already")
		require.NoError(t, s.Stop(t.Context()))
		require.ErrorIs(t, s.Err(), lifecycle.ErrStopped)

		ctx, cancel = context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
		got := make(chan error, 1)
		check := func(ctx context.Context) error {
			require.Equal(t, "value", ctx.Value(key{}))
			return untilDone(ctx)
		}
		go func() { got <- s.Launch(ctx, check, untilDone) }()
		synctest.Wait()
		require.ErrorIs(t, s.Launch(stopped(t), check, untilDone), context.Canceled, "tired of waiting")
		cancel(errTest)
		require.ErrorIs(t, <-got, errTest, "the check is bounded")

		go func() { got <- s.Launch(t.Context(), untilDone, untilDone) }()
		synctest.Wait()
		require.NoError(t, s.Stop(t.Context()))
		require.ErrorIs(t, <-got, lifecycle.ErrStopped)
	})
}

// stopped returns a context that has ended.
func stopped(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// Ten goroutines start and stop at will. At most one run works at any time, and none does after its Stop returned and
// nobody starts.
func TestStress(t *testing.T) {
	t.Parallel()
	var s lifecycle.Service
	var working, runs atomic.Int32
	work := func(ctx context.Context) error {
		defer working.Add(-1)
		if working.Add(1) != 1 {
			t.Error("two runs at a time")
		}
		runs.Add(1)
		<-ctx.Done()
		return nil
	}
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			for range 50 {
				if err := s.Start(t.Context(), nil, work); err != nil && !errors.Is(err, lifecycle.ErrStopped) {
					t.Errorf("start: %v", err)
				}
				if err := s.Stop(t.Context()); err != nil {
					t.Errorf("stop: %v", err)
				}
			}
		})
	}
	group.Wait()
	require.Zero(t, working.Load())
	require.GreaterOrEqual(t, runs.Load(), int32(1))
}
