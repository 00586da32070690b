package binding_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
)

// The structs below differ from a good one in one point each.
type (
	noStruct  int
	twoBlanks struct {
		_  struct{} `socksync:"table=t"`
		_  struct{} `socksync:"table=u"`
		ID int      `db:"id" socksync:"pk"`
	}
	oddBlank struct {
		_  int `socksync:"table=t"`
		ID int `db:"id" socksync:"pk"`
	}
	unexportedDB struct {
		_    struct{} `socksync:"table=t"`
		ID   int      `db:"id" socksync:"pk"`
		note string   `db:"note"`
	}
	unexportedPK struct {
		_  struct{} `socksync:"table=t"`
		id int      `socksync:"pk"`
		No int      `db:"no"`
	}
	pkWithoutDB struct {
		_  struct{} `socksync:"table=t"`
		ID int      `json:"id" socksync:"pk"`
		No int      `db:"no"`
	}
	pkWithoutColumn struct {
		_  struct{} `socksync:"table=t"`
		ID int      `db:"-" socksync:"pk"`
		No int      `db:"no"`
	}
	sameColumn struct {
		_  struct{} `socksync:"table=t"`
		ID int      `db:"id" socksync:"pk"`
		No int      `db:"id"`
	}
	sameJSONAsName struct {
		_  struct{} `socksync:"table=t"`
		ID int      `db:"id" json:"No" socksync:"pk"`
		No int      `db:"no"`
	}
	emptyColumn struct {
		_  struct{} `socksync:"table=t"`
		ID int      `db:"id" socksync:"pk"`
		No int      `db:""`
	}
	longColumn struct {
		_  struct{} `socksync:"table=t"`
		ID int      `db:"id" socksync:"pk"`
		No int      `db:"a123456789b123456789c123456789d123456789e123456789f123456789g123"`
	}
	optionColumn struct {
		_  struct{} `socksync:"table=t"`
		ID int      `db:"id" socksync:"pk"`
		No int      `db:"no,omitempty"`
	}
	channel struct {
		_  struct{} `socksync:"table=t"`
		ID int      `db:"id" socksync:"pk"`
		No chan int `db:"no"`
	}
	withMethods struct {
		_  struct{}  `socksync:"table=t"`
		ID int       `db:"id" socksync:"pk"`
		No io.Reader `db:"no"`
	}
	noColumns struct {
		_  struct{} `socksync:"table=t"`
		ID int      `json:"id"`
	}
	taggedEmbedded struct {
		_     struct{} `socksync:"table=t"`
		Keyed `socksync:"pk"`
	}
	namedEmbedded struct {
		_     struct{} `socksync:"table=t"`
		ID    int      `db:"id" socksync:"pk"`
		Noted `json:"noted"`
	}
	sealedEmbedded struct {
		_  struct{} `socksync:"table=t"`
		ID int      `db:"id" socksync:"pk"`
		*noted
	}
	columnEmbedded struct {
		_              struct{} `socksync:"table=t"`
		ID             int      `db:"id" socksync:"pk"`
		sql.NullString `db:"note"`
	}

	Keyed struct {
		ID int `db:"id" json:"id" socksync:"pk"`
	}
	Noted struct {
		Note string `db:"note" json:"note"`
	}
	noted struct {
		Note string `db:"note" json:"note"`
	}
)

func TestStructMistakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		row         any
		field, want string
	}{
		{noStruct(0), "", "binding_test.noStruct is not a struct"},
		{new(Keyed), "", "*binding_test.Keyed is not a struct"},
		{twoBlanks{}, "_", "repeated blank field with a socksync tag"},
		{oddBlank{}, "_", "the blank field has type int, want struct{}"},
		{unexportedDB{note: ""}, "note", "the field is unexported and has a tag db"},
		{unexportedPK{id: 0}, "id", "the field is unexported and has a tag socksync"},
		{pkWithoutDB{}, "ID", "misplaced key pk: a field without db is not a column"},
		{pkWithoutColumn{}, "ID", "misplaced key pk: a field without db is not a column"},
		{sameColumn{}, "No", "duplicate column id, also of field ID"},
		{sameJSONAsName{}, "No", "duplicate JSON name No, also of field ID"},
		{emptyColumn{}, "No", "db: an empty name"},
		{longColumn{}, "No", `db: the name "a123456789b123456789c123456789d123456789e123456789f123456789g123" is longer than 63 bytes`},
		{optionColumn{}, "No", `db: "no,omitempty" holds a comma; db has no options`},
		{channel{}, "No", "type chan int cannot hold a column"},
		{withMethods{}, "No", "type io.Reader cannot hold a column"},
		{taggedEmbedded{}, "Keyed", "misplaced socksync tag: an embedded struct without db is not a column"},
		{namedEmbedded{}, "Noted.Note", "a column inside an embedded struct that has a JSON name"},
		{sealedEmbedded{}, "noted.Note", "a column below an embedded pointer to an unexported struct, which cannot be set"},
		{columnEmbedded{}, "NullString", "an embedded struct that is a column needs a JSON name"},
	} {
		row := reflect.TypeOf(tc.row)
		t.Run(row.Name(), func(t *testing.T) {
			t.Parallel()
			got := mistakes(t, binding.ModelOf(row).Validate())
			require.Len(t, got, 1, "%v", got)
			require.Equal(t, tc.want, got[0].Problem)
			require.Equal(t, tc.field, got[0].Field)
			require.Equal(t, row.String(), got[0].Struct)
			if tc.field != "" && !strings.Contains(tc.field, ".") {
				require.Equal(t, tagOf(row, tc.field), got[0].Tag)
			}
		})
	}
}

// tagOf is the tag of the last field with the name: a struct may have several
// blank ones.
func tagOf(row reflect.Type, name string) string {
	tag := ""
	for i := range row.NumField() {
		if f := row.Field(i); f.Name == name {
			tag = string(f.Tag)
		}
	}
	return tag
}

// withFields makes a good struct with further fields. It stands in for structs
// that go vet would not let pass.
func withFields(fields ...reflect.StructField) reflect.Type {
	return reflect.StructOf(append([]reflect.StructField{
		{Name: "_", PkgPath: "example.com/flights", Type: reflect.TypeFor[struct{}](), Tag: `socksync:"table=t"`},
		{Name: "ID", Type: reflect.TypeFor[int](), Tag: `db:"id" json:"id" socksync:"pk"`},
	}, fields...))
}

func TestMistakesOfOneField(t *testing.T) {
	t.Parallel()
	stringType := reflect.TypeFor[string]()
	for _, tc := range []struct {
		field reflect.StructField
		want  string
	}{
		{
			reflect.StructField{Name: "note", PkgPath: "example.com/flights", Type: stringType, Tag: `json:"note"`},
			"the field is unexported and has a tag json",
		},
		{
			reflect.StructField{Name: "Note", Type: stringType, Tag: `db:"note" json:"id"`},
			"duplicate JSON name id, also of field ID",
		},
		{
			reflect.StructField{Name: "Note", Type: stringType, Tag: `json:"id"`},
			"duplicate JSON name id, also of field ID",
		},
		{
			reflect.StructField{Name: "Note", Type: stringType, Tag: `db:"note" json:"a\"b"`},
			"json: encoding/json does not accept '\"' in a name",
		},
		{
			reflect.StructField{Name: "Note", Type: stringType, Tag: `db:"note" json: "x"`},
			`malformed tag at "json: \"x\"": want key:"value"`,
		},
	} {
		t.Run(string(tc.field.Tag), func(t *testing.T) {
			t.Parallel()
			require.Equal(t, []binding.DefinitionError{{
				Definition: "model " + withFields(tc.field).String(),
				Struct:     withFields(tc.field).String(),
				Field:      tc.field.Name,
				Tag:        string(tc.field.Tag),
				Problem:    tc.want,
			}}, mistakes(t, binding.ModelOf(withFields(tc.field)).Validate()))
		})
	}
}

