package view

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/pgtest"
)

const makeQueryTables = makeFactTypes + `
CREATE TABLE base (id int PRIMARY KEY, note text COLLATE "C", odd text COLLATE "Ins ensitive", plain text, m deep, l label, p pair,
  code char(4), c "Ext".citext, at timestamptz(3), price numeric(6,2), tags text[], n name);
CREATE VIEW seen AS SELECT id, note AS shown, l FROM base;`

// queryOutputs are outputs of all kinds. What is expected of them is from the documentation of Postgres.
var queryOutputs = []struct {
	sql  string
	want choice.Column
}{
	{"b.id", choice.Column{Type: "integer", OID: pgtype.Int4OID}},
	{"b.id + 1.5", choice.Column{Type: "numeric", OID: pgtype.NumericOID}},
	{"b.id::bigint", choice.Column{Type: "bigint", OID: pgtype.Int8OID}},
	{"b.note", choice.Column{Type: "text", OID: pgtype.TextOID, Text: true, Collation: `pg_catalog."C"`}},
	{"lower(b.note)", choice.Column{Type: "text", OID: pgtype.TextOID, Text: true, Collation: `pg_catalog."C"`}},
	{`b.note COLLATE "Ins ensitive"`, choice.Column{Type: "text", OID: pgtype.TextOID, Text: true, Collation: `public."Ins ensitive"`}},
	{"b.odd", choice.Column{Type: "text", OID: pgtype.TextOID, Text: true, Collation: `public."Ins ensitive"`}},
	{"b.note || b.plain", choice.Column{Type: "text", OID: pgtype.TextOID, Text: true, Collation: `pg_catalog."C"`}},
	{"b.note || b.odd", choice.Column{Type: "text", OID: pgtype.TextOID}}, // neither of the two collations
	{"b.plain", choice.Column{Type: "text", OID: pgtype.TextOID, Text: true}},
	{"'literal'", choice.Column{Type: "text", OID: pgtype.TextOID, Text: true}},
	{"NULL", choice.Column{Type: "text", OID: pgtype.TextOID, Text: true}},
	{"b.plain::varchar(3)", choice.Column{Type: "character varying", OID: pgtype.VarcharOID, Text: true}},
	{"b.code", choice.Column{Type: "bpchar", OID: pgtype.BPCharOID, Text: true}},
	{"b.n", choice.Column{Type: "name", OID: pgtype.NameOID, Text: true, Collation: `pg_catalog."C"`}},
	{"b.c", choice.Column{Type: `"Ext".citext`, Text: true, Output: true, Operators: `"Ext"`}},
	{"b.m", choice.Column{Type: "mood", Domain: true, Enum: true, Output: true}},
	{"b.m::mood", choice.Column{Type: "mood", Enum: true, Output: true}},
	{"b.l", choice.Column{Type: "character varying", OID: pgtype.VarcharOID, Domain: true, Text: true, Collation: `pg_catalog."C"`}},
	{"'x'::label", choice.Column{Type: "character varying", OID: pgtype.VarcharOID, Domain: true, Text: true, Collation: `pg_catalog."C"`}},
	{"b.p", choice.Column{Type: "pair", Composite: true, Output: true}},
	{"b", choice.Column{Type: "base", Composite: true, Output: true}},
	{"ROW(b.id, b.note)", choice.Column{Type: "record", OID: pgtype.RecordOID}},
	{"b.tags", choice.Column{Type: "text[]", OID: pgtype.TextArrayOID, Array: true}},
	{"array[b.m]", choice.Column{Type: "deep[]", Array: true, Output: true}},
	{"(SELECT count(*) FROM base)", choice.Column{Type: "bigint", OID: pgtype.Int8OID}},
	{"sum(b.price) OVER ()", choice.Column{Type: "numeric", OID: pgtype.NumericOID}},
	{"b.at::date", choice.Column{Type: "date", OID: pgtype.DateOID}},
	{"date_trunc('day', b.at)", choice.Column{Type: "timestamp with time zone", OID: pgtype.TimestamptzOID}},
	{"exists (SELECT FROM base)", choice.Column{Type: "boolean", OID: pgtype.BoolOID}},
	{"jsonb_build_object('id', b.id)", choice.Column{Type: "jsonb", OID: pgtype.JSONBOID}},
	{"to_json(b)", choice.Column{Type: "json", OID: pgtype.JSONOID}},
	{"'base'::regclass", choice.Column{Type: "regclass", OID: 2205}},
	{"coalesce(s.shown, b.plain)", choice.Column{Type: "text", OID: pgtype.TextOID, Text: true, Collation: `pg_catalog."C"`}},
	{"s.l", choice.Column{Type: "character varying", OID: pgtype.VarcharOID, Domain: true, Text: true, Collation: `pg_catalog."C"`}},
}

