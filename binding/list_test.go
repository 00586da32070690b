package binding_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
)

type entry struct {
	_     struct{} `socksync:"table=public.entries; list=entries; where=shown; order=-at, name; page_size=20; max_page_size=50"`
	Group int      `db:"group" json:"group" socksync:"pk"`
	ID    int      `db:"id" json:"id" socksync:"pk"`
	At    int      `db:"at" json:"at"`
	Name  string   `db:"name" json:"name"`
	Note  *string  `db:"note" json:"-"`
}

type entryModel struct {
	_    struct{} `socksync:"table=entries; where=shown"`
	ID   int      `db:"id" socksync:"pk"`
	Name string   `db:"name"`
}

type entryVar struct {
	_    struct{} `socksync:"table=entries; var=entry; where=id = 1"`
	ID   int      `db:"id" json:"id" socksync:"pk"`
	Name string   `db:"name" json:"name"`
}

func TestListByTags(t *testing.T) {
	t.Parallel()
	d := binding.List[entry]()
	require.NoError(t, d.Validate())
	require.Equal(t, "entries", d.Name)
	require.Equal(t, "public.entries", d.Table)
	require.Equal(t, "shown", d.Where)
	require.Equal(t, []string{"group", "id"}, d.Key)
	require.Equal(t, []binding.OrderTerm{{Column: "at", Desc: true}, {Column: "name"}, {Column: "group"}, {Column: "id"}}, d.Order)
	require.Equal(t, 20, d.PageSize)
	require.Equal(t, 50, d.MaxPageSize)
	require.Equal(t, reflect.TypeFor[entry](), d.Row)
	require.Equal(t, binding.Column{Name: "note", Field: []int{5}, Type: reflect.TypeFor[*string]()}, d.Columns[4])
	require.Equal(t, `list "entries"`, d.String())
	require.Equal(t, d.Row, d.NewRow().Type())
}

func TestListByOptions(t *testing.T) {
	t.Parallel()
	d := binding.List[entry](
		binding.Name("other"), binding.Table("archive"), binding.Where("at > 3"), binding.Order("id desc nulls last"),
		binding.PageSize(1), binding.MaxPageSize(2), binding.PrimaryKey("id", `"group"`),
	)
	require.NoError(t, d.Validate())
	require.Equal(t, "other", d.Name)
	require.Equal(t, "archive", d.Table)
	require.Equal(t, "at > 3", d.Where)
	require.Equal(t, []string{"id", "group"}, d.Key)
	require.Equal(t, []binding.OrderTerm{{Column: "id", Desc: true, Nulls: binding.NullsLast}, {Column: "group"}}, d.Order)
	require.Equal(t, 1, d.PageSize)
	require.Equal(t, 2, d.MaxPageSize)
	require.NoError(t, binding.List[entry]().Validate(), "the options of one list are not another's")
}

func TestListOfModelAndOfVar(t *testing.T) {
	t.Parallel()
	d := binding.List[entryModel](binding.Name("x"))
	require.NoError(t, d.Validate())
	require.Equal(t, "shown", d.Where)
	require.Equal(t, []binding.OrderTerm{{Column: "id"}}, d.Order)

	d = binding.List[entryVar](binding.Name("x"))
	require.NoError(t, d.Validate())
	require.Empty(t, d.Where, "the where of a var chooses its row")
	require.Equal(t, []string{"missing name"}, problems(t, binding.List[entryVar]().Validate()))
}

func TestListDefaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ size, most, wantSize, wantMost int }{
		{0, 0, 100, 100},
		{0, 7, 7, 7},
		{7, 0, 7, 100},
		{3, 7, 3, 7},
	} {
		d := (&binding.ListDef{PageSize: tc.size, MaxPageSize: tc.most}).WithDefaults()
		require.Equal(t, tc.wantSize, d.PageSize)
		require.Equal(t, tc.wantMost, d.MaxPageSize)
	}
	plain := binding.ListDef{Key: []string{"a", "b"}, Order: []binding.OrderTerm{{Column: "b", Desc: true}}}
	full := plain.WithDefaults()
	require.Equal(t, []binding.OrderTerm{{Column: "b", Desc: true}, {Column: "a"}}, full.Order)
	require.Len(t, plain.Order, 1, "the definition itself is left alone")
	require.Equal(t, full, full.WithDefaults())
}

func TestListOptionMistakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		option string
		opts   []binding.Option
		want   string
	}{
		{`Name("")`, []binding.Option{binding.Name("")}, "empty"},
		{`Table(" ")`, []binding.Option{binding.Table(" ")}, "empty"},
		{`Table("a b")`, []binding.Option{binding.Table("a b")}, `table "a b": unexpected "b"`},
		{`Where("")`, []binding.Option{binding.Where("")}, "empty"},
		{`Order("")`, []binding.Option{binding.Order("")}, "empty"},
		{`Order("-delay")`, []binding.Option{binding.Order("-delay")}, `order: unknown column "delay"`},
		{`Order("at, -at")`, []binding.Option{binding.Order("at, -at")}, `order: repeated column "at"`},
		{
			`Order("lower(at), 1")`,
			[]binding.Option{binding.Order("lower(at), 1")},
			`order: order term "lower(at)": unexpected "(at)" after the column (no expressions); order term "1": "1" does not start with a name`,
		},
		{"PageSize(0)", []binding.Option{binding.PageSize(0)}, "0 is less than 1"},
		{"PageSize(51)", []binding.Option{binding.PageSize(51)}, "page size 51 is greater than the maximum, 50"},
		{"MaxPageSize(-1)", []binding.Option{binding.MaxPageSize(-1)}, "-1 is less than 1"},
		{"PrimaryKey()", []binding.Option{binding.PrimaryKey()}, "no columns"},
		{`PrimaryKey("at", "at")`, []binding.Option{binding.PrimaryKey("at", "at")}, `primary key: repeated column "at"`},
		{`PrimaryKey("nothing")`, []binding.Option{binding.PrimaryKey("nothing"), binding.Order("nothing")}, ``},
		{`PrimaryKey("a b")`, []binding.Option{binding.PrimaryKey("a b")}, `column "a b": unexpected " b" after the name`},
		{`Select("at")`, []binding.Option{binding.Select("at")}, "misplaced option: a list does not take it"},
		{`Query("SELECT 1", "t")`, []binding.Option{binding.Query("SELECT 1", "t")}, "tables: only a list with recompute has them; say in depends which rows their changes concern"},
		{`Name("y")`, []binding.Option{binding.Name("x"), binding.Name("y")}, "repeated option"},
		{`Name("` + strings.Repeat("x", 129) + `")`, []binding.Option{binding.Name(strings.Repeat("x", 129))}, "the name has 129 bytes, at most 128 are allowed"},
		{`Name("a\xff")`, []binding.Option{binding.Name("a\xff")}, "the name is not valid UTF-8"},
		{"", []binding.Option{{}}, "an option without content"},
	} {
		t.Run(tc.option, func(t *testing.T) {
			t.Parallel()
			d := binding.List[entry](tc.opts...)
			got := mistakes(t, d.Validate())
			if tc.want == "" {
				require.Equal(t, []string{`primary key: unknown column "nothing"`, `order: unknown column "nothing"`}, problems(t, d.Validate()))
				return
			}
			require.Equal(t, []binding.DefinitionError{{
				Definition: d.String(), Struct: "binding_test.entry", Option: tc.option, Problem: tc.want,
			}}, got)
		})
	}
}

func TestListNamesOfAllLengths(t *testing.T) {
	t.Parallel()
	require.NoError(t, binding.List[entry](binding.Name(strings.Repeat("x", 128))).Validate())
	require.NoError(t, binding.List[entry](binding.Name("x")).Validate())
}

type brokenEntry struct {
	_    struct{} `socksync:"table=entries; list=entries; order=delay, note; page_size=101"`
	ID   int      `db:"id" socksync:"pk"`
	Note string   `db:"note"`
}

