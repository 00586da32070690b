package view_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// joinedNotes is a list of two tables.
func joinedNotes(t testing.TB) *binding.ListDef {
	return &binding.ListDef{
		Name: "joined", Table: "notes", Query: "SELECT n.id, n.owner, n.body, t.name AS team FROM notes n LEFT JOIN teams t ON t.id = n.team",
		Key: []string{"id"}, Columns: append(columnsNamed("id", "body", "team"), binding.Column{Name: "owner"}), Where: "owner = @user", Order: orderOf(t, "team, id"),
		Depends: []binding.Dependency{{Table: "teams", Columns: []string{"id"}, Through: "notes", Refers: []string{"team"}}},
	}
}

// ofNotes is a list of one table.
func ofNotes(t testing.TB) *binding.ListDef {
	return &binding.ListDef{
		Name: "mine", Table: "notes", Key: []string{"id"}, Columns: append(columnsNamed("id", "body"), binding.Column{Name: "owner"}), Where: "owner = @user", Order: orderOf(t, "id"),
	}
}

const twoNotes = `CREATE TABLE teams (id int PRIMARY KEY, name text); CREATE TABLE notes (id int PRIMARY KEY, owner text, team int, body text);
	CREATE INDEX ON notes (team); CREATE INDEX ON notes (owner);
	INSERT INTO teams VALUES (1, 'red'), (2, 'blue'); INSERT INTO notes VALUES (1, 'ann', 1, 'a'), (2, 'ann', 2, 'b'), (3, 'bob', 1, 'c')`

func as(user string) window.Options {
	return window.Options{Quiet: true, Identity: window.Identity{"user": &user}}
}

// TestLockedJoinedTable locks one table of a list while the other changes. Lists of the other table alone go on; the list
// makes up for it when the lock is gone.
func TestLockedJoinedTable(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(8))
	exec(t, pool, twoNotes)
	l, sources := start(t, pool, joinedNotes(t), ofNotes(t))
	joined, mine := chooseAs(t, sources[0], as("ann")), chooseAs(t, sources[1], as("ann"))
	joined.get(window.Want{Size: 5})
	mine.get(window.Want{Size: 5})
	release := l.lock("teams")
	for i := range 5 {
		exec(t, pool, fmt.Sprintf("UPDATE notes SET body = 'x%d' WHERE id = 1", i))
		mine.until("the change", func() bool { return rowsHeld(mine.held)[0] == fmt.Sprintf(`{"id":1,"body":"x%d"}`, i) })
	}
	require.Equal(t, `{"id":1,"body":"a","team":"red"}`, rowsHeld(joined.held)[1])
	release() // and nothing changes that would bring a drain
	joined.until("the change", func() bool { return rowsHeld(joined.held)[1] == `{"id":1,"body":"x4","team":"red"}` })
	exec(t, pool, "UPDATE teams SET name = 'azure' WHERE id = 1")
	joined.until("both changes", func() bool { return rowsHeld(joined.held)[0] == `{"id":1,"body":"x4","team":"azure"}` })
}

// gathering hands loads over together when it says so, with the keys that have changed meanwhile.
type gathering struct {
	listen.Drainer
	holds  atomic.Bool
	one    bool         // of those that are held only the first is handed over
	loads  atomic.Int64 // that are held
	keys   atomic.Int64 // that have changed while some were held
	joined []listen.Joined
	since  [][]string
}

func (g *gathering) Drain(ctx context.Context, tx pgx.Tx, d *listen.Drain) error {
	if c := d.Tables[`"notes"`]; c != nil && len(g.joined) > 0 {
		g.since = append(g.since, c.Keys...)
	}
	g.joined = append(g.joined, d.Joined...)
	d.Joined = nil
	if !g.holds.Load() {
		d.Joined = g.release()
	}
	g.loads.Store(int64(len(g.joined)))
	g.keys.Store(int64(len(g.since)))
	return g.Drainer.Drain(ctx, tx, d)
}

func (g *gathering) release() []listen.Joined {
	joined := g.joined
	if g.one && len(joined) > 1 {
		joined = joined[:1]
	}
	for _, j := range joined {
		changed := &listen.Change{Keys: g.since}
		if c := j.Tables[`"notes"`]; c != nil {
			changed.Keys = append(slices.Clone(g.since), c.Keys...)
		}
		j.Tables[`"notes"`] = changed
	}
	g.joined, g.since = nil, nil
	return joined
}

// TestManyLoadsWithManyChanges has the loads of many views join in one drain, since which so many rows have changed that the
// changes of all of them, put together, would be more than a list is owed.
func TestManyLoadsWithManyChanges(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(8))
	exec(t, pool, twoNotes)
	l := newLive(t, pool)
	source := l.list(ofNotes(t))
	g := &gathering{Drainer: l.engine}
	l.run(g)
	first := chooseAs(t, source, as("first"))
	first.get(window.Want{Size: 5}) // the feed knows the table
	g.holds.Store(true)
	gate := make(chan struct{})
	l.feed.Do(func() { <-gate })
	var all []*chooser
	for i := range 60 {
		all = append(all, chooseAs(t, source, as([]string{"ann", fmt.Sprint("u", i)}[min(i, 1)])))
		all[i].sub.Get(window.Want{Size: 5})
	}
	close(gate) // all of them are loaded together
	require.Eventually(t, func() bool { return g.loads.Load() > 0 }, patience, patience/10_000)
	exec(t, pool, "INSERT INTO notes SELECT g, 'nobody', 1, '' FROM generate_series(100, 9000) g; INSERT INTO notes VALUES (8, 'ann', 1, 'later')")
	require.Eventually(t, func() bool { return g.keys.Load() > 8_900 }, patience, patience/10_000)
	g.holds.Store(false)
	l.feed.Kick()
	all[0].until("the row that came later", func() bool { return all[0].held != nil && all[0].held.Total == 3 })
}

