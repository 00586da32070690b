package choice_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// everything allows all that the types have.
func everything(d *binding.ListDef) {
	d.Filter, d.Sort, d.Search = []binding.FilterRule{{Column: "*"}}, []string{"*"}, []string{"origin"}
}

// want reads a get the way a connection does.
func want(t testing.TB, fields string) window.Choice {
	t.Helper()
	frame, err := protocol.V2.Parse([]byte(`{"func":"get","type":"list","name":"flights"` + fields + `}`))
	require.NoError(t, err)
	get, err := frame.GetList()
	require.NoError(t, err, fields)
	return get.Choice
}

func resolve(t testing.TB, rules *choice.Rules, fields string) *choice.Choice {
	t.Helper()
	c, err := rules.Resolve(want(t, fields), nil)
	require.NoError(t, err, fields)
	return c
}

// TestResolveRefuses has choices that are not allowed: each is error 8 that names what is not.
func TestResolveRefuses(t *testing.T) {
	t.Parallel()
	narrow := func(d *binding.ListDef) {
		d.Filter, d.Sort = []binding.FilterRule{{Column: "delay", Operators: []binding.Operator{"gte", "eq", "in", "null"}}}, []string{"delay"}
	}
	long := strings.Repeat("x", 200)
	for _, c := range []struct {
		allow func(*binding.ListDef)
		want  window.Choice
		error string
	}{
		{narrow, window.Choice{Sort: []string{"delay", "-from"}}, "cannot be sorted by from"},
		{narrow, window.Choice{Sort: []string{"secret"}}, "cannot be sorted by secret"},
		{narrow, window.Choice{Sort: []string{""}}, "cannot be sorted by "},
		{narrow, window.Choice{Sort: []string{"--delay"}}, "cannot be sorted by -delay"},
		{narrow, window.Choice{Sort: []string{"origin"}}, "cannot be sorted by origin"},
		{narrow, window.Choice{Sort: []string{long}}, "cannot be sorted by a column with a name of this length"},
		{everything, window.Choice{Sort: []string{"data"}}, "cannot be sorted by data"},
		{narrow, window.Choice{Search: "x"}, "cannot be searched"},
		{everything, window.Choice{Search: "x\x00"}, "search: no text can hold this"},
		{everything, window.Choice{Search: "x\xff"}, "search: no text can hold this"},
		{narrow, filter("from", "eq", `"x"`), "cannot be filtered by from"},
		{everything, filter("secret", "eq", `"x"`), "cannot be filtered by secret"},
		{everything, filter("origin", "eq", `"x"`), "cannot be filtered by origin"},
		{everything, filter(long, "eq", `"x"`), "cannot be filtered by a column with a name of this length"},
		{narrow, filter("delay", "lt", `1`), "cannot be filtered by delay with lt"},
		{everything, filter("delay", "like", `1`), "cannot be filtered by delay with like"},
		{everything, filter("delay", "prefix", `"1"`), "cannot be filtered by delay with prefix"},
		{everything, filter("data", "eq", `1`), "cannot be filtered by data with eq"},
		{everything, filter("delay", "lt", `null`), "filter: delay: lt takes a string, a number, true or false"},
		{everything, filter("delay", "eq", `[1]`), "filter: delay: eq takes a string, a number, true or false"},
		{everything, filter("delay", "ne", `{}`), "filter: delay: ne takes a string, a number, true or false"},
		{everything, filter("delay", "eq", ``), "filter: delay: eq takes a string, a number, true or false"},
		{everything, filter("delay", "in", `1`), "filter: delay: in takes an array of values"},
		{everything, filter("delay", "in", `[1`), "filter: delay: in takes an array of values"},
		{everything, filter("delay", "in", `[[1]]`), "filter: delay: in takes a string, a number, true or false"},
		{everything, filter("delay", "null", `null`), "filter: delay: null takes true or false"},
		{everything, filter("delay", "null", `"true"`), "filter: delay: null takes true or false"},
		{everything, filter("from", "prefix", `1`), "filter: from: prefix takes a string without U+0000"},
		{everything, filter("from", "contains", `null`), "filter: from: contains takes a string without U+0000"},
		{everything, filter("from", "eq", `"a\u0000b"`), "filter: from: eq takes a string without U+0000"},
		{everything, filter("from", "eq", `"\ud800"`), "filter: from: eq takes a string without U+0000"},
		{everything, filter("from", "eq", `"\udc00\ud800"`), "filter: from: eq takes a string without U+0000"},
		{everything, filter("from", "eq", `"\ud800\u0041"`), "filter: from: eq takes a string without U+0000"},
	} {
		_, err := rulesOf(t, c.allow).Resolve(c.want, nil)
		var refusal *protocol.Error
		require.ErrorAs(t, err, &refusal, "%+v", c.want)
		require.Equal(t, protocol.Other, refusal.Code)
		require.Equal(t, c.error, refusal.Message)
	}
}

