package choice_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/pgtest"
)

// TestMatcherText shows that the text of the statement depends on columns and operators and not on values or how many
// choices there are, so that it stays prepared.
func TestMatcherText(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t, everything)
	make1 := func(fields ...string) *choice.Matcher {
		choices := make([]*choice.Choice, len(fields))
		for i, f := range fields {
			choices[i] = resolve(t, rules, f)
		}
		return rules.Matcher(choices, 3)
	}
	few := make1(`,"filter":{"delay":{"gt":5},"from":"x"},"search":"a"`, `,"filter":{"number":{"ne":3},"from":{"prefix":"p"}}`)
	var many []string
	for i := range 500 {
		many = append(many,
			fmt.Sprintf(`,"filter":{"from":{"prefix":"p%d","eq":"x%d"}}`, i, i),
			fmt.Sprintf(`,"filter":{"delay":{"gt":%d}}`, i),
			fmt.Sprintf(`,"search":"a%d b%d"`, i, i),
			fmt.Sprintf(`,"filter":{"number":{"in":[%d,%d]}},"sort":["-from"]`, i, i+1))
	}
	same := make1(many...)
	require.Equal(t, few.SQL(), same.SQL())
	require.Equal(t, 3, few.Columns(), "two that Go looks up, and the others")
	require.Equal(t, few.Columns(), same.Columns())
	require.Len(t, few.Args(), 3, "what Go looks up is not sent")
	require.Len(t, same.Args(), 3)
	for _, sign := range []string{"$3", "$4", "$5"} {
		require.Contains(t, few.SQL(), sign)
	}
	require.NotContains(t, few.SQL(), "$6")
	require.NotEqual(t, few.SQL(), make1(`,"filter":{"delay":{"gte":5},"from":"x"},"search":"a"`).SQL())
}

// TestMatcherLooksUp has one parameter's worth of values that are found without asking Postgres.
func TestMatcherLooksUp(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t, everything)
	eq, in, ne := resolve(t, rules, `,"filter":{"delay":7}`), resolve(t, rules, `,"filter":{"delay":{"in":[6,7]}}`), resolve(t, rules, `,"filter":{"delay":{"ne":7}}`)
	none, both := resolve(t, rules, `,"filter":{"delay":{"in":[]}}`), resolve(t, rules, `,"filter":{"delay":{"in":[6,7],"ne":7}}`)
	m := rules.Matcher([]*choice.Choice{eq, in, ne, none, both}, 1)
	require.Empty(t, m.Args())
	require.Equal(t, 1, m.Columns())
	field := []pgconn.FieldDescription{{DataTypeOID: pgtype.TextOID}}
	for _, c := range []struct {
		value []byte
		want  [5]bool
	}{
		{[]byte("7"), [5]bool{true, true, false, false, false}},
		{[]byte("6"), [5]bool{false, true, true, false, true}},
		{[]byte("8"), [5]bool{false, false, true, false, false}},
		{nil, [5]bool{false, false, true, false, false}},
		{[]byte(""), [5]bool{false, false, true, false, false}},
	} {
		x, err := m.Match(pgtype.NewMap(), field, [][]byte{c.value})
		require.NoError(t, err)
		require.Equal(t, c.want, [5]bool{x.Includes(eq), x.Includes(in), x.Includes(ne), x.Includes(none), x.Includes(both)}, "%q", c.value)
	}
}

// TestMatchErrors has answers that are not those of the matcher's statement.
func TestMatchErrors(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t, everything)
	m := rules.Matcher([]*choice.Choice{resolve(t, rules, `,"filter":{"delay":{"gt":5}}`)}, 1)
	types := pgtype.NewMap()
	_, err := m.Match(types, nil, nil)
	require.EqualError(t, err, "0 columns for 1")
	field := []pgconn.FieldDescription{{DataTypeOID: pgtype.Int4ArrayOID}}
	match := func(text string) error {
		_, err := m.Match(types, field, [][]byte{[]byte(text)})
		return err
	}
	require.NoError(t, match("{}"))
	require.NoError(t, match("{1}"))
	for _, text := range []string{"{1,2}", "{0}", "{-1}", "{1,0}", "{", "", "{NULL}"} {
		require.Error(t, match(text), text)
	}
	m = rules.Matcher([]*choice.Choice{resolve(t, rules, `,"filter":{"delay":{"gt":5,"lt":6}}`)}, 1)
	require.NoError(t, match("{1,0,1}"))
	require.NoError(t, match("{0}"))
	for _, text := range []string{"{}", "{1}", "{1,0,1,0}", "{0,0}", "{2,0}", "{0,2}"} {
		require.Error(t, match(text), text)
	}
}

