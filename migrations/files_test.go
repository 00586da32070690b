package migrations_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/migrations"
)

// writeFiles writes, and returns the names of the new files.
func writeFiles(t *testing.T, dir string, tables ...migrations.Table) []string {
	t.Helper()
	paths, err := migrations.WriteFiles(dir, tables)
	require.NoError(t, err)
	names := make([]string, len(paths))
	for i, path := range paths {
		require.Equal(t, dir, filepath.Dir(path))
		names[i] = filepath.Base(path)
	}
	return names
}

// pipeline applies the files of a folder as a user does who has goose of their own.
func pipeline(t *testing.T, pool *pgxpool.Pool, dir string, f func(context.Context, *goose.Provider) error) {
	t.Helper()
	db := stdlib.OpenDBFromPool(pool)
	defer func() { require.NoError(t, db.Close()) }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS(dir))
	require.NoError(t, err)
	require.NoError(t, f(t.Context(), provider))
}

func up(ctx context.Context, p *goose.Provider) error {
	_, err := p.Up(ctx)
	return err
}

func down(ctx context.Context, p *goose.Provider) error {
	_, err := p.Down(ctx)
	return err
}

const filesTables = `create table public.flights (id int primary key, "Co de" text not null unique, v int);
	create table public."Odd 'name" (a int, "b""c" int, primary key (a, "b""c")) partition by range (a);
	create table public.odd1 partition of public."Odd 'name" for values from (0) to (10);
	create table public.late (id timestamptz primary key)`

// dump is what an installation looks like in the catalog: everything that matters but oids.
func dump(t *testing.T, pool *pgxpool.Pool) []string {
	return column[string](t, pool, `
		select concat_ws(' ', 'trigger', pg_get_triggerdef(oid), tgenabled) from pg_trigger where not tgisinternal
		union all select concat_ws(' ', 'function', pg_get_functiondef(oid), proacl) from pg_proc where pronamespace = 'socksync'::regnamespace
		union all select concat_ws(' ', 'relation', relname, relkind, relpersistence, reloptions, relacl) from pg_class where relnamespace = 'socksync'::regnamespace
		union all select concat_ws(' ', 'column', attrelid::regclass, attname, atttypid::regtype, attnotnull, attstorage) from pg_attribute
			where attrelid in (select oid from pg_class where relnamespace = 'socksync'::regnamespace) and attnum > 0
		union all select concat_ws(' ', 'version', version_id, is_applied) from socksync.goose_db_version
		union all select concat_ws(' ', 'schema', nspacl) from pg_namespace where nspname = 'socksync'
		order by 1`)
}

func TestFilesDoWhatUpAndInstallDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tables := []migrations.Table{
		with(table("public.flights", "id"), "v", "Co de"), with(table(`public."Odd 'name"`, "a", `b"c`), `b"c`), table("public.late", "id"),
	}
	require.Equal(t, []string{
		"00001_socksync_change_log.sql", "00002_socksync_trigger_plan.sql",
		"00003_socksync_installer.sql", "00004_socksync_logged_columns.sql", "00005_socksync_triggers.sql",
	},
		writeFiles(t, dir, tables...))

	byFiles, byCalls := pgtest.New(t), pgtest.New(t)
	exec(t, byFiles, filesTables)
	pipeline(t, byFiles, dir, up)
	exec(t, byCalls, filesTables)
	require.NoError(t, migrations.Up(t.Context(), byCalls))
	install(t, byCalls, tables...)
	want := dump(t, byCalls)
	require.Equal(t, want, dump(t, byFiles))
	require.NoError(t, status(t, byFiles, tables...).Err())

	require.NoError(t, migrations.Up(t.Context(), byFiles), "nothing to do")
	install(t, byFiles, tables...)
	require.Equal(t, want, dump(t, byFiles))
	pipeline(t, byCalls, dir, up)
	require.Equal(t, want, dump(t, byCalls), "files in a database that was migrated by calls")

	pipeline(t, byFiles, dir, down)
	require.Empty(t, triggersOf(t, byFiles))
	require.Equal(t, status(t, byFiles).Latest, status(t, byFiles).Version)
	pipeline(t, byFiles, dir, down)
	require.Equal(t, int64(3), status(t, byFiles).Version)
	require.ErrorIs(t, status(t, byFiles).Err(), migrations.ErrNoSchema)
	pipeline(t, byFiles, dir, down)
	pipeline(t, byFiles, dir, down)
	pipeline(t, byFiles, dir, down)
	require.Zero(t, status(t, byFiles).Version)
	require.False(t, value[bool](t, byFiles, "select exists (select from pg_namespace where nspname = 'socksync')"))
	pipeline(t, byFiles, dir, up)
	require.NoError(t, status(t, byFiles, tables...).Err())
	require.NoError(t, migrations.Down(t.Context(), byFiles))
}

