package binding_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
)

// tagged makes a struct with the blank field's tag and two columns, the first
// with fieldTag in addition.
func tagged(blankTag, fieldTag string) reflect.Type {
	fields := []reflect.StructField{
		{Name: "ID", Type: reflect.TypeFor[int64](), Tag: reflect.StructTag(`db:"id" json:"id" ` + fieldTag)},
		{Name: "Name", Type: reflect.TypeFor[string](), Tag: `db:"name" json:"name"`},
	}
	if blankTag != "" {
		blank := reflect.StructField{
			Name:    "_",
			PkgPath: "example.com/flights",
			Type:    reflect.TypeFor[struct{}](),
			Tag:     reflect.StructTag(blankTag),
		}
		fields = append(fields, blank)
	}
	return reflect.StructOf(fields)
}

func TestBlankFieldTag(t *testing.T) {
	t.Parallel()
	const quotes = "socksync:\"table=t; where=a = 'x;y' and \\\"b;c\\\" = 'it''s'; order=name\""
	for _, tc := range []struct {
		name, tag string
		want      []string
	}{
		{"least", `socksync:"table=t"`, nil},
		{"ends with a semicolon", `socksync:"table=t;"`, nil},
		{"spaces", `socksync:"  table =  t ;  list = a b  "`, nil},
		{"everything", `socksync:"table=t; list=x; where=id > 0; order=-name; page_size=5; max_page_size=9"`, nil},
		{"var", `socksync:"table=t; var=x; where=id = 1; params=a"`, nil},
		{"choice", `socksync:"table=t; list=x; max_window=9; filter=*; sort=id, name; search=name"`, nil},
		{"quoted semicolons", quotes, nil},
		{"unknown", `socksync:"table=t; tabel=u"`, []string{`unknown key "tabel"`}},
		{"case", `socksync:"Table=t"`, []string{`unknown key "Table"`, "missing table"}},
		{"repeated", `socksync:"table=t; table=u"`, []string{"repeated key table"}},
		{"no value", `socksync:"table"`, []string{"key table has no value"}},
		{"empty values", `socksync:"table=; list= ; where="`, []string{"key table has no value", "key list has no value", "key where has no value"}},
		{"empty entry", `socksync:"table=t;;list=x"`, []string{"an empty entry"}},
		{"no key", `socksync:"table=t; =x"`, []string{`unknown key ""`}},
		{"empty", `socksync:""`, []string{"an empty entry", "missing table"}},
		{"pk", `socksync:"table=t; pk"`, []string{"misplaced key pk: it belongs on a field that is a column"}},
		{"list and var", `socksync:"table=t; list=x; var=y"`, []string{"misplaced key list: a struct with var is one row"}},
		{"var and order", `socksync:"table=t; var=y; order=id; page_size=1; max_page_size=2; max_window=3; filter=*; sort=*; search=a"`, []string{
			"misplaced key order: a struct with var is one row",
			"misplaced key page_size: a struct with var is one row",
			"misplaced key max_page_size: a struct with var is one row",
			"misplaced key max_window: a struct with var is one row",
			"misplaced key filter: a struct with var is one row",
			"misplaced key sort: a struct with var is one row",
			"misplaced key search: a struct with var is one row",
		}},
		{"word as number", `socksync:"table=t; page_size=ten"`, []string{`page_size: "ten" is not a number`}},
		{"fraction", `socksync:"table=t; page_size=1.5"`, []string{`page_size: "1.5" is not a number`}},
		{"exponent", `socksync:"table=t; max_page_size=1e3"`, []string{`max_page_size: "1e3" is not a number`}},
		{"zero", `socksync:"table=t; page_size=0; max_page_size=-1"`, []string{"page_size: 0 is less than 1", "max_page_size: -1 is less than 1"}},
		{"huge", `socksync:"table=t; page_size=99999999999999999999"`, []string{"page_size: 99999999999999999999 is out of range"}},
		{"open quote", `socksync:"table=t; where=name = 'x"`, []string{"the quote ' is not closed"}},
		{"bad table", `socksync:"table=a b"`, []string{`table "a b": unexpected "b"`}},
		{"malformed", `socksync:"table=t" json`, []string{`malformed tag at "json": want key:"value"`}},
		{"malformed before", `json socksync:"table=t"`, []string{`malformed tag at "json socksync:\"table=t\"": want key:"value"`, "missing table"}},
		{"unquoted", `socksync:table=t`, []string{`malformed tag at "socksync:table=t": want key:"value"`, "missing table"}},
		{"key twice", `socksync:"table=t" socksync:"list=x"`, []string{"repeated tag key socksync"}},
		{"db", `socksync:"table=t" db:"x"`, []string{"misplaced tag key db: a blank field is not a column"}},
		{"none", "", []string{"missing table"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := binding.ModelOf(tagged(tc.tag, `socksync:"pk"`)).Validate()
			require.Equal(t, tc.want, problems(t, err))
			for _, m := range mistakes(t, err) {
				if !strings.HasPrefix(m.Problem, "missing") {
					require.Equal(t, "_", m.Field)
					require.Equal(t, tc.tag, m.Tag)
				}
			}
		})
	}
}

