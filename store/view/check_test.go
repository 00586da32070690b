package view_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
)

// TestCheck holds definitions that are sound in themselves against a database that they
// do not fit, one by one and all together.
func TestCheck(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(6))
	_, err := pool.Exec(context.Background(), `CREATE TABLE numbers (id bigint PRIMARY KEY, v text, p point, j json);
		CREATE TABLE keyless (id bigint); CREATE TABLE pairs (a int, b int, PRIMARY KEY (b, a))`)
	require.NoError(t, err)
	plain := func(name, table, where string, columns ...string) *binding.ListDef {
		d := &binding.ListDef{Name: name, Table: table, Where: where, Key: columns[:1]}
		for _, c := range columns {
			d.Columns = append(d.Columns, binding.Column{Name: c, JSON: c})
		}
		d.Order = []binding.OrderTerm{{Column: columns[len(columns)-1]}}
		return d
	}
	longName := plain("long name", "numbers", "", "id")
	longName.Columns[0].JSON = strings.Repeat("x", 64)
	lists := []struct {
		def  *binding.ListDef
		want string
	}{
		{plain("no table", "nowhere", "", "id"), `list "no table": read the columns of "nowhere": ERROR: relation "nowhere" does not exist`},
		{plain("no column", "numbers", "", "id", "w"), `list "no column": table numbers has no column "w" (column)`},
		{plain("no key", "numbers", "", "ident"), `list "no key": table numbers has no column "ident" (key)`},
		{plain("condition", "numbers", "v = = 1", "id"), `list "condition": ERROR: syntax error at or near "="`},
		{plain("no condition", "numbers", "id", "id"), `list "no condition": ERROR: argument of WHERE must be type boolean, not type bigint`},
		{plain("parameter", "numbers", "v = $1", "id"), `list "parameter": `},
		{plain("no order", "numbers", "", "id", "p"), `list "no order": ERROR: could not identify an ordering operator for type point`},
		{plain("no text", "numbers", "", "j"), `list "no text": ERROR: could not identify an ordering operator for type json`},
		{longName, `list "long name": the JSON name "` + longName.Columns[0].JSON + `" is longer than 63 bytes`},
		{plain("another key", "pairs", "", "a", "b"), `list "another key": table "pairs" has the key ["a"] here and ["b" "a"] in another definition`},
		{binding.List[number](binding.Name("type")), `list "type": column "v" of type text cannot be scanned into field view_test.number.V of type int64`},
	}
	query := func(name, sql string, columns ...binding.Column) *binding.VarDef {
		return &binding.VarDef{Name: name, Query: sql, Tables: []string{"numbers"}, Columns: columns}
	}
	vars := []struct {
		def  *binding.VarDef
		want string
	}{
		{query("syntax", "SELECT"+" FROM FROM"), `var "syntax": ERROR: syntax error`},
		{query("two columns", "SELECT 1, 2"), `var "two columns": the query gives 2 columns, the value is one`},
		{query("no such column", "SELECT 1 AS a", binding.Column{Name: "b"}), `var "no such column": the query gives no column "b"`},
		{query("parameters", "SELECT $1::int"), `var "parameters": the query has parameters`},
		{binding.Var[int64](binding.Name("text"), binding.Query("SELECT v FROM numbers", "numbers")), `var "text": column "v" of type text cannot be scanned into int64`},
		{binding.Var[int64](binding.Name("keyless"), binding.Query("SELECT count(*) FROM keyless", "keyless")), `var "keyless": table "keyless" has no primary key`},
	}
	all := newLive(t, pool)
	all.list(plain("numbers", "numbers", "", "id"))
	all.list(&binding.ListDef{
		Name: "pairs", Table: "pairs", Key: []string{"b", "a"}, Columns: []binding.Column{{Name: "a"}, {Name: "b"}},
	})
	all.list(&binding.ListDef{
		Name: "same pairs", Table: "public.pairs", Key: []string{"b", "a"}, Columns: []binding.Column{{Name: "a"}, {Name: "b"}},
	})
	all.list(&binding.ListDef{
		Name: "other spelling", Table: "public.keyless", Key: []string{"id"}, Columns: []binding.Column{{Name: "id"}},
	})
	all.list(&binding.ListDef{
		Name: "other key", Table: "public.numbers", Key: []string{"v"}, Columns: []binding.Column{{Name: "v"}},
	})
	for _, l := range lists {
		all.list(l.def)
	}
	for _, v := range vars {
		all.variable(v.def)
	}
	err = all.engine.Check(context.Background())
	for _, l := range lists {
		require.ErrorContains(t, err, l.want)
	}
	for _, v := range vars {
		require.ErrorContains(t, err, v.want)
	}
	require.ErrorContains(t, err, `table "numbers", which is "public"."numbers", has the key ["id"] in one definition and ["v"] in another`)
	require.NotContains(t, err.Error(), `"same pairs"`)
	require.NotContains(t, err.Error(), "canceled")
}
