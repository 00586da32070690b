package migrations_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/migrations"
)

// writeAll writes in every way through both kinds of triggers: the tables t and p have a key id.
const writeAll = `
	insert into app.t values (1, 1), (2, 2); update app.t set v = 3 where id = 1; update app.t set id = 5 where id = 2; delete from app.t where id = 1;
	insert into app.p values (1, 1), (2, 2); update app.p set v = 3 where id = 1; update app.p set id = 5 where id = 2; delete from app.p where id = 1;
	insert into app.t select g, g from generate_series(1000, 1299) g; truncate app.t; truncate app.p1`

const appTables = `create schema app; create table app.t (id int primary key, v int);
	create table app.p (id int primary key, v int) partition by range (id); create table app.p1 partition of app.p for values from (0) to (100)`

// allTables are the tables of appTables, with a value behind the key.
func allTables() []migrations.Table {
	return []migrations.Table{with(table("app.t", "id"), "v"), with(table("app.p", "id"), "v")}
}

// requireAllValues requires that the log has what writeAll wrote to allTables.
func requireAllValues(t *testing.T, db executor) {
	t.Helper()
	for i, length := range []int{4 + 300, 4} {
		rows, all := loggedRows(t, db, allTables()[i])
		require.True(t, all)
		set := make(map[string]bool)
		for _, row := range rows {
			set[strings.Join(row, " ")] = true
		}
		require.Equal(t, length, len(set)) // not Len, which shows all of it
		for _, row := range []string{"1 =1", "2 =2", "1 =3", "5 =2"} {
			require.True(t, set[row], row)
		}
	}
}

func TestWritersNeedNoRightsOnTheSchema(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, appTables)
	install(t, pool, allTables()...)
	writer := as(t, pool, "writer")
	role := writer.Config().ConnConfig.RuntimeParams["role"]
	exec(t, pool, "grant usage on schema app to "+role+"; grant all on all tables in schema app to "+role)
	exec(t, writer, writeAll)
	requireAllValues(t, pool)
	for _, forbidden := range []string{
		"select * from socksync.change", "insert into socksync.change values (1, 1, null)", "select socksync.bell_set(0, 0, 0)",
		"create function socksync.f() returns int language sql as 'select 1'",
	} {
		_, err := writer.Exec(t.Context(), forbidden)
		require.ErrorContains(t, err, "permission denied", forbidden)
	}
	require.Zero(t, value[int](t, pool, `select count(*) from pg_proc where pronamespace = 'socksync'::regnamespace
		and has_function_privilege($1, oid, 'execute')`, role))
}

// hostile returns the SQL of a schema that shadows Postgres's own.
func hostile(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/hostile.sql")
	require.NoError(t, err)
	return string(text)
}

func TestWritersWithAHostileSearchPath(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, appTables)
	exec(t, pool, hostile(t))
	install(t, pool, allTables()...)
	require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `
			create temp table n (id int) on commit drop; create temp table missing (id int) on commit drop; create temp table change (a int) on commit drop;
			create temp table k (id int, keys text[]) on commit drop; create temp table own (flag int, xid int) on commit drop;
			set local search_path = evil, app, pg_temp, pg_catalog; set local quote_all_identifiers = on; set local transform_null_equals = on;
			set local plpgsql.variable_conflict = 'error'; set local plpgsql.extra_errors = 'all'; set local standard_conforming_strings = off;`+writeAll)
		return err
	}))
	requireAllValues(t, pool)
	require.NoError(t, status(t, pool, allTables()...).Err())
}

func TestInstallersWithAHostileSearchPath(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, appTables)
	exec(t, pool, hostile(t))
	config := pool.Config()
	config.ConnConfig.RuntimeParams["search_path"] = "evil, pg_catalog"
	config.ConnConfig.RuntimeParams["quote_all_identifiers"] = "on"
	evil := reopen(t, config)
	install(t, evil, allTables()...)
	require.NoError(t, status(t, pool, allTables()...).Err(), "the same for everyone")
	exec(t, pool, writeAll)
	requireAllValues(t, pool)
}

// TestCastsOfTheUsers has a key type with a cast that its owner made: it must not run with our rights.
func TestCastsOfTheUsers(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, `create type mood as enum ('good', 'bad');
		create function steal(mood) returns text language plpgsql as $$ begin raise exception 'as %', current_user; end $$;
		create cast (mood as text) with function steal(mood);
		create domain mine as mood; create table t (id mine primary key, v int)`)
	install(t, pool, table("t", "id"))
	exec(t, pool, "insert into t values ('good', 1); update t set id = 'bad'; delete from t")
	keys, _ := loggedKeys(t, pool, "t", 1)
	require.Equal(t, map[string]bool{`["good"]`: true, `["bad"]`: true}, keys)
}

