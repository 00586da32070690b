package view_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
)

// keyKind is a table with a key of some kind. The four values are distinct, in SQL;
// another is equal to the first and has another text.
type keyKind struct {
	name    string
	columns string   // of the key, as in CREATE TABLE
	values  []string // for the key columns, in SQL
	another string
	equal   string // the key columns as they are compared; themselves if empty
	schema  string // quoted; public if empty
	table   string // quoted; by the name if empty
	json    string // name under which the first key column is published, and the last under its
}

var keyKinds = []keyKind{
	{name: "smallint", columns: "k smallint", values: []string{"1", "2", "-3", "4"}},
	{name: "numeric", columns: "k numeric", values: []string{"1.0", "2", "'NaN'", "10.50"}, another: "1.00"},
	{name: "real", columns: "k real", values: []string{"'0'", "0.1", "'NaN'", "'-Infinity'"}, another: "'-0'"},
	{name: "double", columns: "k double precision", values: []string{"'0'", "0.1", "1e300", "'-Infinity'"}, another: "'-0'"},
	{name: "boolean", columns: "k boolean, j int", values: []string{"true, 1", "false, 1", "true, 2", "false, 2"}},
	{name: "text", columns: "k text", values: []string{"''", "'a\"b\\c'", "'{NULL,x}'", "'NULL'"}},
	{name: "varchar", columns: "k varchar(4)", values: []string{"'a'", "'ab'", "'abcd'", "'a b'"}},
	{name: "char_n", columns: "k char(5)", values: []string{"'abc'", "'abd'", "''", "'abcde'"}},
	{name: "two_char_n", columns: "k char(3), j char(2)", values: []string{"'abc', 'x'", "'abd', 'x'", "'ab', 'xy'", "'a', ''"}},
	{name: "quoted_char", columns: `k "char"`, values: []string{"'a'", "'b'", "'Z'", "' '"}},
	{name: "bit", columns: "k bit(3)", values: []string{"'101'", "'100'", "'111'", "'000'"}},
	{name: "varbit", columns: "k bit varying", values: []string{"'1'", "'10'", "''", "'111'"}},
	{name: "citext", columns: "k citext", values: []string{"'a'", "'b'", "'Ä'", "'z'"}, another: "'A'"},
	{name: "insensitive", columns: "k text COLLATE insensitive", values: []string{"'a'", "'b'", "'Ä'", "'z'"}, another: "'A'"},
	{name: "uuid", columns: "k uuid", values: []string{
		"'01234567-89ab-cdef-0123-456789abcdef'", "'123e4567-e89b-12d3-a456-426614174000'",
		"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
	}},
	{name: "enum", columns: "k mood", values: []string{"'sad'", "'so so'", "'happy'", "'it''s'"}},
	{name: "domain_enum", columns: "k feeling", equal: "k::mood", values: []string{"'sad'", "'so so'", "'happy'", "'it''s'"}},
	{name: "domain_int", columns: "k positive", values: []string{"1", "2", "3", "4"}},
	{name: "two_domains", columns: "k positive, j feeling", equal: "k, j::mood", values: []string{"1, 'sad'", "1, 'happy'", "2, 'sad'", "3, 'so so'"}},
	{name: "bytea", columns: "k bytea", values: []string{`'\x'`, `'\x00'`, `'\x5c22'`, `'\xff'`}},
	{name: "date", columns: "k date", values: []string{"'infinity'", "'0044-03-15 BC'", "'2001-02-03'", "'2001-02-04'"}},
	{name: "timestamp", columns: "k timestamp", values: []string{"'infinity'", "'2001-02-03 04:05:06.000007'", "'-infinity'", "'2001-02-03'"}},
	{name: "timestamptz", columns: "k timestamptz", values: []string{"'2001-02-03 04:05:06+05'", "'2001-02-03Z'", "'-infinity'", "'2001-07-03Z'"}},
	{name: "interval", columns: "k interval", values: []string{"'1 mon'", "'31 days'", "'-1 day'", "'00:00:01'"}, another: "'30 days'"},
	{name: "inet", columns: "k inet", values: []string{"'10.0.0.1'", "'10.0.0.0/8'", "'::1'", "'192.168.0.1/24'"}},
	{name: "macaddr", columns: "k macaddr", values: []string{"'08:00:2b:01:02:03'", "'00:00:00:00:00:00'", "'ff:ff:ff:ff:ff:ff'", "'01:00:00:00:00:00'"}},
	{name: "jsonb", columns: "k jsonb", values: []string{`'{"a": 1.0}'`, `'[]'`, `'"x\\y"'`, "'null'"}, another: `'{"a": 1.00}'`},
	{name: "range", columns: "k int4range", values: []string{"'[1,5)'", "'empty'", "'(,)'", "'[2,3]'"}},
	{name: "array", columns: "k int[]", values: []string{"'{1,2}'", "'{}'", "'{3}'", "'{NULL}'"}},
	{name: "two_arrays", columns: "k text[], j int", values: []string{"'{a,\"b c\"}', 1", "'{}', 2", "'{NULL}', 3", `'{"\"\\"}', 4`}},
	{name: "composite", columns: "k pair", values: []string{"ROW(1, 'a')::pair", "ROW(1, 'b \"c')::pair", "ROW(2, '')::pair", "ROW(0, '(,)')::pair"}},
	{name: "regclass", columns: "k regclass", values: []string{"'pg_class'::regclass", "'pg_type'::regclass", "'pg_proc'::regclass", "'pg_attribute'::regclass"}},
	{name: "oid", columns: "k oid", values: []string{"1", "2", "4294967295", "0"}},
	{name: "three", columns: "b text, k int, a numeric", values: []string{"'x', 1, 1.0", "'x', 2, 1.0", "'', 0, 0", "'y', 1, 1.5"}, another: "'x', 1, 1.00"},
	{name: "odd_names", schema: `"Odd ""Schema"""`, table: `"Ta.ble ""x"" y"`, columns: `"k""1" int, "select" text`, values: []string{"1, 'a'", "2, 'a'", "1, 'b'", "3, ''"}},
	{
		name: "our_names", table: "socksync_keys", columns: "socksync_key_1 int, socksync_k1 text, socksync_row int",
		values: []string{"1, 'a', 0", "2, 'a', 0", "1, 'b', 0", "3, '', 0"}, json: "socksync_row",
	},
	{name: "order_names", table: "socksync_order_1", columns: "socksync_order_1 text, socksync_k1 int", values: []string{"'b', 1", "'a', 10", "'c', 9", "'d', 2"}},
	{name: "swapped", columns: "k numeric, j text", values: []string{"1.0, 'x'", "2, 'x'", "3, 'x'", "4, 'x'"}, another: "1.00, 'x'", json: "j"},
}

