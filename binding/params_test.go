package binding_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
)

// delays has its parameters in the tag.
type delays struct {
	_       struct{} `socksync:"var=delays; params=airport, least"`
	Flights int      `db:"flights" json:"flights"`
}

const delaysQuery = "SELECT count(*) AS flights FROM flights WHERE origin = @airport AND delay >= @least"

func TestParams(t *testing.T) {
	t.Parallel()
	d := binding.Var[delays](binding.Query(delaysQuery, "flights"))
	require.NoError(t, d.Validate())
	require.Equal(t, []string{"airport", "least"}, d.Params)
	require.Equal(t, delaysQuery, d.Query)

	d = binding.Var[delays](binding.Query("SELECT @x", "flights"), binding.Params("x"))
	require.NoError(t, d.Validate())
	require.Equal(t, []string{"x"}, d.Params)

	d = binding.Var[delays](binding.Query("SELECT @ x", "flights"), binding.Params())
	require.NoError(t, d.Validate())
	require.Empty(t, d.Params)

	d = binding.Var[int](binding.Name("x"), binding.Query("SELECT @least::int + @least_of_all_1", "t"), binding.Params("least_of_all_1", "least"))
	require.NoError(t, d.Validate())
	require.NoError(t, (&binding.VarDef{Name: "x", Query: "SELECT @a", Params: []string{"a"}, Tables: []string{"t"}}).Validate())
}

// manyParams are n names, and a query that has them.
func manyParams(n int) (names []string, query string) {
	for i := range n {
		names = append(names, strings.Repeat("x", i+1))
	}
	return names, "SELECT @" + strings.Join(names, ", @")
}

func TestParamMistakes(t *testing.T) {
	t.Parallel()
	many, manyQuery := manyParams(63)
	tooMany, tooManyQuery := append([]string{"y", "z"}, many...), manyQuery+", @y, @z"
	for _, tc := range []struct {
		name   string
		params []string
		query  string
		want   []string
	}{
		{"as many as there can be", tooMany[1:], tooManyQuery[:len(tooManyQuery)-len(", @y, @z")] + ", @z", nil},
		{"too many", tooMany, tooManyQuery, []string{"params: 65 parameters, at most 64 are allowed"}},
		{"too long", []string{strings.Repeat("x", 64)}, "SELECT @" + strings.Repeat("x", 64), []string{
			`params: the name "` + strings.Repeat("x", 64) + `" is longer than 63 bytes`,
		}},
		{"twice", []string{"a", "b", "a"}, "SELECT @a, @b", []string{`params: repeated parameter "a"`}},
		{"unused", []string{"a", "b"}, "SELECT @a", []string{"params: the query does not name @b"}},
		{"of the identity", []string{"a"}, "SELECT @a, @b, @b", nil},
		{"longer", []string{"a"}, "SELECT @ab", []string{"params: the query does not name @a"}},
		{"upper case", []string{"a"}, "SELECT @A", []string{
			`query: "A" is not a name of lower-case letters a to z, digits and underscores (behind an operator @ belongs a space)`,
			"params: the query does not name @a",
		}},
		{"too long, of the identity", nil, "SELECT @" + strings.Repeat("x", 64), []string{
			`query: the name "` + strings.Repeat("x", 64) + `" is longer than 63 bytes (behind an operator @ belongs a space)`,
		}},
		{"numbered", []string{"a"}, "SELECT @a, $1", []string{"query: it has $ and a number: values are named, as in @name"}},
		{"not UTF-8", []string{"a"}, "SELECT @a, '\xff'", []string{"query: not valid UTF-8"}},
		{"no query", []string{"a"}, " ", []string{"missing query"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := &binding.VarDef{Name: "x", Query: tc.query, Params: tc.params, Tables: []string{"t"}}
			require.Equal(t, tc.want, problems(t, d.Validate()))
		})
	}
	for _, name := range []string{"", "A", "aB", "1a", "a b", " a", "a-b", "a$", "ä", "@a", `"a"`, "a\x00", "\xff"} {
		d := &binding.VarDef{Name: "x", Query: "SELECT 1", Params: []string{name}, Tables: []string{"t"}}
		got := problems(t, d.Validate())
		require.Len(t, got, 1, name)
		require.Contains(t, got[0], "is not a name of lower-case letters a to z, digits and underscores")
	}
}

// paramPlaces are queries, and whether the a in them is a parameter.
var paramPlaces = []struct {
	query string
	named bool
}{
	{"SELECT @a", true},
	{"@a", true},
	{"SELECT 1 WHERE x=@a AND y", true},
	{"SELECT x>=@a, x<>@a, x+@a, x-@a, x*@a, x/@a, x%@a, x||@a, x->@a, ARRAY[@a], f(@a), 1::int=@a", true},
	{"SELECT @a::int, @a.b, (@a)", true},
	{"SELECT 'it''s' || @a", true},
	{`SELECT "x""y" = @a`, true},
	{`SELECT e'\'' || @a`, true},
	{`SELECT E'\\' || @a || ''''`, true},
	{`SELECT E'''\'' || @a`, true},
	{`SELECT '\' || @a`, true},
	{`SELECT U&'\' || @a`, true},
	{`SELECT date'\' || @a`, true},
	{"SELECT $$ it's $$ || @a", true},
	{"SELECT $x$ $$ @b $y$ $x$ || @a", true},
	{"SELECT x$y$ || @a, z$y$", true},
	{"SELECT x1$y$ || @a, z1$y$", true},
	{"SELECT 1 -- it's\n+ @a", true},
	{"SELECT 1 -- it's\r+ @a", true},
	{"SELECT 1 /* it's /* */ @b */ + @a", true},
	{"SELECT /*/ */ @a", true},
	{"SELECT - @a, x / @a", true},
	{"SELECT tags <@ @a, @ @a, x @@ @a", true},
	{"SELECT ä = @a", true},
	{"SELECT '@a'", false},
	{"SELECT 'it''s @a'", false},
	{`SELECT "@a"`, false},
	{`SELECT e'\'@a'`, false},
	{`SELECT E'''@a\'@a'`, false},
	{"SELECT $$@a$$", false},
	{"SELECT $x$ $$@a$$ $x$", false},
	{"SELECT $ä1$@a$ä1$", false},
	{"SELECT 1 -- @a", false},
	{"SELECT 1 --' @a\n", false},
	{"SELECT 1 /* @a */", false},
	{"SELECT 1 /* /* */ @a */", false},
	{"SELECT @ a, x @> a, @1, @-a, @$a, @ä, @", false},
	{"SELECT 'open @a", false},
	{"SELECT /* open @a", false},
	{"SELECT $$ open @a", false},
	{`SELECT "open @a`, false},
}

