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

// often has maintenance notice DDL soon.
func often(c *Config) { c.tuning.second = 20 * time.Millisecond }

// repairing has the feed install missing triggers.
func repairing(c *Config) {
	pool := c.Pool
	c.Repair = func(ctx context.Context, tables []Table) error { return installTriggers(ctx, pool, tables) }
}

// TestDDL makes every change of data that no trigger sees.
func TestDDL(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, "create type mood as enum ('good', 'bad')")
	exec(t, pool, "create table flights (id bigint primary key, v int, mood mood, moods mood[])")
	exec(t, pool, "insert into flights select g, g, 'good', '{bad}' from generate_series(1, 50) g")
	f := startOn(t, pool, []Table{{Name: "flights", Key: []string{"id"}}}, often, repairing)
	f.agrees(t)
	for _, sql := range []string{
		"alter table flights alter v type bigint using v * 2",
		"alter table flights add w int default 7",
		"alter table flights drop column w",
		"alter table flights rename v to x",
		"alter type mood rename value 'bad' to 'worse'",
		"truncate flights",
		"insert into flights values (1, 1, 'good', '{worse}')",
		"alter table flights disable trigger all",
		"insert into flights values (2, 2, 'good', '{worse}')",
		"begin; alter table flights disable trigger zz_socksync_u; update flights set x = 9; alter table flights enable always trigger zz_socksync_u; commit",
		"vacuum full flights",
	} {
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
		want, err := readRows(t.Context(), pool, f.tables[0], nil)
		require.NoError(t, err)
		f.wait(t, sql, func() bool {
			got := f.copies["flights"]
			if len(got) != len(want) {
				return false
			}
			for key := range want {
				if got[key] != want[key] {
					return false
				}
			}
			return true
		})
	}
	// The triggers were disabled above, and are back.
	require.Eventually(t, func() bool { return f.feed.Ready() == nil }, patience, 5*time.Millisecond)
	exec(t, pool, "insert into flights values (3)")
	f.agrees(t)
}

// TestPartitions attaches, detaches, empties and drops partitions, which no trigger of the table sees.
func TestPartitions(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, "create table flights (id bigint, r int, v int, primary key (id, r)) partition by range (r)")
	exec(t, pool, "create table flights_0 partition of flights for values from (0) to (10)")
	exec(t, pool, "create table flights_1 partition of flights for values from (10) to (20)")
	f := startOn(t, pool, []Table{{Name: "flights", Key: []string{"id", "r"}}}, often, repairing)
	f.agrees(t)
	for _, sql := range []string{
		"insert into flights select g, g % 20, 0 from generate_series(1, 100) g",
		"update flights_0 set v = 1",
		"update flights set r = (r + 10) % 20 where id < 20",
		"create table flights_2 (like flights); insert into flights_2 values (1000, 20, 1)",
		"alter table flights attach partition flights_2 for values from (20) to (30)",
		"insert into flights_2 values (1001, 21, 1)",
		"truncate flights_1",
		"alter table flights detach partition flights_0",
		"insert into flights_0 values (5000, 5, 5)",
		"drop table flights_2",
		"create table flights_3 partition of flights for values from (30) to (40); insert into flights values (1, 31, 0)",
		"delete from flights",
	} {
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
		f.arrive(t)
		require.Eventually(t, func() bool {
			want, err := readRows(t.Context(), pool, f.tables[0], nil)
			return err == nil && equal(want, f.copyOf("flights"))
		}, patience, 5*time.Millisecond, sql)
	}
}

func equal(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for key := range a {
		if a[key] != b[key] {
			return false
		}
	}
	return true
}

// TestDroppedAndCreated has the table go away and come back, once with a column missing.
func TestDroppedAndCreated(t *testing.T) {
	t.Parallel()
	f := start(t, often, repairing, func(c *Config) { c.Tables[0].Columns = []string{"note"} })
	exec(t, f.pool, "insert into flights values (1)")
	f.agrees(t)
	f.forget()
	exec(t, f.pool, "drop table flights")
	missing := func(part string) func() bool {
		return func() bool {
			n := len(f.changes)
			if n == 0 || f.changes[n-1].Tables["flights"] == nil {
				return false
			}
			err := f.changes[n-1].Tables["flights"].Missing
			return err != nil && contains(err.Error(), part)
		}
	}
	f.wait(t, "the drop", missing("table flights"))
	exec(t, f.pool, "create table flights (id bigint primary key, v int)")
	f.wait(t, "the table without a column", missing("column note"))
	exec(t, f.pool, "alter table flights add note text")
	exec(t, f.pool, "insert into flights values (2, 2, 'x')")
	f.wait(t, "the new table", func() bool { return f.copies["flights"]["2"] == "(2,2,x)" })
	require.Eventually(t, func() bool { return f.feed.Ready() == nil }, patience, 5*time.Millisecond)
	f.arrive(t)
	exec(t, f.pool, "insert into flights values (3)")
	f.agrees(t)
	require.Equal(t, map[string]bool{"3": true}, f.keysOf("flights"))
}

