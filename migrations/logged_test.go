package migrations_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/migrations"
)

// takeRows returns what is in the log for a table, each row once and in order, and empties the log.
func takeRows(t *testing.T, db executor, table migrations.Table) []string {
	t.Helper()
	rows, all := loggedRows(t, db, table)
	set := make(map[string]bool)
	for _, row := range rows {
		set[strings.Join(row, " ")] = true
	}
	if all {
		set["all"] = true
	}
	column[int](t, db, "with gone as (delete from socksync.change returning 1) select 1 from gone")
	return slices.Sorted(maps.Keys(set))
}

func TestLoggedValues(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, `create table plain (id int primary key, a text, b int, v int);
		create table parted (id int primary key, a text, b int, v int) partition by range (id);
		create table parted1 partition of parted for values from (0) to (10); create table parted2 partition of parted for values from (10) to (20)`)
	for _, name := range []string{"plain", "parted"} {
		followed := with(table(name, "id"), "b", "a")
		install(t, pool, followed)
		for _, c := range []struct {
			sql  string
			want []string
		}{
			{"insert into %s values (1, 'x', 7, 0), (2, null, null, 0), (3, '-', null, 0), (4, '', 1, 0)", []string{"1 =7 =x", "2 - -", "3 - =-", "4 =1 ="}},
			{"update %s set v = 1 where id < 3", []string{"1 =7 =x", "2 - -"}},
			{"update %s set a = 'y' where id = 1", []string{"1 =7 =x", "1 =7 =y"}},
			{"update %s set a = 'y' where id = 1", []string{"1 =7 =y"}},
			{"update %s set b = 2, a = null where id = 1", []string{"1 =2 -", "1 =7 =y"}},
			{"update %s set b = b where id = 2", []string{"2 - -"}},
			{"update %s set b = 5 where id = 2", []string{"2 - -", "2 =5 -"}},
			{"update %s set id = 11, b = null where id = 4", []string{"11 - =", "4 =1 ="}},
			{"delete from %s where id > 2", []string{"11 - =", "3 - =-"}},
			{"update %s set a = 'z' where false", nil},
			{"truncate %s", []string{"all"}},
		} {
			exec(t, pool, fmt.Sprintf(c.sql, name))
			require.Equal(t, c.want, takeRows(t, pool, followed), "%s: %s", name, c.sql)
		}
	}
}

// TestManyLoggedValuesInOneStatement has rows of the log of several rows each.
func TestManyLoggedValuesInOneStatement(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, "create table t (id int primary key, a int)")
	followed := with(table("t", "id"), "a")
	install(t, pool, followed)
	exec(t, pool, "insert into t select g, nullif(g % 3, 0) from generate_series(1, 500) g")
	rows, all := loggedRows(t, pool, followed)
	require.False(t, all)
	require.Len(t, rows, 500)
	for _, row := range rows {
		var id int
		_, err := fmt.Sscan(row[0], &id)
		require.NoError(t, err)
		require.Equal(t, map[int]string{0: "-", 1: "=1", 2: "=2"}[id%3], row[1])
	}
}

// TestUnseenChangesOfLoggedValues changes values that the statement does not name.
func TestUnseenChangesOfLoggedValues(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, `create table t (id int primary key, a int, v int); create table g (id int primary key, v int, a int generated always as (v * 2) stored);
		create function touch() returns trigger language plpgsql as $$ begin new.a := new.v + 100; return new; end $$;
		create trigger touch before update on t for each row execute function touch();
		insert into t values (1, 1, 1); insert into g values (1, 1)`)
	for name, want := range map[string][]string{"t": {"1 =1", "1 =105"}, "g": {"1 =10", "1 =2"}} {
		followed := with(table(name, "id"), "a")
		install(t, pool, followed)
		exec(t, pool, "update "+name+" set v = 5")
		require.Equal(t, want, takeRows(t, pool, followed))
	}
	exec(t, pool, "alter table t rename a to was; alter table t add a int")
	followed := with(table("t", "id"), "a")
	require.Equal(t, migrations.Outdated, status(t, pool, followed).Tables[0].State, "it looks at the column that had the name")
	install(t, pool, followed)
	exec(t, pool, "update t set v = 6")
	require.Equal(t, []string{"1 -", "1 =106"}, takeRows(t, pool, followed))
}

