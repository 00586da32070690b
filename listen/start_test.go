package listen

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/migrations"
)

func TestStartErrors(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	feed, err := New(&Config{Pool: pool}, newRecorder())
	require.NoError(t, err)
	require.ErrorIs(t, feed.Ready(), ErrNotRunning)

	err = feed.Start(t.Context())
	require.ErrorIs(t, err, ErrSchema)
	require.ErrorContains(t, err, "change, epoch, epoch_twin")

	require.NoError(t, migrations.Up(t.Context(), pool))
	exec(t, pool, "drop function socksync.prune(pg_snapshot)")
	err = feed.Start(t.Context())
	require.ErrorIs(t, err, ErrSchema)
	require.ErrorContains(t, err, "prune(pg_snapshot)")

	gone, err := pgxpool.New(t.Context(), "host=/nowhere")
	require.NoError(t, err)
	defer gone.Close()
	feed, err = New(&Config{Pool: gone}, newRecorder())
	require.NoError(t, err)
	require.ErrorContains(t, feed.Start(t.Context()), "connect to the database")
	require.NoError(t, feed.Stop(t.Context()))
}

// TestStartWithoutRights tells a role that may not use the schema.
func TestStartWithoutRights(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	require.NoError(t, migrations.Up(t.Context(), pool))
	role := "nobody_" + itoa(rand.IntN(1<<30))
	exec(t, pool, "create role "+role+" login")
	defer exec(t, pool, "drop role "+role)
	config := pool.Config()
	config.ConnConfig.User = role
	other, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer other.Close()
	feed, err := New(&Config{Pool: other}, newRecorder())
	require.NoError(t, err)
	require.ErrorContains(t, feed.Start(t.Context()), "permission denied")
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	_, err := New(nil, newRecorder())
	require.ErrorIs(t, err, errConfig)
	_, err = New(&Config{Pool: pgtest.New(t), Tables: []Table{{Key: []string{"id"}}}}, newRecorder())
	require.ErrorIs(t, err, errConfig)
}

// TestHooksOfPool has the feed's connection made like those of the pool.
func TestHooksOfPool(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, "create schema private")
	exec(t, pool, "create table private.flights (id bigint primary key)")
	config := pool.Config()
	config.BeforeConnect = nil
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "set search_path = private")
		return err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()
	f := startOn(t, pool, []Table{{Name: "flights", Key: []string{"id"}}})
	exec(t, pool, "insert into flights values (1)")
	f.agrees(t)
	require.Len(t, f.copyOf("flights"), 1)
	require.NoError(t, f.feed.Stop(t.Context()))
}

// TestEmptySearchPath finds nothing by an unqualified name.
func TestEmptySearchPath(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.EmptySearchPath())
	exec(t, pool, "create table public.flights (id bigint primary key)")
	f := startOn(t, pool, []Table{{Name: "public.flights", Key: []string{"id"}}}, often)
	exec(t, pool, "insert into public.flights values (1)")
	f.agrees(t)
	exec(t, pool, "truncate public.flights")
	f.agrees(t)
	nothing := func(context.Context, pgx.Tx) error { return nil }
	require.NoError(t, f.feed.Load(t.Context(), nil, []string{"public.flights"}, nothing))
}

// TestStopAnywhere starts and stops a feed at random moments, while writers write, and by several goroutines.
func TestStopAnywhere(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := rand.New(rand.NewPCG(21, 0))
	done := make(chan struct{})
	var writers sync.WaitGroup
	writers.Go(func() {
		r := rand.New(rand.NewPCG(21, 1))
		for {
			select {
			case <-done:
				return
			default:
				writeSome(t, f, r, 0)
			}
		}
	})
	for range 30 {
		drains, more := f.past().drains, r.IntN(6)
		f.wait(t, "some drains", func() bool { return f.drains >= drains+more })
		var stops sync.WaitGroup
		for range 3 {
			stops.Go(func() {
				if err := f.feed.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		stops.Wait()
		require.ErrorIs(t, f.feed.Ready(), ErrNotRunning)
		require.NoError(t, f.feed.Start(context.WithoutCancel(t.Context())))
	}
	close(done)
	writers.Wait()
	f.agrees(t)
	require.NoError(t, f.feed.Stop(t.Context()))
	require.Zero(t, value[int64](t, f.pool, flagSQL))
	requireNoSessions(t, f)
}

// TestDoInOrder runs functions in order, one at a time, and not inside a drain.
func TestDoInOrder(t *testing.T) {
	t.Parallel()
	f := start(t)
	var ran []int
	done := make(chan struct{})
	for i := range 1000 {
		f.feed.Do(func() {
			ran = append(ran, i)
			if f.drain != nil {
				t.Error("inside a drain")
			}
			if i%100 == 0 {
				f.feed.Kick()
			}
			if i == 999 {
				f.feed.Do(func() { close(done) })
			}
		})
	}
	<-done
	require.Len(t, ran, 1000)
	require.IsIncreasing(t, ran)
}

// TestWatchLater adds a table to a feed that runs, before it exists.
func TestWatchLater(t *testing.T) {
	t.Parallel()
	f := start(t, often, repairing)
	f.agrees(t)
	airports := Table{Name: "airports", Key: []string{"iata"}}
	f.feed.Do(func() { f.recorder.tables = append(f.recorder.tables, airports) })
	f.feed.Watch(airports)
	f.wait(t, "the table to be missing", func() bool {
		c := f.changes[len(f.changes)-1].Tables["airports"]
		return c != nil && errors.Is(c.Missing, ErrMissing)
	})
	exec(t, f.pool, "create table airports as select 'SFO' as iata")
	exec(t, f.pool, "alter table airports add primary key (iata)")
	f.wait(t, "the table", func() bool { return len(f.copies["airports"]) == 1 })
	require.Eventually(t, func() bool { return f.feed.Ready() == nil }, patience, 5*time.Millisecond)
	exec(t, f.pool, "insert into airports values ('LAX')")
	f.wait(t, "the row", func() bool { return len(f.copies["airports"]) == 2 })
}

// TestWatchOddNames has names that Postgres would refuse count as tables that are missing.
func TestWatchOddNames(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.agrees(t)
	f.feed.Watch(Table{Name: "not a name", Key: []string{"id"}})
	f.wait(t, "the change", func() bool {
		c := f.changes[len(f.changes)-1].Tables["not a name"]
		return c != nil && errors.Is(c.Missing, ErrMissing)
	})
	exec(t, f.pool, "insert into flights values (1)")
	f.agrees(t)
}