func TestListMistakesNameTheTag(t *testing.T) {
	t.Parallel()
	const tag = `socksync:"table=entries; list=entries; order=delay, note; page_size=101"`
	at := binding.DefinitionError{Definition: `list "entries"`, Struct: "binding_test.brokenEntry", Field: "_", Tag: tag}
	order, size := at, at
	order.Problem = `order: unknown column "delay"`
	size.Problem = "page size 101 is greater than the maximum, 100"
	err := binding.List[brokenEntry]().Validate()
	require.Equal(t, []binding.DefinitionError{order, size}, mistakes(t, err))
	require.ErrorContains(t, err, `binding: list "entries": struct binding_test.brokenEntry: field _: tag `+tag+`: order: unknown column "delay"`)

	var first *binding.DefinitionError
	require.True(t, errors.As(err, &first))
	require.Equal(t, "_", first.Field)
}

func TestListOfNoStruct(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"int is not a struct"}, problems(t, binding.List[int](binding.Name("x")).Validate()))
	require.Equal(t, []string{"*binding_test.entry is not a struct"}, problems(t, binding.List[*entry](binding.Name("x")).Validate()))
	require.Equal(t, []string{"interface {} is not a struct", "missing name"}, problems(t, binding.List[any]().Validate()))
}

func TestPlainList(t *testing.T) {
	t.Parallel()
	good := func() *binding.ListDef {
		return &binding.ListDef{
			Name: "entries", Table: `public."Entries"`, Key: []string{"Id"},
			Columns: []binding.Column{{Name: "Id", JSON: "id"}, {Name: "note"}, {Name: "secret"}},
		}
	}
	require.NoError(t, good().Validate())
	for _, tc := range []struct {
		name   string
		change func(*binding.ListDef)
		want   []string
	}{
		{"empty", func(d *binding.ListDef) { *d = binding.ListDef{} }, []string{
			"missing name", "missing table", "missing columns", "missing primary key",
		}},
		{"table", func(d *binding.ListDef) { d.Table = "a.b.c" }, []string{`table "a.b.c": unexpected ".c"`}},
		{"key", func(d *binding.ListDef) { d.Key = []string{"id"} }, []string{`primary key: unknown column "id"`}},
		{"column twice", func(d *binding.ListDef) { d.Columns[1].Name = "Id" }, []string{`duplicate column "Id"`}},
		{"JSON twice", func(d *binding.ListDef) { d.Columns[1].JSON = "id" }, []string{`duplicate JSON name "id"`}},
		{"column without name", func(d *binding.ListDef) { d.Columns[1].Name = "" }, []string{"column: an empty name"}},
		{"where", func(d *binding.ListDef) { d.Where = " \n" }, []string{"where is empty"}},
		{"order", func(d *binding.ListDef) { d.Order = []binding.OrderTerm{{}} }, []string{`order: unknown column ""`}},
		{"nulls", func(d *binding.ListDef) { d.Order = []binding.OrderTerm{{Column: "note", Nulls: 3}} }, []string{
			`order: column "note" has no such place for NULLs: 3`,
		}},
		{"sizes", func(d *binding.ListDef) { d.PageSize, d.MaxPageSize = -2, -1 }, []string{
			"page size -2 is less than 1", "maximum page size -1 is less than 1",
		}},
		{"size", func(d *binding.ListDef) { d.PageSize = 101 }, []string{"page size 101 is greater than the maximum, 100"}},
		{"row", func(d *binding.ListDef) { d.Row, d.Columns = reflect.TypeFor[int](), d.Columns[:1] }, []string{
			"int is not a struct", `column "Id": field path [] does not lead to a <nil> in int`,
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

func TestCheck(t *testing.T) {
	t.Parallel()
	f := &binding.FuncDef{Name: "entries", Call: noCall}
	require.NoError(t, binding.Check())
	require.NoError(t, binding.Check(binding.List[entry](), binding.List[entry](binding.Name("x")), binding.Var[entryVar](binding.Name("entries")), f))
	err := binding.Check(binding.List[entry](), nil, binding.List[brokenEntry](), f, f, (*binding.VarDef)(nil), (*binding.ListDef)(nil), (*binding.FuncDef)(nil))
	require.Equal(t, []string{
		"nil", `order: unknown column "delay"`, "page size 101 is greater than the maximum, 100",
		"the name is used twice", "the name is used twice", "nil", "nil", "nil",
	}, problems(t, err))
}
