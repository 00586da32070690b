package server_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/server"
)

// mark is in every name and value of the fuzzed gets; no statement may have it.
const mark = "zq7xk"

// FuzzChoiceOnTheWire sends filters, sorts and searches of any kind to a server with a database. Each is answered, by an error
// 8 or by what the condition selects, as SQL with parameters says it does; what a client writes is in no statement; and the
// connection goes on.
func FuzzChoiceOnTheWire(f *testing.F) {
	operators := []string{"contains", "eq", "in", "prefix", "null", "gt"}
	values := []string{`"note"`, `{"a":[1,2,{"b":null}]}`, `[1,"1",null,1e400,99999999999999999999]`, "true", "-0.0"}
	for i, text := range []string{
		"", "note 1", "'", "''; DROP TABLE items; --", `"`, `\`, `\'`, "$1", "$$", "%", "_", "E'\\x41'", "é", "\u0130", "\x00", "\xff", "a b\tc",
		"\u00a0", "\U0001F600", "null", "1", "{}", "[1]",
	} {
		f.Add(text, operators[i%len(operators)], values[i%len(values)])
	}
	s := newTraced(f, &server.Config{Grace: 10 * time.Millisecond})
	a := s.dial()
	good, bad := a.opens(""), a.opens("")
	f.Fuzz(func(t *testing.T, text, operator, raw string) {
		a.line.t = t
		if utf8.ValidString(text) {
			s.selects(t, a, good, mark+text)
		}
		for _, fields := range fuzzed(text, operator, raw) {
			if answer := a.ask(bad, &ask{choice: &choice{menu: a.menu, fields: fields}, where: where{size: 50}}); answer != "" {
				require.NotContains(t, answer, "cannot be read now", fields)
			}
		}
		require.Zero(t, s.about(mark), "%q", s.sent)
		s.mu.Lock()
		s.sent = nil
		s.mu.Unlock()
		a.mu.Lock()
		defer a.mu.Unlock()
		require.NoError(t, a.bad)
		a.sights, a.refusals = nil, nil
	})
}

// fuzzed are gets that may be refused.
func fuzzed(text, operator, raw string) []string {
	name := jsonOf(mark + text)
	all := []string{
		`,"sort":[` + name + `]`, `,"sort":["-note",` + jsonOf("-"+mark+text) + `]`,
		`,"filter":{` + name + `:1}`, `,"filter":{"n":{` + name + `:1}}`, `,"filter":{"n":` + name + `}`,
		`,"filter":{"id":{` + jsonOf(operator) + `:` + name + `}}`, `,"filter":{"note":{` + jsonOf(operator) + `:` + name + `}}`,
	}
	if json.Valid([]byte(raw)) && len(raw) < 1<<16 {
		all = append(all, `,"filter":{"note":{`+jsonOf(operator)+`:`+raw+`}}`, `,"filter":{"n":{`+jsonOf(operator)+`:`+raw+`}}`,
			`,"filter":`+raw, `,"sort":`+raw, `,"search":`+raw)
	}
	return all
}

// selects compares what a text selects with what SQL says, before a row has the text and afterwards.
func (s *traced) selects(t *testing.T, a *asker, p *pane, text string) {
	t.Helper()
	for _, c := range []struct{ fields, where string }{
		{`,"filter":{"note":` + jsonOf(text) + `}`, "note = $1"},
		{`,"filter":{"note":{"ne":` + jsonOf(text) + `}}`, "note IS DISTINCT FROM $1"},
		{`,"filter":{"note":{"gte":` + jsonOf(text) + `}}`, "note >= $1"},
		{`,"filter":{"note":{"in":["note 1",` + jsonOf(text) + `]}}`, "note IN ('note 1', $1)"},
		{`,"filter":{"note":{"prefix":` + jsonOf(text) + `}}`, "starts_with(note, $1)"},
		{`,"filter":{"note":{"contains":` + jsonOf(text) + `}}`, "strpos(note, $1) > 0"},
	} {
		answer := a.ask(p, &ask{choice: &choice{menu: a.menu, fields: c.fields}, where: where{size: 50}})
		if strings.ContainsRune(text, 0) || len(jsonOf(text)) > 4096 { // no text in Postgres; too long
			require.NotEmpty(t, answer, c.fields)
			continue
		}
		require.Empty(t, answer, c.fields)
		s.agrees(t, p, c.where, text)
		exec(t, s.pool, "UPDATE items SET note = $1 WHERE id = 1", text)
		s.agrees(t, p, c.where, text)
		exec(t, s.pool, "UPDATE items SET note = 'note 1' WHERE id = 1")
	}
	s.finds(t, a, p, text)
}

// finds is selects for a search.
func (s *traced) finds(t *testing.T, a *asker, p *pane, text string) {
	t.Helper()
	const where = "note IS NOT NULL AND NOT EXISTS (SELECT FROM unnest($1::text[]) word WHERE strpos(lower(note), lower(word)) = 0)"
	words := strings.Fields(text)
	if strings.ContainsRune(text, 0) || len(text) > 1024 || len(words) > 32 {
		return
	}
	question := &ask{choice: &choice{menu: a.menu, fields: `,"search":` + jsonOf(text)}, where: whole50}
	require.Empty(t, a.ask(p, question), text)
	s.agrees(t, p, where, words)
	exec(t, s.pool, "UPDATE items SET note = upper($1) WHERE id = 1", text)
	s.agrees(t, p, where, words)
	exec(t, s.pool, "UPDATE items SET note = 'note 1' WHERE id = 1")
}

// agrees waits until the view shows as many rows as SQL finds.
func (s *traced) agrees(t *testing.T, p *pane, where string, arg any) {
	t.Helper()
	var total int
	require.NoError(t, s.pool.QueryRow(context.Background(), "SELECT count(*) FROM items WHERE "+where, arg).Scan(&total))
	p.has(total)
}

// whole50 is a window that shows all items.
var whole50 = where{size: 50}
