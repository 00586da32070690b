package choice_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// flights is a list of few columns, with JSON names of its own.
func flights(change func(*binding.ListDef)) (*binding.ListDef, map[string]choice.Column) {
	def := &binding.ListDef{
		Name: "flights", Table: `public."Flights"`, Key: []string{"id"},
		Columns: []binding.Column{
			{Name: "id", JSON: "number"},
			{Name: "origin", JSON: "from"},
			{Name: "delay", JSON: "delay"},
			{Name: "data", JSON: "data"},
			{Name: "secret"},
		},
	}
	change(def)
	columns := map[string]choice.Column{
		"id":     builtin(pgtype.Int8OID, "bigint"),
		"origin": text(pgtype.TextOID, "text", ""),
		"delay":  builtin(pgtype.Int4OID, "integer"),
		"data":   {OID: pgtype.JSONOID, Type: "json", Deterministic: true},
		"secret": text(pgtype.TextOID, "text", ""),
	}
	for _, c := range def.Columns {
		column := columns[c.Name]
		column.Name, column.JSON = c.Name, c.JSON
		columns[c.Name] = column
	}
	return def, columns
}

func rulesOf(t testing.TB, change func(*binding.ListDef)) *choice.Rules {
	t.Helper()
	rules, err := newRules(flights(change))
	require.NoError(t, err)
	return rules
}

func TestRulesMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*binding.ListDef)
		want   []string
	}{
		{"nothing", func(*binding.ListDef) {}, nil},
		{"all", func(d *binding.ListDef) {
			d.Filter, d.Sort, d.Search = []binding.FilterRule{{Column: "*"}}, []string{"*"}, []string{"origin"}
		}, nil},
		{"all of some operators", func(d *binding.ListDef) {
			d.Filter = []binding.FilterRule{{Column: "*", Operators: []binding.Operator{binding.OpPrefix}}}
		}, nil},
		{"a column that only can be NULL", func(d *binding.ListDef) { d.Filter = []binding.FilterRule{{Column: "data"}} }, nil},
		{"operators", func(d *binding.ListDef) {
			d.Filter = []binding.FilterRule{
				{Column: "delay", Operators: []binding.Operator{binding.OpEq, binding.OpPrefix, binding.OpContains}},
				{Column: "data", Operators: []binding.Operator{binding.OpNull, binding.OpEq, binding.OpLt}},
			}
		}, []string{
			`list "flights": filter: column "delay" of type integer has no operator prefix`,
			`list "flights": filter: column "delay" of type integer has no operator contains`,
			`list "flights": filter: column "data" of type json has no operator eq`,
			`list "flights": filter: column "data" of type json has no operator lt`,
		}},
		{"columns", func(d *binding.ListDef) {
			d.Filter, d.Sort, d.Search = []binding.FilterRule{{Column: "gate"}, {Column: "secret"}}, []string{"gate", "data"}, []string{"delay", "secret", "gate"}
		}, []string{
			`list "flights": filter: table public."Flights" has no column "gate"`,
			`list "flights": filter: column "secret" is hidden`,
			`list "flights": sort: table public."Flights" has no column "gate"`,
			`list "flights": sort: column "data" of type json has no order`,
			`list "flights": search: column "delay" of type integer is no text`,
			`list "flights": search: column "secret" is hidden`,
			`list "flights": search: table public."Flights" has no column "gate"`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := newRules(flights(c.change))
			if c.want == nil {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, strings.Join(c.want, "\n"))
		})
	}
}

// allowedOperators tries every operator on a column.
func allowedOperators(rules *choice.Rules, column string) string {
	var all []string
	for _, o := range binding.Operators() {
		value := `1`
		switch o {
		case binding.OpIn:
			value = `[1]`
		case binding.OpNull:
			value = `true`
		case binding.OpPrefix, binding.OpContains:
			value = `"1"`
		}
		w := window.Choice{Filter: []window.Condition{{Column: column, Operator: protocol.Operator(o), Value: []byte(value)}}}
		if _, err := rules.Resolve(w, nil); err == nil {
			all = append(all, string(o))
		}
	}
	return strings.Join(all, " ")
}

func TestRulesAllow(t *testing.T) {
	t.Parallel()
	const text, number, json = "eq ne lt lte gt gte in prefix contains null", "eq ne lt lte gt gte in null", "null"
	for _, c := range []struct {
		name  string
		rules []binding.FilterRule
		want  [5]string // of number, from, delay, data and secret
	}{
		{name: "nothing"},
		{"all", []binding.FilterRule{{Column: "*"}}, [5]string{number, text, number, json, ""}},
		{"one", []binding.FilterRule{{Column: "origin"}}, [5]string{"", text, "", "", ""}},
		{"all of some operators", []binding.FilterRule{{Column: "*", Operators: []binding.Operator{"prefix", "lt"}}}, [5]string{"lt", "lt prefix", "lt", "", ""}},
		{"one restricted", []binding.FilterRule{
			{Column: "*"}, {Column: "origin", Operators: []binding.Operator{"eq"}}, {Column: "delay", Operators: []binding.Operator{"lte", "gte"}},
		}, [5]string{number, "eq", "lte gte", json, ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rules := rulesOf(t, func(d *binding.ListDef) { d.Filter = c.rules })
			var got [5]string
			for i, column := range []string{"number", "from", "delay", "data", "secret"} {
				got[i] = allowedOperators(rules, column)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestRulesSearch(t *testing.T) {
	t.Parallel()
	require.Empty(t, rulesOf(t, func(*binding.ListDef) {}).Search())
	columns := rulesOf(t, func(d *binding.ListDef) { d.Search = []string{"origin"} }).Search()
	require.Len(t, columns, 1)
	require.Equal(t, "origin", columns[0].Name)
}

func rulesFrom(t testing.TB, def *binding.ListDef, columns map[string]choice.Column) *choice.Rules {
	t.Helper()
	rules, err := newRules(def, columns)
	require.NoError(t, err)
	return rules
}

// newRules holds a list of a table against its columns.
func newRules(def *binding.ListDef, columns map[string]choice.Column) (*choice.Rules, error) {
	table, err := binding.ParseTable(def.Table)
	if err != nil {
		return nil, err
	}
	return choice.NewRules(def, binding.QuoteIdent(table.Name), columns)
}
