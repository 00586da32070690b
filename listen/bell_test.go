package listen

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/localpg"
	"github.com/socksync/socksync/internal/pgtest"
)

const flagSQL = "select last_value & 65535 from socksync.bell"

// TestBellLosesNobody has writers of all paces while nothing but the bell and the holders can tell the feed: there is no
// safety poll, and the test does not kick. A lost wakeup shows as a wait that does not end.
func TestBellLosesNobody(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) { c.tuning.second = never })
	f.agrees(t)
	for round := range 40 {
		var writers sync.WaitGroup
		for w := range 3 {
			r := rand.New(rand.NewPCG(uint64(round), uint64(w)))
			writers.Go(func() { writeSome(t, f, r, w) })
		}
		writers.Wait()
		f.agrees(t)
		if round%4 == 0 {
			f.sleeps(t)
		}
	}
	require.Equal(t, 1, f.past().alls["flights"])
}

// writeSome makes a few transactions, some of which take their time between the statement and the commit.
func writeSome(t *testing.T, f *fixture, r *rand.Rand, writer int) {
	for range 1 + r.IntN(6) {
		err := pgx.BeginFunc(t.Context(), f.pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "insert into flights values ($1, $2) on conflict (id) do update set v = excluded.v",
				int64(writer*100)+r.Int64N(100), r.Int32())
			if err == nil && r.IntN(3) == 0 {
				_, err = tx.Exec(t.Context(), "select pg_sleep($1)", r.Float64()/50)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestBellWaitsForHolders has a transaction that wrote before the feed went to sleep, and so does not ring.
func TestBellWaitsForHolders(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) { c.tuning.second = never })
	f.agrees(t)
	for i := range 20 {
		tx, err := f.pool.Begin(t.Context())
		require.NoError(t, err)
		exec(t, tx, "insert into flights select max(id) + 1 from (select id from flights union all select 0) i")
		exec(t, f.pool, "insert into flights values (-$1::int)", i+1) // after this one the feed goes to sleep again
		f.arrive(t)
		f.sleeps(t)
		require.NoError(t, tx.Commit(t.Context()))
		f.agrees(t)
	}
}

// TestBellCountsWriterBeforeBit has a transaction write after the feed decided to sleep and before its bit is set.
func TestBellCountsWriterBeforeBit(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) { c.tuning.second = never })
	f.agrees(t)
	require.NoError(t, f.feed.Stop(t.Context()))
	gate, err := f.pool.Begin(t.Context())
	require.NoError(t, err)
	exec(t, gate, lockSQL)
	require.NoError(t, f.feed.Start(context.WithoutCancel(t.Context())))
	require.Eventually(t, func() bool {
		return value[bool](t, f.pool, `select exists (select from pg_locks where locktype = 'advisory' and classid = 7305813 and not granted
			and database = (select oid from pg_database where datname = current_database()))`)
	}, patience, 5*time.Millisecond)
	writer, err := f.pool.Begin(t.Context())
	require.NoError(t, err)
	exec(t, writer, "insert into flights values (1)")
	require.NoError(t, gate.Commit(t.Context()))
	f.sleeps(t)
	require.NoError(t, writer.Commit(t.Context()))
	f.agrees(t)
}

// TestBellRingsDuringDrain has a transaction commit right after the snapshot of the drain with which the feed goes to
// sleep. The ring comes while nobody waits for it.
func TestBellRingsDuringDrain(t *testing.T) {
	t.Parallel()
	begun := make(chan chan struct{})
	f := start(t, func(c *Config) {
		c.tuning.second = never
		c.tuning.hooks.begun = func() {
			done := make(chan struct{})
			begun <- done
			<-done
		}
	})
	stop := make(chan struct{})
	defer close(stop)
	inserted := 0
	for rounds := 0; rounds < 30; rounds++ {
		select {
		case done := <-begun:
			if value[int64](t, f.pool, flagSQL) != 0 {
				inserted++
				exec(t, f.pool, "insert into flights values ($1)", inserted)
			}
			close(done)
		case <-time.After(patience):
			require.FailNow(t, "the feed sleeps, though a ring came")
		}
	}
	require.Greater(t, inserted, 3)
	go func() {
		for {
			select {
			case done := <-begun:
				close(done)
			case <-stop:
				return
			}
		}
	}()
	f.agrees(t)
	require.NoError(t, f.feed.Stop(t.Context()))
}

// TestBellIsQuietUnderLoad clears the bit while changes keep coming, so that writers do not ring.
func TestBellIsQuietUnderLoad(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.sleeps(t)
	require.NotZero(t, value[int64](t, f.pool, flagSQL))
	f.setInterfere(func(ctx context.Context, _ pgx.Tx, _ *Drain) error {
		_, err := f.pool.Exec(ctx, "insert into flights select coalesce(max(id), 0) + 1 from flights")
		return err
	})
	exec(t, f.pool, "insert into flights values (0)")
	f.wait(t, "drains", func() bool { return len(f.copies["flights"]) > 20 })
	require.Zero(t, value[int64](t, f.pool, flagSQL))
	f.setInterfere(nil)
	f.agrees(t)
	f.sleeps(t)
	require.NotZero(t, value[int64](t, f.pool, flagSQL))
}

