package migrations_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/migrations"
)

// matrixTables are the tables of testdata/matrix.sql that are followed.
var matrixTables = []migrations.Table{
	table("par", "id"), table("chi", "id"), table("gra", "k"), table("cpk", "pid", "b"), table("prt", "id", "r"),
	table("txtk", "k"), table("numk", "k"), table("self", "id"), table("trg", "id"), table("gen", "k"), table("child", "id"),
}

// matrixLogged are columns of them to be logged behind the key: some may be NULL, some are of the key too.
var matrixLogged = map[string][]string{
	"par": {"u", "v"}, "chi": {"pid"}, "gra": {"cid"}, "cpk": {"v", "pid"}, "prt": {"v", "r"},
	"txtk": {"v"}, "numk": {"k", "v"}, "self": {"parent"}, "trg": {"v"}, "gen": {"a"}, "child": {"v"},
}

// change is one way in which rows change.
type change struct {
	name string
	sql  string
	do   func(*testing.T, pgx.Tx) // instead of sql
	rows int                      // how many keys have another row, or none, before and after
	// extra is how many keys are logged although their rows end as they were, all that a statement touched being logged.
	extra    int
	unlogged bool // no trigger sees it: the feed compares the catalog
}

var changes = []change{
	{name: "update no row", sql: "update par set v = 1 where id = -1"},
	{name: "insert no row", sql: "insert into par select 1, 1 where false"},
	{name: "delete no row", sql: "delete from par where id = -1"},
	{name: "insert one", sql: "insert into par values (1000, 1, null)", rows: 1},
	{name: "update many", sql: "update par set v = v + 1", rows: 300},
	{name: "update to the same", sql: "update par set v = v where id < 10", extra: 9},
	{name: "insert 64", sql: "insert into txtk select 'x' || g from generate_series(1, 64) g", rows: 64},
	{name: "insert 65", sql: "insert into txtk select 'x' || g from generate_series(1, 65) g", rows: 65},
	{name: "insert 264", sql: "insert into txtk select 'x' || g from generate_series(1, 264) g", rows: 264},
	{name: "insert 265", sql: "insert into txtk select 'x' || g from generate_series(1, 265) g", rows: 265},
	{name: "delete cascades from one row", sql: "delete from par where id = 5", rows: 1 + 3 + 5 + 2},
	{name: "delete cascades from all", sql: "delete from par", rows: 300 + 900 + 1500 + 600},
	{name: "key change cascades", sql: "update par set id = id + 10000 where id < 50", rows: 2*49 + 3*49 + 2*2*49},
	{name: "key change cascades to a composite key", sql: "update par set id = id + 20000 where id = 8", rows: 2 + 3 + 2*2},
	{name: "delete sets null", sql: "delete from chi where id <= 100", rows: 100 + 199},
	{name: "delete cascades within a table", sql: "delete from self where id = 1", rows: 255},
	{
		name: "on conflict do update", rows: 21,
		sql: "insert into par select g, -1, 'x' || g from generate_series(290, 310) g on conflict (id) do update set v = excluded.v",
	},
	{
		name: "on conflict do nothing", rows: 10,
		sql: "insert into par select g, -1, 'x' || g from generate_series(290, 310) g on conflict (id) do nothing",
	},
	{
		name: "on conflict changes the key", rows: 2 + 3 + 2*2,
		sql: "insert into par values (1, 0, null) on conflict (id) do update set id = 12345",
	},
	{name: "several writes of one table in one statement", rows: 9 + 11 + 5 + 11 + 11 + 11*3 + 11*5 + 11*2, sql: `
		with a as (update par set v = -1 where id < 10 returning id),
		     b as (update par set v = -2 where id between 10 and 20 returning id),
		     c as (insert into par select 5000 + g, 0, null from generate_series(1, 5) g returning id),
		     d as (delete from par where id between 30 and 40 returning id)
		update par set v = -3 where id between 50 and 60`},
	{
		name: "delete feeds an insert", rows: 2 + 3 + 5 + 2,
		sql: "with a as (delete from par where id = 1 returning *) insert into par select id + 7000, v, u || 'z' from a",
	},
	{name: "through a view", sql: "update par_view set v = 5 where id = 3", rows: 1},
	{
		name: "through a view, delete and insert", rows: 2 + 3 + 5 + 2,
		sql: "with a as (delete from par_view where id = 4 returning 1) insert into par_view values (4444, 1)",
	},
	{name: "truncate cascades", sql: "truncate par cascade", rows: 300 + 900 + 1500 + 600},
	{name: "partitions by the root", sql: "insert into prt values (1000, 5, 1), (1001, 15, 1)", rows: 2},
	{name: "rows move between partitions", sql: "update prt set r = (r + 10) % 20 where id < 50", rows: 2 * 49},
	{name: "a partition directly", sql: "update prt1 set v = -1 where id < 50", rows: 29},
	{name: "a partition of a partition directly", sql: "update prt2a set v = -1; delete from prt2b", rows: 200},
	{name: "a partition directly, key change", sql: "update prt1 set id = id + 9999 where id < 50", rows: 2 * 29},
	{name: "delete from partitions", sql: "delete from prt where id < 100", rows: 99},
	{name: "truncate of the root", sql: "truncate prt", rows: 400},
	{name: "truncate of a partition", sql: "truncate prt1", rows: 200},
	{name: "truncate of a partition of a partition", sql: "truncate prt2a, prt2b", rows: 200},
	{name: "a new partition", rows: 2, sql: `create table prt3 partition of prt for values from (20) to (30);
		insert into prt values (5000, 25, 1); insert into prt3 values (5001, 25, 1)`},
	{name: "attach", unlogged: true, rows: 1, sql: `create table prt3 (like prt); insert into prt3 values (5000, 25, 1);
		alter table prt attach partition prt3 for values from (20) to (30)`},
	{name: "writes after attach", rows: 2, sql: `create table prt3 (v int, r int not null, id bigint not null);
		alter table prt attach partition prt3 for values from (20) to (30);
		insert into prt3 values (7, 25, 5000); insert into prt values (5001, 25, 7); update prt set v = 8 where id = 5000`},
	{name: "detach", sql: "alter table prt detach partition prt2", unlogged: true, rows: 200},
	{name: "drop of a partition", sql: "drop table prt2", unlogged: true, rows: 200},
	{name: "a user's AFTER trigger writes the table", sql: "update trg set v = 1 where id = 1", rows: 2 + 4},
	{name: "a user's BEFORE trigger changes the key", sql: "update trg set v = 77 where id in (3, 4)", rows: 4 + 4},
	{name: "a user's BEFORE trigger drops the row", sql: "update trg set v = 78 where id in (3, 4)"},
	{name: "a generated key changes", sql: "update gen set a = a + 100 where a < 10", rows: 18},
	{
		name: "keys swap", rows: 252 + 3, extra: 2,
		sql: `update self set parent = null;
			update self set id = case id when 254 then 1255 else 1254 end where id in (254, 255);
			update self set id = 254 where id = 1254`,
	},
	{name: "text key changes", sql: "update txtk set k = lower(k) where v < 5", rows: 8},
	{name: "numeric key changes its text only", sql: "update numk set k = 1.00 where k = 1.0", rows: 2},
	{name: "as a replica", rows: 300 + 9 + 1500, sql: `set local session_replication_role = replica;
		update par set v = v + 1; delete from chi where id < 10; truncate gra; set local session_replication_role = origin`},
	{name: "rolled back to a savepoint", sql: `update par set v = 0 where id = 1; savepoint s; update par set v = 5 where id = 2;
		rollback to s; update par set v = 0 where id = 3`, rows: 2},
	{name: "exception in a block", rows: 1, sql: `update par set v = 0 where id = 1;
		do $x$ begin update par set v = 5 where id = 2; raise exception 'x'; exception when others then null; end $x$`},
	{name: "rows rewritten by a new type", sql: "alter table chi alter v type bigint using v * 2", unlogged: true, rows: 900},
	{name: "a column added with a default", sql: "alter table par add z int default 5", unlogged: true, rows: 300},
	{name: "deferred constraint", rows: 9 + 9*3 + 9*5 + 9*2, sql: `alter table cpk alter constraint cpk_pid_fkey deferrable initially deferred;
		delete from par where id < 10`},
	{name: "merge", rows: 21 + 5*3 + 5*5 + 5*2, sql: `merge into par p using (select g id from generate_series(290, 310) g) s on p.id = s.id
		when matched and p.id < 295 then delete when matched then update set v = -9 when not matched then insert values (s.id, 1, null)`},
	{name: "merge changes a key", rows: 2 + 3 + 2*2, sql: `merge into par p using (select 3::bigint id) s on p.id = s.id
		when matched then update set id = 33333`},
	{name: "merge moves a row between partitions", rows: 2, sql: `merge into prt p using (select 3::bigint id) s on p.id = s.id
		when matched then update set r = (r + 10) % 20`},
	{name: "copy", rows: 3, do: func(t *testing.T, tx pgx.Tx) { copyRows(t, tx, "par (id, v)", "9001\t1\n9002\t1\n9003\t1\n") }},
	{name: "copy to partitions", rows: 2, do: func(t *testing.T, tx pgx.Tx) { copyRows(t, tx, "prt", "9001\t1\t1\n9002\t11\t1\n") }},
	{name: "copy into a partition", rows: 1, do: func(t *testing.T, tx pgx.Tx) { copyRows(t, tx, "prt1", "9001\t1\t1\n") }},
	{name: "through the parent that it inherits from", sql: "update inherited set v = v + 1", rows: 20},
	{name: "truncate of the parent that it inherits from", sql: "truncate inherited", rows: 20},
	{name: "update joins another table", sql: "update par set v = chi.v + 100 from chi where chi.pid = par.id and chi.id = 7", rows: 1},
	{name: "a cursor's current row", sql: `declare c cursor for select * from par where id = 9 for update; fetch c;
		update par set v = -1 where current of c`, rows: 1},
	{name: "a prepared statement", sql: "prepare p as update par set v = $1 where id = $2; execute p(-1, 1); execute p(-1, 2)", rows: 2},
}