func TestOddNames(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	// Each is a name that the functions of the triggers use themselves, or one that must be quoted.
	names := []string{
		"n", "k", "s", "r", "o", "keys", "xid", "relation", "own", "new", "old", "missing", "flag", "rel", "logged", "part", "tg_op", "tg_relid",
		"Größe", "with space", `quote"d`, "it's", "$b$", "%s", "select", "a\nb", "\\",
	}
	var columns, keys, values []string
	for i, name := range names {
		columns = append(columns, pgx.Identifier{name}.Sanitize()+" int")
		keys = append(keys, pgx.Identifier{name}.Sanitize())
		values = append(values, fmt.Sprint(i+1))
	}
	body := strings.Join(columns, ", ") + ", other int, primary key (" + strings.Join(keys, ", ") + ")"
	odd := pgx.Identifier{`O"dd; 'it' $b$ %s`, "T able"}.Sanitize()
	parted := pgx.Identifier{"n"}.Sanitize()
	exec(t, pool, "create schema "+pgx.Identifier{`O"dd; 'it' $b$ %s`}.Sanitize()+"; create table "+odd+" ("+body+")")
	exec(t, pool, "create table "+parted+" ("+body+") partition by hash ("+keys[0]+"); create table "+
		`"N"`+" partition of "+parted+" for values with (modulus 1, remainder 0)")
	install(t, pool, table(odd, names...), table(parted, names...))
	for _, name := range []string{odd, parted} {
		exec(t, pool, "insert into "+name+" values ("+strings.Join(values, ", ")+")")
		exec(t, pool, "update "+name+" set "+keys[1]+" = 77; delete from "+name+"; insert into "+name+
			" select g"+strings.Repeat(", g", len(names))+" from generate_series(1001, 1100) g")
		first := fmt.Sprintf("%q", values)
		changed := append([]string{}, values...)
		changed[1] = "77"
		got, all := loggedKeys(t, pool, value[string](t, pool, "select $1::text::regclass::text", name), len(names))
		require.False(t, all)
		require.Len(t, got, 2+100)
		require.True(t, got[first] && got[fmt.Sprintf("%q", changed)], "%v", got)
	}
}

func TestManyKeysInOneStatement(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, "create table t (id int, code text, primary key (id, code))")
	install(t, pool, table("t", "id", "code"))
	const n = 65536 + 7
	exec(t, pool, fmt.Sprintf("insert into t select g, 'c' || g from generate_series(1, %d) g", n))
	keys, all := loggedKeys(t, pool, "t", 2)
	require.False(t, all)
	require.Len(t, keys, n)
	require.True(t, keys[`["65543" "c65543"]`])
	rows := column[int](t, pool, "select cardinality(keys) / 2 from socksync.change order by 1 desc")
	require.Len(t, rows, 64+(n-64+199)/200)
	require.Equal(t, 200, rows[0])
}

// TestKeyColumnGone writes to tables whose key columns are no longer what they were when the triggers were installed.
func TestKeyColumnGone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, alter string }{
		{"renamed", "alter table t rename id to ident; alter table p rename id to ident"},
		{"dropped", "alter table t drop id cascade; alter table p drop id cascade"},
		{"nullable", `alter table t drop constraint t_pkey, alter id drop not null; alter table p drop constraint p_pkey, alter id drop not null;
			update t set id = null; update p set id = null`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pool := migrated(t)
			exec(t, pool, `create table t (id int, code int, v int, primary key (id, code));
				create table p (id int, code int, v int, primary key (id, code)) partition by range (code); create table p1 partition of p for values from (0) to (1000)`)
			install(t, pool, table("t", "id", "code"), table("p", "id", "code"))
			exec(t, pool, "insert into t select g, g, g from generate_series(1, 100) g; insert into p select * from t")
			exec(t, pool, c.alter)
			require.Equal(t, migrations.Refused, status(t, pool, table("t", "id", "code")).Tables[0].State)
			exec(t, pool, "delete from socksync.change")
			exec(t, pool, "update t set v = 0; update p set v = 0; update p set code = 500 where code = 5; delete from t; delete from p")
			for _, name := range []string{"t", "p"} {
				_, all := loggedKeys(t, pool, name, 2)
				require.True(t, all)
			}
		})
	}
}
