package migrations_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/migrations"
)

func TestUpFromSeveralProcesses(t *testing.T) {
	t.Parallel()
	first := pgtest.New(t, pgtest.MaxConns(1))
	second := connect(t, first, 2)
	var g errgroup.Group
	for range 4 {
		g.Go(func() error { return migrations.Up(t.Context(), first) })
		g.Go(func() error { return migrations.Up(t.Context(), second) })
	}
	require.NoError(t, g.Wait())
	s := status(t, first)
	require.NoError(t, s.Err())
	require.Equal(t, s.Latest, s.Version)
	require.Equal(t, []int64{0, 1, 2, 3, 4}, column[int64](t, first, "select version_id from socksync.goose_db_version order by id"))
	require.Zero(t, first.Stat().AcquiredConns(), "connections not given back")
	require.Zero(t, value[int](t, second, "select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())"))
}

// connect opens another pool on the same database.
func connect(t *testing.T, pool *pgxpool.Pool, size int32) *pgxpool.Pool {
	t.Helper()
	config := pool.Config()
	config.MaxConns = size
	return reopen(t, config)
}

func TestUpLeavesTheUsersOwnMigrationsAlone(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.EmptySearchPath())
	exec(t, pool, "create table public.goose_db_version (mine int)")
	require.NoError(t, migrations.Up(t.Context(), pool))
	require.Equal(t, []string{"mine"}, column[string](t, pool, `select attname::text from pg_attribute
		where attrelid = 'public.goose_db_version'::regclass and attnum > 0`))
	require.NoError(t, migrations.Down(t.Context(), pool))
	require.Equal(t, 1, value[int](t, pool, "select count(*) from pg_class where relname = 'goose_db_version'"))
}

func TestUpAgainNeedsNoRights(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	reader := as(t, pool, "reader")
	require.ErrorIs(t, migrations.Up(t.Context(), reader), migrations.ErrRights)
	require.NoError(t, migrations.Up(t.Context(), pool))
	require.ErrorIs(t, migrations.Up(t.Context(), reader), migrations.ErrRights, "it may not look either")
	require.NoError(t, migrations.Grant(t.Context(), pool, reader.Config().ConnConfig.RuntimeParams["role"]))
	require.NoError(t, migrations.Up(t.Context(), reader))
}

func TestUpNeedsNoSuperuser(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	owner := as(t, pool, "owner")
	role := owner.Config().ConnConfig.RuntimeParams["role"]
	exec(t, pool, `do $$ begin execute format('grant create on database %I to `+role+`', current_database()); end $$;
		create schema app authorization `+role)
	require.NoError(t, migrations.Up(t.Context(), owner))
	exec(t, owner, "create table app.t (id int primary key); create table app.p (id int primary key) partition by hash (id)")
	install(t, owner, table("app.t", "id"), table("app.p", "id"))
	raiseLimit(t, owner)
	exec(t, owner, "insert into app.t values (1)")
	require.Equal(t, []entry{{Table: "app.t", Keys: []string{"1"}}}, logged(t, owner))
	require.NoError(t, migrations.Down(t.Context(), owner))
}

func TestSchemaSurvivesNoCrashPartly(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	// What a crash must empty is unlogged; what it must keep, and whose difference shows that there was one, is not.
	require.Equal(t, []string{"bell u", "change u", "epoch p", "epoch_twin u", "goose_db_version p", "pruned u"},
		column[string](t, pool, `select relname || ' ' || relpersistence::text from pg_class
			where relnamespace = 'socksync'::regnamespace and (relkind = 'r' or relname = 'bell') order by 1`))
	require.True(t, value[bool](t, pool, "select e.id = w.id from socksync.epoch e, socksync.epoch_twin w"))
}

func TestDown(t *testing.T) {
	t.Parallel()
	pool := migrated(t, pgtest.MaxConns(1))
	exec(t, pool, `create table flights (id int primary key); create table days (id int primary key) partition by range (id);
		create table days1 partition of days for values from (0) to (10)`)
	install(t, pool, table("flights", "id"), table("days", "id"))
	require.NoError(t, migrations.Down(t.Context(), pool))

	require.Zero(t, value[int](t, pool, "select count(*) from pg_trigger where tgname like 'zz%'"))
	require.False(t, value[bool](t, pool, "select exists (select from pg_namespace where nspname = 'socksync')"))
	exec(t, pool, "insert into flights values (1); insert into days values (1); truncate days1")
	s := status(t, pool, table("flights", "id"))
	require.Zero(t, s.Version)
	require.Equal(t, migrations.Missing, s.Tables[0].State)
	require.ErrorIs(t, s.Err(), migrations.ErrNoSchema)
	require.ErrorIs(t, migrations.Install(t.Context(), pool, nil), migrations.ErrNoSchema)
	require.NoError(t, migrations.Uninstall(t.Context(), pool, []migrations.Table{table("flights")}))
	require.NoError(t, migrations.UninstallAll(t.Context(), pool))

	require.NoError(t, migrations.Down(t.Context(), pool), "down twice")
	require.NoError(t, migrations.Up(t.Context(), pool), "up again")
	install(t, pool, table("flights", "id"), table("days", "id"))
}

// as returns a pool whose connections act as a role of its own, which is nobody in the database. Roles belong to the whole
// server, so the database's name keeps them apart.
func as(t *testing.T, pool *pgxpool.Pool, name string) *pgxpool.Pool {
	t.Helper()
	role := name + "_" + value[string](t, pool, "select oid::text from pg_database where datname = current_database()")
	quoted := pgx.Identifier{role}.Sanitize()
	exec(t, pool, "create role "+quoted)
	config := pool.Config()
	config.ConnConfig.RuntimeParams["role"] = role
	other, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() {
		other.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := pool.Exec(ctx, "drop owned by "+quoted+" cascade; drop role "+quoted); err != nil {
			t.Errorf("drop the role: %v", err)
		}
	})
	return other
}
