package migrations_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/migrations"
)

// triggersOf returns what pg_trigger says of our triggers, with the transactions that wrote it.
func triggersOf(t *testing.T, pool *pgxpool.Pool) []string {
	return column[string](t, pool, `select concat_ws(' ', tgrelid::regclass, tgname, tgenabled, xmin) from pg_trigger
		where tgname like 'zz\_%' order by 1`)
}

func states(s *migrations.SchemaStatus) map[string]migrations.State {
	all := make(map[string]migrations.State)
	for _, table := range s.Tables {
		for _, trigger := range table.Triggers {
			all[trigger.Relation+" "+trigger.Name] = trigger.State
		}
	}
	return all
}

func TestInstallTouchesNothingThatIsInstalled(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, `create table plain (id int primary key);
		create table parted (id int primary key) partition by range (id); create table parted1 partition of parted for values from (0) to (10)`)
	tables := []migrations.Table{table("plain", "id"), table("parted", "id")}
	require.Equal(t, migrations.Missing, status(t, pool, tables...).Tables[0].State)
	install(t, pool, tables...)
	before := triggersOf(t, pool)
	require.Len(t, before, 5+2*2)

	// A writer's open transaction does not hold up what takes no lock on the table.
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "insert into plain values (1); insert into parted values (1); lock table plain, parted")
	require.NoError(t, err)
	other := connect(t, pool, 1)
	exec(t, other, "set lock_timeout = '1ms'")
	require.NoError(t, migrations.Install(t.Context(), other, []migrations.Table{table("plain", "id")}))
	require.NoError(t, tx.Rollback(t.Context()))
	install(t, pool, tables...)
	require.Equal(t, before, triggersOf(t, pool))
}

func TestInstallMendsTriggers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, damage string
		want         map[string]migrations.State // what is not installed after the damage
		state        migrations.State
	}{
		{"dropped", "drop trigger zz_socksync_d on plain", map[string]migrations.State{"public.plain zz_socksync_d": "missing"}, migrations.Outdated},
		{"disabled", "alter table plain disable trigger zz_socksync_u", map[string]migrations.State{"public.plain zz_socksync_u": "outdated"}, migrations.Outdated},
		{"not in replicas", "alter table plain enable trigger zz_socksync_u", map[string]migrations.State{"public.plain zz_socksync_u": "outdated"}, migrations.Outdated},
		{
			"all disabled in a partition", "alter table parted1 disable trigger all",
			map[string]migrations.State{"public.parted1 zz_socksync_r": "outdated", "public.parted1 zz_socksync_t": "outdated"},
			migrations.Outdated,
		},
		{
			"new partition", "create table parted3 partition of parted for values from (20) to (30)",
			map[string]migrations.State{"public.parted3 zz_socksync_t": "missing"},
			migrations.Outdated,
		},
		{
			"BEFORE trigger that may change the key", "create trigger b before update on plain for each row execute function touch()",
			map[string]migrations.State{"public.plain zz_socksync_k": "outdated"},
			migrations.Outdated,
		},
		{
			"other columns", "drop trigger zz_socksync_k on plain; do $$ begin execute (select replace(definition, 'of id', 'of v') from socksync.wanted('plain'::regclass, '{id}') where name = 'zz_socksync_k'); end $$; alter table plain enable always trigger zz_socksync_k",
			map[string]migrations.State{"public.plain zz_socksync_k": "outdated"},
			migrations.Outdated,
		},
		{
			"function replaced", "do $$ begin execute (select format('create or replace function %s returns trigger language plpgsql security definer as $b$ begin return null; end $b$', tgfoid::regprocedure) from pg_trigger where tgname = 'zz_socksync_i'); end $$",
			map[string]migrations.State{"public.plain zz_socksync_i": "outdated", "public.plain zz_socksync_u": "outdated", "public.plain zz_socksync_d": "outdated"},
			migrations.Outdated,
		},
		{
			"became a partition", "create table above (like plain) partition by range (id); alter table above attach partition plain for values from (0) to (10)",
			map[string]migrations.State{
				"public.plain zz_socksync_r": "missing", "public.plain zz_socksync_i": "unwanted", "public.plain zz_socksync_u": "unwanted",
				"public.plain zz_socksync_d": "unwanted", "public.plain zz_socksync_k": "unwanted",
			},
			migrations.Outdated,
		},
		{"key renamed", "alter table plain rename id to ident; alter table plain add id int not null unique default 1", map[string]migrations.State{
			"public.plain zz_socksync_k": "outdated",
		}, migrations.Outdated},
		{"table renamed", "alter table plain rename to other; alter table other rename to plain", nil, migrations.Installed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pool := migrated(t)
			exec(t, pool, `create table plain (id int primary key, v int);
				create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
				create table parted (id int primary key) partition by range (id);
				create table parted1 partition of parted for values from (0) to (10); create table parted2 partition of parted for values from (10) to (20)`)
			tables := []migrations.Table{table("plain", "id"), table("parted", "id")}
			install(t, pool, tables...)
			exec(t, pool, c.damage)
			s := status(t, pool, tables...)
			for trigger, state := range states(s) {
				if state == migrations.Installed {
					require.NotContains(t, c.want, trigger)
				} else {
					require.Equal(t, c.want[trigger], state, trigger)
				}
			}
			require.Equal(t, c.state == migrations.Installed, s.Err() == nil, "%v", s.Err())
			install(t, pool, tables...)
		})
	}
}

