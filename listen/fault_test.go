package listen

import (
	"context"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
)

// terminate ends the session of a connection.
func terminate(t testing.TB, f *fixture, pid uint32) {
	t.Helper()
	require.True(t, value[bool](t, f.pool, "select pg_terminate_backend($1::int4)", int32(pid)))
}

// TestTerminatedMidDrain ends the feed's connection inside a drain, where it counts.
func TestTerminatedMidDrain(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.agrees(t)
	for i := range 5 {
		f.forget()
		once := sync.Once{}
		f.setInterfere(func(ctx context.Context, tx pgx.Tx, _ *Drain) (err error) {
			once.Do(func() {
				_, err = f.pool.Exec(ctx, "select pg_terminate_backend($1)", int32(tx.Conn().PgConn().PID()))
			})
			return err
		})
		exec(t, f.pool, "insert into flights values ($1), (-$1)", 2*i+1)
		f.wait(t, "the loss", func() bool { return len(f.downs) == 1 })
		exec(t, f.pool, "update flights set v = v + 1")
		f.agrees(t)
		require.Len(t, f.past().aborts, 1)
		require.Zero(t, f.past().alls["flights"], "the past is known, since the log is")
	}
	require.Len(t, f.past().pids, 6)
}

// TestTerminatedAsleep ends the feed's connection while it waits.
func TestTerminatedAsleep(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) { c.tuning.second = never })
	f.sleeps(t)
	f.forget()
	terminate(t, f, f.past().pids[0])
	exec(t, f.pool, "insert into flights values (1)")
	f.wait(t, "the loss", func() bool { return len(f.downs) == 1 })
	f.agrees(t)
	require.Zero(t, f.past().alls["flights"])
}

// TestTerminatedAnywhere ends the feed's connection at random moments while writers write.
func TestTerminatedAnywhere(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.agrees(t)
	var writers sync.WaitGroup
	done := make(chan struct{})
	for w := range 2 {
		r := rand.New(rand.NewPCG(7, uint64(w)))
		writers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					writeSome(t, f, r, w)
				}
			}
		})
	}
	for i := range 15 {
		f.wait(t, "a connection", func() bool { return len(f.pids) == i+1 })
		drains := f.past().drains
		f.wait(t, "some drains", func() bool { return f.drains > drains+i })
		terminate(t, f, f.past().pids[i])
	}
	close(done)
	writers.Wait()
	f.agrees(t)
	require.Equal(t, 1, f.past().alls["flights"])
}

// TestRestartAndCrash has the server go away and come back, with writes before and after. A crash empties the log.
func TestRestartAndCrash(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, nil)
	pool := pgtest.On(t, server)
	exec(t, pool, flights)
	f := startOn(t, pool, []Table{{Name: "flights", Key: []string{"id"}}})
	f.agrees(t)
	for i, stop := range []func(context.Context) error{server.Halt, server.Kill} {
		f.forget()
		epoch := f.past().epoch
		exec(t, pool, "insert into flights values ($1), ($1 + 10)", i)
		require.NoError(t, stop(t.Context()))
		f.wait(t, "the loss", func() bool { return len(f.downs) == 1 })
		require.ErrorIs(t, f.feed.Ready(), ErrDown)
		ran := make(chan struct{})
		f.feed.Do(func() { close(ran) })
		<-ran // functions run while the database is away
		require.NoError(t, server.StartAgain(t.Context()))
		pool.Reset()
		exec(t, pool, "insert into flights values ($1)", 100+i)
		f.wait(t, "everything", func() bool { return f.alls["flights"] > 0 })
		f.agrees(t)
		require.Len(t, f.past().downs, 1)
		require.NotEqual(t, epoch, f.past().epoch)
		require.NoError(t, f.feed.Ready())
	}
}

// TestBackendKilled has one server process die, upon which the server starts all over, without a new start time.
func TestBackendKilled(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, nil)
	pool := pgtest.On(t, server)
	exec(t, pool, flights)
	f := startOn(t, pool, []Table{{Name: "flights", Key: []string{"id"}}})
	f.agrees(t)
	f.forget()
	exec(t, pool, "insert into flights values (1)")
	pid := value[int](t, pool, "select pg_backend_pid()")
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	f.wait(t, "everything", func() bool { return len(f.downs) == 1 && f.alls["flights"] > 0 })
	pool.Reset()
	exec(t, pool, "insert into flights values (2)")
	f.agrees(t)
}

// TestPrunedUnderReader prunes the log while the feed is away from it, inside a drain that then fails.
func TestPrunedUnderReader(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.agrees(t)
	f.forget()
	once := sync.Once{}
	f.setInterfere(func(ctx context.Context, _ pgx.Tx, _ *Drain) (err error) {
		once.Do(func() {
			_, err = f.pool.Exec(ctx, "select socksync.prune(pg_current_snapshot())")
			require.NoError(t, err)
			err = context.DeadlineExceeded
		})
		return err
	})
	exec(t, f.pool, "insert into flights values (1)")
	f.agrees(t)
	require.Equal(t, 1, f.past().alls["flights"], "what was pruned is not known")
	exec(t, f.pool, "insert into flights values (2)")
	f.agrees(t)
	require.Equal(t, 1, f.past().alls["flights"], "only once")
}

// TestPruning has the feed prune behind itself, all the time and up to where it stands, while writers write.
func TestPruning(t *testing.T) {
	t.Parallel()
	pruned := make(chan int64, 1000)
	f := start(t, func(c *Config) {
		c.tuning.second = 5 * time.Millisecond
		c.tuning.pruneLag = 1
		c.tuning.hooks.pruned = func(n int64) { pruned <- n }
	})
	f.agrees(t)
	f.forget()
	var writers sync.WaitGroup
	for w := range 3 {
		r := rand.New(rand.NewPCG(9, uint64(w)))
		writers.Go(func() {
			for range 30 {
				writeSome(t, f, r, w)
			}
		})
	}
	writers.Wait()
	f.agrees(t)
	require.Zero(t, f.past().alls["flights"], "it never prunes what it has not read")
	for left := int64(1); left > 0; {
		<-pruned
		left = value[int64](t, f.pool, "select count(*) from socksync.change")
	}
}

