package sqltext_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/sqltext"
)

// conditions and their parts, over the columns of newRows.
var conditions = []struct {
	sql  string
	want []string
}{
	{"", nil},
	{" \n/* nothing */ ", nil},
	{"a", []string{"a"}},
	{" a ", []string{"a"}},
	{"a AND b", []string{"a", "b"}},
	{"a and\nb aNd c", []string{"a", "b", "c"}},
	{"a AND(b)AND c", []string{"a", "(b)", "c"}},
	{"x = @n AND NOT a AND y IS NOT NULL", []string{"x = @n", "NOT a", "y IS NOT NULL"}},
	{"a OR b", []string{"a OR b"}},
	{"a AND b OR c", []string{"a AND b OR c"}},
	{"c or a AND b", []string{"c or a AND b"}},
	{"(a OR b) AND c", []string{"(a OR b)", "c"}},
	{"(a AND b)", []string{"(a AND b)"}},
	{"a AND (SELECT b AND c)", []string{"a", "(SELECT b AND c)"}},
	{"(ARRAY[a AND b, b])[1] AND c", []string{"(ARRAY[a AND b, b])[1]", "c"}},
	{"ARRAY[a OR b, b] = ARRAY[a AND b, c] AND c", []string{"ARRAY[a OR b, b] = ARRAY[a AND b, c]", "c"}},
	{"CASE WHEN a AND b THEN c ELSE a END AND b", []string{"CASE WHEN a AND b THEN c ELSE a END AND b"}},
	{"a AND CASE WHEN b THEN c END", []string{"a AND CASE WHEN b THEN c END"}},
	{"(CASE WHEN a AND b THEN c END) AND b", []string{"(CASE WHEN a AND b THEN c END)", "b"}},
	{"x BETWEEN 1 AND 2 AND a", []string{"x BETWEEN 1 AND 2", "a"}},
	{"a AND x NOT BETWEEN SYMMETRIC y AND z AND b", []string{"a", "x NOT BETWEEN SYMMETRIC y AND z", "b"}},
	{"x BETWEEN (y) AND z AND y between x and (z) AND b", []string{"x BETWEEN (y) AND z", "y between x and (z)", "b"}},
	{"a AND (x BETWEEN 1 AND 2) AND b", []string{"a", "(x BETWEEN 1 AND 2)", "b"}},
	{"x = 1. AND a", []string{"x = 1. AND a"}},
	{"a AND x = 1. OR b", []string{"a AND x = 1. OR b"}},
	{"x BETWEEN 1. AND 2 AND a AND b", []string{"x BETWEEN 1. AND 2 AND a", "b"}},
	{"x BETWEEN 1. AND 2. AND a AND b AND c", []string{"x BETWEEN 1. AND 2. AND a AND b", "c"}},
	{"a BETWEEN t.and AND b AND c", []string{"a BETWEEN t.and AND b", "c"}},
	{"t.and AND a", []string{"t.and", "a"}},
	{"t . /* */ and AND a", []string{"t . /* */ and", "a"}},
	{"a AND t.or", []string{"a AND t.or"}},
	{`"and" AND "or" AND "case"`, []string{`"and"`, `"or"`, `"case"`}},
	{"a AND 'x OR y' = 'x AND y' AND b", []string{"a", "'x OR y' = 'x AND y'", "b"}},
	{"a AND $$ OR $$ = $$ AND $$ AND b", []string{"a", "$$ OR $$ = $$ AND $$", "b"}},
	{`a AND E'\' OR ' = '' AND b`, []string{"a", `E'\' OR ' = ''`, "b"}},
	{"a -- and\nAND b -- or", []string{"a", "b"}},
	{"a -- x\n = b AND -- y\n c", []string{"a -- x\n = b", "c"}},
	{"a /* OR */ AND /* ( */ b", []string{"a", "b"}},
	{"a IS DISTINCT FROM b AND x IS NULL AND c ISNULL", []string{"a IS DISTINCT FROM b", "x IS NULL", "c ISNULL"}},
	{"x IN (1, 2) AND x = ANY (ARRAY[1, 2]) AND a", []string{"x IN (1, 2)", "x = ANY (ARRAY[1, 2])", "a"}},
	{"'a' LIKE 'b' ESCAPE 'c' AND a", []string{"'a' LIKE 'b' ESCAPE 'c'", "a"}},
	{"a = NOT b AND c", []string{"a = NOT b", "c"}},
	{"band AND bor AND andy", []string{"band", "bor", "andy"}},
	{"@or AND @and", []string{"@or", "@and"}},
	{"a AND", []string{"a AND"}},
	{"AND a", []string{"AND a"}},
	{"a AND /* */ AND b", []string{"a AND /* */ AND b"}},
	{"a) AND (b", []string{"a) AND (b"}},
	{"a AND (b", []string{"a AND (b"}},
	{"(a AND b", []string{"(a AND b"}},
	{"a AND b)", []string{"a AND b)"}},
	{"a AND 'b", []string{"a AND 'b"}},
	{"a AND b /* c", []string{"a AND b /* c"}},
	{"/* a AND b", []string{"/* a AND b"}},
	{`a AND "b`, []string{`a AND "b`}},
	{"a AND b;", []string{"a AND b;"}},
}

func TestConjuncts(t *testing.T) {
	t.Parallel()
	for _, tc := range conditions {
		require.Equal(t, tc.want, sqltext.Conjuncts(tc.sql), tc.sql)
	}
}

// rows is a table of all that a condition may meet: truths a to c and such with odd names, and numbers x to z.
type rows struct{ pool *pgxpool.Pool }