// TestWithoutLoggedColumns compares what version 4 wants of a table with what version 3 does. If it differed every table
// would be installed again after an upgrade.
func TestWithoutLoggedColumns(t *testing.T) {
	t.Parallel()
	m := newMatrix(t, nil, false)
	exec(t, m.pool, `create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		create table c (a text collate "C", b text, c text collate "C", d int, primary key (a, b, c, d));
		create table b (a text collate blind primary key); create table o (a text collate "C", b text collate "POSIX", primary key (a, b))`)
	const facts = "relation, name, events, transition, columns, inherited, function, settings, body, definition"
	const differ = "select count(*) from (select " + facts + " from socksync.wanted($1::regclass, $2) except all select " +
		facts + " from socksync.wanted($1::regclass, $2, '{}')) d"
	for _, table := range append(slices.Clone(m.tables), table("c", "a", "b", "c", "d")) {
		require.Zero(t, value[int](t, m.pool, differ, table.Name, table.Key), table.Name)
	}
	require.Equal(t, 1, value[int](t, m.pool, differ, "b", []string{"a"}), "equal keys may have different texts")
	require.Equal(t, 1, value[int](t, m.pool, differ, "o", []string{"a", "b"}), "the columns cannot be compared together")
}

// TestCollations has keys and values that a collation calls equal although their texts differ, and columns whose
// collations differ.
func TestCollations(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, `create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		create table b (a text collate blind primary key, v text collate blind);
		create table o (a text collate "C", b text collate "POSIX", v text collate blind, primary key (a, b)) partition by hash (a);
		create table o1 partition of o for values with (modulus 1, remainder 0)`)
	for _, c := range []struct {
		table      migrations.Table
		sql        string
		key, value []string
	}{
		{table("b", "a"), "insert into b values ('x', 'v')", []string{"X", "x"}, []string{"X =V", "X =v"}},
		{table("o", "a", "b"), "insert into o values ('x', 'y', 'v')", []string{"X y", "x y"}, []string{"X y =V", "X y =v"}},
	} {
		exec(t, pool, c.sql)
		install(t, pool, c.table)
		exec(t, pool, "update "+c.table.Name+" set a = 'X'")
		require.Equal(t, c.key, takeRows(t, pool, c.table))
		followed := with(c.table, "v")
		install(t, pool, followed)
		exec(t, pool, "update "+c.table.Name+" set v = 'V'")
		require.Equal(t, c.value, takeRows(t, pool, followed))
	}
}

