package choice_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// kind is a column of the test's table. What a choice needs to know of it is written down here, from the documentation
// of Postgres.
type kind struct {
	name   string
	sql    string   // the type in CREATE TABLE
	values []string // of rows, as SQL puts them between quotes
	others []string // JSON values that subscribers send, beside those of rows
	column choice.Column
	base   string // in SQL, how the oracle must see the column to compare it; "" is the column itself
	typed  string // in SQL, where a literal would not become the column's type by itself
	lower  string // collation for a word to search for, "" for none
}

// both are the flags of a type with all comparisons.
func both(c choice.Column) choice.Column {
	c.Equal, c.Ordered, c.Deterministic, c.Unicode = true, true, true, true
	return c
}

func builtin(oid uint32, name string) choice.Column {
	return both(choice.Column{OID: oid, Type: name, Operators: "pg_catalog"})
}

func text(oid uint32, name, collation string) choice.Column {
	c := builtin(oid, name)
	c.Text, c.Collation = true, collation
	return c
}

// own is a type of the test's own, the OID of which nobody needs to know.
func own(name string, change func(*choice.Column)) choice.Column {
	c := both(choice.Column{Type: name, Operators: "pg_catalog", Output: true})
	change(&c)
	return c
}

var words = []string{
	"", "a", "A", "b", "B", "ä", "Ä", "a b", "ab", "AB", "a-b", "zebra", "Zebra", "é", "e\u0301", "\U0001F600", "ss", "ß", "İ", "i",
	"Σίσυφος", "ΣΊΣΥΦΟΣ", "100%", "a_b", `back\slash`, `"quoted"`, "it's", "{a,b}", "NULL", "  padded  ", "10", "9", "tab\there",
}

