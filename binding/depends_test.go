package binding_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
)

// flight is a row of a view over flights and airports.
type flight struct {
	_      struct{} `socksync:"table=flights; view=Flights_Full; list=flights_full; depends=airports.iata > flights.origin, airports.iata > flights.destination"`
	ID     int64    `db:"id" json:"id" socksync:"pk"`
	Origin string   `db:"origin_name" json:"origin_name"`
}

// bare is a row of whatever options say.
type bareRow struct {
	A int `db:"a" json:"a" socksync:"pk"`
	B int `db:"b" json:"b" socksync:"pk"`
}

func TestViewByTags(t *testing.T) {
	t.Parallel()
	d := binding.List[flight]()
	require.NoError(t, d.Validate())
	require.Equal(t, "flights", d.Table)
	require.Equal(t, `SELECT * FROM "flights_full"`, d.Query)
	require.Equal(t, []binding.Dependency{
		{Table: "airports", Columns: []string{"iata"}, Through: "flights", Refers: []string{"origin"}},
		{Table: "airports", Columns: []string{"iata"}, Through: "flights", Refers: []string{"destination"}},
	}, d.Depends)
	require.Equal(t, []string{"flights", "airports"}, d.ReadTables())
	require.Empty(t, d.Tables)
	require.Zero(t, d.Recompute)
}

func TestDependsGrammar(t *testing.T) {
	t.Parallel()
	one := func(table, column string) binding.Dependency {
		return binding.Dependency{Table: table, Columns: []string{column}}
	}
	through := func(d binding.Dependency, table string, columns ...string) binding.Dependency {
		d.Through, d.Refers = table, columns
		return d
	}
	for _, tc := range []struct {
		terms []string
		want  []binding.Dependency
		err   string
	}{
		{nil, nil, ""},
		{[]string{"t.a"}, []binding.Dependency{one("t", "a")}, ""},
		{[]string{` S . "T.x" . A `}, []binding.Dependency{one(`S . "T.x"`, "a")}, ""},
		{[]string{"t.a>u.b"}, []binding.Dependency{through(one("t", "a"), "u", "b")}, ""},
		{[]string{"t.a, t.b > u.c", "u.c"}, []binding.Dependency{one("t", "a"), through(one("t", "b"), "u", "c"), one("u", "c")}, ""},
		{[]string{`s.t.( A , "b,)" ) > u.(c,d)`}, []binding.Dependency{{
			Table: "s.t", Columns: []string{"a", "b,)"}, Through: "u", Refers: []string{"c", "d"},
		}}, ""},
		{[]string{"t.(a)"}, []binding.Dependency{one("t", "a")}, ""},
		{[]string{""}, nil, `term "": an empty name`},
		{[]string{"t"}, nil, `term "t": want table.column`},
		{[]string{"t(a)"}, nil, `term "t(a)": want table.column`},
		{[]string{"(a)"}, nil, `term "(a)": "(a)" does not start with a name`},
		{[]string{"t."}, nil, `term "t.": an empty name`},
		{[]string{"t.a,"}, nil, `term "": an empty name`},
		{[]string{"t.a b"}, nil, `term "t.a b": unexpected "b"`},
		{[]string{"t.a > "}, nil, `term "t.a >": an empty name`},
		{[]string{"t.a > u"}, nil, `term "t.a > u": want table.column`},
		{[]string{"t.a > u.b > v.c"}, nil, `term "t.a > u.b > v.c": unexpected "> v.c"`},
		{[]string{"t.()"}, nil, `term "t.()": ")" does not start with a name`},
		{[]string{"t.(a"}, nil, `term "t.(a": unexpected "", want a comma or )`},
		{[]string{"t.(a b)"}, nil, `term "t.(a b)": unexpected "b)", want a comma or )`},
		{[]string{"t.(a,)"}, nil, `term "t.(a,)": ")" does not start with a name`},
		{[]string{`t."a`}, nil, `term "t.\"a": a quote is not closed`},
		{[]string{"a.b.c.d"}, nil, `term "a.b.c.d": table "a.b.c": unexpected ".c"`},
	} {
		d := binding.List[flight](binding.PrimaryKey("id"), binding.Depends(tc.terms...))
		require.Equal(t, tc.want, d.Depends, tc.terms)
		if tc.err != "" {
			require.Equal(t, []string{"depends: " + tc.err}, problems(t, d.Validate()), tc.terms)
			require.Contains(t, mistakes(t, d.Validate())[0].Option, "Depends(")
		}
	}
}

