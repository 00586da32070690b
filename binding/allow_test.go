package binding_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
)

// board has columns of all kinds, and its allow-lists in both places.
type board struct {
	_        struct{} `socksync:"table=flights; list=board; max_window=500; filter=origin, \"To\"(in eq); sort=Gate; search=note, origin"`
	ID       int      `db:"id" json:"id" socksync:"pk; sort; filter=lt gt"`
	Origin   string   `db:"origin" json:"origin"`
	To       string   `db:"To" json:"destination" socksync:"search"`
	Gate     *string  `db:"gate" json:"gate" socksync:" filter "`
	Note     *string  `db:"note" json:"note"`
	Dash     int      `db:"dash" json:"-dash" socksync:"filter"`
	Secret   string   `db:"secret" json:"-"`
	Computed int      `json:"computed"`
	Remark
}

// Remark is embedded, and says something about its own column.
type Remark struct {
	Text string `db:"remark" json:"remark" socksync:"search; sort; filter=contains"`
}

func TestAllowedByTags(t *testing.T) {
	t.Parallel()
	d := binding.List[board]()
	require.NoError(t, d.Validate())
	require.Equal(t, 500, d.MaxWindow)
	require.Equal(t, []binding.FilterRule{
		{Column: "origin"},
		{Column: "To", Operators: []binding.Operator{binding.OpIn, binding.OpEq}},
		{Column: "id", Operators: []binding.Operator{binding.OpLt, binding.OpGt}},
		{Column: "gate"},
		{Column: "dash"},
		{Column: "remark", Operators: []binding.Operator{binding.OpContains}},
	}, d.Filter)
	require.Equal(t, []string{"gate", "id", "remark"}, d.Sort)
	require.Equal(t, []string{"note", "origin", "To", "remark"}, d.Search)
	require.NoError(t, binding.Model[board]().Validate(), "for a model it says nothing")
	require.NoError(t, binding.Var[board](binding.Name("x"), binding.Where("id = 1")).Validate(), "nor for a var")
}

func TestAllowedByOptions(t *testing.T) {
	t.Parallel()
	d := binding.List[board](
		binding.Filter("Note", "*(eq)", `"To"(ne)`), binding.Sort("*"), binding.Search(`"To"`), binding.MaxWindow(100))
	require.Equal(t, []string{`sort: column "dash": the JSON name "-dash" starts with -`}, problems(t, d.Validate()))
	require.Equal(t, []binding.FilterRule{
		{Column: "note"},
		{Column: binding.AllColumns, Operators: []binding.Operator{binding.OpEq}},
		{Column: "To", Operators: []binding.Operator{binding.OpNe}},
	}, d.Filter)
	require.Equal(t, []string{binding.AllColumns}, d.Sort)
	require.Equal(t, []string{"To"}, d.Search)
	require.Equal(t, 100, d.MaxWindow)

	none := binding.List[board](binding.Filter(), binding.Sort(), binding.Search())
	require.NoError(t, none.Validate())
	require.Empty(t, none.Filter)
	require.Empty(t, none.Sort)
	require.Empty(t, none.Search)
	require.NoError(t, binding.List[entry]().Validate())
	require.Empty(t, binding.List[entry]().Filter, "nothing is allowed unless it is said")
}

func TestMaxWindowDefault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ page, window, want int }{
		{0, 0, 1000}, {100, 0, 1000}, {1000, 0, 1000}, {1001, 0, 1001}, {50, 50, 50}, {50, 2000, 2000},
	} {
		d := (&binding.ListDef{MaxPageSize: c.page, MaxWindow: c.window}).WithDefaults()
		require.Equal(t, c.want, d.MaxWindow, "%+v", c)
	}
}