// matrix is a database with the tables.
type matrix struct {
	pool   *pgxpool.Pool
	tables []migrations.Table
}

// TestEveryWayThatARowCanChange compares the rows before and after each change with what the log has.
func TestEveryWayThatARowCanChange(t *testing.T) {
	t.Parallel()
	newMatrix(t, nil, false).checkAll(t)
}

// TestEveryWayThatALoggedValueCanChange has columns logged behind the keys.
func TestEveryWayThatALoggedValueCanChange(t *testing.T) {
	t.Parallel()
	newMatrix(t, matrixLogged, false).checkAll(t)
}

// TestEveryWayThatALoggedValueCanChangeByRow has row-level triggers on all tables, as if logical replication filled them.
func TestEveryWayThatALoggedValueCanChangeByRow(t *testing.T) {
	t.Parallel()
	newMatrix(t, matrixLogged, true).checkAll(t)
}

func newMatrix(t *testing.T, logged map[string][]string, byRow bool) *matrix {
	m := &matrix{pool: migrated(t), tables: slices.Clone(matrixTables)}
	schema, err := os.ReadFile("testdata/matrix.sql")
	require.NoError(t, err)
	exec(t, m.pool, string(schema))
	for i := range m.tables {
		m.tables[i].Logged = logged[m.tables[i].Name]
	}
	if byRow {
		replicate(t, m.pool, m.tables...)
	}
	install(t, m.pool, m.tables...)
	kinds := "select count(*) from pg_trigger where tgname = 'zz_socksync_u'"
	require.Equal(t, byRow, value[int](t, m.pool, kinds) == 0)
	return m
}

