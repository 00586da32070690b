package server_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/server"
)

// TestChoiceDifferential runs random transactions while clients of both versions draw choices, pages, anchors and sizes,
// pause, leave and come back. Each state that a version 2 client shows is held against what SQL said in the drain that it
// stands for; at rest, every window is held against what SQL says then.
func TestChoiceDifferential(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]pgtest.Option{
		"C.UTF-8":   nil,
		"ICU en-US": {pgtest.ICU("en-US")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChoosing(t, options...)
			for range *roundsFlag {
				c.round()
			}
			c.singles(3 * *roundsFlag)
			c.coverage()
		})
	}
}

// choosing is one run.
type choosing struct {
	t       *testing.T
	pool    *pgxpool.Pool
	random  *rand.Rand
	ledger  *ledger
	menus   []*menu
	choices map[*menu][]*choice // those that are in use
	lines   []*line
	old     *differential // subscribers of version 1
	beat    *browser      // hears of every commit of singles
	beats   int
	tally   map[string]int
	hot     []hotSpot // where anchors are
}

func newChoosing(t *testing.T, options ...pgtest.Option) *choosing {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("run it again with: go test ./server -run '%s' -seed %d -rounds %d", t.Name(), seed, *roundsFlag)
	c := &choosing{
		t: t, pool: pgtest.New(t, append(options, pgtest.MaxConns(8))...), random: rand.New(rand.NewPCG(seed, 4)),
		menus: menus(), choices: map[*menu][]*choice{}, tally: map[string]int{},
	}
	c.exec(thingsTable + beatsTable)
	for range 60 {
		c.write(c.pool)
	}
	c.ledger = newLedger(t, c.pool, "things", "pairs")
	address := c.serve()
	for _, m := range c.menus {
		for range 8 {
			c.choices[m] = append(c.choices[m], drawChoice(c.random, m))
		}
	}
	for range 5 {
		c.connect(address)
	}
	c.connectOld(address)
	return c
}

func (c *choosing) exec(sql string, args ...any) {
	c.t.Helper()
	_, err := c.pool.Exec(context.Background(), sql, args...)
	require.NoError(c.t, err)
}

func (c *choosing) serve() (address string) {
	settings := c.pool.Config()
	settings.MaxConns = 8
	served, err := pgxpool.NewWithConfig(context.Background(), settings)
	require.NoError(c.t, err)
	c.t.Cleanup(served.Close)
	defs := []binding.Definition{binding.List[item](binding.Name("beats"), binding.Table("beats"))}
	for _, m := range c.menus {
		defs = append(defs, m.def)
	}
	live := newServer(c.t, served, &server.Config{Migrate: true, Grace: 2 * time.Second, Log: quietLog}, defs...)
	server.SetDrainHook(live, c.ledger.inspect)
	address = mount(c.t, live)
	ctx, cancel := context.WithTimeout(context.Background(), longPatience)
	defer cancel()
	require.NoError(c.t, live.Start(ctx))
	return address
}

// connect opens a connection of version 2 with a few views.
func (c *choosing) connect(address string) {
	l := newLine(c.t, address, c.ledger)
	for i := range 5 {
		m := c.menus[(i+len(c.lines))%len(c.menus)]
		l.open(m).move(c.random, c.choice(m))
	}
	c.lines = append(c.lines, l)
}

// connectOld opens connections of version 1, one for each list: these show the lists as they are defined.
func (c *choosing) connectOld(address string) {
	c.old = &differential{t: c.t, pool: c.pool, random: c.random}
	for _, m := range c.menus {
		from := "SELECT " + m.read + " FROM " + m.table
		if m.where != "" {
			from += " WHERE " + m.where
		}
		order := strings.Join(append(slices.Clone(m.order), m.key...), ", ")
		c.old.readers = append(c.old.readers, c.old.reader(address, spec{name: m.name, query: from + " ORDER BY " + order, rows: m.rows}))
	}
	c.beat = dial(c.t, address)
	c.beat.list("beats", 0, 1)
}

// choice returns one of those in use, which now and then is a new one.
func (c *choosing) choice(m *menu) *choice {
	all := c.choices[m]
	i := c.random.IntN(len(all))
	if c.random.IntN(4) == 0 {
		all[i] = drawChoice(c.random, m)
	}
	return all[i]
}