// listTags are tags of the blank field, behind "table=t; list=x", and of the
// field of the column id, beside pk.
var listTags = []struct {
	name, blank, field string
	want               []string
	onField            bool // where the mistakes are
}{
	{name: "all", blank: "filter=*; sort=*; search=name; max_window=100"},
	{name: "all but one", blank: "filter=*(eq ne)", field: "filter=lt"},
	{name: "in both places", blank: "filter=name; sort=name; search=name", field: "filter; sort; search"},
	{name: "ends", blank: "filter = name ( eq ) ; sort = Name ;", field: "sort;"},
	{name: "filter twice", blank: "filter=name, name(eq)", want: []string{`filter: repeated column "name"`}},
	{name: "sort twice", blank: "sort=name, id, name", want: []string{`sort: repeated column "name"`}},
	{name: "search twice", blank: "search=name, name", want: []string{`search: repeated column "name"`}},
	{name: "* twice", blank: "filter=*, *(eq); sort=*, *", want: []string{`filter: repeated column "*"`, `sort: repeated column "*"`}},
	{name: "field too", blank: "filter=id", field: "filter=eq", want: []string{`filter: repeated column "id"`}, onField: true},
	{name: "field too, sort", blank: "sort=id", field: "sort", want: []string{`sort: repeated column "id"`}, onField: true},
	{name: "field too, search", blank: "search=id", field: "search", want: []string{`search: repeated column "id"`}, onField: true},
	{name: "sort by * and more", blank: "sort=*, name", want: []string{`sort: column "name": * has it already`}},
	{name: "sort by * and field", blank: "sort=*", field: "sort", want: []string{`sort: column "id": * has it already`}, onField: true},
	{name: "search *", blank: "search=*", want: []string{`search: column "*": each column has to be named`}},
	{name: "quoted *", blank: `filter=\"*\"; sort=\"*\"; search=\"*\"`, want: []string{
		`filter: rule "\"*\"": a column whose name is * cannot be named alone`,
		`sort: column "\"*\"": a column whose name is * cannot be named alone`,
		`search: column "\"*\"": a column whose name is * cannot be named alone`,
	}},
	{name: "unknown", blank: "filter=a; sort=b; search=c", want: []string{
		`filter: unknown column "a"`, `sort: unknown column "b"`, `search: unknown column "c"`,
	}},
	{name: "hidden", blank: "filter=secret; sort=secret; search=secret", want: []string{
		`filter: column "secret" is not published, no subscriber can name it`,
		`sort: column "secret" is not published, no subscriber can name it`,
		`search: column "secret" is not published, no subscriber can name it`,
	}},
	{name: "JSON name", blank: "filter=Hidden", want: []string{`filter: unknown column "hidden"`}},
	{name: "descending", blank: "sort=-name", want: []string{`sort: column "-name": "-name" does not start with a name`}},
	{name: "with words", blank: "sort=name desc", want: []string{`sort: column "name desc": unexpected " desc" after the name`}},
	{name: "expression", blank: "search=lower(name)", want: []string{`search: column "lower(name)": unexpected "(name)" after the name`}},
	{name: "sort with operators", blank: "sort=*(eq)", want: []string{`sort: column "*(eq)": unexpected "(eq)" after the name`}},
	{name: "comma in operators", blank: "filter=name(eq, ne)", want: []string{
		`filter: rule "name(eq": unexpected "(eq" after the column: want (operator ...) with spaces between`,
		`filter: rule "ne)": unexpected ")" after the column: want (operator ...) with spaces between`,
	}},
	{name: "operator", blank: "filter=name(like)", want: []string{`filter: rule "name(like)": unknown operator "like"`}},
	{name: "empty", blank: "filter=; sort= ; search=; max_window=", want: []string{
		"key filter has no value", "key sort has no value", "key search has no value", "key max_window has no value",
	}},
	{name: "no value", blank: "filter; sort", want: []string{"key filter has no value", "key sort has no value"}},
	{name: "empty term", blank: "filter=name,; sort=,name; search=id,,name", want: []string{
		`filter: rule "": an empty name`, `sort: column "": an empty name`, `search: column "": an empty name`,
	}},
	{name: "twice", blank: "filter=id; filter=name", want: []string{"repeated key filter"}},
	{name: "params", blank: "params=a", want: []string{"misplaced key params: a list has no parameters"}},
	{name: "no number", blank: "max_window=all", want: []string{`max_window: "all" is not a number`}},
	{name: "zero", blank: "max_window=0", want: []string{"max_window: 0 is less than 1"}},
	{name: "small window", blank: "max_window=99", want: []string{"maximum window 99 is less than the maximum page size, 100"}},
	{name: "window of small pages", blank: "max_page_size=10; max_window=10"},
	{name: "field sort=", field: "sort=asc", want: []string{"key sort takes no value"}, onField: true},
	{name: "field search=", field: "search=", want: []string{"key search takes no value"}, onField: true},
	{name: "field filter=", field: "filter=", want: []string{"filter: no operators"}, onField: true},
	{name: "field operator", field: "filter=(eq)", want: []string{`filter: unknown operator "(eq)"`}, onField: true},
	{name: "field operator twice", field: "filter=eq eq", want: []string{"filter: repeated operator eq"}, onField: true},
	{name: "field twice", field: "filter; sort; filter=eq; sort", want: []string{"repeated key filter", "repeated key sort"}, onField: true},
	{name: "field max_window", field: "max_window=3", want: []string{
		"misplaced key max_window: it belongs on the blank field _ struct{}",
	}, onField: true},
	{name: "field params", field: "params=3", want: []string{"misplaced key params: it belongs on the blank field _ struct{}"}, onField: true},
}

