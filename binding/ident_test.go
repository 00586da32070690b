package binding_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
)

func TestParseTable(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text string
		want binding.TableName
		sql  string
	}{
		{"flights", binding.TableName{Name: "flights"}, `"flights"`},
		{"  Flights ", binding.TableName{Name: "flights"}, `"flights"`},
		{"public.flights", binding.TableName{Schema: "public", Name: "flights"}, `"public"."flights"`},
		{"Public . Flights", binding.TableName{Schema: "public", Name: "flights"}, `"public"."flights"`},
		{`"Odd Name"`, binding.TableName{Name: "Odd Name"}, `"Odd Name"`},
		{`public."a.b"`, binding.TableName{Schema: "public", Name: "a.b"}, `"public"."a.b"`},
		{`"x""; DROP TABLE flights; --"`, binding.TableName{Name: `x"; DROP TABLE flights; --`}, `"x""; DROP TABLE flights; --"`},
		{`""""`, binding.TableName{Name: `"`}, `""""`},
		{"order", binding.TableName{Name: "order"}, `"order"`},
		{"_a$1", binding.TableName{Name: "_a$1"}, `"_a$1"`},
		{"ÄPFEL", binding.TableName{Name: "Äpfel"}, `"Äpfel"`},
		{strings.Repeat("x", 63), binding.TableName{Name: strings.Repeat("x", 63)}, `"` + strings.Repeat("x", 63) + `"`},
	} {
		t.Run(tc.text, func(t *testing.T) {
			t.Parallel()
			got, err := binding.ParseTable(tc.text)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
			require.Equal(t, tc.sql, got.SQL())
			require.Equal(t, tc.sql, got.String())
		})
	}
}

func TestParseTableRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", ".", "a.", ".a", "a.b.c", "a b", "a;b", "1a", "a-b", "a'b", "a, b", "a--", "a/**/",
		`"`, `"a`, `"a""`, `""`, `a.""`, `"a"b`, "flights; DROP TABLE flights", "$a",
		"a\x00b", "\"a\x00b\"", "a\xff", "\"\xff\"", strings.Repeat("x", 64), `"` + strings.Repeat("ä", 32) + `"`,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			_, err := binding.ParseTable(text)
			require.Error(t, err)
		})
	}
}

func TestQuoteIdent(t *testing.T) {
	t.Parallel()
	require.Equal(t, `"a"`, binding.QuoteIdent("a"))
	require.Equal(t, `"A b"`, binding.QuoteIdent("A b"))
	require.Equal(t, `"a""; DROP TABLE x; --"`, binding.QuoteIdent(`a"; DROP TABLE x; --`))
	require.Equal(t, `"a"`, binding.QuoteIdent("a\x00"))
	require.Equal(t, `""""`, binding.QuoteIdent("\x00\"\x00"))
}

// FuzzParseTable: what is accepted reads back as the same name from its SQL.
func FuzzParseTable(f *testing.F) {
	for _, s := range []string{"flights", `public."Odd Name"`, `"a""b".c`, `"`, "ÄÖ.x", "a\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := binding.ParseTable(text)
		if err != nil {
			return
		}
		again, err := binding.ParseTable(name.SQL())
		require.NoError(t, err)
		require.Equal(t, name, again)
	})
}