type Remarked struct {
	Remark string `db:"note" json:"note"`
}

func TestSeveralMistakes(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"duplicate JSON name note, also of field Noted.Note",
		"duplicate column note, also of field Noted.Note",
	}, problems(t, binding.ModelOf(withFields(
		reflect.StructField{Name: "Noted", Anonymous: true, Type: reflect.TypeFor[Noted]()},
		reflect.StructField{Name: "Remarked", Anonymous: true, Type: reflect.TypeFor[Remarked]()},
	)).Validate()))
	require.Equal(t, []string{"missing columns", "missing primary key"}, problems(t, binding.Model[noColumns]().Validate()))
	require.Equal(t, []string{"missing table", "missing columns", "missing primary key"}, problems(t, binding.Model[struct{}]().Validate()))
}

// Structs whose columns and JSON names take some looking.
type (
	plain struct {
		_    struct{} `socksync:"table=t"`
		B    string   `db:"b" json:"b,omitempty"`
		ID   int      `json:"id" socksync:"pk" db:"id"`
		Bare string   `db:"bare"`
		Hide string   `db:"hide" json:"-"`
		Only string   `json:"only"`
		Left string   `db:"-"`
		Odd  string   `db:"Odd \"Name\"" json:"$%-/"`
		none string
	}
	embedding struct {
		_ struct{} `socksync:"table=outer"`
		Base
		inner
		*Pointed
		Hidden `json:"-"`
		Tail   string `db:"tail" json:"tail"`
	}
	Base struct {
		_       struct{}  `socksync:"table=base; list=base"`
		ID      string    `db:"id" json:"id" socksync:"pk"`
		Created time.Time `db:"created" json:"created"`
		Tail    string    `db:"base_tail" json:"tail"`
	}
	inner struct {
		Deep string `db:"deep"`
		Tail string `db:"tail" json:"inner_tail"`
	}
	Pointed struct {
		Two  string `db:"two" json:"two" socksync:"pk"`
		Only string `json:"pointed_only"`
	}
	Hidden struct {
		Secret string `db:"secret" json:"secret"`
	}
	recursive struct {
		_  struct{} `socksync:"table=t"`
		ID string   `db:"id" json:"id" socksync:"pk"`
		*Recursing
	}
	Recursing struct {
		More string `db:"more" json:"more"`
		*Recursing
	}
	nesting struct {
		_      struct{} `socksync:"table=t"`
		ID     string   `db:"id" json:"id" socksync:"pk"`
		Object `json:"object"`
		Plain  Object `db:"plain" json:"plain"`
	}
	Object struct {
		ID string `json:"id"`
	}
)

func TestColumns(t *testing.T) {
	t.Parallel()
	type columns map[string]string // by column: JSON name
	for _, tc := range []struct {
		model *binding.ModelDef
		order string
		key   []string
		json  columns
	}{
		{
			binding.Model[plain](), `b id bare hide Odd "Name"`,
			[]string{"id"},
			columns{"b": "b", "id": "id", "bare": "Bare", "hide": "", `Odd "Name"`: "$%-/"},
		},
		{
			binding.Model[embedding](), "id created base_tail deep two secret tail",
			[]string{"id", "two"},
			columns{"id": "id", "created": "created", "base_tail": "", "deep": "Deep", "two": "two", "secret": "", "tail": "tail"},
		},
		{binding.Model[recursive](), "id more", []string{"id"}, columns{"id": "id", "more": "more"}},
		{binding.Model[nesting](), "id plain", []string{"id"}, columns{"id": "id", "plain": "plain"}},
	} {
		t.Run(tc.model.String(), func(t *testing.T) {
			t.Parallel()
			require.NoError(t, tc.model.Validate())
			var names []string
			got := columns{}
			for _, c := range tc.model.Columns {
				names = append(names, c.Name)
				got[c.Name] = c.JSON
			}
			require.Equal(t, tc.order, strings.Join(names, " "))
			require.Equal(t, tc.key, tc.model.Key)
			require.Equal(t, tc.json, got)
		})
	}
	require.Equal(t, "outer", binding.Model[embedding]().Table)
}