// kinds are the columns.
var kinds = []kind{
	{name: "smallint", sql: "smallint", values: []string{"-32768", "-1", "0", "7", "32767"}, others: []string{`7`, `"007"`, `-0`, `" 7 "`, `8`}, column: builtin(pgtype.Int2OID, "smallint")},
	{name: "integer", sql: "integer", values: []string{"-2147483648", "-1", "0", "5", "2147483647"}, others: []string{`5`, `"5"`, `"+5"`, `"-0"`}, column: builtin(pgtype.Int4OID, "integer")},
	{name: "bigint", sql: "bigint", values: []string{"-9223372036854775808", "0", "12", "9007199254740993", "9223372036854775807"}, others: []string{`9007199254740993`, `12`, `9007199254740992`}, column: builtin(pgtype.Int8OID, "bigint")},
	{name: "oid", sql: "oid", values: []string{"0", "1", "4294967295"}, others: []string{`1`, `"-1"`, `4294967295`}, column: builtin(pgtype.OIDOID, "oid")},
	{name: "xid", sql: "xid", values: []string{"0", "1", "4294967295"}, others: []string{`1`, `"2"`}, column: func() choice.Column {
		c := builtin(pgtype.XIDOID, "xid")
		c.Ordered = false
		return c
	}()},
	{name: "boolean", sql: "boolean", values: []string{"true", "false"}, others: []string{`true`, `false`, `"t"`, `"no"`, `"TRUE"`, `1`}, column: builtin(pgtype.BoolOID, "boolean")},
	{name: "real", sql: "real", values: []string{"-0", "0", "1e-40", "3.5", "0.1", "1e30", "NaN", "Infinity", "-Infinity"}, others: []string{`0`, `-0`, `0.1`, `3.50`, `"nan"`}, column: builtin(pgtype.Float4OID, "real")},
	{name: "double", sql: "double precision", values: []string{"-0", "0", "0.1", "1e300", "NaN", "-Infinity"}, others: []string{`0`, `0.1`, `1e2`, `0.10000000000000001`}, column: builtin(pgtype.Float8OID, "double precision")},
	{name: "numeric", sql: "numeric", values: []string{"0", "1", "1.0", "1.00", "-0.5", "12345678901234567890.123", "1e-20", "NaN", "100"}, others: []string{`1`, `1.000`, `1e2`, `"1.0"`, `0.0`, `-0`}, column: builtin(pgtype.NumericOID, "numeric")},
	{name: "numeric_scale", sql: "numeric(6,2)", values: []string{"0", "1", "-0.5", "99.99"}, others: []string{`1`, `1.005`, `99.990`}, column: builtin(pgtype.NumericOID, "numeric")},
	{name: "money", sql: "money", values: []string{"-1", "0", "1000.50"}, others: []string{`0`, `1000.5`}, column: builtin(790, "money")},
	{name: "text", sql: "text", values: words, others: []string{`5`, `true`}, column: text(pgtype.TextOID, "text", "")},
	{name: "text_c", sql: `text COLLATE "C"`, values: words, column: text(pgtype.TextOID, "text", `"C"`), lower: `"C"`},
	{name: "text_icu", sql: `text COLLATE "en-x-icu"`, values: words, column: text(pgtype.TextOID, "text", `"en-x-icu"`), lower: `"en-x-icu"`},
	{name: "text_turkish", sql: `text COLLATE "tr-x-icu"`, values: words, column: text(pgtype.TextOID, "text", `pg_catalog."tr-x-icu"`), lower: `"tr-x-icu"`},
	{name: "insensitive", sql: `text COLLATE insensitive`, values: words, column: func() choice.Column {
		c := text(pgtype.TextOID, "text", "public.insensitive")
		c.Deterministic = false
		return c
	}(), lower: "insensitive"},
	{name: "varchar", sql: "varchar(40)", values: words, column: text(pgtype.VarcharOID, "character varying", "")},
	{name: "char_n", sql: "char(12)", values: []string{"a", "a ", "A", "b", "", "ab", "ä"}, others: []string{`"a   "`, `"ab "`}, column: text(pgtype.BPCharOID, "bpchar", "")},
	{name: "name", sql: "name", values: []string{"a", "B", "b", "", "ab", strings.Repeat("n", 63)}, others: []string{`"` + strings.Repeat("n", 70) + `"`}, column: text(pgtype.NameOID, "name", `"C"`), lower: `"C"`},
	{name: "quoted_char", sql: `"char"`, values: []string{"a", "b", "Z"}, others: []string{`"ab"`}, column: builtin(pgtype.QCharOID, `"char"`)},
	{name: "citext", sql: "citext", values: words, column: own("citext", func(c *choice.Column) { c.Text, c.Operators = true, "public" })},
	{name: "uuid", sql: "uuid", values: []string{"00000000-0000-0000-0000-000000000000", "123e4567-e89b-12d3-a456-426614174000"}, others: []string{`"123E4567-E89B-12D3-A456-426614174000"`, `"{123e4567e89b12d3a456426614174000}"`}, column: builtin(pgtype.UUIDOID, "uuid")},
	{name: "bytea", sql: "bytea", values: []string{`\x`, `\x00`, `\x00ff`, `\xFF`}, others: []string{`"\\xff"`, `"\\377"`, `"abc"`}, column: builtin(pgtype.ByteaOID, "bytea")},
	{name: "date", sql: "date", values: []string{"-infinity", "4713-01-01 BC", "2001-02-03", "infinity"}, others: []string{`"3 Feb 2001"`, `"today"`, `"epoch"`}, column: builtin(pgtype.DateOID, "date")},
	{name: "time", sql: "time", values: []string{"00:00", "12:34:56.789", "24:00"}, others: []string{`"0:0"`, `"12:34:56.789000"`}, column: builtin(pgtype.TimeOID, "time without time zone")},
	{name: "timetz", sql: "timetz", values: []string{"00:00+02", "23:59:59-12", "01:00+03"}, others: []string{`"22:00Z"`}, column: builtin(pgtype.TimetzOID, "time with time zone")},
	{name: "timestamp", sql: "timestamp", values: []string{"-infinity", "1999-12-31 23:59:59.999999", "2000-01-01", "infinity"}, others: []string{`"2000-01-01T00:00:00"`, `"now"`}, column: builtin(pgtype.TimestampOID, "timestamp without time zone")},
	{name: "timestamptz", sql: "timestamptz", values: []string{"2000-01-01 00:00:00.000001Z", "2000-01-01 02:00+02", "infinity"}, others: []string{`"2000-01-01T00:00:00Z"`, `"now"`, `"1 Jan 2000 01:00 CET"`}, column: builtin(pgtype.TimestamptzOID, "timestamp with time zone")},
	{name: "interval", sql: "interval", values: []string{"1 month", "30 days", "29 days", "720:00:00", "-1 day"}, others: []string{`"P1M"`}, column: builtin(pgtype.IntervalOID, "interval")},
	{name: "jsonb", sql: "jsonb", values: []string{"1", "1.0", `"a"`, `{"a":1}`, "[]", "true"}, others: []string{`1.00`, `true`, `2`}, column: builtin(pgtype.JSONBOID, "jsonb")},
	{name: "json", sql: "json", values: []string{"1", `{"a":1}`}, column: choice.Column{OID: pgtype.JSONOID, Type: "json", Deterministic: true}},
	{name: "point", sql: "point", values: []string{"(1,2)"}, column: choice.Column{OID: pgtype.PointOID, Type: "point", Deterministic: true}},
	{name: "inet", sql: "inet", values: []string{"10.0.0.1", "10.0.0.0/8", "::1"}, others: []string{`"10.0.0.1/32"`}, column: builtin(pgtype.InetOID, "inet")},
	{name: "cidr", sql: "cidr", values: []string{"10.0.0.0/8", "10.0.0.0/16"}, others: []string{`"10/8"`}, column: builtin(pgtype.CIDROID, "cidr")},
	{name: "macaddr", sql: "macaddr", values: []string{"08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"}, others: []string{`"08-00-2B-01-02-03"`}, column: builtin(pgtype.MacaddrOID, "macaddr")},
	{name: "int_array", sql: "integer[]", values: []string{"{}", "{1}", "{1,2}", "{NULL}", "[2:2]={1}"}, others: []string{`"{ 1 , 2 }"`, `"{7}"`}, column: func() choice.Column {
		c := builtin(pgtype.Int4ArrayOID, "integer[]")
		c.Array = true
		return c
	}()},
	{name: "text_array", sql: "text[]", values: []string{"{}", "{a}", `{"a b","\"\\"}`, "{B}"}, others: []string{`"{a}"`, `"{\"a\"}"`}, column: func() choice.Column {
		c := builtin(pgtype.TextArrayOID, "text[]")
		c.Array = true
		return c
	}()},
	{name: "range", sql: "int4range", values: []string{"[1,5)", "empty", "(,3)"}, others: []string{`"[1,4]"`}, column: builtin(pgtype.Int4rangeOID, "int4range")},
	{name: "varbit", sql: "bit varying", values: []string{"0", "1", "01"}, others: []string{`"10"`}, column: builtin(pgtype.VarbitOID, "bit varying")},
	{name: "bit", sql: "bit(3)", values: []string{"101", "000"}, others: []string{`"111"`}, column: builtin(pgtype.BitOID, `"bit"`)},
	{name: "enum", sql: "mood", values: []string{"sad", "", "so so", "it's"}, others: []string{`"happy"`}, column: own("mood", func(c *choice.Column) { c.Enum = true })},
	{name: "cast_enum", sql: "shout", values: []string{"hey", "ho"}, column: own("shout", func(c *choice.Column) { c.Enum = true })},
	{name: "regclass", sql: "regclass", values: []string{"pg_class", "pg_type"}, others: []string{`1259`, `"pg_catalog.pg_type"`}, column: builtin(2205, "regclass"), typed: "::regclass"},
	{name: "composite", sql: "pair", values: []string{"(1,a)", "(1,\"b c\")", "(,)", "(2,)"}, others: []string{`"(1,\"a\")"`}, column: own("pair", func(c *choice.Column) { c.Composite = true }), typed: "::pair"},
	{name: "domain_int", sql: "positive", values: []string{"1", "2", "30"}, others: []string{`-1`, `2`}, column: func() choice.Column {
		c := builtin(pgtype.Int4OID, "integer")
		c.Domain = true
		return c
	}()},
	{name: "domain_enum", sql: "feeling", values: []string{"sad", "happy"}, base: "::mood", column: own("mood", func(c *choice.Column) { c.Enum, c.Domain = true, true })},
	{name: "domain_text", sql: `label COLLATE "C"`, values: words, column: func() choice.Column {
		c := text(pgtype.TextOID, "text", `"C"`)
		c.Domain = true
		return c
	}(), lower: `"C"`},
	{name: "Odd \"name\"", sql: "integer", values: []string{"1", "2"}, column: builtin(pgtype.Int4OID, "integer")},
}