const makeKeyTypes = `
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('happy', 'so so', 'sad', 'it''s');
CREATE DOMAIN feeling AS mood;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (n int, t text);
CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE SCHEMA "Odd ""Schema""";`

func (k *keyKind) tableSQL() string {
	table, schema := k.table, k.schema
	if table == "" {
		table = k.name + "_keys"
	}
	if schema == "" {
		return table
	}
	return schema + "." + table
}

// keys are the names of the key columns, quoted and as they are.
func (k *keyKind) keys(t *testing.T) (quoted, names []string) {
	for _, column := range strings.Split(k.columns, ", ") {
		name, _, _ := strings.Cut(column, " ")
		if strings.HasPrefix(column, `"`) {
			name = column[:strings.LastIndex(column, `" `)+1]
		}
		quoted = append(quoted, name)
		parsed, err := binding.ParseTable(name)
		require.NoError(t, err)
		names = append(names, parsed.Name)
	}
	return quoted, names
}

// list defines a list without a struct.
func (k *keyKind) list(t *testing.T, order ...binding.OrderTerm) *binding.ListDef {
	_, names := k.keys(t)
	def := &binding.ListDef{Name: fmt.Sprint(k.name, order), Table: k.tableSQL(), Key: names, Order: order, MaxPageSize: 20}
	for _, name := range names {
		def.Columns = append(def.Columns, binding.Column{Name: name, JSON: name})
	}
	if k.json != "" {
		def.Columns[len(names)-1].JSON = names[0]
		def.Columns[0].JSON = k.json
	}
	def.Columns = append(def.Columns, binding.Column{Name: "v", JSON: "v"})
	return def
}

// oracle is the query for all rows of the list.
func (k *keyKind) oracle(t *testing.T, def *binding.ListDef, order string) string {
	quoted, _ := k.keys(t)
	var columns []string
	for i, c := range def.Columns {
		switch {
		case i == len(quoted):
			columns = append(columns, "t0.v")
		case c.JSON != "":
			columns = append(columns, "t0."+quoted[i]+" AS "+binding.QuoteIdent(c.JSON))
		}
	}
	return fmt.Sprintf("SELECT (SELECT row_to_json(r.*)::text FROM (SELECT %s) r) FROM %s t0 ORDER BY %st0.%s",
		strings.Join(columns, ", "), k.tableSQL(), order, strings.Join(quoted, ", t0."))
}