// queryIncomparable are outputs without operators.
var queryIncomparable = map[string]bool{"to_json(b)": true, "b.note || b.odd": true, "ROW(b.id, b.note)": true}

// TestOutputs holds what is found out about the rows of a query against what is documented, however the query is made.
func TestOutputs(t *testing.T) {
	t.Parallel()
	var outputs []string
	def := &binding.ListDef{}
	for i, o := range queryOutputs {
		name := fmt.Sprintf("c %d", i)
		outputs = append(outputs, o.sql+" AS "+binding.QuoteIdent(name))
		def.Columns = append(def.Columns, binding.Column{Name: name, JSON: name})
	}
	query := "SELECT " + strings.Join(outputs, ", ") + " FROM base b LEFT JOIN seen s USING (id)"
	for form, query := range map[string]string{
		"select":  query + " -- and a comment",
		"CTE":     "WITH w AS MATERIALIZED (" + query + ") SELECT * FROM w",
		"lateral": "SELECT w.* FROM (VALUES (1)) v (n) CROSS JOIN LATERAL (" + query + " WHERE b.id > v.n) w",
		"union":   "(" + query + ") UNION ALL (" + query + ")",
		"limited": query + " ORDER BY b.id LIMIT 5",
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t)
			makeTables(t, pool, makeQueryTables)
			def := *def
			def.Query = query
			read(t, pool, func(ctx context.Context, tx pgx.Tx) {
				columns, err := readOutputs(ctx, tx, &def, false)
				require.NoError(t, err)
				for i, o := range queryOutputs {
					checkOutput(t, o.sql, o.want, columns[fmt.Sprintf("c %d", i)].choosable("j"))
				}
			})
		})
	}
}

func checkOutput(t *testing.T, about string, want, have choice.Column) {
	t.Helper()
	want.Name, want.JSON, want.Unicode = have.Name, "j", true
	want.Equal, want.Ordered = !queryIncomparable[about], !queryIncomparable[about]
	want.Deterministic = !strings.Contains(want.Collation, "Ins")
	if want.Operators == "" {
		want.Operators = have.Operators
		require.Contains(t, []string{"", "pg_catalog"}, have.Operators, about)
	}
	if want.OID == 0 {
		require.NotZero(t, have.OID, about)
		want.OID = have.OID
	}
	require.Equal(t, want, have, about)
}

func makeTables(t testing.TB, pool *pgxpool.Pool, sql string) {
	t.Helper()
	_, err := pool.Exec(context.Background(), sql)
	require.NoError(t, err)
}

// read runs a test in a transaction like those of a check.
func read(t testing.TB, pool *pgxpool.Pool, do func(context.Context, pgx.Tx)) {
	t.Helper()
	ctx := context.Background()
	tx, err := pool.BeginTx(ctx, readOnly)
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(ctx)) }()
	do(ctx, tx)
}