func TestInstallForAnotherKey(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, `create table plain (id int primary key, code text not null unique);
		create table parted (id int, code text not null, primary key (id, code), unique (code, id)) partition by range (id);
		create table parted1 partition of parted for values from (0) to (10)`)
	install(t, pool, table("plain", "id"), table("parted", "id", "code"))
	want := []migrations.Table{table("plain", "code"), table("parted", "code", "id")}
	s := status(t, pool, want...)
	require.Equal(t, migrations.Outdated, s.Tables[0].State)
	require.Equal(t, migrations.Outdated, s.Tables[1].State)
	require.ErrorContains(t, s.Err(), "zz_socksync_r on public.parted1 is outdated")
	install(t, pool, want...)
	exec(t, pool, "insert into plain values (1, 'a'); insert into parted1 values (1, 'a')")
	require.ElementsMatch(t, []entry{{"plain", []string{"a"}}, {"parted", []string{"a", "1"}}}, logged(t, pool))
	require.Equal(t, 3, value[int](t, pool, `select count(*) from pg_proc where pronamespace = 'socksync'::regnamespace
		and proname ~ '^(stmt|row)_[0-9a-f]{32}$'`), "functions that no trigger runs any more are dropped")
}

func TestTablesWithTheSameKeyShareFunctions(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, "create table a (id int primary key); create table b (id bigint primary key)")
	tables := []migrations.Table{table("a", "id"), table("b", "id")}
	install(t, pool, tables...)
	const functions = `select count(*) from pg_proc where pronamespace = 'socksync'::regnamespace and proname ~ '^(stmt|row)_[0-9a-f]{32}$'`
	require.Equal(t, 2, value[int](t, pool, functions))
	require.NoError(t, migrations.Uninstall(t.Context(), pool, tables[:1]))
	require.NoError(t, status(t, pool, tables[1]).Err())
	require.Equal(t, migrations.Missing, status(t, pool, tables[0]).Tables[0].State)
	exec(t, pool, "insert into a values (1); insert into b values (1)")
	require.Equal(t, []entry{{"b", []string{"1"}}}, logged(t, pool))
	require.NoError(t, migrations.UninstallAll(t.Context(), pool))
	require.Empty(t, triggersOf(t, pool))
	require.Zero(t, value[int](t, pool, functions))
	require.NoError(t, migrations.Uninstall(t.Context(), pool, []migrations.Table{table("gone"), table("a")}), "nothing to do")
}

func TestPartitionsOfItsOwn(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, `create table root (id int, r int, primary key (id, r)) partition by range (r);
		create table part partition of root for values from (0) to (10)`)
	root, part := table("root", "id", "r"), table("part", "id", "r")
	install(t, pool, part)
	exec(t, pool, "insert into root values (1, 1); update part set id = 2")
	require.ElementsMatch(t, []entry{{"root", []string{"1", "1"}}, {"root", []string{"1", "1", "2", "1"}}}, logged(t, pool))

	install(t, pool, root)
	install(t, pool, part)
	require.Equal(t, migrations.Installed, status(t, pool, root).Tables[0].State)
	require.NoError(t, migrations.Uninstall(t.Context(), pool, []migrations.Table{part}))
	require.NoError(t, status(t, pool, root, part).Err(), "the root's stay")

	var refused *migrations.TableError
	require.ErrorAs(t, migrations.Install(t.Context(), pool, []migrations.Table{table("part", "r", "id")}), &refused)
	require.Contains(t, refused.Reason, "followed by another key")
	require.NoError(t, migrations.Uninstall(t.Context(), pool, []migrations.Table{root}))
	require.Empty(t, triggersOf(t, pool))
}

func TestReplicatedTablesGetRowTriggers(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, "create table t (id int primary key)")
	install(t, pool, table("t", "id"))
	replicate(t, pool, table("t", "id"))
	require.Equal(t, migrations.Outdated, status(t, pool, table("t", "id")).Tables[0].State)
	install(t, pool, table("t", "id"))
	require.Equal(t, []string{"zz_socksync_r", "zz_socksync_t"}, column[string](t, pool,
		"select tgname::text from pg_trigger where tgrelid = 't'::regclass order by 1"))
}