// TestOrphanedBit has the bit of a feed that died cleared by another one.
func TestOrphanedBit(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) { c.tuning.second = 50 * time.Millisecond })
	f.sleeps(t)
	exec(t, f.pool, "select socksync.bell_set(1 << 15, 0, null)")
	require.Eventually(t, func() bool { return value[int64](t, f.pool, flagSQL)>>15 == 0 }, patience, 5*time.Millisecond)
	f.sleeps(t)
	require.NotZero(t, value[int64](t, f.pool, flagSQL), "its own bit stays")
}

// TestStopClearsBit leaves nothing in the database.
func TestStopClearsBit(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.sleeps(t)
	require.NotZero(t, value[int64](t, f.pool, flagSQL))
	require.NoError(t, f.feed.Stop(t.Context()))
	require.Zero(t, value[int64](t, f.pool, flagSQL))
	requireNoSessions(t, f)
}

// TestStopInDrainClearsBit stops the feed in the middle of a statement, which breaks its connection.
func TestStopInDrainClearsBit(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.sleeps(t)
	entered := make(chan struct{})
	f.setInterfere(func(ctx context.Context, tx pgx.Tx, _ *Drain) error {
		close(entered)
		_, err := tx.Exec(ctx, "select pg_sleep(3600)")
		return err
	})
	exec(t, f.pool, "insert into flights values (1)")
	<-entered
	require.NoError(t, f.feed.Stop(t.Context()))
	require.Zero(t, value[int64](t, f.pool, flagSQL))
	requireNoSessions(t, f)
	require.Len(t, f.past().aborts, 1)
	require.Empty(t, f.past().downs)
}

// requireNoSessions waits for the sessions of the feed to end: a server process lives a little longer than its
// connection.
func requireNoSessions(t *testing.T, f *fixture) {
	t.Helper()
	require.Eventually(t, func() bool {
		return value[int](t, f.pool, `select count(*)::int from pg_stat_activity
			where application_name = '`+applicationName+`' and datname = current_database()`) == 0
	}, patience, 5*time.Millisecond)
}

// TestAllBitsTaken has a seventeenth feed poll.
func TestAllBitsTaken(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	exec(t, conn, "select pg_advisory_lock(7305813, 16 + i) from generate_series(0, 15) i")
	defer exec(t, conn, "select pg_advisory_unlock_all()")
	exec(t, pool, flights)
	f := startOn(t, pool, []Table{{Name: "flights", Key: []string{"id"}}})
	exec(t, pool, "insert into flights values (1)")
	f.agrees(t)
	require.Zero(t, f.past().arms)
}

// TestCrowdedQueue has the feed poll while the notification queue is too full.
func TestCrowdedQueue(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) {
		c.tuning.second = 50 * time.Millisecond
		c.tuning.queueLimit = -1 // so that an empty queue counts as crowded
	})
	f.wait(t, "some drains", func() bool { return f.drains > 10 })
	exec(t, f.pool, "insert into flights values (1)")
	f.agrees(t)
	require.Eventually(t, func() bool { return value[int64](t, f.pool, flagSQL) == 0 }, patience, 5*time.Millisecond)
}

// TestPreparedTransactions is the matter of a server that allows them: PREPARE TRANSACTION refuses a transaction that
// has rung, so the bell is never raised; and what was prepared is seen when it commits.
func TestPreparedTransactions(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, &localpg.Config{Options: map[string]string{"max_prepared_transactions": "10"}})
	pool := pgtest.On(t, server)
	exec(t, pool, flights)
	f := startOn(t, pool, []Table{{Name: "flights", Key: []string{"id"}}})
	f.agrees(t)
	prepare(t, f, "one", "insert into flights values (1)")
	prepare(t, f, "two", "insert into flights values (2)")
	exec(t, pool, "insert into flights values (3)")
	f.agrees(t)
	exec(t, pool, "commit prepared 'one'")
	f.agrees(t)
	require.Equal(t, 1, f.past().alls["flights"])
	require.Zero(t, f.past().arms)

	// A crash takes the log with it, but not the prepared transaction.
	require.NoError(t, server.Crash(t.Context()))
	pool.Reset()
	f.wait(t, "the new epoch", func() bool { return f.alls["flights"] == 2 })
	f.agrees(t)
	require.NotContains(t, f.copyOf("flights"), "2")
	exec(t, pool, "commit prepared 'two'")
	f.wait(t, "the prepared row", func() bool { return f.copies["flights"]["2"] != "" })
	f.agrees(t)
}

func prepare(t *testing.T, f *fixture, name, sql string) {
	t.Helper()
	conn, err := f.pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(t.Context(), "begin; "+sql+"; prepare transaction '"+name+"'")
	require.NoError(t, err)
}
