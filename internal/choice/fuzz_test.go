package choice_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/protocol"
)

// FuzzChoice takes the fields of a get as a client sends them, and makes all of them that is ever made: no input makes
// it panic, none gets into the text of a statement, and what is kept is not much more than what was sent.
func FuzzChoice(f *testing.F) {
	for _, seed := range []string{
		``,
		`,"sort":["-delay","from"],"search":"a b","filter":{"delay":{"gte":5,"lt":"6"},"from":"x"}`,
		`,"filter":{"from":{"in":["a","b'; DROP TABLE flights; --",null],"prefix":"\\","contains":"%_\\"}}`,
		`,"filter":{"delay":{"in":[1,2.5,true,"x"],"ne":null,"eq":null,"null":false}}`,
		`,"search":"\ud83d\ude00 \u0000"`,
		`,"filter":{"from":"\ud83d"}`,
		`,"filter":{"data":{"null":true}},"after":null,"page_size":7`,
		`,"sort":["--delay","-","number"]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, fields string) {
		frame, err := protocol.V2.Parse([]byte(`{"func":"get","type":"list","name":"flights"` + fields + `}`))
		if err != nil {
			return
		}
		get, err := frame.GetList()
		if err != nil {
			return
		}
		rules := rulesOf(t, everything)
		c, err := rules.Resolve(get.Choice, nil)
		if err != nil {
			var refusal *protocol.Error
			require.ErrorAs(t, err, &refusal)
			require.Less(t, len(refusal.Message), 400)
			return
		}
		checkTexts(t, rules, c, len(fields))
	})
}

// vocabulary is all that statements are made of, longest first where one is the beginning of another.
var vocabulary = strings.NewReplacer(pairs(
	"ORDER BY", "CASE WHEN", "IS NOT NULL", "IS NOT TRUE", "IS NULL", "THEN", "ELSE", "END", "'{1}'::pg_catalog.int4[]", "'{}'::pg_catalog.int4[]", "AND", "OR", "ANY", "FALSE", "ARRAY", "SELECT", "FROM", "ROWS",
	"WITH ORDINALITY", "AS", "WHERE", "COLLATE", "OPERATOR", `pg_catalog."C"`, "pg_catalog.unnest", "pg_catalog.lower",
	"pg_catalog.strpos", "pg_catalog.starts_with", "pg_catalog.replace", "pg_catalog.text[]", "pg_catalog.text", "pg_catalog.int4",
	"pg_catalog.<=", "pg_catalog.>=", "pg_catalog.<", "pg_catalog.>", "pg_catalog.=", "pg_catalog.~~",
	`"Flights"."id"`, `"Flights"."origin"`, `"Flights"."delay"`, `"Flights"."data"`, "socksync_match_", "socksync_u", "socksync_w", "socksync_v",
	"bigint[]", "bigint", "integer[]", "integer", "text[]", "text", `E'\\\\'`, `E'\\%'`, `E'\\_'`, `E'\\'`, `E'%'`, `E'_'`, `'%'`, "''", "||",
	".w1", ".w", ".v", ".i", "w1", "::", "$", ">", "(", ")", ",", "v", "w", "i", " ",
	"0", "1", "2", "3", "4", "5", "6", "7", "8", "9")...)

func pairs(words ...string) []string {
	var all []string
	for _, w := range words {
		all = append(all, w, "")
	}
	return all
}

// checkTexts makes the statements of a choice.
func checkTexts(t *testing.T, rules *choice.Rules, c *choice.Choice, sent int) {
	where, args := c.Where(1)
	m := rules.Matcher([]*choice.Choice{c}, 1)
	require.Empty(t, vocabulary.Replace(where), where)
	require.Empty(t, vocabulary.Replace(m.SQL()), m.SQL())
	require.LessOrEqual(t, len(c.Key()), 43)
	for _, t2 := range c.Order() {
		require.Contains(t, []string{"id", "origin", "delay"}, t2.Column)
	}
	size := 0
	for _, a := range append(args, m.Args()...) {
		text, ok := a.(string)
		require.True(t, ok)
		size += len(text)
		require.NotContains(t, text, "\x00")
	}
	require.LessOrEqual(t, size, 8*sent+8, "each byte at most doubled by quoting, in both statements")
	require.LessOrEqual(t, len(where), 200*(protocol.MaxConditions+2*protocol.MaxWords))
	require.LessOrEqual(t, m.Columns(), 4*len(binding.Operators())+1)
}