// TestLimitPassed is about a feed that was away for so long that the triggers stopped logging.
func TestLimitPassed(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.agrees(t)
	require.NoError(t, f.feed.Stop(t.Context()))
	exec(t, f.pool, "select setval('socksync.bell', 0)")
	writer, err := f.pool.Begin(t.Context())
	require.NoError(t, err)
	exec(t, writer, "insert into flights values (1)")
	exec(t, f.pool, "insert into flights values (2)")
	f.forget()
	epoch := f.past().epoch
	require.NoError(t, f.feed.Start(context.WithoutCancel(t.Context())))
	f.agrees(t)
	require.NotEqual(t, epoch, f.past().epoch)
	require.Equal(t, 1, f.past().alls["flights"])
	require.NoError(t, writer.Commit(t.Context())) // logged nothing
	f.wait(t, "the debt", func() bool { return f.alls["flights"] == 2 })
	f.agrees(t)
}

// TestLimitPassedDuringLoad has a load read before a transaction that logged nothing commits, and join after the feed has
// dealt with that.
func TestLimitPassedDuringLoad(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.agrees(t)
	require.NoError(t, f.feed.Stop(t.Context()))
	exec(t, f.pool, "select setval('socksync.bell', 0)")
	writer, err := f.pool.Begin(t.Context())
	require.NoError(t, err)
	exec(t, writer, "insert into flights values (1)")
	f.forget()
	require.NoError(t, f.feed.Start(context.WithoutCancel(t.Context())))
	f.wait(t, "the first drain", func() bool { return f.alls["flights"] == 1 })
	err = f.feed.Load(t.Context(), nil, []string{"flights"}, func(ctx context.Context, _ pgx.Tx) error {
		require.NoError(t, writer.Commit(ctx))
		f.wait(t, "the debt", func() bool { return f.alls["flights"] == 2 })
		return nil
	})
	require.NoError(t, err)
	require.True(t, f.past().joined[0].Stale)
}

// TestTransactionOpenAtStart has a transaction run since before the feed started. It has logged what it wrote, since the
// epoch is older.
func TestTransactionOpenAtStart(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.agrees(t)
	require.NoError(t, f.feed.Stop(t.Context()))
	f.forget()
	writer, err := f.pool.Begin(t.Context())
	require.NoError(t, err)
	exec(t, writer, "insert into flights values (1)")
	require.NoError(t, f.feed.Start(context.WithoutCancel(t.Context())))
	f.wait(t, "the first drain", func() bool { return f.alls["flights"] == 1 })
	require.NoError(t, writer.Commit(t.Context()))
	f.agrees(t)
	require.Equal(t, 1, f.past().alls["flights"])
	require.Equal(t, map[string]bool{"1": true}, f.keysOf("flights"))
}

// TestLimitPassedWhileFrozen is about a feed whose process stood still that long.
func TestLimitPassedWhileFrozen(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) { c.tuning.second = never })
	f.sleeps(t)
	f.forget()
	exec(t, f.pool, "select setval('socksync.bell', 0)")
	exec(t, f.pool, "insert into flights values (1)")
	f.feed.Kick()
	f.agrees(t)
	require.Equal(t, 1, f.past().alls["flights"])
}

// TestLimitMovesOn has the limit stay ahead while a feed runs.
func TestLimitMovesOn(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) { c.tuning.second = 20 * time.Millisecond })
	f.agrees(t)
	const limitSQL = "select last_value >> 16 from socksync.bell"
	before := value[int64](t, f.pool, limitSQL)
	exec(t, f.pool, "insert into flights values (1)")
	require.Eventually(t, func() bool { return value[int64](t, f.pool, limitSQL) > before }, patience, 5*time.Millisecond)
}

// TestForeignLog is about a log that came out of a dump of another server.
func TestForeignLog(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.agrees(t)
	require.NoError(t, f.feed.Stop(t.Context()))
	exec(t, f.pool, "update socksync.pruned set upto = '1000000000:1000000000:'")
	exec(t, f.pool, "insert into socksync.change values (999999999, 'flights'::regclass, null)")
	exec(t, f.pool, "select setval('socksync.bell', 1::bigint << 60)")
	require.NoError(t, f.feed.Start(context.WithoutCancel(t.Context())))
	exec(t, f.pool, "insert into flights values (1)")
	f.agrees(t)
	require.Less(t, value[int64](t, f.pool, "select last_value >> 16 from socksync.bell"), int64(1<<40))
	require.Zero(t, value[int64](t, f.pool, "select count(*) from socksync.change where xid = 999999999"))
}

// TestLogTooLong gives up a log that cannot be read in time, instead of trying for ever.
func TestLogTooLong(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) {
		c.StatementTimeout = 200 * time.Millisecond
		c.LockTimeout = patience // so that the statement's timeout is what ends the wait
	})
	f.agrees(t)
	f.forget()
	lock, err := f.pool.Begin(t.Context())
	require.NoError(t, err)
	exec(t, f.pool, "insert into flights values (1)")
	exec(t, lock, "lock table socksync.change in access exclusive mode")
	f.feed.Kick()
	f.wait(t, "the timeout", func() bool { return len(f.downs) == 1 })
	require.NoError(t, lock.Commit(t.Context()))
	f.agrees(t)
	require.Equal(t, 1, f.past().alls["flights"])
}
