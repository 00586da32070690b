package view

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/listen"
)

// referred are types by which rows refer to each other: that of the column that is referred to, that of those that refer
// to it, and values. Some of these are equal and have other texts.
var referred = []struct {
	key, refers string
	values      []string
}{
	{"text", "varchar", []string{"a", "A", ` b"`, "", `\{,}`}},
	{"int", "bigint", []string{"1", "2", "3", "-4"}},
	{"label", "text", []string{"x", "y", `z"`, ""}},
	{"numeric", "numeric", []string{"1.0", "1.00", "2", "3.5"}},
	{"numeric", "int", []string{"1", "2", "3"}},
	{"mood", "mood", []string{"happy", "sad"}},
	{"text[]", "text[]", []string{"{a}", `{b,NULL}`, "{}", `{"\"",a}`}},
	{`"Ext".citext`, `"Ext".citext`, []string{"a", "A", "b", "B"}},
	{`text COLLATE "Ins ensitive"`, `text COLLATE "Ins ensitive"`, []string{"a", "A", "b"}},
	{"timestamptz", "timestamptz", []string{"2026-01-01 00:00Z", "2026-01-01 00:00:00.000001Z", "infinity"}},
	{"uuid", "uuid", []string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12"}},
	{"regclass", "regclass", []string{"pg_class", "pg_type", "pg_proc"}},
}

// chainTables are tables that refer to each other. %[1]s and %[2]s are the types of a country's code and of what refers to
// it, %[3]s and %[4]s those of an airport's.
const chainTables = makeFactTypes + `
CREATE TABLE countries (code %[1]s PRIMARY KEY, name text);
CREATE TABLE airports (iata %[3]s PRIMARY KEY, country %[2]s, city text);
CREATE TABLE flights (id int PRIMARY KEY, origin %[4]s, destination %[4]s, note text);
CREATE TABLE bookings (who text, flight bigint, seat text, PRIMARY KEY (who, flight));
CREATE TABLE gates (id int PRIMARY KEY, kind %[1]s, note text, UNIQUE (kind, id));
CREATE TABLE stands (id int PRIMARY KEY, gate smallint, kind %[2]s);`

// chained is a random world of these tables.
type chained struct {
	t      *testing.T
	pool   *pgxpool.Pool
	random *rand.Rand
	pools  map[string][]string // values by column
	tables map[string][]string // columns by table

	lists    map[string]*relation
	stateSQL map[string]string // by table
	last     []string          // changes of the last step
	differed map[string]int    // rows, by list
}

func newChained(t *testing.T, seed uint64) *chained {
	c := &chained{
		t: t, pool: pgtest.New(t), random: rand.New(rand.NewPCG(seed, 1)),
		lists: map[string]*relation{}, stateSQL: map[string]string{}, differed: map[string]int{},
	}
	country, airport := referred[seed%uint64(len(referred))], referred[c.random.IntN(len(referred))]
	makeTables(t, c.pool, fmt.Sprintf(chainTables, country.key, country.refers, airport.key, airport.refers))
	notes, ids := []string{"n", "m", "o"}, []string{"1", "2", "3", "4", "5", "6"}
	c.pools = map[string][]string{
		"code": country.values, "country": country.values, "kind": country.values,
		"iata": airport.values, "origin": airport.values, "destination": airport.values,
		"name": notes, "city": notes, "note": notes, "seat": notes, "who": {"ann", `b"`},
		"id": ids, "flight": ids, "gate": ids,
	}
	c.tables = map[string][]string{
		"countries": {"code", "name"}, "airports": {"iata", "country", "city"},
		"flights": {"id", "origin", "destination", "note"}, "bookings": {"who", "flight", "seat"},
		"gates": {"id", "kind", "note"}, "stands": {"id", "gate", "kind"},
	}
	return c
}

// value draws a value of a column in SQL.
func (c *chained) value(column string) string {
	if c.random.IntN(8) == 0 {
		return "NULL"
	}
	values := c.pools[column]
	return "'" + strings.ReplaceAll(values[c.random.IntN(len(values))], "'", "''") + "'"
}

func (c *chained) table() string {
	return slices.Sorted(maps.Keys(c.tables))[c.random.IntN(len(c.tables))]
}

// change changes a table at random. What constraints refuse does not happen.
func (c *chained) change(tx pgx.Tx) {
	table := c.table()
	columns := c.tables[table]
	somewhere := fmt.Sprintf(" WHERE ctid IN (SELECT ctid FROM %s ORDER BY %d * hashtext(ctid::text)::bigint %% 97 LIMIT %d)",
		table, c.random.IntN(1000)+1, c.random.IntN(2)+1)
	switch c.random.IntN(5) {
	case 0, 1:
		c.insert(tx, table)
	case 2, 3:
		column := columns[c.random.IntN(len(columns))]
		c.try(tx, "UPDATE "+table+" SET "+column+" = "+c.value(column)+somewhere)
	case 4:
		c.try(tx, "DELETE FROM "+table+somewhere)
	}
}

func (c *chained) insert(tx pgx.Tx, table string) {
	var values []string
	for _, column := range c.tables[table] {
		values = append(values, c.value(column))
	}
	c.try(tx, "INSERT INTO "+table+" VALUES ("+strings.Join(values, ", ")+")")
}

func (c *chained) try(tx pgx.Tx, sql string) {
	c.last = append(c.last, sql)
	_ = pgx.BeginFunc(context.Background(), tx, func(tx pgx.Tx) error {
		_, err := tx.Exec(context.Background(), sql)
		return err
	})
}

const byOrigin = `SELECT f.origin AS k, count(*) AS n, string_agg(f.note, ',' ORDER BY f.id) AS notes,
  (SELECT max(a.city) FROM airports a WHERE a.iata = f.origin) AS city FROM flights f WHERE f.origin IS NOT NULL GROUP BY 1`

const byCountry = `SELECT a.country AS k, count(f.id) AS n, string_agg(f.note, ',' ORDER BY f.id) AS notes, min(c.name) AS name
FROM airports a LEFT JOIN flights f ON f.origin = a.iata LEFT JOIN countries c ON c.code = a.country WHERE a.country IS NOT NULL GROUP BY 1`

// chainLists are lists over these tables, of all forms that a dependency can have.
func chainLists() map[string]*binding.ListDef {
	depends := func(table string, columns []string, through string, refers ...string) binding.Dependency {
		return binding.Dependency{Table: table, Columns: columns, Through: through, Refers: refers}
	}
	one := func(name string) []string { return []string{name} }
	return map[string]*binding.ListDef{
		"chain": {
			Query: `SELECT f.id, f.note, o.city AS oc, oc.name AS on, d.city AS dc, dc.name AS dn FROM flights f
LEFT JOIN airports o ON o.iata = f.origin LEFT JOIN countries oc ON oc.code = o.country
LEFT JOIN airports d ON d.iata = f.destination LEFT JOIN countries dc ON dc.code = d.country`,
			Table: "flights", Key: one("id"), Columns: columnsNamed("id", "note", "oc", "on", "dc", "dn"),
			Depends: []binding.Dependency{
				depends("airports", one("iata"), "flights", "origin"), depends("airports", one("iata"), "flights", "destination"),
				depends("countries", one("code"), "airports", "country"),
			},
		},
		"own": {
			Query: `SELECT b.*, f.note, a.city FROM bookings b JOIN flights f ON f.id = b.flight JOIN airports a ON a.iata = f.origin`,
			Table: "bookings", Key: []string{"who", "flight"}, Columns: columnsNamed("who", "flight", "seat", "note", "city"),
			Depends: []binding.Dependency{
				depends("flights", one("id"), "bookings", "flight"), depends("airports", one("iata"), "flights", "origin"),
			},
		},
		"group": {
			Query: byOrigin, Key: one("k"), Columns: columnsNamed("k", "n", "notes", "city"),
			Depends: []binding.Dependency{depends("flights", one("origin"), ""), depends("airports", one("iata"), "")},
		},
		"group of a join": {
			Query: byCountry, Key: one("k"), Columns: columnsNamed("k", "n", "notes", "name"),
			Depends: []binding.Dependency{
				depends("airports", one("country"), ""), depends("flights", one("origin"), "airports", "iata"), depends("countries", one("code"), ""),
			},
		},
		"columns": {
			Query: "SELECT s.id, g.note FROM stands s LEFT JOIN gates g ON g.id = s.gate AND g.kind = s.kind",
			Table: "stands", Key: one("id"), Columns: columnsNamed("id", "note"),
			Depends: []binding.Dependency{depends("gates", []string{"kind", "id"}, "stands", "kind", "gate")},
		},
	}
}

// TestDependencyMistakes has dependencies that lead to no key.
func TestDependencyMistakes(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	makeTables(t, pool, fmt.Sprintf(chainTables, "text", "text", "text", "text")+`
CREATE TABLE amounts (n numeric PRIMARY KEY, at timestamptz);
CREATE TABLE hidden (id int PRIMARY KEY, ref int);
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; ALTER TABLE hidden FORCE ROW LEVEL SECURITY;`)
	role := pool.Config().ConnConfig.Database + "_role"
	makeTables(t, pool, "CREATE ROLE "+role+"; GRANT SELECT ON ALL TABLES IN SCHEMA public TO "+role)
	t.Cleanup(func() { makeTables(t, pool, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	for _, c := range []struct {
		d    []binding.Dependency
		want string
	}{
		{
			[]binding.Dependency{{Table: "airports", Columns: []string{"no"}, Through: "flights", Refers: []string{"origin"}}},
			`depends: airports."no" > flights."origin": table "airports" has no column "no"`,
		},
		{[]binding.Dependency{{Table: "airports", Columns: []string{"iata"}, Through: "flights", Refers: []string{"no"}}}, `table "flights" has no column "no"`},
		{
			[]binding.Dependency{{Table: "airports", Columns: []string{"iata"}, Through: "countries", Refers: []string{"code"}}},
			"countries is neither the list's table nor one that it depends on",
		},
		{[]binding.Dependency{{Table: "airports", Columns: []string{"iata"}, Through: "flights", Refers: []string{"origin", "note"}}}, "it refers by 2 columns to 1"},
		{[]binding.Dependency{
			{Table: "countries", Columns: []string{"code"}, Through: "airports", Refers: []string{"country"}},
			{Table: "airports", Columns: []string{"iata"}, Through: "countries", Refers: []string{"name"}},
		}, "it leads back to itself"},
		{[]binding.Dependency{{Table: "airports", Columns: []string{"iata"}, Through: "flights", Refers: []string{"id"}}}, "the columns cannot be compared"},
		{[]binding.Dependency{{Table: "airports", Columns: []string{"iata"}}}, `iata of "airports" is of type text, and column "id" of the key of type integer`},
		{[]binding.Dependency{{Table: "bookings", Columns: []string{"who", "flight"}}}, `it leads to 2 columns of "bookings", the key has 1`},
		{[]binding.Dependency{
			{Table: "countries", Columns: []string{"code"}, Through: "hidden", Refers: []string{"ref"}},
			{Table: "hidden", Columns: []string{"id"}},
		}, "the columns cannot be compared"},
		{[]binding.Dependency{
			{Table: "bookings", Columns: []string{"flight"}, Through: "hidden", Refers: []string{"ref"}},
			{Table: "hidden", Columns: []string{"id"}},
		}, `row-level security hides rows of "hidden" from the server's own role`},
		{[]binding.Dependency{{Table: "absent", Columns: []string{"flight"}}}, `relation "absent" does not exist`},
	} {
		def := &binding.ListDef{
			Name: "l", Query: "SELECT id FROM flights", Table: "flights", Key: []string{"id"}, Columns: columnsNamed("id"), Depends: c.d,
		}
		e := engineOf(pool, def)
		err := pgx.BeginFunc(context.Background(), pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(context.Background(), "SET LOCAL ROLE "+role)
			require.NoError(t, err)
			_, err = newRelation(context.Background(), tx, e, def)
			return err
		})
		require.ErrorContains(t, err, c.want)
	}
}

// TestConcerned changes random tables of random types at random: each row of a list that differs afterwards is concerned.
func TestConcerned(t *testing.T) {
	t.Parallel()
	for seed := range uint64(len(referred)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			c := newChained(t, seed)
			c.start()
			for range 60 {
				c.step()
			}
			for name := range c.lists {
				require.NotZero(t, c.differed[name], "%s: the test tests nothing", name)
			}
		})
	}
}

// start makes lists of all forms that the types allow, and some rows.
func (c *chained) start() {
	ctx, engine := context.Background(), New(&Config{Pool: c.pool})
	for name, def := range chainLists() {
		def.Name = name
		r, err := relationOf(c.t, c.pool, def)
		if err != nil && strings.HasPrefix(name, "group") {
			require.Regexp(c.t, "several ways|and column \"k\" of the key of type", err)
			continue
		}
		require.NoError(c.t, err, name)
		r.watched = engine.table
		c.lists[name] = r
		engine.List(def)
	}
	require.NoError(c.t, pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
		require.NoError(c.t, engine.findTables(ctx, tx))
		for _, table := range engine.tables {
			columns, err := readColumns(ctx, tx, table.Name, false)
			require.NoError(c.t, err)
			texts := func(names []string) string {
				var list []string
				for _, name := range names {
					list = append(list, columns[name].textSQL(binding.QuoteIdent(name)))
				}
				return "array[" + strings.Join(list, ", ") + "]::text[]"
			}
			c.stateSQL[table.Name] = "SELECT t::text, " + texts(table.Key) + ", " + texts(table.Logged) + " FROM " + table.Name + " t"
		}
		for range 40 {
			c.insert(tx, c.table())
		}
		return nil
	}))
}