// round runs transactions, two writers at once, while the subscribers do this and that, and then compares.
func (c *choosing) round() {
	var wg sync.WaitGroup
	for range 2 {
		w := &choosing{t: c.t, pool: c.pool, random: rand.New(rand.NewPCG(c.random.Uint64(), 5)), hot: c.hot}
		wg.Go(func() {
			for range 4 + w.random.IntN(12) {
				w.transaction()
			}
		})
	}
	for range 30 {
		c.act(c.lines[c.random.IntN(len(c.lines))])
	}
	for range c.random.IntN(3) {
		c.old.move(c.old.readers[c.random.IntN(len(c.old.readers))])
	}
	wg.Wait()
	c.compareAll()
}

// act has a client do something.
func (c *choosing) act(l *line) {
	p := l.panes[c.random.IntN(len(l.panes))]
	switch c.random.IntN(20) {
	case 0, 1, 2, 3, 4:
		p.move(c.random, c.choice(p.menu))
	case 5, 6, 7, 8:
		p.grow(c.random)
	case 9, 10:
		p.regain()
	case 11, 12, 13, 14:
		p.hold()
	case 15:
		for range 2 + c.random.IntN(4) {
			p.move(c.random, c.choice(p.menu))
		}
	case 16:
		p.blunder(c.random)
	case 17:
		p.leave()
		c.comeBack(p)
	case 18:
		if c.random.IntN(2) == 0 {
			l.leaveAll()
			c.comeBackAll(l)
		}
	case 19:
		l.redial()
		c.comeBackAll(l)
	}
}

func (c *choosing) comeBackAll(l *line) {
	for _, p := range l.panes {
		c.comeBack(p)
	}
}

// comeBack asks for what was held, with its rev, or if it held nothing for something else.
func (c *choosing) comeBack(p *pane) {
	p.line.mu.Lock()
	holds := p.shown != nil
	p.line.mu.Unlock()
	if holds && c.random.IntN(6) > 0 {
		p.regain()
		return
	}
	p.move(c.random, c.choice(p.menu))
}

// compareAll waits until each window shows what the database has, and then looks at all that was shown on the way.
func (c *choosing) compareAll() {
	c.t.Helper()
	for _, l := range c.lines {
		for _, p := range l.panes {
			c.settle(p)
		}
	}
	c.ledger.forget()
	c.awaitLastDrain()
	for _, l := range c.lines {
		for _, p := range l.panes {
			c.compare(p)
		}
	}
	c.reheat()
	c.old.compareAll()
	c.review()
}

// settle waits until everything that the pane asked is answered, and sees to it that it has a window.
func (c *choosing) settle(p *pane) {
	for {
		live, state := p.settle()
		switch {
		case !live:
			p.get(func() *ask {
				return &ask{choice: c.choice(p.menu), where: where{anchored: true, after: start, size: 9}}
			})
		case state == unsure || state == running && c.random.IntN(10) == 0: // also what is not paused
			p.goOn()
		default:
			return
		}
	}
}

// hotSpot is a thing that an anchor is at, and a column that its list is sorted by.
type hotSpot struct {
	id     string
	column kind
}

// reheat finds out where the anchors are now.
func (c *choosing) reheat() {
	c.hot = nil
	for _, l := range c.lines {
		for _, p := range l.panes {
			c.heat(p)
		}
	}
}

// heat notes where the anchor of a window is.
func (c *choosing) heat(p *pane) {
	p.line.mu.Lock()
	held := p.shown
	p.line.mu.Unlock()
	if p.menu.table != "things" || !held.where.anchored || held.where.after == start {
		return
	}
	sorted := held.choice.sorted
	if held.choice.order == nil {
		sorted = p.menu.sorted
	}
	for _, k := range thingKinds() {
		if contains(sorted, k.column) {
			c.hot = append(c.hot, hotSpot{strings.Trim(held.where.after, "[]"), k})
		}
	}
}

// settle waits until everything that the pane asked is answered.
func (p *pane) settle() (live bool, state stillness) {
	p.line.t.Helper()
	p.line.until(func() string { return p.failed("answers to %+v, %d ok, %q", p.asks, len(p.line.oks), p.resume).Error() }, func() bool {
		live, state = p.live, p.state
		return len(p.asks) == 0 && len(p.line.oks) == 0 && p.resume == "" && p.dropping == 0
	})
	return live, state
}