// TestParamPlaces also holds that the driver, which binds the values, finds the
// same.
func TestParamPlaces(t *testing.T) {
	t.Parallel()
	for _, tc := range paramPlaces {
		t.Run(tc.query, func(t *testing.T) {
			t.Parallel()
			d := &binding.VarDef{Name: "x", Query: tc.query, Params: []string{"a"}, Tables: []string{"t"}}
			want := []string{"params: the query does not name @a"}
			if tc.named {
				want = nil
			}
			require.Equal(t, want, problems(t, d.Validate()))
			_, _, err := pgx.StrictNamedArgs{"a": 1}.RewriteQuery(t.Context(), nil, tc.query, nil)
			require.Equal(t, tc.named, err == nil, "%v", err)
		})
	}
}

// TestParamAfterOperator: where the driver would take a part of an operator, or
// make one word of two.
func TestParamAfterOperator(t *testing.T) {
	t.Parallel()
	for _, query := range []string{
		"SELECT tags <@a", "SELECT x @@a", "SELECT x ^@a", "SELECT x&&@a", "SELECT x ~@a", "SELECT x !@a", "SELECT x#@a", "SELECT x ?@a",
		"SELECT b@a", "SELECT 1@a", "SELECT ä@a", "SELECT x$@a", "SELECT @a@a",
	} {
		d := &binding.VarDef{Name: "x", Query: query, Params: []string{"a"}, Tables: []string{"t"}}
		want := []string{"query: a space is missing before @a, or behind the @ if it is an operator"}
		require.Equal(t, want, problems(t, d.Validate()), query)
		d.Params = nil
		require.Equal(t, want, problems(t, d.Validate()), query)
	}
}

func TestParamsNeedAQuery(t *testing.T) {
	t.Parallel()
	const want = "params: only a var with Query has parameters"
	where := binding.Where("id = 1")
	for _, d := range []*binding.VarDef{
		binding.Var[entryVar](binding.Params("a")),
		binding.Var[delays](binding.Table("t"), where),
		binding.Var[int](binding.Name("x"), binding.Table("t"), where, binding.Select("id"), binding.Params("a")),
	} {
		require.Equal(t, []string{want}, problems(t, d.Validate()))
	}
	require.NoError(t, binding.Var[entryVar](binding.Params()).Validate())
	require.Equal(t, []string{"empty"}, problems(t, binding.Var[delays](binding.Query("", "t")).Validate()))
	require.Equal(t, []string{"repeated option"}, problems(t, binding.Var[delays](
		binding.Query("SELECT @a", "t"), binding.Params("a"), binding.Params("b")).Validate()))
}

func TestParamMistakesNameTheirPlace(t *testing.T) {
	t.Parallel()
	const query = `Query("SELECT @airport, @other, $1", "t")`
	tag := binding.DefinitionError{
		Definition: `var "delays"`, Struct: "binding_test.delays", Field: "_", Tag: `socksync:"var=delays; params=airport, least"`,
		Problem: "params: the query does not name @least",
	}
	option := binding.DefinitionError{
		Definition: `var "delays"`, Struct: "binding_test.delays", Option: query,
		Problem: "query: it has $ and a number: values are named, as in @name",
	}
	d := binding.Var[delays](binding.Query("SELECT @airport, @other, $1", "t"))
	require.Equal(t, []binding.DefinitionError{option, tag}, mistakes(t, d.Validate()))

	d = binding.Var[delays](binding.Query("SELECT 1", "t"), binding.Params("Airport"))
	require.Equal(t, []binding.DefinitionError{{
		Definition: `var "delays"`, Struct: "binding_test.delays", Option: `Params("Airport")`,
		Problem: `params: "Airport" is not a name of lower-case letters a to z, digits and underscores`,
	}}, mistakes(t, d.Validate()))
}

// continued is a text with escapes that goes on in another line.
var continued = regexp.MustCompile(`[eE]'(?s:.*)'\s*(--.*)?[\r\n](?s:.*)'`)

// FuzzParams: the driver, which has a reader of its own, binds the parameters of
// what is accepted and nothing else.
func FuzzParams(f *testing.F) {
	for _, tc := range paramPlaces {
		f.Add(tc.query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		d := &binding.VarDef{Name: "x", Query: query, Params: []string{"a"}, Tables: []string{"t"}}
		got := problems(t, d.Validate())
		_, args, err := pgx.StrictNamedArgs{"a": 1}.RewriteQuery(t.Context(), nil, query, nil)
		if continued.MatchString(query) {
			return // which the driver does not know
		}
		if got == nil && d.IdentityNames() == nil {
			require.NoError(t, err)
			require.Equal(t, []any{1}, args)
		}
		if err == nil {
			require.NotContains(t, got, "params: the query does not name @a")
		}
	})
}
