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
		{"a view's", `socksync:"view=v; list=x; recompute=1m30s; tables=t; role=r; settings=a.b @c, d.e @f"`, []string{"missing table"}},
		{"dependencies", `socksync:"table=t; view=v; list=x; depends=a.(b, c) > t.(d, e), f.g"`, nil},
		{"a var's role", `socksync:"table=t; var=x; role=r; settings=a.b @c"`, nil},
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
		{"var and view", `socksync:"table=t; var=y; view=v; depends=a.b; recompute=1s; tables=t"`, []string{
			"misplaced key view: a struct with var is one row",
			"misplaced key depends: a struct with var is one row",
			"misplaced key recompute: a struct with var is one row",
			"misplaced key tables: a struct with var is one row",
		}},
		{"no times", `socksync:"table=t; recompute=500"`, []string{`recompute: "500" is not a time such as 500ms`}},
		{"no time", `socksync:"table=t; recompute=-1s"`, []string{"recompute: -1s is no time to wait"}},
		{"no values", `socksync:"table=t; view=; depends; recompute=; tables; role; settings="`, []string{
			"key view has no value", "key depends has no value", "key recompute has no value", "key tables has no value",
			"key role has no value", "key settings has no value",
		}},
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
	f.Add(`socksync:"table=t; view=s.v; list=x; depends=a.b > t.c, d.(e) > \"A\".f; where=id = @x; role=r; settings=a.b @c"`, `socksync:"pk"`)
	f.Add(`socksync:"view=v; list=x; recompute=1s; tables=t, \"T\".u"`, `socksync:"pk"`)
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

// queryOptions says what d reads by options.
func queryOptions(d *binding.ListDef) []binding.Option {
	var options []binding.Option
	if d.Query != "" {
		options = append(options, binding.Query(d.Query))
	}
	if d.Recompute > 0 {
		options = append(options, binding.Recompute(d.Recompute, d.Tables...))
	}
	var terms, settings []string
	for _, dependency := range d.Depends {
		terms = append(terms, dependency.String())
	}
	for _, s := range d.Settings {
		settings = append(settings, s.Name+" @"+s.Value)
	}
	if d.Role != "" {
		options = append(options, binding.Role(binding.QuoteIdent(d.Role), settings...))
	}
	return append(options, binding.Depends(terms...))
}

// fuzzList says by options what d is.
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
	same := binding.ListOf(row, append(queryOptions(d),
		binding.Filter(rules...), binding.Sort(names(d.Sort)...), binding.Search(names(d.Search)...), binding.MaxWindow(d.MaxWindow)))
	require.NoError(t, same.Validate())
	require.Equal(t, d.Query, same.Query)
	require.Equal(t, d.Depends, same.Depends)
	require.Equal(t, d.Recompute, same.Recompute)
	require.Equal(t, d.Tables, same.Tables)
	require.Equal(t, d.Role, same.Role)
	require.Equal(t, d.Settings, same.Settings)
	require.Equal(t, d.Filter, same.Filter)
	require.Equal(t, d.Sort, same.Sort)
	require.Equal(t, d.Search, same.Search)
	require.Equal(t, d.MaxWindow, same.MaxWindow)
	for _, column := range d.Columns {
		published := column.JSON != ""
		require.True(t, published || !slices.Contains(d.Key, column.Name) || slices.Contains(d.BoundKey(), column.Name))
		require.True(t, published || !slices.Contains(append(d.Sort, d.Search...), column.Name))
	}
}
