package server_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// singles makes one-row commits, one after the other, and holds what every window gets against rule 3 of the protocol,
// word for word: one step with these changes, or nothing.
func (c *choosing) singles(commits int) {
	c.quieten()
	before := c.wholes()
	for range commits {
		c.reheat()
		sql, key := c.single()
		c.commit(sql)
		now := c.wholes()
		for _, l := range c.lines {
			for _, p := range l.panes {
				now[p] = whole{c.expect(p, before[p], now[p].list, key, sql), now[p].list}
			}
		}
		before = now
	}
	for _, l := range c.lines { // the answer is next: nothing else was sent
		for _, p := range l.panes {
			p.regain()
			p.settle()
		}
		l.mu.Lock()
		for _, s := range l.sights {
			require.NotNil(c.t, s.ask, "a step too many\n%s", s.log)
			require.Empty(c.t, s.edits, "an answer that brings something\n%s", s.log)
		}
		l.mu.Unlock()
	}
	c.review()
}

// whole is a window and the list that it is of.
type whole struct {
	held *shown
	list []listed
}

// wholes returns every window and its list.
func (c *choosing) wholes() map[*pane]whole {
	c.ledger.forget()
	wholes := map[*pane]whole{}
	for _, l := range c.lines {
		for _, p := range l.panes {
			l.mu.Lock()
			held := p.shown
			l.mu.Unlock()
			list, err := c.ledger.now(held.choice)
			require.NoError(c.t, err)
			wholes[p] = whole{held, list}
		}
	}
	return wholes
}

// commit runs a statement, and waits until the server has told.
func (c *choosing) commit(sql string) {
	ctx := context.Background()
	c.beats++
	require.NoError(c.t, pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE beats SET n = $1", c.beats); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sql)
		return err
	}))
	require.Equal(c.t, "set", c.beat.take().Func)
}

// single draws a statement that changes at most the row with the key.
func (c *choosing) single() (sql, key string) {
	r, kinds := c.random, thingKinds()
	id := c.id()
	key = "[" + id + "]"
	k, other := kinds[1+r.IntN(len(kinds)-1)], kinds[1+r.IntN(len(kinds)-1)]
	switch r.IntN(6) {
	case 0, 1:
		return "INSERT INTO things VALUES (" + c.thing(id) + ") ON CONFLICT DO NOTHING", key
	case 2:
		return fmt.Sprintf("DELETE FROM things WHERE id = %s", id), key
	case 3:
		return fmt.Sprintf("UPDATE things SET word = word WHERE id = %s", id), key
	case 4:
		if at := c.spot(); at.column.column != "id" {
			return fmt.Sprintf("UPDATE things SET %s = %s WHERE id = %s", at.column.column, c.value(at.column), at.id), "[" + at.id + "]"
		}
	}
	if k.column == other.column {
		return fmt.Sprintf("UPDATE things SET %s = %s WHERE id = %s", k.column, c.value(k), id), key
	}
	return fmt.Sprintf("UPDATE things SET %s = %s, %s = %s WHERE id = %s", k.column, c.value(k), other.column, c.value(other), id), key
}

// quieten ends every pause and looks at all that has been shown.
func (c *choosing) quieten() {
	for _, l := range c.lines {
		for _, p := range l.panes {
			p.goOn()
			p.settle()
		}
	}
	c.review()
}

// expect takes what a change of one row has brought to a window, and returns the window.
func (c *choosing) expect(p *pane, before whole, now []listed, key, sql string) *shown {
	c.t.Helper()
	at := before.held.where
	anchors := []string{at.after}
	if at.anchored {
		anchors = follows(before.list, now, anchors)
	}
	want := make([][]string, len(anchors))
	for i, anchor := range anchors {
		want[i] = c.changes(before, anchor, now, key)
	}
	if len(want) > 1 { // then it may be that something came, and that nothing did
		p.regain()
		p.settle()
	} else if len(want[0]) == 0 && anchors[0] == at.after {
		return before.held
	}
	var s *sight
	p.line.until(func() string { return p.failed("%v after %s", want, sql).Error() }, func() bool {
		s = p.line.shift(p)
		return s != nil
	})
	if s.ask == nil {
		i := max(0, slices.Index(anchors, s.now.where.after))
		require.Equal(c.t, want[i], texts(s.edits), "%s by %s\n%s", s.by, sql, s.log)
		require.Equal(c.t, "step", s.by, "%s\n%s", sql, s.log)
	}
	require.NoError(c.t, c.ledger.check(s), "%s\n%s", sql, s.log)
	if len(want) > 1 && s.ask == nil {
		p.line.mu.Lock()
		s = p.line.shift(p) // the answer
		p.line.mu.Unlock()
	}
	return s.now
}

// changes is what a window that will begin behind the anchor gets.
func (c *choosing) changes(before whole, anchor string, now []listed, key string) []string {
	next := before.held.where
	was, err := next.cut(before.list)
	require.NoError(c.t, err)
	next.after = anchor
	is, err := next.cut(now)
	require.NoError(c.t, err)
	return changesOf(was, is, key, len(before.list) != len(now), len(now))
}

func texts(edits []edit) []string {
	all := []string{}
	for _, e := range edits {
		all = append(all, e.String())
	}
	return all
}

// shift takes the first unseen sight of a pane; the line is locked.
func (l *line) shift(p *pane) *sight {
	i := slices.IndexFunc(l.sights, func(s sight) bool { return s.pane == p })
	if i < 0 {
		return nil
	}
	s := l.sights[i]
	l.sights = slices.Delete(l.sights, i, i+1)
	return &s
}

// changesOf is rule 3: what a change of the one row with the key yields in a window.
func changesOf(was, is []listed, key string, counted bool, total int) []string {
	gone, come := missing(was, is), missing(is, was)
	from, to := indexOf(was, key), indexOf(is, key)
	if from >= 0 && to >= 0 && from != to { // it moved within the window
		gone, come = from, to
	}
	changes := []string{}
	if counted {
		changes = append(changes, fmt.Sprintf("set_count %d", total))
	}
	if gone >= 0 {
		changes = append(changes, fmt.Sprintf("delete %d", gone))
	}
	if come >= 0 {
		changes = append(changes, fmt.Sprintf("insert %d %s", come, is[come].json))
	}
	if from >= 0 && from == to && was[from].json != is[to].json {
		changes = append(changes, fmt.Sprintf("set %d %s", to, is[to].json))
	}
	return changes
}

// missing returns the index of the row that the other window has not, or -1.
func missing(rows, other []listed) int {
	return slices.IndexFunc(rows, func(r listed) bool { return indexOf(other, r.key) < 0 })
}

func indexOf(rows []listed, key string) int {
	return slices.IndexFunc(rows, func(r listed) bool { return r.key == key })
}
