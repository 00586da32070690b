package view_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/localpg"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
	"github.com/socksync/socksync/store/view"
)

// TestChoicesOfAlteredColumns changes the type of a column that subscribers compare. Choices that load late, when
// others have read the new definition, follow it too.
func TestChoicesOfAlteredColumns(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(2)) // one load at a time
	exec(t, pool, flightsTable)
	_, sources := start(t, pool, allFlights())
	var all []*chooser
	for _, by := range []string{"id", "from", "note", "-id", "-from", "-note"} {
		c := choose(t, sources[0], nil)
		how, _ := c.get(window.Want{Size: 10, Choice: sorted(filter("delay", "eq", 1), by, "id")})
		require.Equal(t, "all", how)
		all = append(all, c)
	}
	exec(t, pool, `ALTER TABLE flights ALTER delay TYPE numeric; DELETE FROM flights WHERE id > 9`)
	for _, c := range all {
		c.until("the table as it is", func() bool { return c.held.Total == 2 }) // 1 and 8
	}
	exec(t, pool, `UPDATE flights SET delay = 1.0 WHERE id = 2`)
	for _, c := range all {
		c.until("a row that is equal", func() bool { return c.held.Total == 3 })
	}
}

// TestTooManyRowsAtOnce opens choices at the same time that are too many only together.
func TestTooManyRowsAtOnce(t *testing.T) {
	t.Parallel()
	l, source, _ := startFlights(t, &view.Config{Rows: 60})
	gate := make(chan struct{})
	l.feed.Do(func() { <-gate }) // so that they all begin before one is open
	var all []*chooser
	for i := range 5 {
		c := choose(t, source, nil)
		all = append(all, c)
		c.sub.Get(window.Want{Size: 5, Choice: filter("id", "gt", 50+i)})
	}
	close(gate)
	open := 0
	for _, c := range all {
		c.until("answer", func() bool { return c.answer != "" })
		if c.answer == "all" {
			open++
		} else {
			require.Contains(t, c.answer, "more rows than this server has room for")
		}
	}
	require.Equal(t, 1, open)
	require.Equal(t, 1, l.engine.Chosen())
}

// late hands loads over later than they come.
type late struct {
	listen.Drainer
	holds  atomic.Bool
	joined []listen.Joined
	keys   [][]string // that have changed since
}

func (l *late) Drain(ctx context.Context, tx pgx.Tx, d *listen.Drain) error {
	l.joined = append(l.joined, d.Joined...)
	d.Joined = nil
	if c := d.Tables[`"flights"`]; c != nil && len(l.joined) > 0 {
		l.keys = append(l.keys, c.Keys...)
	}
	if !l.holds.Load() {
		for _, j := range l.joined {
			j.Tables[`"flights"`] = &listen.Change{Keys: l.keys}
		}
		d.Joined, l.joined, l.keys = l.joined, nil, nil
	}
	return l.Drainer.Drain(ctx, tx, d)
}

// TestOneRowBesideALoad has one row change in the drain in which the load of a choice joins, since which others have
// changed. For those that are open it is the change of one row.
func TestOneRowBesideALoad(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, flightsTable)
	l := newLive(t, pool)
	source := l.list(allFlights())
	keeper := &late{Drainer: l.engine}
	l.run(keeper)
	c, d := choose(t, source, nil), choose(t, source, nil)
	c.get(window.Want{Size: 10})
	keeper.holds.Store(true)
	d.sub.Get(window.Want{Size: 10, Choice: filter("delay", "gt", 0)})
	for i, id := range []int{3, 4, 5} {
		if id == 5 {
			keeper.holds.Store(false)
		}
		exec(t, pool, fmt.Sprintf("UPDATE flights SET note = 'x' WHERE id = %d", id))
		c.until("a step", func() bool { return len(c.steps) == i+1 })
		require.Equal(t, fmt.Sprint(id), c.steps[i].Changed)
	}
	d.shows(1, 2, 3, 4, 5, 6, 8, 9, 10, 11)
}