// step makes some changes, in one transaction, and compares.
func (c *chained) step() {
	ctx := context.Background()
	tx, err := c.pool.Begin(ctx)
	require.NoError(c.t, err)
	defer func() { require.NoError(c.t, tx.Commit(ctx)) }()
	rows, before := c.rows(tx), c.states(tx)
	c.last = nil
	for range c.random.IntN(4) + 1 {
		c.change(tx)
	}
	changes := map[string]*listen.Change{}
	for table, after := range c.states(tx) {
		changes[table] = logged(before[table], after)
	}
	for name, now := range c.rows(tx) {
		keys := askConcerned(c.t, tx, c.lists[name], changes)
		for _, key := range differing(rows[name], now) {
			require.Contains(c.t, keys, key, "%s: %s", name, c.last)
			c.differed[name]++
		}
	}
}

// rows returns the rows of all lists.
func (c *chained) rows(tx pgx.Tx) map[string]map[string]string {
	all := map[string]map[string]string{}
	for name, r := range c.lists {
		all[name] = rowsOfQuery(c.t, tx, r, "SELECT "+r.keys+r.row+r.from())
	}
	return all
}

func differing(before, after map[string]string) (keys []string) {
	for key, row := range before {
		if after[key] != row {
			keys = append(keys, key)
		}
	}
	for key := range after {
		if _, was := before[key]; !was {
			keys = append(keys, key)
		}
	}
	return keys
}

