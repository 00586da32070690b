package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/server"
)

// TestReconnectWithoutQuery has subscribers come back with the rev of each state that they ever held. Each gets one step to
// what is now, and the table is not read for it.
func TestReconnectWithoutQuery(t *testing.T) {
	t.Parallel()
	s := newTraced(t, &server.Config{})
	stays := s.dial() // its windows go on
	choices := []*choice{
		{},
		{fields: `,"sort":["-note"]`},
		{fields: `,"filter":{"n":{"gte":30}}`, where: []string{"n >= 30"}},
		{fields: `,"search":"note 1"`, where: []string{"strpos(note, 'note') > 0", "strpos(note, '1') > 0"}},
	}
	places := []where{{size: 4}, {page: 1, size: 3}, {anchored: true, after: start, size: 5}, {anchored: true, after: "[12]", size: 5}}
	var held []*shown
	for i := range 10 {
		exec(t, s.pool, "UPDATE items SET n = n + 1, note = note || $2 WHERE id = $1", i+1, fmt.Sprint(i))
		exec(t, s.pool, "INSERT INTO items VALUES ($1, $2, 'note 1')", 100+i, 1000+10*i)
		held = append(held, s.states(stays, choices, places, i)...)
	}
	newest := map[string]*shown{}
	for _, h := range held {
		newest[h.choice.fields+h.where.String()] = h
	}
	before := s.about(`"items"`)
	for _, h := range held {
		a := s.dial()
		p := a.line.open(a.menu)
		a.mu.Lock()
		p.shown = h
		a.mu.Unlock()
		require.Empty(t, a.ask(p, &ask{choice: h.choice, where: h.where, rev: h.rev}), "%+v", h)
		a.mu.Lock()
		last := a.sights[len(a.sights)-1]
		a.mu.Unlock()
		require.Equal(t, "step", last.by, "%s of %s, %s\n%s", h.rev, h.choice, h.where, last.log)
		now := newest[h.choice.fields+h.where.String()]
		require.Equal(t, now.items, last.now.items)
		require.Equal(t, []any{now.total, now.rev}, []any{last.now.total, last.now.rev})
		a.hangUp()
	}
	require.Equal(t, before, s.about(`"items"`), "the table was read")
	s.dial().opens(`,"filter":{"n":{"gte":31}}`)
	require.Greater(t, s.about(`"items"`), before, "nobody counts")
}

// states brings all windows up to date, and returns what they show.
func (s *traced) states(a *asker, choices []*choice, places []where, round int) (states []*shown) {
	s.t.Helper()
	for i, c := range choices {
		c.menu = a.menu
		total := s.count(c)
		for j, w := range places {
			if round == 0 {
				require.Empty(s.t, a.ask(a.line.open(a.menu), &ask{choice: c, where: w}))
			}
			p := a.panes[i*len(places)+j]
			p.has(total) // each round adds a row to each choice, and that is the last of its changes
			a.mu.Lock()
			states = append(states, p.shown)
			a.mu.Unlock()
		}
	}
	return states
}

// count returns how many items there are in a choice.
func (s *traced) count(c *choice) (total int) {
	s.t.Helper()
	sql := "SELECT count(*) FROM items WHERE " + strings.Join(append([]string{"true"}, c.where...), " AND ")
	require.NoError(s.t, s.pool.QueryRow(context.Background(), sql).Scan(&total))
	return total
}

// TestUnknownRev has a subscriber come back with a rev that the server does not know: that of another epoch, of a state that
// never was, or what is no rev at all. It gets everything.
func TestUnknownRev(t *testing.T) {
	t.Parallel()
	s := newTraced(t, &server.Config{})
	a := s.dial()
	p := a.opens(`,"sort":["-n"]`)
	a.mu.Lock()
	held := p.shown
	a.mu.Unlock()
	epoch, sequence, _ := strings.Cut(held.rev, ".")
	other := a.opens("")
	for _, rev := range []string{
		"0.0", "1." + sequence, epoch + ".0", epoch + ".9007199254740991", epoch + "." + sequence + "0", epoch, "." + sequence, held.rev + " ", "'", "é",
	} {
		require.Empty(t, a.ask(p, &ask{choice: held.choice, where: where{page: 1, size: 5}, rev: rev}), rev)
		require.Equal(t, "set_all", a.by(), rev)
		require.Empty(t, a.ask(p, &ask{choice: held.choice, where: where{size: 4}, rev: rev}), rev)
		require.Equal(t, "set_all", a.by(), rev)
	}
	require.Empty(t, a.ask(other, &ask{choice: &choice{menu: a.menu}, where: where{size: 3}, rev: held.rev}))
	require.Equal(t, "set_all", a.by(), "the rev of a window of another size")
}

// by returns how the last get was answered.
func (a *asker) by() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sights[len(a.sights)-1].by
}