// TestManyConditions asks more of a table than a statement can have columns: each operator of each column.
func TestManyConditions(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	def := &binding.ListDef{Name: "wide", Table: "wide", Key: []string{"c0"}, Filter: []binding.FilterRule{{Column: "*"}}}
	columns := map[string]choice.Column{}
	var create []string
	for i := range 250 {
		name := fmt.Sprintf("c%d", i)
		c := text(pgtype.TextOID, "text", "")
		c.Name, c.JSON = name, name
		columns[name] = c
		def.Columns = append(def.Columns, binding.Column{Name: name, JSON: name})
		create = append(create, name+" text DEFAULT 'b'")
	}
	_, err := pool.Exec(ctx, "CREATE TABLE wide ("+strings.Join(create, ", ")+"); INSERT INTO wide DEFAULT VALUES")
	require.NoError(t, err)
	rules := rulesFrom(t, def, columns)
	operators := []string{`"eq":"b"`, `"ne":"a"`, `"lt":"c"`, `"lte":"b"`, `"gt":"a"`, `"gte":"b"`, `"in":["a","b"]`, `"prefix":"b"`, `"contains":"b"`, `"null":false`}
	var choices []*choice.Choice
	for i := range 250 {
		choices = append(choices,
			resolve(t, rules, fmt.Sprintf(`,"filter":{"c%d":{%s}}`, i, strings.Join(operators, ","))),
			resolve(t, rules, fmt.Sprintf(`,"filter":{"c%d":{"null":true}}`, i)))
	}
	m := rules.Matcher(choices, 1)
	require.Equal(t, 251, m.Columns())
	rows, err := pool.Query(ctx, "SELECT c0"+m.SQL()+" FROM wide", m.Args()...)
	require.NoError(t, err)
	defer rows.Close()
	require.True(t, rows.Next(), "%v", rows.Err())
	x, err := m.Match(pgtype.NewMap(), rows.FieldDescriptions()[1:], rows.RawValues()[1:])
	require.NoError(t, err)
	for i, c := range choices {
		require.Equal(t, i%2 == 0, x.Includes(c), i)
	}
}

// TestMatcherPlan looks at how Postgres runs the matcher's statement: the words are lowered once, the row's texts once
// for each row.
func TestMatcherPlan(t *testing.T) {
	t.Parallel()
	s := newSample(t, 20, "")
	choices := []*choice.Choice{resolve(t, s.rules, `,"search":"a b c"`), resolve(t, s.rules, `,"filter":{"j text":{"contains":"x"}}`)}
	m := s.rules.Matcher(choices, 1)
	var text []byte
	s.begin(func(ctx context.Context, tx pgx.Tx) {
		err := tx.QueryRow(ctx, "EXPLAIN (ANALYZE, FORMAT JSON) SELECT id"+m.SQL()+" FROM samples", m.Args()...).Scan(&text)
		require.NoError(t, err)
	})
	var plans []struct{ Plan node }
	require.NoError(t, json.Unmarshal(text, &plans))
	once, eachRow := 0, 0
	plans[0].Plan.visit(func(n node) {
		switch {
		case n.Type == "Result" && n.Role == "InitPlan":
			require.LessOrEqual(t, n.Loops, 20., "once for each row, or not at all: %+v", n)
			eachRow++
		case n.Role == "InitPlan":
			require.InDelta(t, 1, n.Loops, 0, "once: %+v", n)
			once++
		}
	})
	require.Equal(t, 5, once, "collations of the columns that are searched")
	require.Equal(t, len(searched)+1, eachRow, "texts")
}

// node is a node of a query plan.
type node struct {
	Type  string  `json:"Node Type"`
	Role  string  `json:"Parent Relationship"`
	Loops float64 `json:"Actual Loops"`
	Cond  string  `json:"Index Cond"`
	Plans []node  `json:"Plans"`
}

func (n node) visit(f func(node)) {
	f(n)
	for _, p := range n.Plans {
		p.visit(f)
	}
}