// logRow is what the triggers log of a row.
type logRow struct {
	key    []string
	logged []*string
}

// states returns the rows of all tables by their whole texts.
func (c *chained) states(tx pgx.Tx) map[string]map[string]logRow {
	all := map[string]map[string]logRow{}
	for table, sql := range c.stateSQL {
		rows, err := tx.Query(context.Background(), sql)
		require.NoError(c.t, err)
		all[table] = map[string]logRow{}
		var whole string
		var row logRow
		_, err = pgx.ForEachRow(rows, []any{&whole, &row.key, &row.logged}, func() error {
			all[table][whole] = row
			row = logRow{}
			return nil
		})
		require.NoError(c.t, err)
	}
	return all
}

// logged is what the log says of the rows that differ.
func logged(before, after map[string]logRow) *listen.Change {
	change := &listen.Change{}
	add := func(rows, others map[string]logRow) {
		for whole, row := range rows {
			if _, same := others[whole]; !same {
				change.Keys = append(change.Keys, row.key)
				change.Logged = append(change.Logged, row.logged)
			}
		}
	}
	add(before, after)
	add(after, before)
	return change
}

func askConcerned(t testing.TB, tx pgx.Tx, r *relation, changes map[string]*listen.Change) []string {
	keys, questions := r.concerned(changes)
	for _, q := range questions {
		rows, err := tx.Query(context.Background(), q.sql, q.args...)
		require.NoError(t, err, q.sql)
		require.NoError(t, collect(rows, func(rows pgx.Rows) error {
			keys = append(keys, q.take(rows.RawValues()))
			return nil
		}), q.sql)
	}
	return keys
}