const makeTypes = `
CREATE EXTENSION citext SCHEMA public;
CREATE TYPE mood AS ENUM ('happy', 'so so', 'sad', 'it''s', '');
CREATE DOMAIN feeling AS mood;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN label AS text;
CREATE TYPE pair AS (n int, t text);
CREATE TYPE shout AS ENUM ('hey', 'ho');
CREATE FUNCTION loud(shout) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'loud' $$;
CREATE CAST (shout AS text) WITH FUNCTION loud(shout) AS ASSIGNMENT;
CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false);`

// pins are the settings under which the feed reads.
const pins = `SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1;
SET bytea_output = 'hex'; SET lc_monetary = 'C'`

// searched are the columns that a search looks into.
var searched = []string{"text", "text_c", "text_icu", "text_turkish", "insensitive", "varchar", "char_n", "name", "citext", "domain_text"}

// sample is a table with a column of every kind.
type sample struct {
	t     *testing.T
	pool  *pgxpool.Pool
	rules *choice.Rules
	kinds map[string]*kind // by JSON name
	rows  int
}

// newSample makes the table. Each column has its values in an order of its own, with NULLs.
func newSample(t *testing.T, rows int, mode string, options ...pgtest.Option) *sample {
	t.Helper()
	ctx := context.Background()
	url := pgtest.URL(t, options...)
	if mode != "" {
		url += "&default_query_exec_mode=" + mode
	}
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, pins, pgx.QueryExecModeSimpleProtocol)
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	s := &sample{t: t, pool: pool, rows: rows, kinds: map[string]*kind{}}
	s.fill()
	def, columns := s.definition()
	require.NoError(t, def.Validate())
	s.rules, err = newRules(def, columns)
	require.NoError(t, err)
	return s
}

