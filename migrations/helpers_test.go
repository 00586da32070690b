package migrations_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/migrations"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// executor is a pool, a connection or a transaction.
type executor interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// exec runs statements, any number of them.
func exec(t testing.TB, pool *pgxpool.Pool, sql string) {
	t.Helper()
	_, err := pool.Exec(t.Context(), sql)
	require.NoError(t, err, sql)
}

// column returns the first column of a query's rows.
func column[T any](t testing.TB, db executor, sql string, args ...any) []T {
	t.Helper()
	rows, err := db.Query(t.Context(), sql, args...)
	require.NoError(t, err, sql)
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err, sql)
	return values
}

// value returns what a query gives, of one row and one column.
func value[T any](t testing.TB, db executor, sql string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, db.QueryRow(t.Context(), sql, args...).Scan(&v), sql)
	return v
}

// migrated returns a database with the schema, in which triggers log.
func migrated(t testing.TB, opts ...pgtest.Option) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.New(t, opts...)
	require.NoError(t, migrations.Up(t.Context(), pool))
	raiseLimit(t, pool)
	return pool
}

// raiseLimit does what a live feed does, so that triggers log.
func raiseLimit(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	exec(t, pool, "select socksync.bell_set(0, 0, pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1000000)")
}

// install installs, and requires that Status agrees.
func install(t testing.TB, pool *pgxpool.Pool, tables ...migrations.Table) {
	t.Helper()
	require.NoError(t, migrations.Install(t.Context(), pool, tables))
	require.NoError(t, status(t, pool, tables...).Err())
}

func status(t testing.TB, pool *pgxpool.Pool, tables ...migrations.Table) *migrations.SchemaStatus {
	t.Helper()
	s, err := migrations.Status(t.Context(), pool, tables)
	require.NoError(t, err)
	return s
}

func table(name string, key ...string) migrations.Table {
	return migrations.Table{Name: name, Key: key}
}

// entry is a row of the log as socksync.changes gives it.
type entry struct {
	Table string // the root of a partition
	Keys  []string
}

// logged returns everything in the log.
func logged(t testing.TB, db executor) []entry {
	t.Helper()
	rows, err := db.Query(t.Context(), `select coalesce(pg_partition_root(relation), relation)::regclass::text, keys
		from socksync.changes(0, '{}')`)
	require.NoError(t, err)
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
	require.NoError(t, err)
	return entries
}

// loggedKeys returns the keys of one table that are in the log, each once; all is true when everything changed.
func loggedKeys(t testing.TB, db executor, name string, width int) (keys map[string]bool, all bool) {
	t.Helper()
	keys = make(map[string]bool)
	rows, all := loggedRows(t, db, migrations.Table{Name: name, Key: make([]string, width)})
	for _, row := range rows {
		keys[fmt.Sprintf("%q", row)] = true
	}
	return keys, all
}

// loggedRows returns the keys of one table that are in the log, with what is logged behind each.
func loggedRows(t testing.TB, db executor, table migrations.Table) (rows [][]string, all bool) {
	t.Helper()
	width := len(table.Key) + len(table.Logged)
	widths := column[*int](t, db, `select distinct array_length(keys, array_ndims(keys)) from socksync.changes(0, '{}')
		where coalesce(pg_partition_root(relation), relation)::regclass::text = $1 and keys is not null`, table.Name)
	require.True(t, len(widths) == 0 || len(widths) == 1 && *widths[0] == width, "rows of %s have other texts than %d", table.Name, width)
	for _, e := range logged(t, db) {
		if e.Table == table.Name {
			all = all || e.Keys == nil
			rows = append(rows, slices.Collect(slices.Chunk(e.Keys, width))...)
		}
	}
	return rows, all
}

// with returns the table with columns to be logged.
func with(table migrations.Table, logged ...string) migrations.Table {
	table.Logged = logged
	return table
}

// replicate makes tables look as if logical replication filled them.
func replicate(t testing.TB, pool *pgxpool.Pool, tables ...migrations.Table) {
	t.Helper()
	name := value[string](t, pool, "select format('s%s', oid) from pg_database where datname = current_database()")
	exec(t, pool, "create subscription "+name+" connection 'dbname=none' publication p with (connect = false, slot_name = none)")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := pool.Exec(ctx, "drop subscription "+name); err != nil {
			t.Error(err)
		}
	})
	for _, table := range tables {
		exec(t, pool, `set allow_system_table_mods = on;
			insert into pg_subscription_rel (srsubid, srrelid, srsubstate) select oid, '`+table.Name+`'::regclass, 'r' from pg_subscription where subname = '`+name+`';
			reset allow_system_table_mods`)
	}
}

// reopen returns a pool with another configuration.
func reopen(t testing.TB, config *pgxpool.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}