func sequenceOf(t testing.TB, s *window.State) int {
	_, text, _ := strings.Cut(s.Rev, ".")
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// TestRevisionsOfMovingWindows moves a window to pages that have not changed for a while. Its revision does not go back.
func TestRevisionsOfMovingWindows(t *testing.T) {
	t.Parallel()
	_, source, pool := startFlights(t, nil)
	old, c := choose(t, source, nil), choose(t, source, nil)
	old.get(window.Want{Size: 3})
	old.get(window.Want{Page: 2, Size: 3})
	other := choose(t, source, nil)
	_, first := other.get(window.Want{Size: 3})
	witness := choose(t, source, nil)
	witness.get(window.Want{Size: 3, Page: 20})
	exec(t, pool, "UPDATE flights SET note = 'x' WHERE id = 61")
	witness.until("a step", func() bool { return len(witness.steps) == 1 })
	_, held := c.get(window.Want{Page: 1, Size: 3})
	for _, w := range []window.Want{{Size: 3}, {Page: 1, Size: 3}, {Size: 3}, {Page: 2, Size: 3}, {Page: 20, Size: 3}, {Size: 3}} {
		_, now := c.get(w)
		require.GreaterOrEqual(t, sequenceOf(t, now), sequenceOf(t, held), "%+v", w)
		held = now
	}
	back := choose(t, source, nil)
	how, now := back.get(window.Want{Size: 3, Rev: held.Rev})
	require.Equal(t, "step", how, "what it was given is known")
	require.GreaterOrEqual(t, sequenceOf(t, now), sequenceOf(t, held))
	how, _ = back.get(window.Want{Size: 3, Rev: first.Rev})
	require.Equal(t, "step", how, "what the others were given is, too")
	exec(t, pool, "UPDATE flights SET note = 'x' WHERE id = 1")
	for _, s := range []*chooser{c, other, back} {
		s.until("a step", func() bool { return strings.Contains(string(s.held.Rows[0].JSON), `"x"`) })
	}
}

// TestChoicesBehind moves a window from one choice to another that stands still while it is loaded again. It does not
// go back to what the other was.
func TestChoicesBehind(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, flightsTable)
	l := newLive(t, pool)
	source := l.list(allFlights())
	keeper := &late{Drainer: l.engine}
	l.run(keeper)
	chosen := window.Want{Size: 3, Choice: filter("delay", "gt", 0)}
	c, d := choose(t, source, nil), choose(t, source, nil)
	c.get(window.Want{Size: 3})
	d.get(chosen)
	keeper.holds.Store(true)
	l.engine.PlaceByPostgres("flights") // loads the standard view again
	exec(t, pool, "UPDATE flights SET note = 'x' WHERE id = 1")
	d.until("a step", func() bool { return len(d.steps) == 1 })
	d.called(func() { d.answer = "" })
	d.sub.Get(window.Want{Size: 3})
	exec(t, pool, "UPDATE flights SET note = 'y' WHERE id = 2")
	d.until("a step", func() bool { return len(d.steps) == 2 || d.answer != "" })
	d.called(func() { require.Empty(t, d.answer, "what the list was is not told any more") })
	keeper.holds.Store(false)
	l.feed.Kick()
	c.until("what is now", func() bool { return strings.Contains(string(c.held.Rows[1].JSON), `"y"`) })
	d.until("the same", func() bool { return d.held == c.held })
}

// TestAnswersWhileStanding asks for a window that is known while the database is away: the subscriber is told that it
// stands still, and later that it moves.
func TestAnswersWhileStanding(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, &localpg.Config{})
	pool := pgtest.On(t, server, pgtest.MaxConns(6))
	exec(t, pool, flightsTable)
	_, sources := start(t, pool, allFlights())
	c, d := choose(t, sources[0], nil), choose(t, sources[0], nil)
	c.get(window.Want{Size: 3})
	require.NoError(t, server.Kill(t.Context()))
	c.until("word that it stands still", func() bool { return c.stands })
	how, _ := d.get(window.Want{Size: 3})
	require.Equal(t, "all", how)
	d.until("word that it stands still", func() bool { return d.stands })
	require.NoError(t, server.StartAgain(t.Context()))
	for _, s := range []*chooser{c, d} {
		s.until("word that it moves", func() bool { return !s.stands })
	}
}