func TestRefusedTables(t *testing.T) {
	t.Parallel()
	pool := migrated(t, pgtest.MaxConns(1)) // one connection, so that its temporary table is seen
	exec(t, pool, `
		create table ok (id int primary key, n int, code text not null unique, e text not null, p int not null);
		create unique index on ok ((lower(e))); create unique index on ok (p) where p > 0;
		create view v as select * from ok; create materialized view m as select * from ok; create sequence s;
		create temp table tmp (id int primary key);
		create table parent (id int primary key); create table heir (id int primary key) inherits (parent);
		create foreign data wrapper w; create server srv foreign data wrapper w; create foreign table f (id int not null) server srv;
		create table mixed (id int not null) partition by range (id);
		create foreign table mixed1 partition of mixed for values from (0) to (10) server srv`)
	for _, c := range []struct {
		table  migrations.Table
		reason string
	}{
		{table("nowhere", "id"), "the table does not exist"},
		{table("nowhere.ok", "id"), "the table does not exist"},
		{table("", "id"), "the table does not exist"},
		{table("1259", "id"), "the table does not exist"},
		{table(`"broken`, "id"), "its name is not a table name in SQL"},
		{table("a.b.c.d", "id"), "its name is not a table name in SQL"},
		{table("v", "id"), "it is not a table but a view"},
		{table("m", "id"), "it is not a table but a materialized view"},
		{table("s", "id"), "it is not a table but a sequence"},
		{table("ok_pkey", "id"), "it is not a table but an index"},
		{table("f", "id"), "it is not a table but a foreign table"},
		{table("tmp", "id"), "it is a temporary table"},
		{table("pg_class", "oid"), "it belongs to schema pg_catalog"},
		{table("socksync.epoch", "one"), "it belongs to schema socksync"},
		{table("parent", "id"), "other tables inherit from it, and what is written through them cannot be followed"},
		{table("mixed", "id"), "a partition is a foreign table (public.mixed1), and what is written elsewhere cannot be followed"},
		{table("ok"), "it has no key columns"},
		{table("ok", "id", "zip", "Zap"), `it has no column "Zap", zip`},
		{table("ok", "ctid"), "it has no column ctid"},
		{table("ok", "id", "id"), "the key names column id twice"},
		{table("ok", "n"), "key column n may be NULL"},
		{table("ok", "e"), "no primary key and no unique index makes key (e) unique"},
		{table("ok", "p"), "no primary key and no unique index makes key (p) unique"},
	} {
		var refused *migrations.TableError
		err := migrations.Install(t.Context(), pool, []migrations.Table{c.table})
		require.ErrorAs(t, err, &refused, "%v", c.table)
		require.Equal(t, c.reason, refused.Reason)
		s := status(t, pool, c.table)
		require.Equal(t, migrations.Refused, s.Tables[0].State)
		require.Equal(t, c.reason, s.Tables[0].Reason)
		require.ErrorContains(t, s.Err(), "table "+c.table.Name+" cannot be followed: ")
	}
	install(t, pool, table("ok", "id"), table("heir", "id"))
	install(t, pool, table("ok", "p", "code"))
	err := migrations.Install(t.Context(), pool, []migrations.Table{table("nowhere", "id"), table("ok", "code"), table("v", "id")})
	require.ErrorContains(t, err, "nowhere")
	require.ErrorContains(t, err, "view")
	require.NoError(t, status(t, pool, table("ok", "code")).Err(), "the good one is installed all the same")
	err = migrations.Install(t.Context(), pool, []migrations.Table{table("ok", "code"), table("public.ok", "id")})
	require.ErrorContains(t, err, "given twice")
}

func TestInstallFromSeveralProcesses(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, `create table a (id int primary key); create table b (id int primary key) partition by hash (id);
		create table b1 partition of b for values with (modulus 1, remainder 0)`)
	tables := []migrations.Table{table("a", "id"), table("b", "id")}
	backwards := slices.Clone(tables)
	slices.Reverse(backwards)
	var g errgroup.Group
	for range 3 {
		g.Go(func() error { return migrations.Install(t.Context(), pool, tables) })
		g.Go(func() error { return migrations.Install(t.Context(), pool, backwards) })
	}
	require.NoError(t, g.Wait())
	require.NoError(t, status(t, pool, tables...).Err())
}

func TestInstallNeedsTheOwnersRole(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, "create table mine (id int primary key)")
	other := as(t, pool, "other")
	role := other.Config().ConnConfig.RuntimeParams["role"]
	exec(t, pool, "create schema theirs authorization "+role)
	exec(t, other, "create table theirs.own (id int primary key)")
	require.ErrorIs(t, migrations.Install(t.Context(), other, []migrations.Table{table("theirs.own", "id")}), migrations.ErrRights)

	require.NoError(t, migrations.Grant(t.Context(), pool, role))
	require.Equal(t, migrations.Missing, status(t, other, table("theirs.own", "id")).Tables[0].State)
	err := migrations.Install(t.Context(), other, []migrations.Table{table("theirs.own", "id")})
	require.ErrorIs(t, err, migrations.ErrRights)
	require.ErrorContains(t, err, "which owns schema socksync")

	exec(t, pool, `do $$ begin execute format('grant %I to `+role+`', (select tableowner from pg_tables where tablename = 'change')); end $$`)
	install(t, other, table("theirs.own", "id"))
}