func (m *matrix) checkAll(t *testing.T) {
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) { m.check(t, c) })
	}
}

func (m *matrix) check(t *testing.T, c change) {
	pool := m.pool
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	if c.name == "merge" || strings.HasPrefix(c.name, "merge ") {
		if value[int](t, tx, "select current_setting('server_version_num')::int") < 150000 {
			return // Postgres 14 has no MERGE
		}
	}
	m.keep(t, tx, "was")
	if c.do != nil {
		c.do(t, tx)
	} else {
		_, err = tx.Exec(t.Context(), c.sql)
		require.NoError(t, err)
	}
	_, err = tx.Exec(t.Context(), "set constraints all immediate")
	require.NoError(t, err)
	m.keep(t, tx, "is_now")
	m.compareWithLog(t, tx, c)
}

// compareWithLog requires that the log has the changed keys, and the logged values that the rows had and have.
func (m *matrix) compareWithLog(t *testing.T, tx pgx.Tx, c change) {
	changed, values := changedKeys(t, tx, "key"), changedKeys(t, tx, "key || logged")
	require.Len(t, changed, c.rows, "the test's own count of changed rows")
	entries := logged(t, tx)
	if c.unlogged {
		require.Empty(t, entries)
		return
	}
	touched, had := make(map[string]bool), make(map[string]bool) // as far as they are known one by one
	for _, table := range m.tables {
		rows, all := loggedRows(t, tx, table)
		for _, row := range rows {
			touched[fmt.Sprintf("%s%q", table.Name, row[:len(table.Key)])] = true
			had[fmt.Sprintf("%s%q", table.Name, row)] = true
		}
		unknown := func(key string, _ bool) bool { return all && strings.HasPrefix(key, table.Name+"[") }
		maps.DeleteFunc(changed, unknown)
		maps.DeleteFunc(values, unknown)
	}
	require.Empty(t, without(changed, touched), "changes that the log misses")
	require.Empty(t, without(values, had), "values that the log misses")
	require.Len(t, without(touched, changed), c.extra, "keys in the log whose rows are as before")
	if c.rows+c.extra == 0 {
		require.Empty(t, entries, "a statement that touched no row")
	}
}

