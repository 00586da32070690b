package binding_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
)

func TestParseOrder(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text string
		want []binding.OrderTerm
		sql  string
	}{
		{"id", []binding.OrderTerm{{Column: "id"}}, `"id" ASC NULLS LAST`},
		{"-id", []binding.OrderTerm{{Column: "id", Desc: true}}, `"id" DESC NULLS FIRST`},
		{" - id ", []binding.OrderTerm{{Column: "id", Desc: true}}, `"id" DESC NULLS FIRST`},
		{"id ASC", []binding.OrderTerm{{Column: "id"}}, `"id" ASC NULLS LAST`},
		{"id desc", []binding.OrderTerm{{Column: "id", Desc: true}}, `"id" DESC NULLS FIRST`},
		{"id nulls first", []binding.OrderTerm{{Column: "id", Nulls: binding.NullsFirst}}, `"id" ASC NULLS FIRST`},
		{"-id NULLS  Last", []binding.OrderTerm{{Column: "id", Desc: true, Nulls: binding.NullsLast}}, `"id" DESC NULLS LAST`},
		{"id desc nulls last", []binding.OrderTerm{{Column: "id", Desc: true, Nulls: binding.NullsLast}}, `"id" DESC NULLS LAST`},
		{
			`-"a, b", "Desc" asc,C`,
			[]binding.OrderTerm{{Column: "a, b", Desc: true}, {Column: "Desc"}, {Column: "c"}},
			`"a, b" DESC NULLS FIRST, "Desc" ASC NULLS LAST, "c" ASC NULLS LAST`,
		},
		{"desc desc", []binding.OrderTerm{{Column: "desc", Desc: true}}, `"desc" DESC NULLS FIRST`},
	} {
		t.Run(tc.text, func(t *testing.T) {
			t.Parallel()
			got, err := binding.ParseOrder(tc.text)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
			require.Equal(t, tc.sql, orderBy(got))
		})
	}
}

func orderBy(terms []binding.OrderTerm) string {
	var all []string
	for _, term := range terms {
		all = append(all, term.SQL())
	}
	return strings.Join(all, ", ")
}

func TestParseOrderRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                     `order term "": an empty name`,
		"id,":                  `order term "": an empty name`,
		"a,,b":                 `order term "": an empty name`,
		"-":                    `order term "-": an empty name`,
		"--id":                 `order term "--id": "-id" does not start with a name`,
		"-id desc":             `order term "-id desc": - and desc together`,
		"-id asc":              `order term "-id asc": - and asc together`,
		"id nulls":             `order term "id nulls": unexpected "nulls" after the column (no expressions)`,
		"id nulls middle":      `order term "id nulls middle": unexpected "nulls middle" after the column (no expressions)`,
		"id nulls first desc":  `order term "id nulls first desc": unexpected "nulls first desc" after the column (no expressions)`,
		"lower(name)":          `order term "lower(name)": unexpected "(name)" after the column (no expressions)`,
		"a + b":                `order term "a + b": unexpected "+ b" after the column (no expressions)`,
		"flights.id":           `order term "flights.id": unexpected ".id" after the column (no expressions)`,
		`"id`:                  `the quote " is not closed`,
		"a'b":                  `the quote ' is not closed`,
		"1, id":                `order term "1": "1" does not start with a name`,
		"id; DROP TABLE users": `order term "id; DROP TABLE users": unexpected "; DROP TABLE users" after the column (no expressions)`,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			_, err := binding.ParseOrder(text)
			require.EqualError(t, err, want)
		})
	}
}

func TestParseOrderJoinsMistakes(t *testing.T) {
	t.Parallel()
	terms, err := binding.ParseOrder("1, id, a b")
	require.ErrorContains(t, err, `order term "1"`)
	require.ErrorContains(t, err, `order term "a b"`)
	require.Equal(t, []binding.OrderTerm{{Column: "id"}}, terms)
}

// FuzzParseOrder: what is accepted means the same when its SQL is read.
func FuzzParseOrder(f *testing.F) {
	for _, s := range []string{"id", "-a, b desc nulls last", `"x""y" nulls first`, "a'b", `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		terms, err := binding.ParseOrder(text)
		if err != nil {
			return
		}
		again, err := binding.ParseOrder(orderBy(terms))
		require.NoError(t, err)
		require.Len(t, again, len(terms))
		for i := range terms {
			require.Equal(t, terms[i].Column, again[i].Column)
			require.Equal(t, terms[i].Desc, again[i].Desc)
			require.Equal(t, terms[i].NullsFirst(), again[i].NullsFirst())
		}
	})
}