func TestFieldTag(t *testing.T) {
	t.Parallel()
	const missing = "missing primary key"
	for _, tc := range []struct {
		tag  string
		want []string
	}{
		{`socksync:"pk"`, nil},
		{`socksync:" pk; "`, nil},
		{`socksync:"filter = eq in; sort; pk; search"`, nil},
		{`socksync:"filter; sort; search"`, []string{missing}},
		{"", []string{missing}},
		{`socksync:""`, []string{"an empty entry"}},
		{`socksync:"PK"`, []string{`unknown key "PK"`}},
		{`socksync:"primary"`, []string{`unknown key "primary"`}},
		{`socksync:"pk; pk"`, []string{"repeated key pk"}},
		{`socksync:"pk=1"`, []string{"key pk takes no value"}},
		{`socksync:"pk; list=x"`, []string{"misplaced key list: it belongs on the blank field _ struct{}"}},
		{`socksync:"pk; hidden"`, []string{`unknown key "hidden"`}},
		{`socksync:"pk'"`, []string{"the quote ' is not closed"}},
		{`socksync:"pk" db:"other"`, []string{"repeated tag key db"}},
		{`socksync:"pk" json:"other"`, []string{"repeated tag key json"}},
		{`socksync:"pk" xml:"other" xml:"other"`, nil},
	} {
		t.Run(tc.tag, func(t *testing.T) {
			t.Parallel()
			err := binding.ModelOf(tagged(`socksync:"table=t"`, tc.tag)).Validate()
			require.Equal(t, tc.want, problems(t, err))
			for _, m := range mistakes(t, err) {
				if m.Problem != missing {
					require.Equal(t, "ID", m.Field)
					require.Equal(t, `db:"id" json:"id" `+tc.tag, m.Tag)
				}
			}
		})
	}
}

// FuzzTag: no tag makes a constructor panic, and what is accepted has a name, a
// key that is published, and allows what options can say as well.
func FuzzTag(f *testing.F) {
	f.Add(`socksync:"table=t; list=x; order=-id; page_size=3"`, `socksync:"pk"`)
	f.Add(`socksync:"table=t; var=x; where=a = 'b;c'"`, `json:"y,omitempty"`)
	f.Add(`socksync:"table=t; list=x; filter=*(eq ne), \"name\"(lt); sort=name; search=Name; max_window=100"`, `socksync:"pk; filter=in; sort; search"`)
	f.Add(`socksync:"table=t; var=x; params=a, b"`, `socksync:"pk"`)
	f.Fuzz(func(t *testing.T, blankTag, fieldTag string) {
		row := tagged(blankTag, fieldTag)
		query := binding.Query("SELECT @a AS id, @b AS name", "t")
		if d := binding.VarOf(row, []binding.Option{query}); d.Validate() == nil {
			require.Subset(t, []string{"a", "b"}, d.Params)
		}
		fuzzList(t, binding.ListOf(row, nil), row)
		d := binding.ModelOf(row)
		if err := d.Validate(); err != nil {
			require.NotEmpty(t, mistakes(t, err))
			return
		}
		_, err := binding.ParseTable(d.Table)
		require.NoError(t, err)
		require.NotEmpty(t, d.Key)
	})
}

// fuzzList says what d allows by options.
func fuzzList(t *testing.T, d *binding.ListDef, row reflect.Type) {
	t.Helper()
	if err := d.Validate(); err != nil {
		require.NotEmpty(t, mistakes(t, err))
		return
	}
	names := func(columns []string) (texts []string) {
		for _, c := range columns {
			texts = append(texts, ruleText(binding.FilterRule{Column: c}))
		}
		return texts
	}
	var rules []string
	for _, rule := range d.Filter {
		rules = append(rules, ruleText(rule))
	}
	same := binding.ListOf(row, []binding.Option{
		binding.Filter(rules...), binding.Sort(names(d.Sort)...), binding.Search(names(d.Search)...), binding.MaxWindow(d.MaxWindow),
	})
	require.NoError(t, same.Validate())
	require.Equal(t, d.Filter, same.Filter)
	require.Equal(t, d.Sort, same.Sort)
	require.Equal(t, d.Search, same.Search)
	require.Equal(t, d.MaxWindow, same.MaxWindow)
	for _, column := range d.Columns {
		published := column.JSON != ""
		require.True(t, published || !slices.Contains(d.Key, column.Name))
		require.True(t, published || !slices.Contains(append(d.Sort, d.Search...), column.Name))
	}
}
