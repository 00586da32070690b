package view_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
)

// plainList defines a list without a struct: the first column is its key, by the last
// it is ordered.
func plainList(name, table, where string, columns ...string) *binding.ListDef {
	d := &binding.ListDef{Name: name, Table: table, Where: where, Key: columns[:1]}
	for _, c := range columns {
		d.Columns = append(d.Columns, binding.Column{Name: c, JSON: c})
	}
	d.Order = []binding.OrderTerm{{Column: columns[len(columns)-1]}}
	return d
}

func plainVar(name, query string, columns ...binding.Column) *binding.VarDef {
	return &binding.VarDef{Name: name, Query: query, Tables: []string{"numbers"}, Columns: columns}
}

// wrongList is a definition and what the check says of it.
type wrongList struct {
	def  *binding.ListDef
	want string
}

func wrongLists() []wrongList {
	longName := plainList("long name", "numbers", "", "id")
	longName.Columns[0].JSON = strings.Repeat("x", 64)
	return []wrongList{
		{plainList("no table", "nowhere", "", "id"), `list "no table": read the columns of "nowhere": ERROR: relation "nowhere" does not exist`},
		{plainList("no column", "numbers", "", "id", "w"), `list "no column": table numbers has no column "w" (column)`},
		{plainList("no key", "numbers", "", "ident"), `list "no key": table numbers has no column "ident" (key)`},
		{plainList("condition", "numbers", "v = = 1", "id"), `list "condition": ERROR: syntax error at or near "="`},
		{plainList("no condition", "numbers", "id", "id"), `list "no condition": ERROR: argument of WHERE must be type boolean, not type bigint`},
		{plainList("no order", "numbers", "", "id", "p"), `list "no order": ERROR: could not identify an ordering operator for type point`},
		{plainList("no text", "numbers", "", "j"), `list "no text": ERROR: could not identify an ordering operator for type json`},
		{longName, `list "long name": the JSON name "` + longName.Columns[0].JSON + `" is longer than 63 bytes`},
		{plainList("another key", "pairs", "", "a", "b"), `list "another key": table "pairs" has the key ["a"] here and ["b" "a"] in another definition`},
		{binding.List[number](binding.Name("type")), `list "type": column "v" of type text cannot be scanned into field view_test.number.V of type int64`},
	}
}

// wrongVar is a definition and what the check says of it.
type wrongVar struct {
	def  *binding.VarDef
	want string
}

func wrongVars() []wrongVar {
	return []wrongVar{
		{plainVar("syntax", "SELECT"+" FROM FROM"), `var "syntax": ERROR: syntax error`},
		{plainVar("two columns", "SELECT 1, 2"), `var "two columns": the query gives 2 columns, the value is one`},
		{plainVar("no such column", "SELECT 1 AS a", binding.Column{Name: "b"}), `var "no such column": the query gives no column "b"`},
		{binding.Var[int64](binding.Name("text"), binding.Query("SELECT v FROM numbers", "numbers")), `var "text": column "v" of type text cannot be scanned into int64`},
		{binding.Var[int64](binding.Name("keyless"), binding.Query("SELECT count(*) FROM keyless", "keyless")), `var "keyless": table "keyless" has no primary key`},
	}
}

// soundKeys are lists of tables of which others have another idea of the key.
func soundKeys() []*binding.ListDef {
	keyed := func(name, table string, key ...string) *binding.ListDef {
		d := &binding.ListDef{Name: name, Table: table, Key: key}
		for _, k := range key {
			d.Columns = append(d.Columns, binding.Column{Name: k, JSON: k})
		}
		return d
	}
	return []*binding.ListDef{
		keyed("numbers", "numbers", "id"), keyed("pairs", "pairs", "b", "a"), keyed("same pairs", "public.pairs", "b", "a"),
		keyed("other spelling", "public.keyless", "id"), keyed("other key", "public.numbers", "v"),
	}
}

// TestCheck holds definitions that are sound in themselves against a database that they
// do not fit, all together.
func TestCheck(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(6))
	_, err := pool.Exec(context.Background(), `CREATE TABLE numbers (id bigint PRIMARY KEY, v text, p point, j json);
		CREATE TABLE keyless (id bigint); CREATE TABLE pairs (a int, b int, PRIMARY KEY (b, a))`)
	require.NoError(t, err)
	all := newLive(t, pool)
	for _, def := range soundKeys() {
		all.list(def)
	}
	for _, l := range wrongLists() {
		all.list(l.def)
	}
	for _, v := range wrongVars() {
		all.variable(v.def)
	}
	err = all.engine.Check(context.Background())
	for _, l := range wrongLists() {
		require.ErrorContains(t, err, l.want)
	}
	for _, v := range wrongVars() {
		require.ErrorContains(t, err, v.want)
	}
	require.ErrorContains(t, err, `table "numbers", which is "public"."numbers", has the key ["id"] in one definition and ["v"] in another`)
	require.NotContains(t, err.Error(), `"same pairs"`)
	require.NotContains(t, err.Error(), "canceled")
}