// statements are the changes of the test.
func (k *keyKind) statements(t *testing.T) []string {
	quoted, _ := k.keys(t)
	table := k.tableSQL()
	key := "(" + strings.Join(quoted, ", ") + ")"
	equal := k.equal
	if equal == "" {
		equal = strings.Join(quoted, ", ")
	}
	is := func(i int) string { return "ROW(" + equal + ") = ROW(" + k.values[i] + ")" }
	list := []string{
		fmt.Sprintf("INSERT INTO %s VALUES (%s, 5)", table, k.values[0]),
		fmt.Sprintf("INSERT INTO %s VALUES (%s, 3), (%s, 4)", table, k.values[1], k.values[2]),
		fmt.Sprintf("UPDATE %s SET v = 9 WHERE %s", table, is(1)),
		fmt.Sprintf("UPDATE %s SET %s = ROW(%s) WHERE %s", table, key, k.values[3], is(2)),
	}
	if k.another != "" {
		list = append(list,
			fmt.Sprintf("UPDATE %s SET %s = ROW(%s) WHERE %s", table, key, k.another, is(0)),
			fmt.Sprintf("UPDATE %s SET v = 7 WHERE %s", table, is(0)))
	}
	return append(list,
		fmt.Sprintf("DELETE FROM %s WHERE %s; INSERT INTO %s VALUES (%s, 0)", table, is(0), table, k.values[0]),
		fmt.Sprintf("UPDATE %s SET v = -v", table),
		fmt.Sprintf("DELETE FROM %s WHERE %s", table, is(1)))
}

// TestKeyKinds changes tables with keys of all kinds, and compares lists that have no
// struct with the database. One list of each kind is placed by Postgres.
func TestKeyKinds(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(6))
	ctx := context.Background()
	_, err := pool.Exec(ctx, makeKeyTypes)
	require.NoError(t, err)
	l := newLive(t, pool)
	var sources []window.Source
	var defs []*binding.ListDef
	for i := range keyKinds {
		k := &keyKinds[i]
		quoted, _ := k.keys(t)
		_, err := pool.Exec(ctx, fmt.Sprintf("CREATE TABLE %s (%s, v int, PRIMARY KEY (%s))", k.tableSQL(), k.columns, strings.Join(quoted, ", ")))
		require.NoError(t, err, k.name)
		for _, order := range [][]binding.OrderTerm{nil, {{Column: "v", Desc: true}}} {
			def := k.list(t, order...)
			defs = append(defs, def)
			sources = append(sources, l.list(def))
		}
	}
	l.run(nil)
	for i := range keyKinds {
		t.Run(keyKinds[i].name, func(t *testing.T) {
			compareKind(t, l, &keyKinds[i], defs[2*i:2*i+2], sources[2*i:2*i+2])
		})
	}
}

func compareKind(t *testing.T, l *live, k *keyKind, defs []*binding.ListDef, sources []window.Source) {
	queries := []string{k.oracle(t, defs[0], ""), k.oracle(t, defs[1], "t0.v DESC, ")}
	var tracers []*tracer
	for _, s := range sources {
		for page := range 3 {
			s := trace(t, s)
			s.get(page, 2)
			s.until(shownPage{page: page, size: 2, items: []string{}})
			tracers = append(tracers, s)
		}
	}
	l.engine.PlaceByPostgres(defs[1].Name)
	for _, sql := range k.statements(t) {
		_, err := l.pool.Exec(context.Background(), sql)
		require.NoError(t, err, sql)
		for i, s := range tracers {
			all := l.answer(t, queries[i/3])
			from := min(2*(i%3), len(all))
			s.until(shownPage{i % 3, 2, len(all), all[from:min(from+2, len(all))]})
		}
	}
}

// answer returns the rows of a query as texts.
func (l *live) answer(t *testing.T, query string) []string {
	t.Helper()
	ctx := context.Background()
	var all []string
	err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "SET LOCAL timezone = 'UTC'")
		require.NoError(t, err)
		rows, err := tx.Query(ctx, query)
		require.NoError(t, err, query)
		all, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	require.NoError(t, err, query)
	return all
}