// TestMissingTriggers has triggers reported that nobody repairs.
func TestMissingTriggers(t *testing.T) {
	t.Parallel()
	f := start(t, often)
	f.agrees(t)
	require.NoError(t, f.feed.Ready())
	exec(t, f.pool, "drop trigger zz_socksync_u on flights")
	require.Eventually(t, func() bool { return f.feed.Ready() != nil }, patience, 5*time.Millisecond)
	require.ErrorIs(t, f.feed.Ready(), ErrTriggers)
	require.ErrorContains(t, f.feed.Ready(), "flights")
	require.NoError(t, installTriggers(t.Context(), f.pool, f.tables))
	require.Eventually(t, func() bool { return f.feed.Ready() == nil }, patience, 5*time.Millisecond)
}

// TestRewrittenUnderSnapshot truncates the table between the drain's snapshot and its reading, which then finds it empty.
// Nothing of that may be published.
func TestRewrittenUnderSnapshot(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{"truncate flights", "alter table flights alter v type bigint"} {
		f := start(t, func(c *Config) { c.tuning.second = never })
		exec(t, f.pool, "insert into flights values (1), (2), (3)")
		f.agrees(t)
		once := sync.Once{}
		f.forget()
		f.setInterfere(func(ctx context.Context, _ pgx.Tx, _ *Drain) (err error) {
			once.Do(func() { _, err = f.pool.Exec(ctx, sql) })
			return err
		})
		exec(t, f.pool, "update flights set v = 5")
		f.agrees(t)
		require.Len(t, f.past().aborts, 1, sql)
		require.ErrorIs(t, f.past().aborts[0], errAltered)
		require.Equal(t, 1, f.past().alls["flights"], sql)
	}
}

// TestLockedTable has a table locked while others go on, and its changes follow when it is free.
func TestLockedTable(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, flights)
	exec(t, pool, "create table airports (iata text primary key)")
	tables := []Table{{Name: "flights", Key: []string{"id"}}, {Name: "airports", Key: []string{"iata"}}}
	f := startOn(t, pool, tables, often)
	exec(t, pool, "insert into flights values (1)")
	f.agrees(t)
	f.forget()
	lock, err := pool.Begin(t.Context())
	require.NoError(t, err)
	exec(t, lock, "insert into flights values (2)")
	other, err := pool.Begin(t.Context())
	require.NoError(t, err)
	exec(t, other, "insert into flights values (3)")
	require.NoError(t, other.Commit(t.Context()))
	exec(t, lock, "lock table flights in access exclusive mode")
	for i := range 10 {
		exec(t, pool, "insert into airports values ($1)", "A"+itoa(i))
		f.wait(t, "the other table", func() bool { return len(f.copies["airports"]) == i+1 })
	}
	exec(t, lock, "update flights set v = 4 where id = 1")
	require.NoError(t, lock.Commit(t.Context()))
	f.wait(t, "the locked table", func() bool { return len(f.copies["flights"]) == 3 })
	f.agrees(t)
	require.Zero(t, f.past().alls["flights"], "its keys were kept")
	require.Equal(t, map[string]bool{"1": true, "2": true, "3": true}, f.keysOf("flights"))
	require.Empty(t, f.past().downs)
}

// TestUnderTruncateStorm has a table truncated all the time: others advance, and it follows in the end.
func TestUnderTruncateStorm(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, flights)
	exec(t, pool, "create table airports (iata text primary key)")
	tables := []Table{{Name: "flights", Key: []string{"id"}}, {Name: "airports", Key: []string{"iata"}}}
	f := startOn(t, pool, tables, often)
	f.agrees(t)
	done := make(chan struct{})
	var storm sync.WaitGroup
	storm.Go(func() { truncateUntil(t, pool, done) })
	for i := range 10 {
		exec(t, pool, "insert into airports values ($1)", "A"+itoa(i))
		f.wait(t, "the other table", func() bool { return len(f.copies["airports"]) == i+1 })
	}
	close(done)
	storm.Wait()
	exec(t, pool, "insert into flights values (-1)")
	f.wait(t, "the last row", func() bool { return f.copies["flights"]["-1"] != "" })
	f.agrees(t)
}

func truncateUntil(t *testing.T, pool *pgxpool.Pool, done <-chan struct{}) {
	r := rand.New(rand.NewPCG(1, 1))
	for {
		select {
		case <-done:
			return
		default:
			if _, err := pool.Exec(t.Context(), "begin; truncate flights; insert into flights select generate_series(1, 1 + "+itoa(r.IntN(5))+"); commit"); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestPolicies has policies of row-level security change, which change what somebody sees and no row.
func TestPolicies(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, "create table flights (id bigint primary key)")
	f := startOn(t, pool, []Table{{Name: "flights", Key: []string{"id"}}}, often, repairing)
	f.agrees(t)
	for i, sql := range []string{
		"alter table flights enable row level security",
		"alter table flights force row level security",
		"create policy own on flights using (id > 0)",
		"alter policy own on flights using (id > 1)",
		"drop policy own on flights",
		"alter table flights no force row level security",
		"alter table flights disable row level security",
	} {
		exec(t, pool, sql)
		f.wait(t, sql, func() bool { return f.alls["flights"] == i+2 })
	}
}
