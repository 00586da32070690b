package sqltext_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/sqltext"
)

// equalities are conditions, and the column and the name of those that are no more.
var equalities = []struct{ sql, column, name string }{
	{"a = @n", "a", "n"},
	{"@n = a", "a", "n"},
	{"a=@n", "a", "n"},
	{"@n=a", "a", "n"},
	{"(a = @n)", "a", "n"},
	{" ( (\n@n_1 = a ) ) ", "a", "n_1"},
	{"A1$ = @n", "a1$", "n"},
	{"ÄB = @n", "Äb", "n"},
	{`"A""b" = @n`, `A"b`, "n"},
	{`@n = "user"`, "user", "n"},
	{"/* x */ a -- y\n = @n -- z", "a", "n"},
	{strings.Repeat("a", 63) + " = @n", strings.Repeat("a", 63), "n"},
	{strings.Repeat("a", 64) + " = @n", "", ""},
	{"", "", ""},
	{"a", "", ""},
	{"()", "", ""},
	{"t.a = @n", "", ""},
	{"a = @n AND b = @m", "", ""},
	{"NOT a = @n", "", ""},
	{"a <= @n", "", ""},
	{"a == @n", "", ""},
	{"a <> @n", "", ""},
	{"a < @n", "", ""},
	{"a = @ n", "", ""},
	{"a =@@n", "", ""},
	{"a = n", "", ""},
	{"@a = @n", "", ""},
	{"a = @n::int", "", ""},
	{"a::text = @n", "", ""},
	{"(a) = (@n)", "", ""},
	{"(a = @n", "", ""},
	{"a = @n)", "", ""},
	{"a = 'x'", "", ""},
	{"'a' = @n", "", ""},
	{"$1 = @n", "", ""},
	{"1 = @n", "", ""},
	{"a IS @n", "", ""},
	{"a[1] = @n", "", ""},
	{`U&"a" = @n`, "", ""},
	{`"" = @n`, "", ""},
	{`"a = @n`, "", ""},
	{`@n = "`, "", ""},
	{`@n = "a`, "", ""},
	{`@n = "a""`, "", ""},
	{"a = @n /*", "", ""},
	{"a = @n;", "", ""},
	{"\xff = @n", "", ""},
	{"user = @n", "", ""},
	{"USER = @n", "", ""},
	{"@n = Null", "", ""},
}

func TestEquality(t *testing.T) {
	t.Parallel()
	for _, tc := range equalities {
		column, name, ok := sqltext.Equality(tc.sql)
		require.Equal(t, []any{tc.column, tc.name, tc.column != ""}, []any{column, name, ok}, tc.sql)
	}
}

// TestBareWordsAreColumns: of a word that Postgres takes as something else than a column, Equality does not say that it is
// one. All key words of the server are tried.
func TestBareWordsAreColumns(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	rows, err := pool.Query(t.Context(), "SELECT word FROM pg_get_keywords() UNION VALUES ('system_user'), ('plain')")
	require.NoError(t, err)
	words, columns := []string{}, 0
	var word string
	for rows.Next() {
		require.NoError(t, rows.Scan(&word))
		words = append(words, word)
	}
	require.NoError(t, rows.Err())
	for _, word := range words {
		var name, got string
		column := `"` + word + `"`
		err := pool.QueryRow(t.Context(), "SELECT ("+word+")::text FROM (SELECT 'column') AS t("+column+")").Scan(&got)
		name, _, ok := sqltext.Equality(word + " = @n")
		if err == nil && word != "system_user" { // which older servers do not know
			require.Equal(t, got == "column", ok, word)
		}
		if ok {
			require.Equal(t, word, name)
			columns++
		}
	}
	require.Greater(t, columns, 300)
}

func TestClosed(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"":                         "",
		"SELECT (a), ')' -- (":     "",
		"a[b[(1)]]":                "",
		"[":                        "its brackets do not match",
		"(a]":                      "its brackets do not match",
		"[a)":                      "its brackets do not match",
		"a) OR (b":                 "its brackets do not match",
		"a)":                       "its brackets do not match",
		"(a":                       "its brackets do not match",
		"SELECT 1;":                "it has a semicolon",
		"';' = $$;$$ /* ; */":      "",
		"a = 'b":                   "a quote is not closed",
		`a = E'b\'`:                "a quote is not closed",
		`a = "b`:                   "a quote is not closed",
		"a = $x$ $$ ":              "a quote is not closed",
		"a = b /* /* */":           "a comment is not closed",
		"a = b -- /* ' ":           "",
		"a = E'b'\n 'c\\'":         "a quote is not closed",
		"a = E'b' 'c\\'":           "",
		"a = E'b' /* */ 'c\\'":     "",
		"a = E'b'\n-- it's\n'\\''": "",
	} {
		err := sqltext.Closed(sql)
		if want == "" {
			require.NoError(t, err, sql)
			continue
		}
		require.EqualError(t, err, want, sql)
	}
}

func TestIsBlank(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]bool{"": true, " \n\t\v": true, "/* a */ -- b": true, "a": false, "/* a": false, ";": false} {
		require.Equal(t, want, sqltext.IsBlank(sql), sql)
	}
}
