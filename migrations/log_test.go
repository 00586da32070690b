package migrations_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// reading is what a reader does: the changes between a snapshot and the moment, as first keys.
func reading(t *testing.T, pool *pgxpool.Pool, since string) []string {
	t.Helper()
	return column[string](t, pool, `select unnest(keys) from socksync.changes(pg_snapshot_xmax($1)::text::bigint,
		array(select x::text::bigint from pg_snapshot_xip($1) x)) order by 1`, since)
}

func snapshot(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	return value[string](t, pool, "select pg_current_snapshot()::text")
}

func insertIn(t *testing.T, pool *pgxpool.Pool, id int) pgx.Tx {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "insert into t values ($1)", id)
	require.NoError(t, err)
	return tx
}

func TestChangesBetweenSnapshots(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, "create table t (id int primary key)")
	install(t, pool, table("t", "id"))
	exec(t, pool, "insert into t values (1)")
	running, lost := insertIn(t, pool, 2), insertIn(t, pool, 3)
	exec(t, pool, "insert into t values (4)")
	first := snapshot(t, pool)
	exec(t, pool, "insert into t values (5)")
	require.Equal(t, []string{"5"}, reading(t, pool, first))
	require.NoError(t, running.Commit(t.Context()))
	require.NoError(t, lost.Rollback(t.Context()))
	require.Equal(t, []string{"2", "5"}, reading(t, pool, first))
	require.Empty(t, reading(t, pool, snapshot(t, pool)))
}

func TestPrune(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, "create table t (id int primary key)")
	install(t, pool, table("t", "id"))
	prune := func(mark string) *int64 {
		return value[*int64](t, pool, "select socksync.prune($1::pg_snapshot)", mark)
	}
	count := func(n int64) *int64 { return &n }
	exec(t, pool, "insert into t values (1)")
	long := insertIn(t, pool, 2)
	exec(t, pool, "insert into t values (3)")
	mark := snapshot(t, pool)
	exec(t, pool, "insert into t values (4)")

	load, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = load.Exec(t.Context(), "select pg_advisory_xact_lock_shared(7305813, 2)")
	require.NoError(t, err)
	require.Nil(t, prune(mark), "a load is in progress")
	require.NoError(t, load.Rollback(t.Context()))

	require.NoError(t, long.Commit(t.Context())) // after the mark, before pruning
	require.Equal(t, count(2), prune(mark), "1 and 3")
	require.Equal(t, count(0), prune(mark))
	require.Equal(t, []string{"2", "4"}, reading(t, pool, mark))
	later := snapshot(t, pool)
	require.Equal(t, count(2), prune(later), "the one that was in progress and the later one")
	require.Equal(t, count(0), prune(mark), "an older mark")
	require.Equal(t, later, value[string](t, pool, "select upto::text from socksync.pruned"))
	require.Zero(t, value[int](t, pool, "select count(*) from socksync.change"))
}

func TestNothingIsLoggedPastTheLimit(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, `create table t (id int primary key); create table p (id int primary key) partition by range (id);
		create table p1 partition of p for values from (0) to (100)`)
	install(t, pool, table("t", "id"), table("p", "id"))
	const writes = "insert into t values (1); insert into p values (1); update t set id = 2; truncate t, p"
	exec(t, pool, "select setval('socksync.bell', 65536)") // a limit of 1
	exec(t, pool, writes)
	require.Empty(t, logged(t, pool))
	exec(t, pool, "alter sequence socksync.bell restart") // as after a crash: never set
	exec(t, pool, writes)
	require.Empty(t, logged(t, pool))
	raiseLimit(t, pool)
	exec(t, pool, writes)
	require.NotEmpty(t, logged(t, pool))
}

func TestBellSet(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, "alter sequence socksync.bell restart")
	set := func(raise, lower int, limit *int64) int64 {
		return value[int64](t, pool, "select socksync.bell_set($1, $2, $3)", raise, lower, limit)
	}
	limit := int64(1000)
	require.Equal(t, int64(0b0101), set(0b0101, 0, nil))
	require.Equal(t, int64(1000<<16|0b0110), set(0b0010, 0b0001, &limit))
	less := int64(10)
	require.Equal(t, int64(1000<<16|0b0110), set(0, 0, &less), "the limit never goes back")
	require.Equal(t, int64(1000<<16), set(0, 65535, nil))
	require.Equal(t, int64(1000<<16), value[int64](t, pool, "select pg_sequence_last_value('socksync.bell')"))
}

// TestTriggersRing writes in every way while a bit is set, and while none is. A marker shows that no ring came before it.
func TestTriggersRing(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, `create table t (id int primary key); create table p (id int primary key) partition by range (id);
		create table p1 partition of p for values from (0) to (100)`)
	install(t, pool, table("t", "id"), table("p", "id"))
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(t.Context(), "listen socksync; listen marker")
	require.NoError(t, err)
	next := func() string {
		n, err := conn.Conn().WaitForNotification(t.Context())
		require.NoError(t, err)
		return n.Channel + n.Payload
	}
	for _, write := range []string{
		"insert into t values (1)", "update t set id = 2", "delete from t", "truncate t", "insert into p values (1)", "truncate p",
		"insert into t select g from generate_series(1, 1000) g",
	} {
		exec(t, pool, "select socksync.bell_set(4, 0, null)")
		exec(t, pool, write)
		require.Equal(t, "socksync", next(), write)
		exec(t, pool, "delete from t where id = -1; notify marker")
		require.Equal(t, "marker", next(), "a statement that touched no row")
		exec(t, pool, "select socksync.bell_set(0, 4, null); insert into t values (-2); delete from t where id = -2; notify marker")
		require.Equal(t, "marker", next(), "no bit is set")
	}
}