// awaitLastDrain waits for the drain that saw the database as it is now.
func (c *choosing) awaitLastDrain() {
	for _, m := range c.menus {
		whole := &choice{menu: m}
		now, err := c.ledger.now(whole)
		require.NoError(c.t, err)
		c.ledger.await(func() bool {
			all := c.ledger.sequences(m.table, 0, c.ledger.last())
			if len(all) == 0 {
				return false
			}
			last, err := c.ledger.list(whole, all[len(all)-1])
			require.NoError(c.t, err)
			return slices.Equal(last, now)
		})
	}
}

// compare waits until a window shows what the database has.
func (c *choosing) compare(p *pane) {
	c.t.Helper()
	p.line.mu.Lock()
	held := p.shown
	p.line.mu.Unlock()
	now, err := c.ledger.now(held.choice)
	require.NoError(c.t, err)
	anchors := []string{held.where.after}
	if held.where.anchored {
		all := c.ledger.sequences(p.menu.table, 0, c.ledger.last())
		anchors, err = c.ledger.anchors(held.choice, held.sequence, all[len(all)-1], anchors)
		require.NoError(c.t, err)
	}
	var pending []int
	for _, anchor := range anchors {
		at := held.where
		at.after = anchor
		if want, err := at.cut(now); err == nil {
			pending = append(pending, pendingOf(held, want))
		}
	}
	p.line.until(func() string { return describe(p, now, pending) }, func() bool { return rests(p, now, pending) })
}

// pendingOf counts the rows of the present window that the held one lacks or has with another value.
func pendingOf(held *shown, present []listed) (n int) {
	for _, r := range present {
		if !slices.Contains(held.items, r.json) {
			n++
		}
	}
	return n
}

// rests reports whether the pane shows what the database has; the line is locked.
func rests(p *pane, now []listed, pending []int) bool {
	if p.state == paused {
		return p.total == len(now) && slices.Contains(pending, p.pending)
	}
	want, err := p.shown.where.cut(now)
	return err == nil && !p.still && p.shown.total == len(now) && slices.Equal(p.shown.items, jsons(want))
}

func jsons(rows []listed) []string {
	texts := make([]string, len(rows))
	for i, r := range rows {
		texts[i] = r.json
	}
	return texts
}

func describe(p *pane, now []listed, pending []int) string {
	want, err := p.shown.where.cut(now)
	text := fmt.Sprintf("%s, %s, to be as in the database (%v)\nwant %d of %d: %s\nhave %d of %d: %s", p.shown.choice, p.shown.where, err,
		len(want), len(now), strings.Join(jsons(want), "\n  "), len(p.shown.items), p.shown.total, strings.Join(p.shown.items, "\n  "))
	if p.state == paused {
		text += fmt.Sprintf("\npaused: want %d, %v pending, have %d, %d", len(now), pending, p.total, p.pending)
	}
	return p.failed("still %v, %s", p.still, text).Error()
}

// review holds everything that was shown since the last time against what the database held then.
func (c *choosing) review() {
	c.t.Helper()
	for _, l := range c.lines {
		l.mu.Lock()
		sights, refusals := l.sights, l.refusals
		l.sights, l.refusals = nil, nil
		for what, n := range l.tally {
			c.tally[what] += n
		}
		clear(l.tally)
		l.mu.Unlock()
		for i := range sights {
			require.NoError(c.t, c.ledger.check(&sights[i]), "%s of %s, %s, at %s\nthe messages up to this one:\n%s",
				sights[i].by, sights[i].now.choice, sights[i].now.where, sights[i].now.rev, sights[i].log)
		}
		for i := range refusals {
			kind, err := c.ledger.checkRefusal(&refusals[i])
			require.NoError(c.t, err, "%+v\n%s", refusals[i].ask, refusals[i].log)
			c.tally[kind]++
		}
	}
	c.ledger.forget()
}

// coverage checks that all that can happen has happened.
func (c *choosing) coverage() {
	c.t.Logf("%v", c.tally)
	if *roundsFlag < 12 {
		return
	}
	for _, kind := range []string{
		"set_all", "step", "grown", "step for a rev", "set_all for a rev", "anchor moved", "set_pending", "superseded", "no such row", "not allowed",
	} {
		require.Positive(c.t, c.tally[kind], "never: %s, but %v", kind, slices.Sorted(maps.Keys(c.tally)))
	}
}

// transaction runs a few statements that are committed or rolled back together.
func (c *choosing) transaction() {
	ctx := context.Background()
	tx, err := c.pool.Begin(ctx)
	require.NoError(c.t, err)
	for range 1 + c.random.IntN(4) {
		c.write(tx)
	}
	if c.random.IntN(8) == 0 {
		require.NoError(c.t, tx.Rollback(ctx))
		return
	}
	require.NoError(c.t, tx.Commit(ctx))
}

