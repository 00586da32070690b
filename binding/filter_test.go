package binding_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
)

func TestParseFilterRule(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]binding.FilterRule{
		"origin":            {Column: "origin"},
		" Origin ":          {Column: "origin"},
		`"Odd, (Name"`:      {Column: "Odd, (Name"},
		`"a"(eq)`:           {Column: "a", Operators: []binding.Operator{binding.OpEq}},
		"*":                 {Column: binding.AllColumns},
		"* (eq)":            {Column: binding.AllColumns, Operators: []binding.Operator{binding.OpEq}},
		"a(gte lte)":        {Column: "a", Operators: []binding.Operator{binding.OpGte, binding.OpLte}},
		"a \t( \n ne  in )": {Column: "a", Operators: []binding.Operator{binding.OpNe, binding.OpIn}},
		"eq(eq ne lt lte gt gte in prefix contains null)": {Column: "eq", Operators: []binding.Operator{
			"eq", "ne", "lt", "lte", "gt", "gte", "in", "prefix", "contains", "null",
		}},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			got, err := binding.ParseFilterRule(text)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestParseFilterRuleRefuses(t *testing.T) {
	t.Parallel()
	const after = "after the column: want (operator ...) with spaces between"
	for text, want := range map[string]string{
		"":            "an empty name",
		"(eq)":        `"(eq)" does not start with a name`,
		"a b":         `unexpected "b" ` + after,
		"a eq":        `unexpected "eq" ` + after,
		"a(eq":        `unexpected "(eq" ` + after,
		"a eq)":       `unexpected "eq)" ` + after,
		"a(":          `unexpected "(" ` + after,
		"a(eq) ne":    `unexpected "(eq) ne" ` + after,
		"a, b":        `unexpected ", b" ` + after,
		"*a":          `unexpected "a" ` + after,
		"-a":          `"-a" does not start with a name`,
		"t.a":         `unexpected ".a" ` + after,
		"lower(a)":    `unknown operator "a"`,
		"a()":         "no operators",
		"a( )":        "no operators",
		"a(EQ)":       `unknown operator "EQ"`,
		"a(eq, ne)":   `unknown operator "eq,"`,
		"a(like)":     `unknown operator "like"`,
		"a(=)":        `unknown operator "="`,
		"a((eq))":     `unknown operator "(eq)"`,
		"a(eq ne eq)": "repeated operator eq",
		`"a`:          "a quote is not closed",
		`"*"`:         "a column whose name is * cannot be named alone",
		`"*"(eq)`:     "a column whose name is * cannot be named alone",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			got, err := binding.ParseFilterRule(text)
			require.ErrorContains(t, err, `rule "`+strings.ReplaceAll(text, `"`, `\"`)+`": `+want)
			require.Equal(t, binding.FilterRule{}, got)
		})
	}
}

// ruleText writes a rule so that it can be read again.
func ruleText(rule binding.FilterRule) string {
	text := rule.Column
	if text != binding.AllColumns {
		text = binding.QuoteIdent(text)
	}
	if rule.Operators == nil {
		return text
	}
	var words []string
	for _, op := range rule.Operators {
		words = append(words, string(op))
	}
	return text + "(" + strings.Join(words, " ") + ")"
}

// FuzzParseFilterRule: what is accepted reads back as the same rule, and can be
// part of a definition.
func FuzzParseFilterRule(f *testing.F) {
	for _, s := range []string{"a", "*", "* (eq)", `"A""b" ( eq  ne )`, "a(eq eq)", `"*"`, "a(\xff)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rule, err := binding.ParseFilterRule(text)
		if err != nil {
			return
		}
		again, err := binding.ParseFilterRule(ruleText(rule))
		require.NoError(t, err)
		require.Equal(t, rule, again)

		d := &binding.ListDef{Name: "x", Table: "t", Key: []string{"id"}, Filter: []binding.FilterRule{rule}}
		d.Columns = []binding.Column{{Name: "id", JSON: "key"}}
		if rule.Column != binding.AllColumns && rule.Column != "id" {
			d.Columns = append(d.Columns, binding.Column{Name: rule.Column, JSON: "other"})
		}
		require.NoError(t, d.Validate())
	})
}