// relationOf holds a definition against the database, as the engine does.
func relationOf(t testing.TB, pool *pgxpool.Pool, def *binding.ListDef) (*relation, error) {
	t.Helper()
	e := New(&Config{Pool: pool})
	e.List(def.WithDefaults())
	var r *relation
	err := e.try(context.Background(), func(tx pgx.Tx) (err error) {
		r, err = newRelation(context.Background(), tx, e, def.WithDefaults())
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, e.try(context.Background(), func(tx pgx.Tx) error { return e.findTables(context.Background(), tx) })
}

func columnsNamed(names ...string) (columns []binding.Column) {
	for _, name := range names {
		columns = append(columns, binding.Column{Name: name, JSON: name})
	}
	return columns
}

// TestQueryMistakes has queries of which no list can be made.
func TestQueryMistakes(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	makeTables(t, pool, makeQueryTables+`
CREATE FUNCTION write() RETURNS int LANGUAGE plpgsql AS $$BEGIN INSERT INTO base (id) VALUES (1); RETURN 1; END$$;`)
	for _, c := range []struct {
		query string
		key   []string
		order string
		want  string
	}{
		{"SELECT id FROM", []string{"id"}, "", "not a SELECT that Postgres understands"},
		{"SELECT id FROM base; SELECT 1", []string{"id"}, "", "not a SELECT that Postgres understands"},
		{"DELETE FROM base RETURNING id", []string{"id"}, "", "not a SELECT that Postgres understands"},
		{"WITH d AS (DELETE FROM base RETURNING id) SELECT * FROM d", []string{"id"}, "", "data-modifying"},
		{"SELECT id FROM base FOR UPDATE", []string{"id"}, "", "read-only transaction"},
		{"SELECT id FROM base WHERE id = $1", []string{"id"}, "", "has parameters"},
		{"SELECT id, id FROM base", []string{"id"}, "", `gives 2 columns of the name "id"`},
		{"SELECT id FROM base", []string{"no"}, "", `the query gives no column "no" (key)`},
		{"SELECT id FROM base", []string{"id"}, "no", `the query gives no column "no" (order)`},
		{"SELECT to_json(b) AS id FROM base b", []string{"id"}, "", `column "id" of type json cannot be compared`},
		{"SELECT ROW(1, 2) AS id", []string{"id"}, "", `column "id" of type record cannot be compared`},
		{"SELECT note || odd AS id FROM base", []string{"id"}, "", "add COLLATE in the query"},
		{"SELECT id, note || odd AS o FROM base", []string{"id"}, "o", "add COLLATE in the query"},
		{"SELECT price AS id FROM base GROUP BY 1", []string{"id"}, "", "may be written in several ways"},
		{"SELECT id::text FROM base", []string{"id"}, "", `id of "base" is of type integer, and column "id" of the key of type text`},
	} {
		def := &binding.ListDef{
			Name: "l", Query: c.query, Key: c.key, Columns: columnsNamed(c.key...),
			Depends: []binding.Dependency{{Table: "base", Columns: []string{"id"}}},
		}
		if strings.Contains(c.want, "several ways") {
			def.Depends[0].Columns = []string{"price"}
		}
		if c.order != "" {
			def.Order = []binding.OrderTerm{{Column: c.order}}
		}
		_, err := relationOf(t, pool, def)
		require.ErrorContains(t, err, c.want, c.query)
		require.ErrorContains(t, err, `list "l"`)
	}
}

// TestQueryRows reads rows of queries by keys of all kinds, and finds those that reading all of them finds.
func TestQueryRows(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	makeTables(t, pool, makeQueryTables+`
INSERT INTO base (id, note, m, l, tags, code, odd) SELECT g, 'n' || g % 3, (array['happy', 'sad'])[1 + g % 2]::mood, 'l' || g % 5,
  array['t' || g % 4, '"'], 'c' || g % 3, 'o' || g FROM generate_series(1, 40) g;`)
	for query, key := range map[string][]string{
		"SELECT b.id, s.shown FROM base b JOIN seen s USING (id)":           {"id"},
		"SELECT m AS id, count(*) FROM base GROUP BY 1":                     {"id"},
		"SELECT tags AS id, count(*) FROM base GROUP BY 1":                  {"id"},
		"SELECT l AS id, count(*) FROM base GROUP BY 1":                     {"id"},
		"SELECT l, m, code, max(id) AS id FROM base GROUP BY 1, 2, 3 -- so": {"l", "m", "code"},
		"SELECT note, tags, id FROM base":                                   {"note", "tags", "id"},
		"SELECT DISTINCT id % 7 AS id, note FROM base":                      {"note", "id"},
		"SELECT id, 'a' AS k FROM base UNION ALL SELECT id, 'b' FROM base":  {"k", "id"},
	} {
		def := &binding.ListDef{
			Name: "l", Query: query, Key: key, Columns: columnsNamed(union(key, []string{"id"})...), Recompute: time.Second,
			Tables: []string{"base"},
		}
		r, err := relationOf(t, pool, def)
		require.NoError(t, err, query)
		read(t, pool, func(ctx context.Context, tx pgx.Tx) {
			all := rowsOfQuery(t, tx, r, "SELECT "+r.keys+r.row+r.from())
			require.NotEmpty(t, all)
			var keys []string
			half := map[string]string{}
			for k, row := range all {
				if len(half) < (len(all)+1)/2 {
					half[k] = row
					keys = append(keys, k, k) // a key that comes twice yields one row
				}
			}
			require.Equal(t, half, rowsOfQuery(t, tx, r, r.rowsSQL, keyArrays(keys, len(key))...), query)
			require.Empty(t, rowsOfQuery(t, tx, r, r.rowsSQL, keyArrays(nil, len(key))...), query)
		})
	}
}

func rowsOfQuery(t testing.TB, tx pgx.Tx, r *relation, sql string, args ...any) map[string]string {
	t.Helper()
	rows, err := tx.Query(context.Background(), sql, args...)
	require.NoError(t, err, sql)
	found := map[string]string{}
	require.NoError(t, collect(rows, func(rows pgx.Rows) error {
		values := rows.RawValues()
		key := r.mapped(values[:len(r.def.Key)])
		require.NotContains(t, found, key, sql)
		found[key] = string(values[len(r.def.Key)])
		return nil
	}), sql)
	return found
}

// TestNullKey has a row of a query without a key.
func TestNullKey(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	makeTables(t, pool, makeQueryTables+`INSERT INTO base (id, note, n) VALUES (1, NULL, 'x');`)
	for _, key := range [][]string{{"note"}, {"id", "note"}} {
		def := &binding.ListDef{
			Name: "l", Query: "SELECT note, id FROM base", Key: key, Columns: columnsNamed("note", "id"), Recompute: time.Second, Tables: []string{"base"},
		}
		r, err := relationOf(t, pool, def)
		require.NoError(t, err)
		read(t, pool, func(ctx context.Context, tx pgx.Tx) {
			rows, err := tx.Query(ctx, "SELECT "+r.keys+r.from())
			require.NoError(t, err)
			require.ErrorIs(t, collect(rows, func(rows pgx.Rows) error { return r.checkKey(rows.RawValues()) }), errNullKey)
		})
	}
}

// TestKeysOfIdentities leaves what an identity says of a key out of the key that is published.
func TestKeysOfIdentities(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	makeTables(t, pool, "CREATE TABLE bookings (who text, flight int, at date, PRIMARY KEY (who, flight))")
	def := &binding.ListDef{Name: "l", Table: "bookings", Key: []string{"who", "flight"}, Columns: []binding.Column{
		{Name: "who", JSON: "w"}, {Name: "flight", JSON: "f"}, {Name: "at", JSON: "at"},
	}, Where: "at > '2026-01-01' AND who = @user"}
	r := &relation{def: def, columns: map[string]column{}}
	r.describeKey()
	require.Equal(t, []string{"", "f"}, r.keyJSON)
}

// TestQueryPlans reads rows by key without reading all: each way of finding them is one that Postgres hands down into the
// query.
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	makeTables(t, pool, `
CREATE TABLE planes (id int PRIMARY KEY, origin text, day date, n int);
CREATE TABLE towns (iata text PRIMARY KEY, city text);
CREATE INDEX ON planes (origin, day);
INSERT INTO planes SELECT g, 'o' || g % 500, '2026-01-01'::date + g % 40, g FROM generate_series(1, 20000) g;
INSERT INTO towns SELECT 'o' || g, 'c' FROM generate_series(1, 500) g; ANALYZE;`)
	for query, key := range map[string][]string{
		"SELECT p.*, t.city FROM planes p LEFT JOIN towns t ON t.iata = p.origin":                                {"id"},
		"SELECT origin, count(*) AS n FROM planes GROUP BY 1":                                                    {"origin"},
		"SELECT origin, day, count(*) AS n FROM planes GROUP BY 1, 2":                                            {"origin", "day"},
		"SELECT p.origin, p.day, max(t.city) AS n FROM planes p JOIN towns t ON t.iata = p.origin GROUP BY 1, 2": {"origin", "day"},
		"SELECT id, origin FROM planes UNION ALL SELECT -id, origin FROM planes":                                 {"origin", "id"},
		"SELECT DISTINCT origin, day FROM planes":                                                                {"day", "origin"},
	} {
		def := &binding.ListDef{
			Name: "l", Query: query, Key: key, Columns: columnsNamed(key...), Recompute: time.Second, Tables: []string{"planes", "towns"},
		}
		r, err := relationOf(t, pool, def)
		require.NoError(t, err, query)
		ctx := context.Background()
		require.NoError(t, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, indexesSQL+"; SET LOCAL plan_cache_mode = force_generic_plan; PREPARE stmt AS "+r.rowsSQL, pgx.QueryExecModeSimpleProtocol)
			require.NoError(t, err)
			plan, err := planOf(ctx, tx, "EXPLAIN (FORMAT JSON) EXECUTE stmt("+strings.Repeat(", '{}'", len(key))[2:]+")")
			require.NoError(t, err)
			require.True(t, plan.indexed(), "%s: %+v", query, plan)
			_, err = tx.Exec(ctx, "DEALLOCATE stmt")
			return err
		}), query)
	}
}
