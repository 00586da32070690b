package listen

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
)

// poolers are the ways in which pgx speaks to a server, those that fit a pooler among them.
var poolers = map[string]pgx.QueryExecMode{
	"statements": pgx.QueryExecModeCacheStatement,
	"describe":   pgx.QueryExecModeCacheDescribe,
	"exec":       pgx.QueryExecModeExec,
	"simple":     pgx.QueryExecModeSimpleProtocol,
}

func withMode(t *testing.T, mode pgx.QueryExecMode) *pgxpool.Pool {
	t.Helper()
	config := pgtest.New(t).Config()
	config.ConnConfig.DefaultQueryExecMode = mode
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// TestPollOnly works without LISTEN and leaves nothing in the session, which a pooler would lend to others.
func TestPollOnly(t *testing.T) {
	t.Parallel()
	for name, mode := range poolers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := withMode(t, mode)
			exec(t, pool, "create table flights (id bigint primary key, v int not null default 0, at timestamptz not null default now())")
			f := startOn(t, pool, []Table{{Name: "flights", Key: []string{"id"}}}, func(c *Config) { c.PollOnly = true }, often)
			f.joins(t)
			f.setInterfere(requirePinned)
			for w := range 5 {
				writeSome(t, f, rand.New(rand.NewPCG(5, uint64(w))), w)
				_, err := f.load(t.Context(), "copy")
				require.NoError(t, err)
			}
			f.arrive(t)
			require.Zero(t, value[int64](t, pool, flagSQL))
			require.Zero(t, f.past().arms)
			f.wait(t, "settings", func() bool { return len(f.aborts) == 0 })
			f.setInterfere(func(ctx context.Context, tx pgx.Tx, _ *Drain) error { return requireNoState(ctx, t, f, tx) })
			f.feed.Kick()
			f.agrees(t)
		})
	}
}

// requirePinned checks the settings inside a drain.
func requirePinned(ctx context.Context, tx pgx.Tx, _ *Drain) error {
	var zone, isolation, readOnly string
	err := tx.QueryRow(ctx, `select current_setting('timezone'), current_setting('transaction_isolation'),
		current_setting('transaction_read_only')`).Scan(&zone, &isolation, &readOnly)
	if err == nil && (zone != "UTC" || isolation != "repeatable read" || readOnly != "on") {
		return &time.ParseError{Value: zone + isolation + readOnly}
	}
	return err
}

func requireNoState(ctx context.Context, t *testing.T, f *fixture, tx pgx.Tx) error {
	pid := int32(tx.Conn().PgConn().PID())
	var channels, locks int
	if err := tx.QueryRow(ctx, "select count(*)::int from pg_listening_channels()").Scan(&channels); err != nil {
		return err
	}
	err := f.pool.QueryRow(ctx, "select count(*)::int from pg_locks where locktype = 'advisory' and pid = $1", pid).Scan(&locks)
	if channels+locks > 0 {
		t.Errorf("the session listens to %d channels and holds %d locks", channels, locks)
	}
	return err
}

// TestExecModes has the bell work in every mode of the pool.
func TestExecModes(t *testing.T) {
	t.Parallel()
	for name, mode := range poolers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := withMode(t, mode)
			exec(t, pool, flights)
			f := startOn(t, pool, []Table{{Name: "flights", Key: []string{"id"}}}, func(c *Config) { c.tuning.second = never })
			f.sleeps(t)
			exec(t, pool, "insert into flights values (1)")
			f.agrees(t)
			exec(t, pool, "truncate flights")
			f.agrees(t)
		})
	}
}

// TestTwoFeeds runs two feeds on one database, both pruning, one of which pauses and comes back.
func TestTwoFeeds(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(8))
	exec(t, pool, flights)
	tables := []Table{{Name: "flights", Key: []string{"id"}}}
	prompt := func(c *Config) {
		c.tuning.second = 20 * time.Millisecond
		c.tuning.pruneLag = 200 * time.Millisecond
	}
	a := startOn(t, pool, tables, prompt)
	b := startOn(t, pool, tables, prompt)
	a.agrees(t)
	b.agrees(t)
	for round := range 6 {
		var writers sync.WaitGroup
		for w := range 3 {
			r := rand.New(rand.NewPCG(uint64(round), uint64(w)))
			writers.Go(func() { writeSome(t, a, r, w) })
		}
		if round%3 == 1 {
			require.NoError(t, b.feed.Stop(t.Context()))
		}
		writers.Wait()
		a.agrees(t)
		if round%3 == 1 {
			require.NoError(t, b.feed.Start(context.WithoutCancel(t.Context())))
		}
		b.agrees(t)
	}
	a.sleeps(t)
	b.sleeps(t)
	require.Equal(t, 2, value[int](t, pool, "select length(replace(("+flagSQL+")::int::bit(16)::text, '0', ''))"))
}

// TestNewEpochByAnotherFeed has one feed begin an epoch, which the other then enters.
func TestNewEpochByAnotherFeed(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(8))
	exec(t, pool, flights)
	tables := []Table{{Name: "flights", Key: []string{"id"}}}
	a := startOn(t, pool, tables, often)
	b := startOn(t, pool, tables, often)
	a.agrees(t)
	b.agrees(t)
	require.Equal(t, a.past().epoch, b.past().epoch)
	exec(t, pool, "delete from socksync.epoch_twin")
	for _, f := range []*fixture{a, b} {
		f.wait(t, "everything again", func() bool { return f.alls["flights"] == 2 })
		f.agrees(t)
	}
	require.Equal(t, a.past().epoch, b.past().epoch)
}
