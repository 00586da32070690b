package binding_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
)

// group is a row of a list that is recomputed, by its tag.
type group struct {
	_      struct{} `socksync:"view=s.by_origin; list=by_origin; recompute=1.5s; tables=flights, \"s\".airports"`
	Origin string   `db:"origin" json:"origin" socksync:"pk"`
}

func TestRecompute(t *testing.T) {
	t.Parallel()
	d := binding.List[group]()
	require.NoError(t, d.Validate())
	require.Equal(t, `SELECT * FROM "s"."by_origin"`, d.Query)
	require.Equal(t, 1500*time.Millisecond, d.Recompute)
	require.Equal(t, []string{"flights", `"s".airports`}, d.Tables)
	require.Equal(t, []string{"flights", `"s".airports`}, d.ReadTables())
	require.Empty(t, d.Table)

	d = binding.List[group](binding.Query("SELECT 'x' AS origin", "t"), binding.Recompute(time.Second))
	require.NoError(t, d.Validate())
	require.Equal(t, "SELECT 'x' AS origin", d.Query)
	require.Equal(t, time.Second, d.Recompute)
	require.Equal(t, []string{"t"}, d.Tables, "those of the option are in place of the tag's")

	d = binding.List[group](binding.View("v"), binding.Recompute(time.Second, "t", "u"))
	require.NoError(t, d.Validate())
	require.Equal(t, []string{"t", "u"}, d.Tables)
}

func TestReadTables(t *testing.T) {
	t.Parallel()
	d := &binding.ListDef{
		Table: "Flights", Depends: []binding.Dependency{{Table: "airports"}, {Table: `"flights"`}, {Table: "S.Airports"}, {Table: "Airports"}},
		Tables: []string{"s . airports", "bookings"},
	}
	require.Equal(t, []string{"Flights", "airports", "S.Airports", "bookings"}, d.ReadTables())
	require.Empty(t, (&binding.ListDef{}).ReadTables())
}

func TestListQueryMistakes(t *testing.T) {
	t.Parallel()
	name, query, table := binding.Name("x"), binding.Query("SELECT 1"), binding.Table("t")
	const never = "missing table, depends or recompute: the list would never change"
	for _, tc := range []struct {
		name string
		opts []binding.Option
		want []string
	}{
		{"table", []binding.Option{query, table}, nil},
		{"depends", []binding.Option{query, binding.Depends("t.(a, b)")}, nil},
		{"nothing", nil, []string{"missing table"}},
		{"never changes", []binding.Option{query}, []string{never}},
		{"view never changes", []binding.Option{binding.View("v"), binding.Depends()}, []string{never}},
		{"bad table", []binding.Option{query, binding.Table("a b")}, []string{`table "a b": unexpected "b"`}},
		{"empty query", []binding.Option{binding.Query("")}, []string{"empty"}},
		{"empty view", []binding.Option{binding.View("")}, []string{"empty"}},
		{"bad view", []binding.Option{binding.View("a b")}, []string{`view: "a b": unexpected "b"`}},
		{"bad view over a table", []binding.Option{binding.View("a b"), table}, []string{`view: "a b": unexpected "b"`}},
		{"query and view", []binding.Option{query, table, binding.View("v")}, []string{"misplaced option: Query says already what the list reads"}},
		{"comment", []binding.Option{binding.Query("-- x"), table}, []string{"query is empty"}},
		{"semicolon", []binding.Option{binding.Query("SELECT 1;"), table}, []string{"query: it has a semicolon"}},
		{"brackets", []binding.Option{binding.Query("SELECT 1) x, (SELECT 2"), table}, []string{"query: its brackets do not match"}},
		{"open", []binding.Option{binding.Query("SELECT '1"), table}, []string{"query: a quote is not closed"}},
		{"number", []binding.Option{binding.Query("SELECT $1"), table}, []string{"query: it has $ and a number: the query of a list has no parameters"}},
		{"names", []binding.Option{binding.Query("SELECT @a, '@c', b<@b, @ d"), table}, []string{
			"query: @a: values of the identity belong in where (behind an operator @ belongs a space)",
			"query: @b: values of the identity belong in where (behind an operator @ belongs a space)",
		}},
		{"depends of a table", []binding.Option{table, binding.Depends("u.(a, b)")}, []string{"depends: only a list with a query or view has it"}},
		{"recompute of a table", []binding.Option{table, binding.Recompute(1, "t")}, []string{
			"recompute: only a list with a query or view has it", "tables: only a list with a query or view has it",
		}},
		{"recompute", []binding.Option{query, binding.Recompute(1)}, []string{"recompute: missing tables: the list would never change"}},
		{"recompute and depends", []binding.Option{query, binding.Recompute(1, "t"), binding.Depends("u.(a, b)")}, []string{
			"recompute: the list has depends as well: it is one or the other",
		}},
		{"recompute and table", []binding.Option{query, table, binding.Recompute(1, "t")}, nil},
		{"no interval", []binding.Option{query, binding.Recompute(0, "t")}, []string{"0s is no time to wait"}},
		{"tables alone", []binding.Option{binding.Query("SELECT 1", "t")}, []string{
			"tables: only a list with recompute has them; say in depends which rows their changes concern",
		}},
		{"tables twice", []binding.Option{binding.Query("SELECT 1", "t"), binding.Recompute(1, "u")}, []string{"Query names the tables already"}},
		{"bad tables", []binding.Option{query, binding.Recompute(1, "t", "t", "a b")}, []string{`repeated table "t"`, `table "a b": unexpected "b"`}},
		{"depends", []binding.Option{query, binding.Depends("t")}, []string{`depends: term "t": want table.column`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, problems(t, binding.List[bareRow](append(tc.opts, name)...).Validate()))
		})
	}
	plain := &binding.ListDef{
		Name: "x", Query: " ", Recompute: -1, Key: []string{"id"}, Columns: []binding.Column{{Name: "id", JSON: "id"}},
	}
	require.Equal(t, []string{"query is empty", "recompute: -1ns is no time to wait"}, problems(t, plain.Validate()))
}