// TestNames has a table and columns named like what the statements use, in a database where nothing is found by itself.
func TestNames(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t, pgtest.EmptySearchPath())
	exec := func(sql string) {
		_, err := pool.Exec(ctx, sql)
		require.NoError(t, err, sql)
	}
	exec(`CREATE SCHEMA "S"; CREATE EXTENSION citext SCHEMA "S"`)
	for _, table := range []string{"socksync_u", "socksync_w", "socksync_u_", `a"b`} {
		quoted := binding.QuoteIdent(table)
		exec(`CREATE TABLE "S".` + quoted + ` (i int PRIMARY KEY, v text, w "S".citext, socksync_v int[], w1 text COLLATE pg_catalog."C")`)
		exec(`INSERT INTO "S".` + quoted + ` VALUES (1, 'Note', 'Word', '{1}', 'x'), (2, 'NOTE', 'other', '{2}', 'Y'), (3, NULL, NULL, NULL, NULL)`)
		citext := own(`"S".citext`, func(c *choice.Column) { c.Operators, c.Text = `"S"`, true })
		array := builtin(pgtype.Int4ArrayOID, "integer[]")
		array.Array = true
		columns := map[string]choice.Column{
			"i": builtin(pgtype.Int4OID, "integer"), "v": text(pgtype.TextOID, "text", ""), "w": citext, "socksync_v": array,
			"w1": text(pgtype.TextOID, "text", `pg_catalog."C"`),
		}
		def := &binding.ListDef{
			Name: "names", Table: `"S".` + quoted, Key: []string{"i"},
			Filter: []binding.FilterRule{{Column: "*"}}, Sort: []string{"*"}, Search: []string{"v", "w", "w1"},
		}
		for name, c := range columns {
			c.Name, c.JSON = name, name
			columns[name] = c
			def.Columns = append(def.Columns, binding.Column{Name: name, JSON: name})
		}
		rules, err := newRules(def, columns)
		require.NoError(t, err)
		compareNames(t, pool, rules, `"S".`+quoted)
	}
}

func compareNames(t *testing.T, pool interface {
	Begin(context.Context) (pgx.Tx, error)
}, rules *choice.Rules, table string,
) {
	ctx := context.Background()
	tx, err := pool.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(ctx) }()
	wants := map[string]string{
		`,"filter":{"i":{"lt":2}}`:                      "1",
		`,"filter":{"v":{"gt":"NOTZ"}}`:                 "1",
		`,"filter":{"w":"WORD"}`:                        "1",
		`,"filter":{"w":{"in":["WORD","OTHER"]}}`:       "1 2",
		`,"filter":{"w":{"ne":"word"}}`:                 "2 3",
		`,"filter":{"w":{"contains":"o"}}`:              "1 2",
		`,"filter":{"w":{"lte":"P"}}`:                   "2",
		`,"filter":{"socksync_v":{"in":["{1}","{3}"]}}`: "1",
		`,"filter":{"socksync_v":{"gt":"{1}"}}`:         "2",
		`,"filter":{"socksync_v":{"ne":null}}`:          "1 2",
		`,"search":"note"`:                              "1 2",
		`,"search":"NOTE word"`:                         "1",
		`,"search":"y"`:                                 "2",
		`,"search":"zzz"`:                               "",
	}
	var choices []*choice.Choice
	var fields []string
	for f, want := range wants {
		c, err := resolve(t, rules, f).Settle(ctx, tx)
		require.NoError(t, err)
		choices, fields = append(choices, c), append(fields, f)
		where, args := c.Where(1)
		rows, err := tx.Query(ctx, "SELECT i::text FROM "+table+" WHERE "+where+" ORDER BY i", args...)
		require.NoError(t, err, where)
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err, where)
		require.Equal(t, want, strings.Join(ids, " "), f)
	}
	m := rules.Matcher(choices, 1)
	rows, err := tx.Query(ctx, "SELECT i::text"+m.SQL()+" FROM "+table+" ORDER BY i", m.Args()...)
	require.NoError(t, err)
	defer rows.Close()
	got := map[string][]string{}
	for rows.Next() {
		values := rows.RawValues()
		x, err := m.Match(tx.Conn().TypeMap(), rows.FieldDescriptions()[1:], values[1:])
		require.NoError(t, err)
		for i, c := range choices {
			if x.Includes(c) {
				got[fields[i]] = append(got[fields[i]], string(values[0]))
			}
		}
	}
	require.NoError(t, rows.Err(), m.SQL())
	for f, want := range wants {
		require.Equal(t, want, strings.Join(got[f], " "), f)
	}
}