// TestResolveTexts has texts that look as if half a character were missing.
func TestResolveTexts(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t, everything)
	for sent, want := range map[string]string{
		`"\ufffd"`:               "\uFFFD",
		"\"\uFFFD\"":             "\uFFFD",
		`"\ufffd\ud83d\ude00x"`:  "\uFFFD\U0001F600x",
		`"\ufffd\\ud800"`:        "\uFFFD\\ud800",
		`"\ud83d\uDE00\n\uFFFD"`: "\U0001F600\n\uFFFD",
	} {
		c, err := rules.Resolve(filter("from", "eq", sent), nil)
		require.NoError(t, err, sent)
		_, args := c.Where(1)
		require.Equal(t, []any{want}, args, sent)
	}
}

func filter(column, operator, value string) window.Choice {
	return window.Choice{Filter: []window.Condition{{Column: column, Operator: protocol.Operator(operator), Value: json.RawMessage(value)}}}
}

// TestKeys groups gets that mean the same: they have one key, and no two groups share one.
func TestKeys(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t, func(d *binding.ListDef) {
		everything(d)
		d.Order = []binding.OrderTerm{{Column: "delay", Desc: true}, {Column: "origin", Nulls: binding.NullsLast}}
	})
	groups := [][]string{
		{
			``, `,"sort":[]`, `,"filter":{}`, `,"search":""`, `,"search":" \t\n"`, `,"sort":["-delay","from"]`,
			`,"sort":["-delay","from","number"]`, `,"sort":["-delay","from","number","delay"]`, `,"sort":["-delay","delay","from"]`,
		},
		{`,"sort":["number"]`, `,"sort":["number","-delay"]`, `,"sort":["number","-number"]`},
		{`,"sort":["-number"]`},
		{`,"sort":["delay"]`, `,"sort":["delay","number"]`},
		{`,"sort":["-delay"]`},
		{`,"sort":["delay","from"]`},
		{`,"sort":["from","delay"]`},
		{`,"filter":{"delay":5}`, `,"filter":{"delay":{"eq":5}}`, `,"filter":{"delay":{"in":[5]}}`, `,"filter":{"delay":"5"}`, `,"filter":{"delay":"005"}`, `,"filter":{"delay":{"in":[5,null,"5"],"eq":5}}`},
		{`,"filter":{"delay":{"in":[5,6]}}`, `,"filter":{"delay":{"in":[6,5,6]}}`},
		{`,"filter":{"delay":{"in":[56]}}`},
		{`,"filter":{"delay":{"in":[]}}`, `,"filter":{"delay":{"in":[null]}}`},
		{`,"filter":{"delay":null}`, `,"filter":{"delay":{"eq":null}}`, `,"filter":{"delay":{"null":true}}`},
		{`,"filter":{"delay":{"ne":null}}`, `,"filter":{"delay":{"null":false}}`},
		{`,"filter":{"delay":{"ne":5}}`},
		{`,"filter":{"delay":{"lt":5}}`},
		{`,"filter":{"delay":{"lte":5}}`},
		{`,"filter":{"delay":{"gt":5}}`},
		{`,"filter":{"delay":{"gte":5}}`},
		{`,"filter":{"delay":{"gte":5,"lt":6},"from":"x"}`, `,"filter":{"from":{"eq":"x"},"delay":{"lt":6,"gte":5}}`},
		{`,"filter":{"delay":{"gte":6,"lt":5},"from":"x"}`},
		{`,"filter":{"from":"5"}`, `,"filter":{"from":5}`},
		{`,"filter":{"number":5}`},
		{`,"filter":{"from":{"prefix":"x"}}`, `,"filter":{"from":{"prefix":"\u0078"}}`},
		{`,"filter":{"from":{"contains":"x"}}`},
		{`,"filter":{"from":{"prefix":""}}`},
		{`,"search":"x"`, `,"search":" x\u00a0x "`},
		{`,"search":"X"`},
		{`,"search":"x y"`, `,"search":"y\nx y"`},
		{`,"search":"xy"`},
		{`,"search":"x","sort":["number"]`},
	}
	seen := map[string]string{}
	for i, group := range groups {
		first := resolve(t, rules, group[0])
		require.Equal(t, i == 0, first.IsDefault(), group[0])
		require.Equal(t, first.IsDefault(), first.Key() == "")
		require.LessOrEqual(t, len(first.Key()), 43)
		require.NotContains(t, seen, first.Key(), "%s has the key of %s", group[0], seen[first.Key()])
		seen[first.Key()] = group[0]
		for _, other := range group[1:] {
			c := resolve(t, rules, other)
			require.Equal(t, first.Key(), c.Key(), "%s and %s", group[0], other)
			require.Equal(t, first.Order(), c.Order())
		}
	}
}