func (s *sample) exec(sql string, args ...any) {
	s.t.Helper()
	_, err := s.pool.Exec(context.Background(), sql, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	require.NoError(s.t, err, sql)
}

func (s *sample) fill() {
	s.exec(makeTypes)
	columns := []string{"id int PRIMARY KEY"}
	for _, k := range kinds {
		columns = append(columns, binding.QuoteIdent(k.name)+" "+k.sql)
	}
	s.exec("CREATE TABLE samples (" + strings.Join(columns, ", ") + ")")
	for row := 1; row <= s.rows; row++ {
		values := []string{fmt.Sprint(row)}
		for i, k := range kinds {
			value := "NULL"
			if n := row * (2*i + 7) % (len(k.values) + 1); n < len(k.values) {
				value = literal(k.values[n])
			}
			values = append(values, value)
		}
		s.exec("INSERT INTO samples VALUES (" + strings.Join(values, ", ") + ")")
	}
}

// literal is a text in SQL.
func literal(s string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// definition allows everything; JSON names are not column names.
func (s *sample) definition() (*binding.ListDef, map[string]choice.Column) {
	def := &binding.ListDef{
		Name: "samples", Table: "samples", Key: []string{"id"}, Columns: []binding.Column{{Name: "id", JSON: "id"}},
		Filter: []binding.FilterRule{{Column: "*"}}, Sort: []string{"*"}, Search: searched,
	}
	columns := map[string]choice.Column{"id": builtin(pgtype.Int4OID, "integer")}
	for i := range kinds {
		k := &kinds[i]
		c := k.column
		c.Name, c.JSON = k.name, "j "+k.name
		def.Columns = append(def.Columns, binding.Column{Name: k.name, JSON: c.JSON})
		columns[k.name] = c
		s.kinds[c.JSON] = k
	}
	id := columns["id"]
	id.Name, id.JSON = "id", "id"
	columns["id"] = id
	return def, columns
}

// names are the JSON names of the columns, in a fixed order.
func (s *sample) names() []string { return slices.Sorted(maps.Keys(s.kinds)) }

// quoted is a JSON string.
func quoted(text string) json.RawMessage {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return b
}

// begin runs f in a transaction, which is rolled back.
func (s *sample) begin(f func(ctx context.Context, tx pgx.Tx)) {
	s.t.Helper()
	ctx := context.Background()
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	require.NoError(s.t, err)
	defer func() { _ = tx.Rollback(ctx) }()
	f(ctx, tx)
}
