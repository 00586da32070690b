package listen

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
)

// copying is a load of flights: a copy that joins the recorder's under a name of its own and is then kept up to date by
// the changes of the table. It says whether the load was worth something.
type copying struct {
	name  string
	rows  map[string]string
	stale bool
}

// load makes a copy of flights by Load.
func (f *fixture) load(ctx context.Context, name string) (*copying, error) {
	c := &copying{name: name}
	return c, f.feed.Load(ctx, c, []string{"flights"}, func(ctx context.Context, tx pgx.Tx) (err error) {
		c.rows, err = readRows(ctx, tx, f.tables[0], nil)
		return err
	})
}

// joins has loads join as copies, each compared with the table as the drain sees it.
func (f *fixture) joins(t *testing.T) {
	f.change(func() {
		f.recorder.join = func(ctx context.Context, tx pgx.Tx, d *Drain, j Joined) error {
			c, ok := j.Token.(*copying)
			require.True(t, ok)
			c.stale = j.Stale
			if j.Stale {
				return nil
			}
			rows := make(map[string]string)
			apply(rows, c.rows, nil)
			if change := j.Tables["flights"]; change != nil {
				keys := change.Keys
				if change.All {
					keys = nil
				}
				read, err := readRows(ctx, tx, f.tables[0], keys)
				if err != nil {
					return err
				}
				apply(rows, read, keys)
			}
			want, err := readRows(ctx, tx, f.tables[0], nil)
			if err == nil && !equal(want, rows) {
				t.Errorf("a load joined with %d rows instead of %d, or with others", len(rows), len(want))
			}
			return err
		}
	})
}

