package choice_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

var (
	seed   = flag.Uint64("seed", 0, "of the random choices; 0 is any")
	rounds = flag.Int("rounds", 12, "of random choices")
)

// TestAgreement draws random choices over columns of many types and compares, for every row, what the load finds, what
// the matcher finds, and what the definitions of the protocol say, in SQL that the test writes out.
func TestAgreement(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, mode string
		options    []pgtest.Option
	}{
		{name: "C"},
		{name: "ICU", options: []pgtest.Option{pgtest.ICU("en-US")}},
		{name: "texts", mode: "simple_protocol", options: []pgtest.Option{pgtest.ICU("en-US")}},
		{name: "exec", mode: "exec"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSample(t, 60, c.mode, c.options...)
			from := *seed
			if from == 0 {
				from = rand.Uint64()
			}
			t.Logf("-seed %d", from)
			d := &drawer{sample: s, random: rand.New(rand.NewPCG(from, 0))}
			for range *rounds {
				s.begin(d.compare)
			}
		})
	}
}

// drawer draws choices.
type drawer struct {
	*sample
	random *rand.Rand
	// matcher goes on from round to round, with other choices in each.
	matcher *choice.Matcher
	before  []*choice.Choice
}

// drawn is a choice with what it means.
type drawn struct {
	want   window.Choice
	oracle string // a condition in SQL
}

// compare draws choices and holds all that is made of them against the oracle. Values that a type refuses are drawn as
// well: then the oracle must be refused, too.
func (d *drawer) compare(ctx context.Context, tx pgx.Tx) {
	var choices []*choice.Choice
	var oracles []map[int32]bool
	var all []drawn
	for len(choices) < 40 {
		one := d.draw()
		c, err := d.rules.Resolve(one.want, nil)
		require.NoError(d.t, err, "%+v", one.want)
		settled, err := settle(ctx, tx, c)
		want, refused := d.ask(ctx, tx, one.oracle)
		if refused != nil {
			require.Error(d.t, err, "%s\n%s", one.oracle, refused)
			continue
		}
		require.NoError(d.t, err, "%+v\n%s", one.want, one.oracle)
		require.Equal(d.t, c.Key(), settled.Key())
		where, args := settled.Where(1)
		require.Equal(d.t, want, d.load(ctx, tx, where, args), "%s\n%s\n%s %q", one.want.Filter, one.oracle, where, args)
		choices, oracles, all = append(choices, settled), append(oracles, want), append(all, one)
	}
	if d.matcher == nil {
		d.matcher = d.rules.Matcher(nil, 2)
	}
	d.replace(choices)
	d.matchWith(ctx, tx, d.matcher, func(id int32, m *choice.Match) {
		for i, c := range choices {
			require.Equal(d.t, oracles[i][id], m.Includes(c), "row %d: %s", id, all[i].oracle)
			if columns, values := c.Pins(); m.Includes(c) {
				found, ok := m.Pinned(columns)
				require.True(d.t, ok, "row %d: %s", id, all[i].oracle)
				require.Equal(d.t, values, found, "row %d: %s", id, all[i].oracle)
			}
		}
	})
}

// replace has the matcher ask for other choices, some of them before those of the last round have gone, some after.
func (d *drawer) replace(choices []*choice.Choice) {
	for i, c := range choices[:len(choices)/2] {
		d.matcher.Add(c)
		if i%3 == 0 {
			d.matcher.Remove(c)
		}
	}
	for _, c := range d.before {
		d.matcher.Remove(c)
	}
	for _, c := range choices {
		d.matcher.Add(c)
	}
	d.before = choices
}

// settle keeps the transaction alive when a value is refused.
func settle(ctx context.Context, tx pgx.Tx, c *choice.Choice) (*choice.Choice, error) {
	inner, err := tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	settled, err := c.Settle(ctx, inner)
	if err != nil {
		_ = inner.Rollback(ctx)
		return nil, err
	}
	return settled, inner.Commit(ctx)
}