// TestKeysOfOrders has two orders that differ only in where NULLs stand.
func TestKeysOfOrders(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t, func(d *binding.ListDef) {
		everything(d)
		d.Order = []binding.OrderTerm{{Column: "delay", Desc: true, Nulls: binding.NullsLast}}
	})
	own, sorted := resolve(t, rules, `,"filter":{"from":"x"}`), resolve(t, rules, `,"filter":{"from":"x"},"sort":["-delay"]`)
	require.NotEqual(t, own.Key(), sorted.Key())
	require.NotEmpty(t, resolve(t, rules, `,"sort":["-delay"]`).Key())
}

// TestKeysOfConditions has the conditions in any order.
func TestKeysOfConditions(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t, everything)
	w := filter("delay", "gt", `1`)
	w.Filter = append(w.Filter, filter("from", "ne", `"x"`).Filter...)
	w.Filter = append(w.Filter, filter("delay", "ne", `5`).Filter...)
	first, err := rules.Resolve(w, nil)
	require.NoError(t, err)
	slices.Reverse(w.Filter)
	second, err := rules.Resolve(w, nil)
	require.NoError(t, err)
	require.Equal(t, first.Key(), second.Key())
}

func TestOrder(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t, func(d *binding.ListDef) {
		everything(d)
		d.Key = []string{"id", "origin"}
		d.Order = []binding.OrderTerm{{Column: "delay", Nulls: binding.NullsFirst}}
	})
	id, from, delay := binding.OrderTerm{Column: "id"}, binding.OrderTerm{Column: "origin"}, binding.OrderTerm{Column: "delay"}
	desc := func(t binding.OrderTerm) binding.OrderTerm { t.Desc = true; return t }
	nullsFirst := delay
	nullsFirst.Nulls = binding.NullsFirst
	for _, c := range []struct {
		fields string
		want   []binding.OrderTerm
	}{
		{``, []binding.OrderTerm{nullsFirst, id, from}},
		{`,"sort":["delay"]`, []binding.OrderTerm{delay, id, from}},
		{`,"sort":["-delay"]`, []binding.OrderTerm{desc(delay), id, from}},
		{`,"sort":["-from"]`, []binding.OrderTerm{desc(from), id}},
		{`,"sort":["from","-delay"]`, []binding.OrderTerm{from, desc(delay), id}},
		{`,"sort":["-number","from","delay"]`, []binding.OrderTerm{desc(id), from}},
	} {
		got := resolve(t, rules, c.fields)
		require.Equal(t, c.want, got.Order(), c.fields)
	}
}

// TestChoosingNothing is allowed where nothing is.
func TestChoosingNothing(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t, func(*binding.ListDef) {})
	c, err := rules.Resolve(window.Choice{}, nil)
	require.NoError(t, err)
	require.True(t, c.IsDefault())
	settled, err := c.Settle(t.Context(), nil)
	require.NoError(t, err)
	sql, args := settled.Where(1)
	require.Empty(t, sql)
	require.Empty(t, args)
	m := rules.Matcher([]*choice.Choice{settled}, 1)
	require.Empty(t, m.SQL())
	require.Empty(t, m.Args())
	require.Zero(t, m.Columns())
	x, err := m.Match(nil, nil, nil)
	require.NoError(t, err)
	require.True(t, x.Includes(settled))
	require.Panics(t, func() { x.Includes(resolve(t, rules, "")) }, "a choice of somebody else")
}
