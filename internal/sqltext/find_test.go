package sqltext_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/sqltext"
)

func TestFind(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		sql  string
		want sqltext.Found
	}{
		{"", sqltext.Found{}},
		{"a = @user_id", sqltext.Found{Names: []string{"user_id"}}},
		{"@b OR @a = @b OR @A1_b", sqltext.Found{Names: []string{"b", "a", "A1_b"}}},
		{"x <@ y AND @ a AND @1 AND @ä AND x @> y AND @", sqltext.Found{}},
		{"x <@a AND y = @b AND z &&@a AND c@c", sqltext.Found{Names: []string{"a", "b", "c"}, Unclear: []string{"a", "c"}}},
		{"'x'@a", sqltext.Found{Names: []string{"a"}}},
		{"$1", sqltext.Found{Numbered: true}},
		{"$ 1, $a, x$1, $$ $1 $$, '$1'", sqltext.Found{}},
		{"/* @a */ -- @b\n+ @c", sqltext.Found{Names: []string{"c"}}},
	} {
		require.Equal(t, tc.want, sqltext.Find(tc.sql), tc.sql)
	}
}

// readings are expressions with the value @a in them, and what they are when @a is 7: Postgres has the last word.
var readings = []struct{ sql, want string }{
	{"@a", "7"},
	{"@a+@a*@a", "56"},
	{"@ (-@a)", "7"},
	{"5-@a", "-2"},
	{"'@a'||@a", "@a7"},
	{"'it''s @a'||@a", "it's @a7"},
	{`'\'||@a`, `\7`},
	{`E'\'@a'||@a`, "'@a7"},
	{`E'\\'||@a`, `\7`},
	{"E'a'\n'\\'@a'||@a", "a'@a7"},
	{"e'a' -- it's\n -- it's\n\t'\\'@a'||@a", "a'@a7"},
	{"E'a' 'b'", "error"},
	{"E'' || 'b'\n'\\'||@a", `b\7`},
	{`E'\''/**/||@a`, "'7"},
	{`U&'\0061@a'||@a`, "a@a7"},
	{"n'@a'||@a", "@a7"},
	{"b'1'::int+@a", "8"},
	{"$$@a'$$||@a", "@a'7"},
	{"$x$@a$$'$y$$x$||@a", "@a$$'$y$7"},
	{"$ä1$@a$ä1$||@a", "@a7"},
	{"x$y$ + @a + z$y$", "10"},
	{"@a -- @a it's", "7"},
	{"@a /* @a /* it's */ @a */ + 1", "8"},
	{"@a+--\r1", "8"},
	{"1+/**/@a", "8"},
	{`"@a""b" + @a`, "12"},
	{"abs(@a::int)", "7"},
	{"(ARRAY[1,@a])[2]", "7"},
	{"1e0::int+@a", "8"},
	{`1e'\''`, "error"},
	{"-1+@a- -1", "7"},
	{"-1+@a--1", "6"},
}

func TestReplaceAsPostgresReads(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	for _, tc := range readings {
		sql := sqltext.Replace(tc.sql, func(name string) string {
			require.Equal(t, "a", name)
			return "(7)"
		})
		got := "error"
		err := pool.QueryRow(t.Context(), "SELECT ("+sql+"\n)::text FROM (SELECT 1, 2, 5) AS t(x$y$, z$y$, \"@a\"\"b\")").Scan(&got)
		if tc.want != "error" {
			require.NoError(t, err, sql)
		}
		require.Equal(t, tc.want, got, sql)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	require.Equal(t, `a = $1 AND '@a' = "@b" AND @ c = $2 -- @a`, sqltext.Replace(`a = @a AND '@a' = "@b" AND @ c = @b -- @a`,
		func(name string) string { return map[string]string{"a": "$1", "b": "$2"}[name] }))
	require.Equal(t, "a <<x>", sqltext.Replace("a <@x", func(name string) string { return "<" + name + ">" }))
}

// FuzzReplace: nothing is lost between the tokens, and every name that is put in is one that is found.
func FuzzReplace(f *testing.F) {
	for _, tc := range readings {
		f.Add(tc.sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		var names []string
		same := sqltext.Replace(sql, func(name string) string {
			names = append(names, name)
			return "@" + name
		})
		require.Equal(t, sql, same)
		found := sqltext.Find(sql)
		require.Subset(t, names, found.Names)
		require.Subset(t, found.Names, names)
		require.Subset(t, found.Names, found.Unclear)
		if sqltext.Closed(sql) == nil {
			behind := 0
			sqltext.Replace(sql+"\n@x", func(string) string {
				behind++
				return ""
			})
			require.Equal(t, len(names)+1, behind, "what is closed ends")
		}
	})
}