func TestDependsMistakes(t *testing.T) {
	t.Parallel()
	unknown := func(term, table string) string {
		return "depends: " + term + ": of " + table + " it is not said which rows it concerns: it is not the list's table, nor does a term start with it"
	}
	for _, tc := range []struct {
		name  string
		terms []string
		want  []string
	}{
		{"key", []string{"u.(x, y)"}, nil},
		{"key of a part", []string{"u.x"}, []string{`depends: u."x": 1 columns for the 2 of the primary key`}},
		{"counts", []string{"u.(x, y) > t.z"}, []string{`depends: u.("x", "y") > t."z": 2 columns for 1`}},
		{"chain", []string{"w.a > v.b", "v.c > u.d", "u.(x, y)", "u.d > T.e"}, nil},
		{"unknown", []string{"u.x > v.y"}, []string{unknown(`u."x" > v."y"`, "v")}},
		{"other schema", []string{"u.x > s.t.y"}, []string{unknown(`u."x" > s.t."y"`, "s.t")}},
		{"twice", []string{"u.x > t.y, u.X > t.y"}, []string{`depends: u."x" > t."y" is said twice`}},
		{"repeated column", []string{"u.(x, x) > t.(y, y)"}, []string{`depends: repeated column "x"`, `depends: repeated column "y"`}},
		{"itself", []string{"t.x > t.y"}, []string{"depends: t > t leads back to itself: such a list can only be recomputed"}},
		{"circle", []string{"z.a > u.x", "u.x > v.y, v.y > W.z", `w.z > "u".x`}, []string{
			`depends: u > v > W > "u" leads back to itself: such a list can only be recomputed`,
		}},
		{"forks", []string{"a.x > b.x, a.x > c.x, b.x > d.x, c.x > d.x, d.x > t.x"}, nil},
		{"fork into a circle", []string{"a.x > t.x, a.x > b.x, b.x > c.x, c.x > b.y"}, []string{
			"depends: b > c > b leads back to itself: such a list can only be recomputed",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := binding.List[bareRow](binding.Name("x"), binding.Query("SELECT 1"), binding.Table("t"), binding.Depends(tc.terms...))
			require.Equal(t, tc.want, problems(t, d.Validate()))
		})
	}
}

func TestPlainDependencyMistakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		dependency binding.Dependency
		want       []string
	}{
		{binding.Dependency{Table: "u", Columns: []string{"A b"}}, nil},
		{binding.Dependency{}, []string{`depends: table "": an empty name`, "depends: .(): no columns"}},
		{binding.Dependency{Table: "u v", Columns: []string{"a"}}, []string{`depends: table "u v": unexpected "v"`}},
		{binding.Dependency{Table: "u", Columns: []string{""}}, []string{"depends: column: an empty name"}},
		{binding.Dependency{Table: "u", Columns: []string{"a"}, Refers: []string{"a"}}, []string{
			`depends: u."a": columns that refer to it, of no table`,
		}},
		{binding.Dependency{Table: "u", Columns: []string{"a"}, Through: "t"}, []string{`depends: u."a" > t.(): 1 columns for 0`}},
		{binding.Dependency{Table: "u", Columns: []string{"a"}, Through: "t", Refers: []string{"\x00"}}, []string{
			`depends: column: the name "\x00" holds a zero byte`,
		}},
		{binding.Dependency{Table: "u", Columns: []string{"a"}, Through: "t t", Refers: []string{"a"}}, []string{
			`depends: u."a" > t t."a": of t t it is not said which rows it concerns: it is not the list's table, nor does a term start with it`,
		}},
	} {
		d := &binding.ListDef{
			Name: "x", Table: "t", Query: "TABLE t", Key: []string{"id"}, Columns: []binding.Column{{Name: "id", JSON: "id"}},
			Depends: []binding.Dependency{tc.dependency},
		}
		require.Equal(t, tc.want, problems(t, d.Validate()), "%+v", tc.dependency)
	}
	keyless := binding.List[bareRow](binding.Name("x"), binding.Query("SELECT 1"), binding.Depends("u.x"), binding.PrimaryKey("1"))
	require.Equal(t, []string{`column "1": "1" does not start with a name`}, problems(t, keyless.Validate()), "no second mistake")
}

// FuzzDepends: a dependency that is taken is what its text says, and passes when written out again.
func FuzzDepends(f *testing.F) {
	f.Add("airports.iata > flights.origin")
	f.Add(`s."T".(a, "b") > u.(c,d), v.x`)
	f.Add("a.b > c.d, c.d > a.b")
	f.Fuzz(func(t *testing.T, text string) {
		d := binding.List[flight](binding.Depends(text))
		if d.Validate() != nil {
			return
		}
		var terms []string
		for _, dependency := range d.Depends {
			terms = append(terms, dependency.String())
		}
		again := binding.List[flight](binding.Depends(terms...))
		require.NoError(t, again.Validate())
		require.Equal(t, d.Depends, again.Depends)
	})
}
