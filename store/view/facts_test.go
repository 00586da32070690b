package view

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/pgtest"
)

const makeFactTypes = `
CREATE SCHEMA "Ext";
CREATE EXTENSION citext SCHEMA "Ext";
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE DOMAIN feeling AS mood;
CREATE DOMAIN deep AS feeling;
CREATE DOMAIN label AS varchar(10) COLLATE "C";
CREATE TYPE pair AS (n int, t text);
CREATE TYPE odd AS (n int, j json);
CREATE TYPE texts AS RANGE (subtype = text);
CREATE COLLATION "Ins ensitive" (provider = icu, locale = 'und-u-ks-level2', deterministic = false);`

// factColumns are columns of all kinds. What is expected of them is from the documentation of Postgres.
var factColumns = []struct {
	sql  string
	want choice.Column
}{
	{"int", choice.Column{Type: "integer", OID: pgtype.Int4OID}},
	{"numeric(6,2)", choice.Column{Type: "numeric", OID: pgtype.NumericOID}},
	{"timestamptz(3)", choice.Column{Type: "timestamp with time zone", OID: pgtype.TimestamptzOID}},
	{"text", choice.Column{Type: "text", OID: pgtype.TextOID, Text: true}},
	{`text COLLATE "C"`, choice.Column{Type: "text", OID: pgtype.TextOID, Text: true, Collation: `pg_catalog."C"`}},
	{`text COLLATE "Ins ensitive"`, choice.Column{Type: "text", OID: pgtype.TextOID, Text: true, Collation: `public."Ins ensitive"`, Deterministic: false}},
	{"varchar(5)", choice.Column{Type: "character varying", OID: pgtype.VarcharOID, Text: true}},
	{"char(5)", choice.Column{Type: "bpchar", OID: pgtype.BPCharOID, Text: true}},
	{"name", choice.Column{Type: "name", OID: pgtype.NameOID, Text: true, Collation: `pg_catalog."C"`}},
	{`"char"`, choice.Column{Type: `"char"`, OID: pgtype.QCharOID}},
	{`"Ext".citext`, choice.Column{Type: `"Ext".citext`, Text: true, Output: true, Operators: `"Ext"`}},
	{"mood", choice.Column{Type: "mood", Enum: true, Output: true}},
	{"deep", choice.Column{Type: "mood", Domain: true, Enum: true, Output: true}},
	{"label", choice.Column{Type: "character varying", OID: pgtype.VarcharOID, Domain: true, Text: true, Collation: `pg_catalog."C"`}},
	{"int[][]", choice.Column{Type: "integer[]", OID: pgtype.Int4ArrayOID, Array: true}},
	{"deep[]", choice.Column{Type: "deep[]", Array: true, Output: true}},
	{"pair", choice.Column{Type: "pair", Composite: true, Output: true}},
	{"pair[]", choice.Column{Type: "pair[]", Array: true, Output: true}},
	{"texts", choice.Column{Type: "texts", Output: true}},
	{"int4multirange", choice.Column{Type: "int4multirange", OID: 4451}},
	{"jsonb", choice.Column{Type: "jsonb", OID: pgtype.JSONBOID}},
	{"inet", choice.Column{Type: "inet", OID: pgtype.InetOID}},
	{"cidr", choice.Column{Type: "cidr", OID: pgtype.CIDROID}},
	{"regclass", choice.Column{Type: "regclass", OID: 2205}},
	{"bit(3)", choice.Column{Type: `"bit"`, OID: pgtype.BitOID}},
	{"oidvector", choice.Column{Type: "oidvector", OID: 30}},
	{"tsvector", choice.Column{Type: "tsvector", OID: 3614}},
}

// factHashable have = only.
var factHashable = []string{"xid", "cid", "xid[]"}

// factIncomparable have no =, or not one that ORDER BY or a hash would use.
var factIncomparable = []string{"json", "xml", "point", "box", "json[]", "odd", "odd[]"}

// TestFacts holds what the catalog is read as against what is documented.
func TestFacts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		options []pgtest.Option
	}{{"C", nil}, {"ICU", []pgtest.Option{pgtest.ICU("en-US")}}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			pool := pgtest.New(t, c.options...)
			def := &binding.ListDef{Table: "facts"}
			var columns []string
			add := func(sql string) {
				name := fmt.Sprintf("c %d", len(columns))
				columns = append(columns, binding.QuoteIdent(name)+" "+sql)
				def.Columns = append(def.Columns, binding.Column{Name: name, JSON: "j" + name})
			}
			for _, c := range factColumns {
				add(c.sql)
			}
			for _, sql := range append(factHashable, factIncomparable...) {
				add(sql)
			}
			_, err := pool.Exec(ctx, makeFactTypes+"CREATE TABLE facts ("+strings.Join(columns, ", ")+")")
			require.NoError(t, err)
			require.NoError(t, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				read, err := readColumns(ctx, tx, "facts", false)
				require.NoError(t, err)
				compareFacts(t, choosable(def, read))
				return nil
			}))
		})
	}
}

func compareFacts(t *testing.T, got map[string]choice.Column) {
	n := 0
	next := func() choice.Column {
		c := got[fmt.Sprintf("c %d", n)]
		require.Equal(t, fmt.Sprintf("jc %d", n), c.JSON)
		n++
		return c
	}
	for _, c := range factColumns {
		column, want := next(), c.want
		want.Name, want.JSON = column.Name, column.JSON
		want.Equal, want.Ordered, want.Unicode = true, true, true
		want.Deterministic = !strings.Contains(c.sql, "Ins")
		if want.Operators == "" {
			want.Operators = "pg_catalog"
		}
		if want.OID == 0 {
			require.NotZero(t, column.OID, c.sql)
			want.OID = column.OID
		}
		require.Equal(t, want, column, c.sql)
	}
	for _, sql := range factHashable {
		column := next()
		require.True(t, column.Equal, sql)
		require.False(t, column.Ordered, sql)
		require.Equal(t, "pg_catalog", column.Operators)
	}
	for _, sql := range factIncomparable {
		column := next()
		require.False(t, column.Equal, sql)
		require.False(t, column.Ordered, sql)
	}
	require.Len(t, got, n)
}

// TestFactsOfEncodings has a database that cannot hold every text.
func TestFactsOfEncodings(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	name := pgx.Identifier{strings.ToLower(t.Name()) + "_latin1"}.Sanitize()
	_, err := pool.Exec(ctx, "CREATE DATABASE "+name+" ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
	require.NoError(t, err)
	defer func() {
		_, err := pool.Exec(ctx, "DROP DATABASE "+name)
		require.NoError(t, err)
	}()
	config := pool.Config().ConnConfig.Copy()
	config.Database = strings.ToLower(t.Name()) + "_latin1"
	conn, err := pgx.ConnectConfig(ctx, config)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(ctx)) }()
	require.NoError(t, pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "CREATE TABLE t (id int, note text)")
		require.NoError(t, err)
		columns, err := readColumns(ctx, tx, "t", false)
		require.NoError(t, err)
		require.False(t, columns["note"].choosable("note").Unicode)
		require.Empty(t, columns["id"].choosable("").JSON)
		return nil
	}))
}