// ask returns the rows that the oracle includes, or why it is refused.
func (d *drawer) ask(ctx context.Context, tx pgx.Tx, condition string) (map[int32]bool, error) {
	inner, err := tx.Begin(ctx)
	require.NoError(d.t, err)
	defer func() { _ = inner.Rollback(ctx) }()
	rows, err := inner.Query(ctx, "SELECT id FROM samples WHERE "+condition, pgx.QueryExecModeSimpleProtocol)
	require.NoError(d.t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	return set(ids), err
}

func (d *drawer) load(ctx context.Context, tx pgx.Tx, where string, args []any) map[int32]bool {
	if where == "" {
		where = "true"
	}
	rows, err := tx.Query(ctx, "SELECT id FROM samples WHERE "+where, args...)
	require.NoError(d.t, err, where)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	require.NoError(d.t, err, "%s %q", where, args)
	return set(ids)
}

func set(ids []int32) map[int32]bool {
	m := map[int32]bool{}
	for _, id := range ids {
		m[id] = true
	}
	return m
}

// match runs the matcher over every row, behind a parameter of somebody else.
func (s *sample) match(ctx context.Context, tx pgx.Tx, choices []*choice.Choice, visit func(int32, *choice.Match)) {
	s.matchWith(ctx, tx, s.rules.Matcher(choices, 2), visit)
}

func (s *sample) matchWith(ctx context.Context, tx pgx.Tx, m *choice.Matcher, visit func(int32, *choice.Match)) {
	args := append([]any{"0"}, m.Args()...)
	rows, err := tx.Query(ctx, "SELECT id"+m.SQL()+" FROM samples WHERE id > $1::int", args...)
	require.NoError(s.t, err, m.SQL())
	defer rows.Close()
	n := 0
	for rows.Next() {
		var id int32
		fields, values := rows.FieldDescriptions(), rows.RawValues()
		require.Len(s.t, values, 1+m.Columns())
		require.NoError(s.t, tx.Conn().TypeMap().Scan(fields[0].DataTypeOID, fields[0].Format, values[0], &id))
		match, err := m.Match(tx.Conn().TypeMap(), fields[1:], values[1:])
		require.NoError(s.t, err)
		visit(id, match)
		n++
	}
	require.NoError(s.t, rows.Err(), m.SQL())
	require.Equal(s.t, s.rows, n)
}

// draw returns a choice of one to three conditions or a search.
func (d *drawer) draw() drawn {
	var one drawn
	var all []string
	for range 1 + d.random.IntN(3) {
		if d.random.IntN(8) == 0 && one.want.Search == "" {
			one.want.Search = d.search(&all)
			continue
		}
		condition, oracle := d.condition()
		one.want.Filter = append(one.want.Filter, condition)
		all = append(all, oracle)
	}
	one.oracle = strings.Join(all, " AND ")
	if one.oracle == "" {
		one.oracle = "true"
	}
	return one
}

// search draws words, and says of each that some column contains it.
func (d *drawer) search(all *[]string) string {
	var search []string
	for range 1 + d.random.IntN(3) {
		word := words[d.random.IntN(len(words))]
		if d.random.IntN(2) == 0 && word != "" {
			runes := []rune(word)
			word = string(runes[d.random.IntN(len(runes)):])
		}
		search = append(search, word)
	}
	text := strings.Join(search, [...]string{" ", "\t", "  \n", "\u00a0"}[d.random.IntN(4)])
	for _, word := range strings.Fields(text) {
		var found []string
		for _, name := range searched {
			k := d.kinds["j "+name]
			column, lowered := name+k.base, "lower("+literal(word)
			if k.lower != "" {
				lowered += " COLLATE " + k.lower
			}
			found = append(found, `strpos(lower(`+column+`) COLLATE "C", `+lowered+`) COLLATE "C") > 0`)
		}
		*all = append(*all, "("+strings.Join(found, " OR ")+")")
	}
	return text
}

var (
	comparisons = map[binding.Operator]string{
		binding.OpEq: "=", binding.OpNe: "IS DISTINCT FROM", binding.OpLt: "<", binding.OpLte: "<=", binding.OpGt: ">", binding.OpGte: ">=",
	}
	functions = map[binding.Operator]string{binding.OpPrefix: "starts_with(%s, %s)", binding.OpContains: "strpos(%s, %s) > 0"}
)

// condition draws one that the column's type has, and writes it out.
func (d *drawer) condition() (window.Condition, string) {
	for {
		name := d.names()[d.random.IntN(len(d.kinds))]
		k := d.kinds[name]
		o := binding.Operators()[d.random.IntN(10)]
		column := binding.QuoteIdent(k.name) + k.base
		w := window.Condition{Column: name, Operator: "null", Value: json.RawMessage("true")}
		w.Operator = protocol.Operator(o)
		switch {
		case o == binding.OpNull:
			is := [...]string{" IS NULL", " IS NOT NULL"}[d.random.IntN(2)]
			w.Value = json.RawMessage(map[string]string{" IS NULL": "true", " IS NOT NULL": "false"}[is])
			return w, column + is
		case functions[o] != "" && k.column.Text:
			text := k.values[d.random.IntN(len(k.values))]
			runes := []rune(text)
			from := d.random.IntN(len(runes) + 1)
			text = string(runes[min(from, d.random.IntN(len(runes)+1)):from])
			w.Value = quoted(text)
			if k.sql == "citext" {
				column += "::text" // whose strpos and starts_with the protocol means
			}
			if !k.column.Deterministic {
				column += ` COLLATE "C"`
			}
			return w, fmt.Sprintf(functions[o], column, literal(text))
		case o == binding.OpIn && k.column.Equal:
			return d.in(w, k, column)
		case comparisons[o] != "" && (k.column.Ordered || k.column.Equal && (o == binding.OpEq || o == binding.OpNe)):
			value, oracle := d.value(k)
			w.Value = value
			if string(value) == "null" {
				if o == binding.OpEq {
					return w, column + " IS NULL"
				}
				if o == binding.OpNe {
					return w, column + " IS NOT NULL"
				}
				continue
			}
			return w, column + " " + comparisons[o] + " " + oracle
		}
	}
}

// in draws a list of values, with some NULLs.
func (d *drawer) in(w window.Condition, k *kind, column string) (window.Condition, string) {
	var values []json.RawMessage
	var oracles []string
	for range d.random.IntN(5) {
		value, oracle := d.value(k)
		values, oracles = append(values, value), append(oracles, oracle)
	}
	array, err := json.Marshal(append([]json.RawMessage{}, values...))
	require.NoError(d.t, err)
	w.Value = array
	if len(values) == 0 {
		return w, "false"
	}
	return w, column + " IN (" + strings.Join(oracles, ", ") + ")"
}

// value draws a value in JSON, with its literal in SQL, which the column's type reads.
func (d *drawer) value(k *kind) (json.RawMessage, string) {
	if d.random.IntN(12) == 0 {
		return json.RawMessage("null"), "NULL"
	}
	n := d.random.IntN(len(k.values) + len(k.others))
	if n >= len(k.values) {
		value := json.RawMessage(k.others[n-len(k.values)])
		var text string
		if k.name == "jsonb" || json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		return value, literal(text) + k.typed
	}
	if k.name == "jsonb" && !slices.Contains([]string{"1", "1.0", "true", `"a"`}, k.values[n]) {
		return d.value(k)
	}
	if k.name == "jsonb" {
		return json.RawMessage(k.values[n]), literal(k.values[n])
	}
	return quoted(k.values[n]), literal(k.values[n]) + k.typed
}