// TestSlowRecomputation has rows change all the time while a list is recomputed: the load that is under way is not given up
// for another one.
func TestSlowRecomputation(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(8))
	exec(t, pool, twoNotes)
	l := newLive(t, pool)
	counts := &binding.ListDef{
		Name: "counts", Query: "SELECT owner, count(*) AS n FROM notes GROUP BY owner", Key: []string{"owner"},
		Columns: columnsNamed("owner", "n"), Order: orderOf(t, "owner"), Recompute: 1, Tables: []string{"notes"},
	}
	source, mine := l.list(counts), l.list(ofNotes(t))
	g := &gathering{Drainer: l.engine, one: true}
	l.run(g)
	c, witness := choose(t, source, nil), chooseAs(t, mine, as("bob"))
	witness.get(window.Want{Size: 5})
	c.get(window.Want{Size: 5})
	g.holds.Store(true)
	for i := range 4 {
		exec(t, pool, fmt.Sprintf("INSERT INTO notes VALUES (%d, 'bob', 1, 'x')", 10+i))
		witness.until("a row", func() bool { return witness.held.Total == 2+i })
		require.Eventually(t, func() bool { return !l.engine.Due("counts") && g.loads.Load() > 0 }, patience, patience/10_000)
	}
	g.holds.Store(false)
	l.feed.Kick()
	c.until("what the first load has", func() bool { return rowsHeld(c.held)[1] != `{"owner":"bob","n":1}` })
	c.until("the present", func() bool { return rowsHeld(c.held)[1] == `{"owner":"bob","n":5}` })
}

// TestAlteredWhileAnotherIsLocked alters one table of a list while another one is locked, and somebody opens a view. The
// rows are read as the table is now, from the first load on.
func TestAlteredWhileAnotherIsLocked(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(8))
	exec(t, pool, twoNotes)
	l := newLive(t, pool)
	def := joinedNotes(t)
	def.Where, def.Order, def.Columns = "", orderOf(t, "rank, id"), columnsNamed("id", "rank", "team")
	def.Query = "SELECT n.id, n.rank, t.name AS team FROM notes n LEFT JOIN teams t ON t.id = n.team"
	def.Filter = []binding.FilterRule{{Column: "*"}}
	exec(t, pool, "ALTER TABLE notes ADD rank int; UPDATE notes SET rank = id")
	source, witness := l.list(def), l.list(ofNotes(t))
	l.run(nil)
	c, w, d := choose(t, source, nil), chooseAs(t, witness, as("ann")), choose(t, source, nil)
	c.get(window.Want{Size: 5})
	w.get(window.Want{Size: 5})
	release := l.lock("teams")
	exec(t, pool, "UPDATE notes SET body = 'x' WHERE id = 1")
	w.until("the change", func() bool { return rowsHeld(w.held)[0] == `{"id":1,"body":"x"}` })
	exec(t, pool, "ALTER TABLE notes ALTER rank TYPE bigint; UPDATE notes SET body = 'y' WHERE id = 1")
	w.until("the change", func() bool { return rowsHeld(w.held)[0] == `{"id":1,"body":"y"}` })
	d.sub.Get(window.Want{Size: 5, Choice: filter("rank", "gt", 1)})
	d.until("an answer", func() bool { return d.answer != "" })
	release()
	for how := ""; how != "all"; {
		how, _ = d.get(window.Want{Size: 5, Choice: filter("rank", "gt", 1)})
	}
	exec(t, pool, "UPDATE notes SET rank = 9 WHERE id = 2")
	want := []string{`{"id":1,"rank":1,"team":"red"}`, `{"id":3,"rank":3,"team":"red"}`, `{"id":2,"rank":9,"team":"blue"}`}
	c.until("the present", func() bool { return fmt.Sprint(rowsHeld(c.held)) == fmt.Sprint(want) })
	d.until("the present", func() bool { return d.held != nil && fmt.Sprint(rowsHeld(d.held)) == fmt.Sprint(want[1:]) })
	require.True(t, l.engine.Encoded("joined"))
}

// then does something when a drain has been committed, before the next one.
type then struct {
	listen.Drainer
	do func()
}

func (d *then) Commit() {
	d.Drainer.Commit()
	if d.do != nil {
		d.do()
	}
}

// TestPlaceTakenInADrain has a subscription take the place of another one in a drain in which the window changes that the
// other one leaves by that. Who comes back to that window hears of it again.
func TestPlaceTakenInADrain(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, flightsTable)
	l := newLive(t, pool)
	source := l.list(allFlights())
	drainer := &then{Drainer: l.engine}
	l.run(drainer)
	l.loaded("flights")
	c := choose(t, source, nil)
	_, held := c.get(window.Want{Size: 10})
	i := 0
	l.engine.OnFeed(func() {
		drainer.do = func() { // from now on c's window changes in every drain
			i++
			exec(t, pool, fmt.Sprintf("UPDATE flights SET note = 'x%d' WHERE id = 2", i))
		}
	})
	d := chooseAs(t, source, window.Options{Quiet: true, Instead: c.sub})
	d.sub.Get(window.Want{Size: 10, Choice: filter("delay", "gt", 0)})
	d.until("rows", func() bool { return d.held != nil })
	l.engine.OnFeed(func() { drainer.do = nil })
	require.NoError(t, l.engine.Invariants())
	e := choose(t, source, nil)
	e.get(window.Want{Size: 10, Rev: held.Rev})
	exec(t, pool, "DELETE FROM flights WHERE id = 3")
	e.shows(1, 2, 4, 5, 6, 7, 8, 9, 10, 11)
}