func TestFilesFollowTheTables(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flights, byCode, late := table("flights", "id"), table("flights", "Co de"), table("late", "id")
	values := with(byCode, "v", "id")
	require.Len(t, writeFiles(t, dir, flights), 5)
	require.Empty(t, writeFiles(t, dir, flights), "nothing has changed")
	require.Equal(t, []string{"00006_socksync_triggers.sql"}, writeFiles(t, dir, byCode, late))
	require.Empty(t, writeFiles(t, dir, late, byCode))
	require.Equal(t, []string{"00007_socksync_triggers.sql"}, writeFiles(t, dir, byCode))
	require.Equal(t, []string{"00008_socksync_triggers.sql"}, writeFiles(t, dir, values))
	require.Empty(t, writeFiles(t, dir, values))
	require.Equal(t, []string{"00009_socksync_triggers.sql"}, writeFiles(t, dir))

	pool := pgtest.New(t)
	exec(t, pool, filesTables)
	all := []migrations.Table{flights, byCode, late, values}
	installed := func() (list []bool) {
		for _, table := range status(t, pool, all...).Tables {
			list = append(list, table.State == migrations.Installed)
		}
		return list
	}
	upTo := func(version int64) func(context.Context, *goose.Provider) error {
		return func(ctx context.Context, p *goose.Provider) error { _, err := p.UpTo(ctx, version); return err }
	}
	steps := [][]bool{
		{true, false, false, false},
		{false, true, true, false},
		{false, true, false, false},
		{false, false, false, true},
		{false, false, false, false},
	}
	for i, want := range steps {
		pipeline(t, pool, dir, upTo(int64(5+i)))
		require.Equal(t, want, installed(), "up to %d", 5+i)
	}
	for i := len(steps) - 2; i >= 0; i-- {
		pipeline(t, pool, dir, down)
		require.Equal(t, steps[i], installed(), "down to %d", 5+i)
	}
}

func TestFilesAreNumberedAsTheOthersAre(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ there, first string }{
		{"00041_users.sql", "00042_"},
		{"0007_users.go", "00008_"},
		{"1234567_users.sql", "1234568_"},
		{"29990102030405_users.sql", "29990102030406_"},
		{"notes.txt", "00001_"},
	} {
		dir := filepath.Join(t.TempDir(), "new", "folder")
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, c.there), []byte("-- +goose Up\nselect 1;\n"), 0o600))
		names := writeFiles(t, dir, table("flights", "id"))
		require.True(t, strings.HasPrefix(names[0], c.first), "%s after %s", names[0], c.there)
		require.IsIncreasing(t, names)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "20200102030405_users.sql"), nil, 0o600))
	names := writeFiles(t, dir, table("flights", "id"))
	require.Greater(t, names[0], "2025")
}

func TestFilesAreRefusedEarly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tables := range [][]migrations.Table{{table("", "id")}, {table("a")}, {table("a", "id"), table("a", "id")}, {with(table("a", "id"), "v", "w", "v")}} {
		_, err := migrations.WriteFiles(dir, tables)
		require.Error(t, err)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "00001_broken.sql"), []byte("-- socksync tables: {\n"), 0o600))
	_, err = migrations.WriteFiles(dir, nil)
	require.ErrorContains(t, err, "00001_broken.sql")
	_, err = migrations.WriteFiles(filepath.Join(dir, "00001_broken.sql"), nil)
	require.Error(t, err)
}