// write runs one random statement in a savepoint, which is rolled back when the statement fails.
func (c *choosing) write(in executor) {
	_ = pgx.BeginFunc(context.Background(), in, func(tx pgx.Tx) error { // a key may be taken
		_, err := tx.Exec(context.Background(), c.statement())
		return err
	})
}

// statement draws one statement.
func (c *choosing) statement() string {
	r, kinds := c.random, thingKinds()
	k := kinds[1+r.IntN(len(kinds)-1)]
	switch r.IntN(16) {
	case 0, 1, 2:
		return "INSERT INTO things VALUES (" + c.thing(c.id()) + ") ON CONFLICT (id) DO UPDATE SET n = excluded.n, word = excluded.word"
	case 3:
		return "INSERT INTO things SELECT " + c.thing("g") + fmt.Sprintf(" FROM generate_series(%s, %[1]s + 9) g ON CONFLICT DO NOTHING", c.id())
	case 4:
		return fmt.Sprintf("UPDATE things SET %s = %s WHERE id = %s", k.column, c.value(k), c.id())
	case 5, 6:
		at := c.spot()
		return fmt.Sprintf("UPDATE things SET %s = %s WHERE id = %s", at.column.column, c.value(at.column), at.id)
	case 7:
		return fmt.Sprintf("UPDATE things SET %s = %s WHERE id %% 11 = %d", k.column, c.value(k), r.IntN(11))
	case 8:
		return fmt.Sprintf("UPDATE things SET n = n + 7 WHERE n BETWEEN %d AND %[1]d + 20", r.IntN(100))
	case 9:
		return fmt.Sprintf("UPDATE things SET id = %s WHERE id = %s", c.id(), c.id())
	case 10:
		return fmt.Sprintf("DELETE FROM things WHERE id = %s", c.id())
	case 11:
		return fmt.Sprintf("DELETE FROM things WHERE id BETWEEN %s AND %[1]s + 5", c.id())
	case 12, 13:
		return c.writePair()
	case 14:
		return fmt.Sprintf("WITH gone AS (DELETE FROM things WHERE id = %s RETURNING *) INSERT INTO things SELECT id + 60, n, big, word, code, tag, at, "+
			"amount, flag, mood FROM gone", c.id())
	}
	if r.IntN(8) == 0 {
		return "TRUNCATE things"
	}
	return "UPDATE things SET word = upper(word), tag = word"
}

// spot draws the place of an anchor, or any other.
func (c *choosing) spot() hotSpot {
	if len(c.hot) > 0 && c.random.IntN(4) > 0 {
		return c.hot[c.random.IntN(len(c.hot))]
	}
	kinds := thingKinds()
	return hotSpot{c.id(), kinds[c.random.IntN(len(kinds))]}
}

// id draws the id of a thing; every other is one that an anchor is at.
func (c *choosing) id() string {
	if len(c.hot) > 0 && c.random.IntN(2) == 0 {
		return c.hot[c.random.IntN(len(c.hot))].id
	}
	return strconv.Itoa(c.random.IntN(120))
}

func (c *choosing) writePair() string {
	r, kinds := c.random, pairKinds()
	switch r.IntN(4) {
	case 0:
		return fmt.Sprintf("UPDATE pairs SET a = %s, b = %s WHERE a = %d", c.solid(kinds[0]), c.solid(kinds[1]), r.IntN(12))
	case 1:
		return fmt.Sprintf("DELETE FROM pairs WHERE a = %d", r.IntN(12))
	}
	return fmt.Sprintf("INSERT INTO pairs VALUES (%s, %s, %s) ON CONFLICT (a, b) DO UPDATE SET v = excluded.v",
		c.solid(kinds[0]), c.solid(kinds[1]), c.value(kinds[2]))
}

// thing is a row of things, as values in SQL.
func (c *choosing) thing(id string) string {
	values := []string{id}
	for _, k := range thingKinds()[1:] {
		values = append(values, c.value(k))
	}
	return strings.Join(values, ", ")
}

// value draws a value of a column, in SQL.
func (c *choosing) value(k kind) string {
	if c.random.IntN(6) == 0 && k.column != "big" && k.column != "code" {
		return "NULL"
	}
	return c.solid(k)
}

func (c *choosing) solid(k kind) string {
	_, literal := k.draw(c.random)
	return quote(literal) + "::" + k.sql
}