// TestColumnsAgreeWithEncodingJSON marks each column in turn and looks for the
// mark in what encoding/json makes of the row.
func TestColumnsAgreeWithEncodingJSON(t *testing.T) {
	t.Parallel()
	dash := withFields(reflect.StructField{Name: "Dash", Type: reflect.TypeFor[string](), Tag: `db:"dash" json:"-,"`})
	for _, model := range []*binding.ModelDef{
		binding.ModelOf(dash), binding.Model[plain](), binding.Model[embedding](), binding.Model[recursive](), binding.Model[nesting](),
	} {
		for _, c := range model.Columns {
			t.Run(fmt.Sprintf("%v %s", model, c.Name), func(t *testing.T) {
				t.Parallel()
				require.Equal(t, c.JSON, keyThatChanges(t, model, c))
			})
		}
	}
}

func keyThatChanges(t *testing.T, model *binding.ModelDef, c binding.Column) string {
	t.Helper()
	row := model.NewRow()
	for _, other := range model.Columns {
		other.In(row) // makes the embedded pointers, in both texts
	}
	before := publish(t, row)
	mark(c.In(row))
	after := publish(t, row)
	for name, value := range after {
		if !reflect.DeepEqual(before[name], value) {
			return name
		}
	}
	return ""
}

func mark(field reflect.Value) {
	switch field.Interface().(type) {
	case int:
		field.SetInt(7)
	case string:
		field.SetString("mark")
	case time.Time:
		field.Set(reflect.ValueOf(time.Unix(7, 0).UTC()))
	case Object:
		field.Set(reflect.ValueOf(Object{ID: "mark"}))
	}
}

func publish(t *testing.T, row reflect.Value) map[string]any {
	t.Helper()
	text, err := json.Marshal(row.Interface())
	require.NoError(t, err)
	var object map[string]any
	require.NoError(t, json.Unmarshal(text, &object))
	return object
}

func TestModel(t *testing.T) {
	t.Parallel()
	d := binding.Model[plain]()
	require.Equal(t, reflect.TypeFor[plain](), d.Row)
	require.Equal(t, "model binding_test.plain", d.String())
	c, ok := d.Column(`Odd "Name"`)
	require.True(t, ok)
	require.Equal(t, reflect.TypeFor[string](), c.Type)
	_, ok = d.Column("ODD")
	require.False(t, ok)
	require.True(t, d.NewRow().CanSet())
	require.Equal(t, plain{none: ""}, d.NewRow().Interface())

	var none *binding.ModelDef
	require.Equal(t, []string{"nil"}, problems(t, none.Validate()))
	require.Equal(t, []string{"missing table", "missing struct", "missing columns", "missing primary key"},
		problems(t, binding.ModelOf(nil).Validate()))
	require.Equal(t, "model int", binding.Model[int]().String())
}

func TestPlainDataWithStruct(t *testing.T) {
	t.Parallel()
	row := reflect.TypeFor[recursive]()
	stringType := reflect.TypeFor[string]()
	for _, tc := range []struct {
		path []int
		typ  reflect.Type
		ok   bool
	}{
		{[]int{1}, stringType, true},
		{[]int{2, 0}, stringType, true},
		{[]int{1}, reflect.TypeFor[int](), false},
		{[]int{1}, nil, false},
		{nil, stringType, false},
		{[]int{9}, stringType, false},
		{[]int{-1}, stringType, false},
		{[]int{1, 0}, stringType, false},
		{[]int{0}, reflect.TypeFor[struct{}](), false},
	} {
		d := binding.ModelDef{
			Table:   "t",
			Key:     []string{"id"},
			Columns: []binding.Column{{Name: "id", Field: tc.path, Type: tc.typ}},
			Row:     row,
		}
		require.Equal(t, tc.ok, d.Validate() == nil, "%v %v", tc.path, tc.typ)
	}
}