func TestAllowTags(t *testing.T) {
	t.Parallel()
	for _, tc := range listTags {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			row := taggedList(`socksync:"table=t; list=x; `+tc.blank+`"`, `socksync:"pk; `+tc.field+`"`)
			got := mistakes(t, binding.ListOf(row, nil).Validate())
			require.Equal(t, tc.want, problems(t, binding.ListOf(row, nil).Validate()))
			for _, m := range got {
				want := binding.DefinitionError{Definition: `list "x"`, Struct: row.String(), Problem: m.Problem}
				want.Field, want.Tag = "_", string(row.Field(0).Tag)
				if tc.onField {
					want.Field, want.Tag = "ID", string(row.Field(1).Tag)
				}
				require.Equal(t, want, m)
			}
		})
	}
}

// taggedList has a column that is published by its own name, one by another and
// one not at all.
func taggedList(blankTag, idTag string) reflect.Type {
	stringType := reflect.TypeFor[string]()
	return reflect.StructOf([]reflect.StructField{
		{Name: "_", PkgPath: "example.com/flights", Type: reflect.TypeFor[struct{}](), Tag: reflect.StructTag(blankTag)},
		{Name: "ID", Type: reflect.TypeFor[int64](), Tag: reflect.StructTag(`db:"id" json:"id" ` + idTag)},
		{Name: "Name", Type: stringType, Tag: `db:"name" json:"other"`},
		{Name: "Hidden", Type: stringType, Tag: `db:"secret" json:"-"`},
	})
}

func TestAllowOptionMistakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		call   string
		option binding.Option
		want   []string
	}{
		{`Filter("")`, binding.Filter(""), []string{`filter: rule "": an empty name`}},
		{`Filter("origin, gate")`, binding.Filter("origin, gate"), []string{
			`filter: rule "origin, gate": unexpected ", gate" after the column: want (operator ...) with spaces between`,
		}},
		{`Filter("origin", "secret", "origin(eq)")`, binding.Filter("origin", "secret", "origin(eq)"), []string{
			`filter: column "secret" is not published, no subscriber can name it`, `filter: repeated column "origin"`,
		}},
		{`Filter("to")`, binding.Filter("to"), []string{`filter: unknown column "to"`}},
		{`Sort("-id")`, binding.Sort("-id"), []string{`sort: column "-id": "-id" does not start with a name`}},
		{`Sort("dash")`, binding.Sort("dash"), []string{`sort: column "dash": the JSON name "-dash" starts with -`}},
		{`Sort("*", "id")`, binding.Sort("*", "id"), []string{
			`sort: column "id": * has it already`, `sort: column "dash": the JSON name "-dash" starts with -`,
		}},
		{`Search("computed")`, binding.Search("computed"), []string{`search: unknown column "computed"`}},
		{`MaxWindow(0)`, binding.MaxWindow(0), []string{"0 is less than 1"}},
		{`MaxWindow(99)`, binding.MaxWindow(99), []string{"maximum window 99 is less than the maximum page size, 100"}},
		{`Params("a")`, binding.Params("a"), []string{"misplaced option: a list does not take it"}},
	} {
		t.Run(tc.call, func(t *testing.T) {
			t.Parallel()
			err := binding.List[board](tc.option).Validate()
			require.Equal(t, tc.want, problems(t, err))
			for _, m := range mistakes(t, err) {
				want := binding.DefinitionError{Definition: `list "board"`, Struct: "binding_test.board", Option: tc.call, Problem: m.Problem}
				require.Equal(t, want, m)
			}
		})
	}
	twice := binding.List[board](binding.Sort("id"), binding.Sort("id"))
	require.Equal(t, []string{"repeated option"}, problems(t, twice.Validate()))
	for _, o := range []binding.Option{binding.Filter("id"), binding.Sort("id"), binding.Search("name"), binding.MaxWindow(1)} {
		require.Equal(t, []string{"misplaced option: a var does not take it"}, problems(t, binding.Var[entryVar](o).Validate()))
	}
}