func TestListQueryMistakesNameTheirPlace(t *testing.T) {
	t.Parallel()
	option := func(call, problem string) []binding.DefinitionError {
		return []binding.DefinitionError{{
			Definition: `list "by_origin"`, Struct: "binding_test.group", Option: call, Problem: problem,
		}}
	}
	const twice = `repeated table "t"`
	for _, tc := range []struct {
		opts []binding.Option
		want []binding.DefinitionError
	}{
		{[]binding.Option{binding.Query("SELECT @a")}, option(
			`Query("SELECT @a")`, "query: @a: values of the identity belong in where (behind an operator @ belongs a space)")},
		{[]binding.Option{binding.Query("SELECT 1", "t", "t")}, option(`Query("SELECT 1", "t", "t")`, twice)},
		{[]binding.Option{binding.Recompute(time.Minute, "t", "t")}, option(`Recompute(1m0s, "t", "t")`, twice)},
		{[]binding.Option{binding.View("a b")}, option(`View("a b")`, `view: "a b": unexpected "b"`)},
		{[]binding.Option{binding.Depends("a.b")}, option("", "recompute: the list has depends as well: it is one or the other")},
	} {
		got := mistakes(t, binding.List[group](tc.opts...).Validate())
		if tc.want[0].Option == "" { // it is the tag's
			tc.want[0].Field, tc.want[0].Tag = "_", got[0].Tag
			require.Contains(t, got[0].Tag, "recompute=1.5s")
		}
		require.Equal(t, tc.want, got)
	}
}

func TestMistakesOfTheTagNameIt(t *testing.T) {
	t.Parallel()
	for _, tag := range []string{
		`socksync:"list=x; view=v"`,
		`socksync:"list=x; view=a b"`,
		`socksync:"list=x; view=v; depends=t"`,
		`socksync:"list=x; view=v; depends=t.(a, b)"`,
		`socksync:"list=x; view=v; recompute=1s"`,
		`socksync:"list=x; view=v; tables=t"`,
		`socksync:"list=x; view=v; recompute=1s; tables=t, t"`,
		`socksync:"list=x; table=t; recompute=1s; tables=t; depends=a.b"`,
		`socksync:"list=x; table=t; settings=ab @c"`,
		`socksync:"list=x; table=t; settings=a.b"`,
		`socksync:"list=x; table=t; role=none"`,
		`socksync:"list=x; table=t; where=id = @A"`,
	} {
		got := mistakes(t, binding.ListOf(tagged(tag, `socksync:"pk"`), nil).Validate())
		require.NotEmpty(t, got, tag)
		for _, mistake := range got {
			require.Equal(t, "_", mistake.Field, mistake)
			require.Equal(t, tag, mistake.Tag)
		}
	}
	for _, query := range []string{"SELECT @A", "SELECT 1 WHERE id = $1"} {
		got := mistakes(t, binding.Var[int](binding.Name("x"), binding.Query(query, "t")).Validate())
		require.Len(t, got, 1)
		require.Contains(t, got[0].Option, "Query(")
	}
	where := binding.Where("id = @A")
	got := mistakes(t, binding.Var[int](binding.Name("x"), binding.Table("t"), binding.Select("id"), where).Validate())
	require.Len(t, got, 1)
	require.Equal(t, `Where("id = @A")`, got[0].Option)
}