// TestLoggedColumnGone writes to tables whose logged columns are no longer what they were when the triggers were
// installed: the value is not NULL then, but unknown. A session that wrote before has planned row-level triggers for the
// old column; to install anew has it plan again.
func TestLoggedColumnGone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, alter string
		now         migrations.State
	}{
		{"renamed", "alter table %s rename a to was", migrations.Refused},
		{"number renamed", "alter table %s rename r to was", migrations.Refused},
		{"own type renamed", "alter table %s rename m to was", migrations.Refused},
		{"dropped", "alter table %s drop a cascade", migrations.Refused},
		{"replaced", "alter table %[1]s rename a to was; alter table %[1]s add a text default 'new'", migrations.Outdated},
		{"changed about", "alter table %[1]s rename a to was; alter table %[1]s rename b to a; alter table %[1]s rename was to b", migrations.Outdated},
		{"dropped and added", "alter table %[1]s drop a cascade; alter table %[1]s add a text default 'new'", migrations.Outdated},
	} {
		for _, name := range []string{"t", "p"} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				t.Parallel()
				pool := migrated(t, pgtest.MaxConns(1))
				exec(t, pool, `create type mood as enum ('good'); create table t (id int primary key, a text, r regclass, m mood, b text, v int);
					create table p (v int, b text, m mood, r regclass, a text, id int primary key) partition by range (id); create table p1 partition of p for values from (0) to (1000);
					create table p2 (id int not null, v int, b text, m mood, r regclass, a text); alter table p attach partition p2 for values from (1000) to (2000)`)
				followed := with(table(name, "id"), "a", "r", "m")
				install(t, pool, followed)
				writes := "insert into %[1]s (id, a, r, m, b) select g, 'x', 'pg_class', 'good', 'new' from generate_series(900, 1100) g; update %[1]s set v = 1; delete from %[1]s where id < 950"
				exec(t, pool, fmt.Sprintf(writes, name))
				require.Len(t, takeRows(t, pool, followed), 201)
				exec(t, pool, fmt.Sprintf(c.alter, name))
				require.Equal(t, c.now, status(t, pool, followed).Tables[0].State)
				if name == "t" && c.now == migrations.Refused {
					for _, write := range []string{"update %s set v = 1 where id = 1000", "update %s set v = 2", "insert into %s (id) values (500)", "delete from %s"} {
						exec(t, pool, fmt.Sprintf(write, name))
						require.Equal(t, []string{"all"}, takeRows(t, pool, followed), write)
					}
					return
				}
				exec(t, pool, fmt.Sprintf("update %[1]s set v = 1; insert into %[1]s (id) values (1); delete from %[1]s where id = 1", name))
				takeRows(t, pool, followed)
				if c.now == migrations.Refused {
					return
				}
				install(t, pool, followed)
				exec(t, pool, fmt.Sprintf("update %[1]s set v = 3 where id = 1050; update %[1]s set a = 'newer' where id = 1050", name))
				require.Equal(t, []string{"1050 =new =1259 =good", "1050 =newer =1259 =good"}, takeRows(t, pool, followed))
			})
		}
	}
}

// TestTypeOfLoggedColumn has the database refuse what would make writers fail that have planned for the old type.
func TestTypeOfLoggedColumn(t *testing.T) {
	t.Parallel()
	pool := migrated(t, pgtest.MaxConns(1))
	exec(t, pool, `create table t (id int primary key, a int); create table p (id int primary key, a int) partition by range (id);
		create table p1 partition of p for values from (0) to (1000); create table r (id int primary key, a int)`)
	replicate(t, pool, table("r", "id"))
	for _, name := range []string{"t", "p", "r"} {
		followed := with(table(name, "id"), "a")
		install(t, pool, followed)
		exec(t, pool, "insert into "+name+" values (1, 1)")
		_, err := pool.Exec(t.Context(), "alter table "+name+" alter a type bigint")
		require.ErrorContains(t, err, "used in a trigger definition")
		_, err = pool.Exec(t.Context(), "alter table "+name+" drop a")
		require.ErrorContains(t, err, "depend on")
		require.NoError(t, migrations.Uninstall(t.Context(), pool, []migrations.Table{followed}))
		exec(t, pool, "alter table "+name+" alter a type bigint")
		install(t, pool, followed)
		exec(t, pool, "insert into "+name+" values (2, 2)")
		require.Equal(t, []string{"1 =1", "2 =2"}, takeRows(t, pool, followed))
	}
}