// TestLoadsJoinExactly has loads join while writers write and the feed prunes.
func TestLoadsJoinExactly(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) {
		c.tuning.second = 5 * time.Millisecond
		c.tuning.pruneLag = 1
	})
	f.joins(t)
	done := make(chan struct{})
	var writers, loads sync.WaitGroup
	for w := range 2 {
		r := rand.New(rand.NewPCG(11, uint64(w)))
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
	for range 3 {
		loads.Go(func() {
			for range 20 {
				if _, err := f.load(t.Context(), "copy"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	loads.Wait()
	close(done)
	writers.Wait()
	f.agrees(t)
	require.Len(t, f.past().joined, 60)
	stale := 0
	for _, j := range f.past().joined {
		if j.Stale {
			stale++
		}
	}
	require.Less(t, stale, 30)
}

// TestLoadSeesWhatCommittedMeanwhile has a load that was overtaken by a commit, a key change and a running transaction.
func TestLoadSeesWhatCommittedMeanwhile(t *testing.T) {
	t.Parallel()
	f := start(t)
	exec(t, f.pool, "insert into flights values (1), (2), (3)")
	f.agrees(t)
	f.joins(t)
	running, err := f.pool.Begin(t.Context())
	require.NoError(t, err)
	exec(t, running, "update flights set v = 7 where id = 3")
	err = f.feed.Load(t.Context(), &copying{}, []string{"flights"}, func(ctx context.Context, _ pgx.Tx) error {
		_, err := f.pool.Exec(ctx, "insert into flights values (4)")
		require.NoError(t, err)
		_, err = f.pool.Exec(ctx, "update flights set id = 20 where id = 2")
		require.NoError(t, err)
		require.NoError(t, running.Commit(ctx))
		f.wait(t, "the feed to go ahead", func() bool { return f.copies["flights"]["20"] != "" && len(f.copies["flights"]) == 4 })
		return errors.New("not joined")
	})
	require.ErrorContains(t, err, "not joined")
	require.Empty(t, f.past().joined)

	c := &copying{}
	err = f.feed.Load(t.Context(), c, []string{"flights"}, func(ctx context.Context, tx pgx.Tx) (err error) {
		c.rows, err = readRows(ctx, tx, f.tables[0], nil)
		require.NoError(t, err)
		exec(t, f.pool, "delete from flights where id = 1")
		f.arrive(t) // the main copies have it; the load must get it all the same
		return err
	})
	require.NoError(t, err)
	require.Len(t, f.past().joined, 1)
	require.False(t, f.past().joined[0].Stale)
	require.Equal(t, [][]string{{"1"}}, f.past().joined[0].Tables["flights"].Keys)
}

// waitForAll stands between statements for the moment in which the feed has told the Drainer.
const waitForAll = "wait"

// TestLoadStale has each reason for which a load cannot be brought up to date.
func TestLoadStale(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		sql  []string
	}{
		{"altered", []string{"alter table flights add w int default 1"}},
		{"partition or file", []string{"vacuum full flights"}},
		{"epoch", []string{"update socksync.epoch set id = gen_random_uuid()", "update socksync.epoch_twin set id = (select id from socksync.epoch)"}},
		{"altered and noticed", []string{"alter table flights add w int default 1", waitForAll}},
		{"pruned", []string{"insert into flights values (7)", "update socksync.pruned set upto = pg_current_snapshot()"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, often)
			f.agrees(t)
			f.forget()
			err := f.feed.Load(t.Context(), "token", []string{"flights"}, func(context.Context, pgx.Tx) error {
				for _, sql := range c.sql {
					if sql == waitForAll {
						f.wait(t, "the feed to notice", func() bool { return f.alls["flights"] > 0 })
						continue
					}
					exec(t, f.pool, sql)
				}
				return nil
			})
			require.NoError(t, err)
			require.Len(t, f.past().joined, 1)
			require.Equal(t, Joined{Token: "token", Stale: true}, f.past().joined[0])
		})
	}
}

// TestLoadKeepsPruningOff has pruning refused while a load reads, and until it has joined.
func TestLoadKeepsPruningOff(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.agrees(t)
	const prune = "select socksync.prune(pg_current_snapshot()) is null"
	refused := 0
	try := func() {
		if value[bool](t, f.pool, prune) {
			refused++
		}
	}
	f.setInterfere(func(_ context.Context, _ pgx.Tx, d *Drain) error {
		if len(d.Joined) > 0 {
			try()
		}
		return nil
	})
	err := f.feed.Load(t.Context(), nil, []string{"flights"}, func(context.Context, pgx.Tx) error {
		try()
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 2, refused)
	f.setInterfere(nil)
	require.False(t, value[bool](t, f.pool, prune))
}

// TestLoadTruncated has the table truncated before the load reads it: what the load sees is a state that never was.
func TestLoadTruncated(t *testing.T) {
	t.Parallel()
	f := start(t)
	exec(t, f.pool, "insert into flights values (1)")
	f.agrees(t)
	err := f.feed.Load(t.Context(), nil, []string{"flights"}, func(context.Context, pgx.Tx) error {
		exec(t, f.pool, "truncate flights")
		return nil
	})
	require.NoError(t, err)
	require.True(t, f.past().joined[0].Stale)
}

// TestLoadJoinsAgainAfterAbort hands a load over again when the drain failed.
func TestLoadJoinsAgainAfterAbort(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) { c.tuning.second = never })
	f.agrees(t)
	f.joins(t)
	var seen int
	f.setInterfere(func(_ context.Context, _ pgx.Tx, d *Drain) error {
		seen += len(d.Joined)
		if len(d.Joined) > 0 && seen < 3 {
			return errors.New("fail")
		}
		return nil
	})
	_, err := f.load(t.Context(), "copy")
	require.NoError(t, err)
	require.Len(t, f.past().joined, 1)
	require.Len(t, f.past().aborts, 2)
}

// TestLoadWithdrawn ends a load whose caller does not wait any more.
func TestLoadWithdrawn(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.agrees(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.setInterfere(func(_ context.Context, _ pgx.Tx, d *Drain) error {
		if len(d.Joined) > 0 {
			cancel()
			return errors.New("fail")
		}
		return nil
	})
	_, err := f.load(ctx, "copy")
	require.ErrorIs(t, err, context.Canceled)
	f.feed.Kick()
	f.agrees(t)
	require.Empty(t, f.past().joined)
}

// TestLoadWhileDown waits for the database.
func TestLoadWhileDown(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, nil)
	pool := pgtest.On(t, server)
	exec(t, pool, flights)
	f := startOn(t, pool, []Table{{Name: "flights", Key: []string{"id"}}})
	f.agrees(t)
	require.NoError(t, server.Halt(t.Context()))
	f.wait(t, "the loss", func() bool { return len(f.downs) == 1 })
	done := make(chan error, 1)
	go func() {
		_, err := f.load(t.Context(), "copy")
		done <- err
	}()
	require.NoError(t, server.StartAgain(t.Context()))
	pool.Reset()
	require.NoError(t, <-done)

	require.NoError(t, f.feed.Stop(t.Context()))
	_, err := f.load(t.Context(), "copy")
	require.ErrorIs(t, err, ErrNotRunning)
}

func TestLoadOfUnwatchedTable(t *testing.T) {
	t.Parallel()
	f := start(t)
	err := f.feed.Load(t.Context(), nil, []string{"other"}, nil)
	require.ErrorContains(t, err, "other")
}

// TestSmallestPool has everything work with a pool of one connection.
func TestSmallestPool(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(1))
	exec(t, pool, flights)
	f := startOn(t, pool, []Table{{Name: "flights", Key: []string{"id"}}}, func(c *Config) {
		c.tuning.second = 5 * time.Millisecond
		c.tuning.pruneLag = 1
	})
	f.joins(t)
	var loads sync.WaitGroup
	for range 3 {
		loads.Go(func() {
			if _, err := f.load(t.Context(), "copy"); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 20 {
		exec(t, pool, "insert into flights values ($1)", i)
	}
	loads.Wait()
	f.agrees(t)
}

// TestLoadOfLockedTable leaves no load waiting on a table that drains leave out.
func TestLoadOfLockedTable(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.agrees(t)
	f.setInterfere(func(_ context.Context, _ pgx.Tx, d *Drain) error {
		if d.Skipped["flights"] == nil {
			return &TableError{Table: "flights", Err: errors.New("locked")}
		}
		return nil
	})
	_, err := f.load(t.Context(), "copy")
	require.NoError(t, err)
	require.True(t, f.past().joined[0].Stale)
	f.setInterfere(nil)
}