// without returns what of a set is not in another.
func without(set, other map[string]bool) map[string]bool {
	rest := maps.Clone(set)
	maps.DeleteFunc(rest, func(key string, _ bool) bool { return other[key] })
	return rest
}

// keep copies the rows of all tables, as text, to a temporary table, with what is to be logged of them.
func (m *matrix) keep(t *testing.T, tx pgx.Tx, name string) {
	selects := make([]string, len(m.tables))
	for i, table := range m.tables {
		logged := make([]string, len(table.Logged))
		for i, column := range table.Logged {
			logged[i] = fmt.Sprintf("case when %[1]s is null then '-' else concat('=', %[1]s::text) end", column)
		}
		selects[i] = fmt.Sprintf("select '%s' as name, array[%s::text] as key, t::text as row, array[%s]::text[] as logged from %[1]s t",
			table.Name, strings.Join(table.Key, "::text, "), strings.Join(logged, ", "))
	}
	_, err := tx.Exec(t.Context(), "create temp table "+name+" on commit drop as "+strings.Join(selects, " union all "))
	require.NoError(t, err)
}

// changedKeys returns the keys, or what else, of the rows that differ, each with its table's name before it.
func changedKeys(t *testing.T, tx pgx.Tx, what string) map[string]bool {
	rows, err := tx.Query(t.Context(), `select distinct name, `+what+` from (
		(table was except all table is_now) union all (table is_now except all table was)) d`)
	require.NoError(t, err)
	changed := make(map[string]bool)
	var name string
	var key []string
	_, err = pgx.ForEachRow(rows, []any{&name, &key}, func() error {
		changed[fmt.Sprintf("%s%q", name, key)] = true
		return nil
	})
	require.NoError(t, err)
	return changed
}

func copyRows(t *testing.T, tx pgx.Tx, to, text string) {
	_, err := tx.Conn().PgConn().CopyFrom(t.Context(), strings.NewReader(text), "copy "+to+" from stdin")
	require.NoError(t, err)
}