// TestInstallForOtherColumns replaces triggers, and only those of the table.
func TestInstallForOtherColumns(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, `create table a (id int primary key, v int, w int); create table b (id int primary key, v int, w int) partition by range (id);
		create table b1 partition of b for values from (0) to (10); create table c (id int primary key, v int, w int)`)
	install(t, pool, table("a", "id"), table("b", "id"), table("c", "id"))
	before := triggersOf(t, pool)
	for _, logged := range [][]string{{"v"}, {"w"}, {"w", "v"}, {"v", "w"}, {"v", "w", "id"}, nil} {
		a, b := with(table("a", "id"), logged...), with(table("b", "id"), logged...)
		s := status(t, pool, a, b, table("c", "id"))
		for i, want := range []migrations.State{migrations.Outdated, migrations.Outdated, migrations.Installed} {
			require.Equal(t, want, s.Tables[i].State, "%v: %s", logged, s.Tables[i].Table.Name)
		}
		install(t, pool, a, b, table("c", "id"))
		exec(t, pool, "insert into a values (1, 2, 3); insert into b values (1, 2, 3); delete from a; delete from b")
		require.Len(t, takeRows(t, pool, b), 1)
		require.Subset(t, triggersOf(t, pool), slices.DeleteFunc(slices.Clone(before), func(s string) bool { return s[0] != 'c' }))
	}
	require.Equal(t, 2, value[int](t, pool, `select count(*) from pg_proc where pronamespace = 'socksync'::regnamespace
		and proname ~ '^(stmt|row)_[0-9a-f]{32}$'`), "functions that no trigger runs any more are dropped")
}

func TestRefusedLoggedColumns(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, `create table ok (id int primary key, v int); create table root (id int primary key, v int) partition by range (id);
		create table part partition of root for values from (0) to (10)`)
	for reason, refused := range map[string]migrations.Table{
		`it has no column "Zap", zip, whose values are to be logged: add it, or correct the definition that depends on it`: with(table("ok", "id"), "zip", "v", "Zap"),
		"it has no column ctid, whose values are to be logged: add it, or correct the definition that depends on it":       with(table("ok", "id"), "ctid"),
		"column v is to be logged twice": with(table("ok", "id"), "v", "v"),
		"it has no column zip":           with(table("ok", "zip"), "v"),
	} {
		var e *migrations.TableError
		require.ErrorAs(t, migrations.Install(t.Context(), pool, []migrations.Table{refused}), &e)
		require.Equal(t, reason, e.Reason)
		require.Equal(t, reason, status(t, pool, refused).Tables[0].Reason)
	}
	err := migrations.Install(t.Context(), pool, []migrations.Table{with(table("ok", "id"), "v"), with(table("public.ok", "id"), "v"), table("public.ok", "id")})
	require.ErrorContains(t, err, `given twice, with the logged columns ["v"] and []`)
	require.NoError(t, status(t, pool, with(table("ok", "id"), "v")).Err())

	install(t, pool, table("root", "id"))
	require.ErrorContains(t, migrations.Install(t.Context(), pool, []migrations.Table{with(table("part", "id"), "v")}), "with other logged columns")
}

// TestLoggedOddNames has every name that the functions use themselves as a logged column, and one that is the key's too.
func TestLoggedOddNames(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	names := []string{
		"n", "k", "s", "r", "o", "keys", "xid", "relation", "own", "new", "old", "missing", "flag", "rel", "logged", "part", "tg_op", "tg_relid", "tg_argv",
		"Größe", "with space", `quote"d`, "it's", "$b$", "%s", "select", "a\nb", "\\", "{", ",", "NULL",
	}
	columns := make([]string, len(names))
	for i, name := range names {
		columns[i] = pgx.Identifier{name}.Sanitize() + " int"
	}
	exec(t, pool, "create table t (id int primary key, "+strings.Join(columns, ", ")+")")
	exec(t, pool, "create table p (id int primary key, "+strings.Join(columns, ", ")+`) partition by hash (id);
		create table p1 partition of p for values with (modulus 1, remainder 0)`)
	for _, name := range []string{"t", "p"} {
		followed := with(table(name, "id"), append([]string{"id"}, names...)...)
		install(t, pool, followed)
		exec(t, pool, "insert into "+name+" (id, n, "+pgx.Identifier{"NULL"}.Sanitize()+") values (1, 2, 3)")
		nulls := strings.Repeat(" -", len(names)-2)
		require.Equal(t, []string{"1 =1 =2" + nulls + " =3"}, takeRows(t, pool, followed))
		exec(t, pool, "update "+name+" set k = 4")
		require.Equal(t, []string{"1 =1 =2" + nulls + " =3", "1 =1 =2 =4" + nulls[2:] + " =3"}, takeRows(t, pool, followed))
	}
}