func newRows(t testing.TB) rows {
	t.Helper()
	pool := pgtest.New(t)
	_, err := pool.Exec(t.Context(), `CREATE TABLE t AS
		SELECT a, b, c, x, y, z, a AS "and", b AS "or", c AS "case", a AS band, b AS bor, c AS andy
		FROM unnest('{NULL,f,t}'::bool[]) AS a, unnest('{NULL,f,t}'::bool[]) AS b, unnest('{NULL,f,t}'::bool[]) AS c,
		unnest('{NULL,1,2,3}'::int[]) AS x, unnest('{NULL,1,2}'::int[]) AS y, unnest('{NULL,1,2}'::int[]) AS z`)
	require.NoError(t, err)
	return rows{pool}
}

// compare reports for how many rows a condition and its parts differ; valid is false where Postgres refuses the condition.
func (r rows) compare(t testing.TB, condition string, parts []string) (differ int, valid bool) {
	t.Helper()
	truth := func(string) string { return "true" }
	whole := sqltext.Replace(condition, truth)
	err := pgx.BeginTxFunc(t.Context(), r.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "SET LOCAL statement_timeout = '1s'"); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), "SELECT count(*) FROM t WHERE ("+whole+"\n)").Scan(&differ)
	})
	if err != nil {
		return 0, false
	}
	joined := sqltext.Replace("("+strings.Join(parts, ") AND (")+")", truth)
	err = r.pool.QueryRow(context.WithoutCancel(t.Context()), fmt.Sprintf(
		"SELECT count(*) FROM t WHERE ((%s\n) IS TRUE) <> ((%s\n) IS TRUE)", whole, joined)).Scan(&differ)
	require.NoError(t, err, "%q\n%q", condition, parts)
	return differ, true
}

// TestConjunctsMeanTheWhole: Postgres reads the conditions above.
func TestConjunctsMeanTheWhole(t *testing.T) {
	t.Parallel()
	r, compared := newRows(t), 0
	for _, tc := range conditions {
		if len(tc.want) == 0 {
			continue
		}
		differ, valid := r.compare(t, tc.sql, tc.want)
		require.Zero(t, differ, tc.sql)
		if valid {
			compared++
		}
	}
	require.Greater(t, compared, 30)
}

// sentence makes a random condition, mostly one that Postgres takes.
type sentence struct{ *rand.Rand }

func (s sentence) pick(of ...string) string { return of[s.IntN(len(of))] }

func (s sentence) gap() string {
	return s.pick(" ", " ", " ", "\n", "/* AND */", " -- OR (\n", " /* ' /* */ AND */ ")
}

func (s sentence) number() string {
	return s.pick("x", "y", "z", "1", "2.", "t.x", "(x)", "length('AND')", "coalesce(y, 1)")
}

func (s sentence) truth(depth int) string {
	if depth == 0 {
		return s.pick("a", "b", "c", `"and"`, "t.or", "t.and", "@case", "x IS NULL", "y IS NOT NULL", "a IS DISTINCT FROM b", "'OR' = $$AND$$",
			"x IN (1, 2)", "a ISNULL", `E'\'' = ''''`)
	}
	inner := func() string { return s.truth(s.IntN(depth)) }
	g := s.gap
	switch s.IntN(10) {
	case 0, 1, 2:
		return inner() + g() + s.pick("AND", "and") + g() + inner()
	case 3:
		return inner() + g() + s.pick("OR", "Or") + g() + inner()
	case 4:
		return "NOT" + g() + inner()
	case 5:
		return "(" + inner() + g() + ")"
	case 6:
		return s.number() + g() + s.pick("BETWEEN", "NOT BETWEEN", "between symmetric") + g() + s.number() + g() + "AND" + g() + s.number()
	case 7:
		return "CASE WHEN" + g() + inner() + g() + "THEN" + g() + inner() + g() + s.pick("", "ELSE a ") + "END"
	case 8:
		return s.pick("t.and", "a", "(b)") + g() + "BETWEEN" + g() + s.pick("t.and", "c") + g() + "AND" + g() + s.pick("b", "t.and")
	}
	return s.number() + s.pick("=", " < ", "<>") + s.number()
}

func TestRandomConjunctsMeanTheWhole(t *testing.T) {
	t.Parallel()
	r, compared, divided := newRows(t), 0, 0
	for seed := range uint64(1500) {
		condition := sentence{rand.New(rand.NewPCG(seed, 1))}.truth(5)
		parts := sqltext.Conjuncts(condition)
		differ, valid := r.compare(t, condition, parts)
		require.Zero(t, differ, "seed %d: %q\n%q", seed, condition, parts)
		if valid {
			compared++
			divided += min(len(parts)-1, 1)
		}
	}
	require.Greater(t, compared, 1000)
	require.Greater(t, divided, 200)
}

// FuzzConjuncts: whatever Postgres takes means what its parts mean.
func FuzzConjuncts(f *testing.F) {
	for _, tc := range conditions {
		f.Add(tc.sql)
	}
	r := newRows(f)
	f.Fuzz(func(t *testing.T, condition string) {
		parts := sqltext.Conjuncts(condition)
		if len(parts) == 0 {
			require.True(t, sqltext.IsBlank(condition))
			return
		}
		for _, part := range parts {
			require.False(t, len(parts) > 1 && sqltext.Closed(part) != nil, part)
		}
		if strings.ContainsRune(condition, 0) {
			return
		}
		differ, _ := r.compare(t, condition, parts)
		require.Zero(t, differ, "%q", parts)
	})
}
