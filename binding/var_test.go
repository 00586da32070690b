package binding_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
)

type total struct {
	Flights int      `db:"flights" json:"flights"`
	Average *float64 `db:"average" json:"average"`
}

// varForm is a var and what it has to be.
type varForm struct {
	name    string
	def     *binding.VarDef
	want    binding.VarDef // without the columns
	columns []string
}

func (f varForm) check(t *testing.T) {
	t.Helper()
	require.NoError(t, f.def.Validate())
	got := binding.VarDef{Name: f.def.Name, Query: f.def.Query, Tables: f.def.Tables, Key: f.def.Key, Type: f.def.Type}
	require.Equal(t, f.want, got)
	var columns []string
	for _, c := range f.def.Columns {
		columns = append(columns, c.Name)
	}
	require.Equal(t, f.columns, columns)
}

func TestVarOfRowOrColumn(t *testing.T) {
	t.Parallel()
	for _, tc := range []varForm{
		{"row by tags", binding.Var[entryVar](), binding.VarDef{
			Name:   "entry",
			Query:  "SELECT \"id\", \"name\" FROM \"entries\" WHERE (id = 1\n) LIMIT 2",
			Tables: []string{"entries"},
			Key:    []string{"id"},
			Type:   reflect.TypeFor[entryVar](),
		}, []string{"id", "name"}},
		{"pointer to a row", binding.Var[*entryVar](binding.Name("x"), binding.Where("id = 2")), binding.VarDef{
			Name:   "x",
			Query:  "SELECT \"id\", \"name\" FROM \"entries\" WHERE (id = 2\n) LIMIT 2",
			Tables: []string{"entries"},
			Key:    []string{"id"},
			Type:   reflect.TypeFor[entryVar](),
		}, []string{"id", "name"}},
		{"row by options", binding.Var[total](binding.Name("x"), binding.Table(`s."T""x"`), binding.Where("true -- always")), binding.VarDef{
			Name:   "x",
			Query:  "SELECT \"flights\", \"average\" FROM \"s\".\"T\"\"x\" WHERE (true -- always\n) LIMIT 2",
			Tables: []string{`s."T""x"`},
			Type:   reflect.TypeFor[total](),
		}, []string{"flights", "average"}},
		{"column", binding.Var[string](binding.Name("x"), binding.Table("board"), binding.Select(`"Ti""tle"`), binding.Where("id = 1")), binding.VarDef{
			Name:   "x",
			Query:  "SELECT \"Ti\"\"tle\" FROM \"board\" WHERE (id = 1\n) LIMIT 2",
			Tables: []string{"board"},
			Type:   reflect.TypeFor[string](),
		}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

func TestVarOfQuery(t *testing.T) {
	t.Parallel()
	for _, tc := range []varForm{
		{"query of a value", binding.Var[*float64](binding.Name("x"), binding.Query("SELECT avg(a) FROM t JOIN u", "t", "public.u")), binding.VarDef{
			Name:   "x",
			Query:  "SELECT avg(a) FROM t JOIN u",
			Tables: []string{"t", "public.u"},
			Type:   reflect.TypeFor[*float64](),
		}, nil},
		{"query of a row", binding.Var[total](binding.Name("x"), binding.Query("SELECT 1 AS flights", "t")), binding.VarDef{
			Name:   "x",
			Query:  "SELECT 1 AS flights",
			Tables: []string{"t"},
			Type:   reflect.TypeFor[total](),
		}, []string{"flights", "average"}},
		{"query over tags", binding.Var[entryVar](binding.Query("SELECT 1 AS id", "t")), binding.VarDef{
			Name:   "entry",
			Query:  "SELECT 1 AS id",
			Tables: []string{"t"},
			Type:   reflect.TypeFor[entryVar](),
		}, []string{"id", "name"}},
		{"struct that is a value", binding.Var[time.Time](binding.Name("x"), binding.Query("SELECT max(at) FROM t", "t")), binding.VarDef{
			Name:   "x",
			Query:  "SELECT max(at) FROM t",
			Tables: []string{"t"},
			Type:   reflect.TypeFor[time.Time](),
		}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

type untaggedVar struct {
	_ struct{} `socksync:"var=x; table=t; where=true"`
}

type nullables struct {
	Note chan int `db:"note"`
}

func TestVarMistakes(t *testing.T) {
	t.Parallel()
	name, table, where := binding.Name("x"), binding.Table("t"), binding.Where("true")
	for _, tc := range []struct {
		name string
		def  *binding.VarDef
		want []string
	}{
		{"nothing", binding.Var[int](), []string{"int is one value: missing Query, or Table, Select and Where", "missing name"}},
		{"table alone", binding.Var[int](name, table, where), []string{"int is one value: missing Query, or Table, Select and Where"}},
		{"row without where", binding.Var[total](name, table), []string{"missing where: it chooses the row"}},
		{"row without table", binding.Var[total](name, where), []string{"missing table"}},
		{"column without all", binding.Var[int](name, binding.Select("a")), []string{"missing where: it chooses the row", "missing table"}},
		{"row of a list's struct", binding.Var[entry](name), []string{"missing where: it chooses the row"}},
		{"name of a list's struct", binding.Var[entry](where), []string{"missing name"}},
		{"empty where", binding.Var[total](name, table, binding.Where(" ")), []string{"empty"}},
		{"empty query", binding.Var[int](name, binding.Query("", "t")), []string{"empty"}},
		{"no tables", binding.Var[int](name, binding.Query("SELECT 1")), []string{"no tables: the var would never change"}},
		{"table twice", binding.Var[int](name, binding.Query("SELECT 1", "t", "t")), []string{`repeated table "t"`}},
		{"bad tables", binding.Var[int](name, binding.Query("SELECT 1", "a b", "")), []string{
			`table "a b": unexpected "b"`, `table "": an empty name`,
		}},
		{"bad table", binding.Var[total](name, binding.Table("a b"), where), []string{`table "a b": unexpected "b"`}},
		{"empty table", binding.Var[total](name, binding.Table(""), where), []string{"empty"}},
		{"bad column", binding.Var[int](name, table, where, binding.Select("a b")), []string{`column: unexpected " b" after the name`}},
		{"column of a row", binding.Var[total](name, table, where, binding.Select("a")), []string{
			"misplaced option: binding_test.total is a row, not the type of a column",
		}},
		{"query and the rest", binding.Var[int](name, table, where, binding.Select("a"), binding.Query("SELECT 1", "t")), []string{
			"misplaced option: a var with Query does not take it",
			"misplaced option: a var with Query does not take it",
			"misplaced option: a var with Query does not take it",
		}},
		{"list's options", binding.Var[entryVar](binding.Order("id"), binding.PageSize(1), binding.MaxPageSize(1)), []string{
			"misplaced option: a var does not take it", "misplaced option: a var does not take it", "misplaced option: a var does not take it",
		}},
		{"no columns", binding.Var[untaggedVar](), []string{"missing columns"}},
		{"no column type", binding.Var[nullables](name, table, where), []string{"type chan int cannot hold a column"}},
		{"no value type", binding.Var[func()](name, binding.Query("SELECT 1", "t")), []string{"type func() cannot hold a column"}},
		{"repeated", binding.Var[entryVar](name, name), []string{"repeated option"}},
		{"plain, empty", &binding.VarDef{}, []string{"missing name", "missing query", "missing tables: the var would never change"}},
		{"plain, column twice", &binding.VarDef{
			Name: "x", Query: "SELECT 1", Tables: []string{"t"}, Columns: []binding.Column{{Name: "a"}, {Name: "a"}},
		}, []string{`duplicate column "a"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, problems(t, tc.def.Validate()))
		})
	}
}

func TestVarMistakeNamesTheOption(t *testing.T) {
	t.Parallel()
	err := binding.Var[int](binding.Name("x"), binding.Query("SELECT 1", "a b")).Validate()
	require.Equal(t, []binding.DefinitionError{{
		Definition: `var "x"`,
		Struct:     "int",
		Option:     `Query("SELECT 1", "a b")`,
		Problem:    `table "a b": unexpected "b"`,
	}}, mistakes(t, err))
}

func TestPlainVar(t *testing.T) {
	t.Parallel()
	d := &binding.VarDef{Name: "x", Query: "SELECT 1 AS a", Tables: []string{"t"}, Columns: []binding.Column{{Name: "a", JSON: "a"}}}
	require.NoError(t, d.Validate())
	require.Equal(t, `var "x"`, d.String())
}

type failingValue struct{}

var errValue = errors.New("no value")

func (failingValue) Value() (driver.Value, error) { return nil, errValue }

func TestPublishable(t *testing.T) {
	t.Parallel()
	seven := 7
	at := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, tc := range []struct {
		value any
		want  string
	}{
		{7, "7"},
		{&seven, "7"},
		{(*int)(nil), "null"},
		{sql.Null[int32]{}, "null"},
		{sql.Null[int32]{V: 7, Valid: true}, "7"},
		{sql.NullString{String: "x", Valid: true}, `"x"`},
		{sql.NullTime{Time: at, Valid: true}, `"2001-02-03T04:05:06Z"`},
		{at, `"2001-02-03T04:05:06Z"`},
		{json.RawMessage(`{"a":1}`), `{"a":1}`},
		{total{Flights: 7}, `{"flights":7,"average":null}`},
	} {
		got, err := binding.Publishable(tc.value)
		require.NoError(t, err)
		text, err := json.Marshal(got)
		require.NoError(t, err)
		require.Equal(t, tc.want, string(text))
	}
	_, err := binding.Publishable(failingValue{})
	require.ErrorIs(t, err, errValue)
}

func noCall(context.Context, json.RawMessage) (any, error) { return nil, nil }