func TestPlainAllowed(t *testing.T) {
	t.Parallel()
	good := func() *binding.ListDef {
		return &binding.ListDef{
			Name: "x", Table: "t", Key: []string{"id"}, MaxPageSize: 20, MaxWindow: 20,
			Columns: []binding.Column{{Name: "id", JSON: "ID"}, {Name: "a", JSON: "a"}, {Name: "h"}, {Name: "m", JSON: "-m"}},
			Filter:  []binding.FilterRule{{Column: "*", Operators: []binding.Operator{"eq"}}, {Column: "m"}, {Column: "id", Operators: []binding.Operator{"in"}}},
			Sort:    []string{"a", "id"},
			Search:  []string{"a", "m"},
		}
	}
	require.NoError(t, good().Validate())
	for _, tc := range []struct {
		name   string
		change func(*binding.ListDef)
		want   []string
	}{
		{"JSON name", func(d *binding.ListDef) { d.Sort[1] = "ID" }, []string{`sort: unknown column "ID"`}},
		{"empty rule", func(d *binding.ListDef) { d.Filter[1] = binding.FilterRule{} }, []string{`filter: unknown column ""`}},
		{"no operators", func(d *binding.ListDef) { d.Filter[2].Operators = []binding.Operator{} }, []string{
			`filter: column "id": no operators`,
		}},
		{"unknown operator", func(d *binding.ListDef) { d.Filter[0].Operators[0] = "" }, []string{`filter: column "*": unknown operator ""`}},
		{"operator twice", func(d *binding.ListDef) { d.Filter[2].Operators = []binding.Operator{"in", "in"} }, []string{
			`filter: column "id": repeated operator in`,
		}},
		{"hidden", func(d *binding.ListDef) { d.Filter[1].Column, d.Sort[0], d.Search[0] = "h", "h", "h" }, []string{
			`filter: column "h" is not published, no subscriber can name it`,
			`sort: column "h" is not published, no subscriber can name it`,
			`search: column "h" is not published, no subscriber can name it`,
		}},
		{"minus", func(d *binding.ListDef) { d.Sort = []string{"m"} }, []string{`sort: column "m": the JSON name "-m" starts with -`}},
		{"minus in all", func(d *binding.ListDef) { d.Sort = []string{"*"} }, []string{`sort: column "m": the JSON name "-m" starts with -`}},
		{"all of search", func(d *binding.ListDef) { d.Search = []string{"*"} }, []string{`search: unknown column "*"`}},
		{"negative window", func(d *binding.ListDef) { d.MaxWindow = -1 }, []string{"maximum window -1 is less than the maximum page size, 20"}},
		{"hidden key", func(d *binding.ListDef) { d.Columns[0].JSON, d.Filter, d.Sort = "", nil, nil }, []string{
			`primary key: column "id" is not published`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := good()
			tc.change(d)
			require.Equal(t, tc.want, problems(t, d.Validate()))
		})
	}
}

// misplacedRules has rules that are no use to subscribers.
type misplacedRules struct {
	_        struct{} `socksync:"table=t; list=x"`
	ID       int      `db:"id" json:"id" socksync:"pk"`
	Hidden   string   `db:"hidden" json:"-" socksync:"filter; sort; search"`
	Computed int      `json:"computed" socksync:"sort"`
	Other    int      `json:"other" socksync:"search; filter"`
}

func TestMisplacedRules(t *testing.T) {
	t.Parallel()
	at := func(field, tag, problem string) binding.DefinitionError {
		return binding.DefinitionError{Definition: `list "x"`, Struct: "binding_test.misplacedRules", Field: field, Tag: tag, Problem: problem}
	}
	const hidden = `db:"hidden" json:"-" socksync:"filter; sort; search"`
	require.Equal(t, []binding.DefinitionError{
		at("Computed", `json:"computed" socksync:"sort"`, "misplaced key sort: a field without db is not a column"),
		at("Other", `json:"other" socksync:"search; filter"`, "misplaced key filter: a field without db is not a column"),
		at("Hidden", hidden, `filter: column "hidden" is not published, no subscriber can name it`),
		at("Hidden", hidden, `sort: column "hidden" is not published, no subscriber can name it`),
		at("Hidden", hidden, `search: column "hidden" is not published, no subscriber can name it`),
	}, mistakes(t, binding.List[misplacedRules]().Validate()))
}

type hiddenKey struct {
	_     struct{} `socksync:"table=t; list=x"`
	ID    int      `db:"id" json:"id" socksync:"pk"`
	Group int      `db:"group" json:"-" socksync:"pk"`
}

func TestHiddenKey(t *testing.T) {
	t.Parallel()
	require.Equal(t, []binding.DefinitionError{{
		Definition: `list "x"`, Struct: "binding_test.hiddenKey", Field: "Group", Tag: `db:"group" json:"-" socksync:"pk"`,
		Problem: `primary key: column "group" is not published`,
	}}, mistakes(t, binding.List[hiddenKey]().Validate()))
	require.NoError(t, binding.List[hiddenKey](binding.PrimaryKey("id")).Validate())
	require.NoError(t, binding.Model[hiddenKey]().Validate(), "nothing of a model is published")
	require.NoError(t, binding.Var[hiddenKey](binding.Name("x"), binding.Where("id = 1")).Validate())
}
