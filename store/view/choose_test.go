package view_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
	"github.com/socksync/socksync/store/view"
)

// flight is a row from which subscribers choose.
type flight struct {
	_      struct{} `socksync:"table=flights; list=flights; max_page_size=10; max_window=50"`
	ID     int      `db:"id" json:"id" socksync:"pk"`
	Origin string   `db:"origin" json:"from"`
	Delay  *int     `db:"delay" json:"delay"`
	Note   string   `db:"note" json:"note"`
}

const flightsTable = `
CREATE TABLE flights (id int PRIMARY KEY, origin text NOT NULL, delay int, note text NOT NULL);
INSERT INTO flights SELECT i, (ARRAY['AMS', 'BOS', 'CDG'])[1 + i % 3], nullif(i % 7, 0), 'note ' || i FROM generate_series(1, 100) i`

func allFlights(opts ...binding.Option) *binding.ListDef {
	return binding.List[flight](append(opts, binding.Filter("*"), binding.Sort("*"), binding.Search("note", "origin"))...)
}

// chooser is a subscriber of version 2 that checks what it is told.
type chooser struct {
	t   testing.TB
	sub window.Subscription

	mu     sync.Mutex
	wake   chan struct{}
	held   *window.State // nil: nothing
	answer string        // how the last get was answered: all, step, or the error
	steps  []*window.Step
	stands bool
	stood  int // how often it stood still
	bad    []string
}

func choose(t testing.TB, source window.Source, account *window.Account) *chooser {
	c := &chooser{t: t, wake: make(chan struct{})}
	c.sub = source.Subscribe(c, window.Options{Quiet: true, Account: account})
	t.Cleanup(c.sub.Close)
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		require.Empty(t, c.bad)
	})
	return c
}

func (c *chooser) called(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
	close(c.wake)
	c.wake = make(chan struct{})
}

// Step implements window.Sink.
func (c *chooser) Step(s *window.Step) {
	c.called(func() {
		if c.held == nil || !c.held.Same(s.From) || !s.From.Filled() || !s.To.Filled() {
			c.bad = append(c.bad, "a step from a state that is not held")
		}
		c.held, c.stands, c.steps = s.To, false, append(c.steps, s)
	})
}

// Answer implements window.Sink.
func (c *chooser) Answer(s *window.State, _ int) {
	c.called(func() { c.held, c.answer, c.stands = s, "all", false })
}

// Resume implements window.Sink.
func (c *chooser) Resume(s *window.Step, _ int) {
	c.called(func() { c.held, c.answer, c.stands, c.steps = s.To, "step", false, append(c.steps, s) })
}

// Fail implements window.Sink.
func (c *chooser) Fail(err error, _ int) { c.called(func() { c.answer = err.Error() }) }

// Still implements window.Sink.
func (c *chooser) Still(error) { c.called(func() { c.stands = true; c.stood++ }) }

// until waits until something holds, and returns the state then.
func (c *chooser) until(about string, holds func() bool) *window.State {
	c.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		c.mu.Lock()
		ok, held, wake := holds(), c.held, c.wake
		answer := c.answer
		c.mu.Unlock()
		if ok {
			return held
		}
		select {
		case <-wake:
		case <-limit.C:
			require.Fail(c.t, "waited in vain", "%s; %s; %v", about, answer, shown(held))
		}
	}
}

// get asks and waits for the answer.
func (c *chooser) get(w window.Want) (how string, held *window.State) {
	c.t.Helper()
	c.mu.Lock()
	c.answer = ""
	c.mu.Unlock()
	c.sub.Get(w)
	held = c.until("answer to a get", func() bool { return c.answer != "" })
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answer, held
}

// shows waits until the window shows rows with these ids.
func (c *chooser) shows(ids ...int) *window.State {
	c.t.Helper()
	want := fmt.Sprint(ids)
	return c.until("rows "+want, func() bool { return fmt.Sprint(idsOf(c.held)) == want })
}

func idsOf(s *window.State) []int {
	ids := []int{}
	if s == nil {
		return nil
	}
	for _, r := range s.Rows {
		var row struct{ ID int }
		if json.Unmarshal(r.JSON, &row) == nil {
			ids = append(ids, row.ID)
		}
	}
	return ids
}

func filter(conditions ...any) window.Choice {
	var c window.Choice
	for i := 0; i < len(conditions); i += 3 {
		value, _ := json.Marshal(conditions[i+2])
		c.Filter = append(c.Filter, window.Condition{
			Column: conditions[i].(string), Operator: protocol.Operator(conditions[i+1].(string)), Value: value,
		})
	}
	return c
}

func startFlights(t *testing.T, config *view.Config) (*live, window.Source, *pgxpool.Pool) {
	t.Helper()
	pool := pgtest.New(t)
	exec(t, pool, flightsTable)
	l := newLive(t, pool)
	if config != nil {
		config.Pool, config.Retry = pool, 100*time.Millisecond
		if config.Log == nil {
			config.Log = quiet
		}
		l.engine = view.New(config)
	}
	source := l.list(allFlights())
	l.run(nil)
	return l, source, pool
}

func exec(t testing.TB, pool *pgxpool.Pool, sql string) {
	t.Helper()
	_, err := pool.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func TestChoices(t *testing.T) {
	t.Parallel()
	l, source, pool := startFlights(t, nil)
	c := choose(t, source, nil)
	how, held := c.get(window.Want{Size: 3, Choice: filter("from", "eq", "BOS", "delay", "gte", 3)})
	require.Equal(t, "all", how)
	require.Equal(t, []int{4, 10, 13}, idsOf(held))
	require.Equal(t, 19, held.Total)
	require.Equal(t, []string{"id"}, held.Key)

	d := choose(t, source, nil)
	how, held = d.get(window.Want{Size: 3, Choice: window.Choice{Sort: []string{"-delay", "id"}, Search: "NOTE 1"}})
	require.Equal(t, "all", how)
	require.Equal(t, []int{14, 21, 91}, idsOf(held), "NULLs first, as Postgres puts them when it descends")
	require.Equal(t, 20, held.Total)
	require.Equal(t, 2, l.engine.Chosen())

	exec(t, pool, `INSERT INTO flights VALUES (0, 'BOS', 6, 'a note of 1')`)
	require.Equal(t, 20, c.shows(0, 4, 10).Total)
	d.until("the total of the other", func() bool { return d.held.Total == 21 })
	exec(t, pool, `UPDATE flights SET origin = 'AMS', delay = NULL WHERE id IN (0, 4)`)
	require.Equal(t, 18, c.shows(10, 13, 16+3).Total)
	d.shows(0, 14, 21)

	for _, bad := range []struct {
		choice window.Choice
		names  string
	}{
		{filter("nowhere", "eq", 1), "nowhere"},
		{filter("delay", "prefix", "x"), "prefix"},
		{filter("delay", "eq", "late"), "delay"},
		{filter("delay", "eq", 1<<40), "delay"},
		{window.Choice{Sort: []string{"origin"}}, "origin"},
	} {
		how, _ = c.get(window.Want{Size: 3, Choice: bad.choice})
		require.Contains(t, how, bad.names)
	}
	require.Equal(t, 2, l.engine.Chosen())
	exec(t, pool, `DELETE FROM flights WHERE id = 10`)
	c.shows(13, 19, 25) // its window is what it was
}

// TestViewsAreShared has many subscribers choose the same.
func TestViewsAreShared(t *testing.T) {
	t.Parallel()
	l, source, _ := startFlights(t, &view.Config{Grace: 50 * time.Millisecond})
	same := filter("delay", "lt", 3)
	var all []*chooser
	for range 20 {
		all = append(all, choose(t, source, nil))
	}
	for _, c := range all {
		c.sub.Get(window.Want{Size: 5, Choice: same})
	}
	for _, c := range all {
		require.Same(t, all[0].shows(1, 2, 8, 9, 15), c.shows(1, 2, 8, 9, 15))
	}
	require.Equal(t, 1, l.engine.Chosen())
	for _, c := range all {
		c.sub.Close()
	}
	l.engine.Swept(func() bool { return l.engine.Chosen() == 0 })
}

func TestTooManyChoices(t *testing.T) {
	t.Parallel()
	_, source, _ := startFlights(t, &view.Config{Views: 3, Rows: 60})
	account := window.NewAccount(2, 40)
	at := func(delay int) window.Want { return window.Want{Size: 5, Choice: filter("delay", "eq", delay)} }
	one, two, three := choose(t, source, account), choose(t, source, account), choose(t, source, account)
	how, _ := one.get(at(1)) // 15 rows
	require.Equal(t, "all", how)
	how, _ = two.get(at(2))
	require.Equal(t, "all", how)
	how, _ = three.get(at(3))
	require.Contains(t, how, "too many choices open on this connection: at most 2")
	how, _ = one.get(at(3))
	require.Equal(t, "all", how, "instead of the one that it has")
	how, _ = one.get(at(1))
	require.Equal(t, "all", how)
	how, _ = three.get(at(2)) // held already
	require.Equal(t, "all", how)
	how, _ = one.get(window.Want{Size: 5}) // lets go of its choice
	require.Equal(t, "all", how)
	how, _ = one.get(window.Want{Size: 5, Choice: filter("delay", "gt", 4)}) // 28 rows
	require.Contains(t, how, "too many rows: at most 40")

	for _, delay := range []int{4, 5} {
		how, _ = choose(t, source, nil).get(at(delay))
		require.Equal(t, "all", how, "what nobody watches makes room")
	}
	how, _ = choose(t, source, nil).get(at(6))
	require.Contains(t, how, "too many choices are open on this server")
}

func TestTooManyRows(t *testing.T) {
	t.Parallel()
	l, source, _ := startFlights(t, &view.Config{Rows: 60})
	c := choose(t, source, nil)
	how, _ := c.get(window.Want{Choice: filter("id", "gt", 0)})
	require.Contains(t, how, "more rows than this server has room for")
	require.Zero(t, l.engine.Chosen())
	how, _ = c.get(window.Want{Choice: filter("id", "gt", 50)})
	require.Equal(t, "all", how)
	how, _ = c.get(window.Want{Choice: filter("id", "lte", 50)})
	require.Contains(t, how, "more rows", "50 of 60 are taken")
}

// TestAnchors moves, takes away and brings back the row that a window begins after.
func TestAnchors(t *testing.T) {
	t.Parallel()
	_, source, pool := startFlights(t, nil)
	exec(t, pool, `DELETE FROM flights WHERE id > 9`)
	c := choose(t, source, nil)
	after := func(key ...string) []json.RawMessage {
		var k []json.RawMessage
		for _, text := range key {
			k = append(k, json.RawMessage(text))
		}
		return k
	}
	byOrigin := window.Choice{Sort: []string{"from"}} // 3 6 9, 1 4 7, 2 5 8
	how, held := c.get(window.Want{Size: 2, Anchored: true, Choice: byOrigin})
	require.Equal(t, "all", how)
	require.Nil(t, held.After)
	require.Equal(t, []int{3, 6}, idsOf(held))
	how, held = c.get(window.Want{Size: 3, Anchored: true, After: after("6"), Choice: byOrigin})
	require.Equal(t, "all", how)
	require.Equal(t, after("6"), held.After)
	require.Equal(t, []int{9, 1, 4}, idsOf(held))
	how, held = c.get(window.Want{Size: 5, Anchored: true, After: after("6"), Choice: byOrigin})
	require.Equal(t, "step", how, "it grows")
	require.Equal(t, []int{9, 1, 4, 7, 2}, idsOf(held))

	exec(t, pool, `UPDATE flights SET origin = 'ZZZ' WHERE id = 6`)
	held = c.until("another anchor", func() bool { return fmt.Sprint(c.held.After) != fmt.Sprint(after("6")) })
	require.Equal(t, after("3"), held.After)
	require.Equal(t, []int{9, 1, 4, 7, 2}, idsOf(held))
	how, held = c.get(window.Want{Size: 6, Anchored: true, After: after("6"), Choice: byOrigin})
	require.Equal(t, "step", how, "the subscriber did not know of the new anchor")
	require.Equal(t, []int{9, 1, 4, 7, 2, 5}, idsOf(held))
	exec(t, pool, `DELETE FROM flights WHERE id IN (3, 9)`)
	held = c.shows(1, 4, 7, 2, 5, 8)
	require.Nil(t, held.After, "the start")
	exec(t, pool, `INSERT INTO flights VALUES (50, 'AAA', 1, '')`)
	c.shows(50, 1, 4, 7, 2, 5)

	how, _ = c.get(window.Want{Size: 6, Anchored: true, After: after("9"), Choice: byOrigin})
	require.Contains(t, how, "after: no such row")
	how, _ = c.get(window.Want{Size: 6, Anchored: true, After: after("1", "2"), Choice: byOrigin})
	require.Contains(t, how, "after")
	how, held = c.get(window.Want{Size: 1000, Anchored: true})
	require.Equal(t, "all", how)
	require.Equal(t, 50, held.Size, "the maximum window")
}

// TestAnchorsInWords names rows by keys that Postgres writes in another way.
func TestAnchorsInWords(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, `CREATE TABLE events (at timestamptz, n numeric, PRIMARY KEY (at, n));
		INSERT INTO events SELECT '2026-01-01 00:00Z'::timestamptz + i * '1 h'::interval, i + 0.50 FROM generate_series(0, 9) i`)
	_, sources := start(t, pool, &binding.ListDef{
		Name: "events", Table: "events", Key: []string{"at", "n"},
		Columns: []binding.Column{{Name: "at", JSON: "at"}, {Name: "n", JSON: "n"}},
	})
	c := choose(t, sources[0], nil)
	for _, spelled := range []string{`"2026-01-01T03:00:00Z"`, `"2026-01-01 04:00:00+01"`, `"2026-01-01 03:00:00+00"`} {
		how, held := c.get(window.Want{Size: 2, Anchored: true, After: []json.RawMessage{json.RawMessage(spelled), json.RawMessage("3.50")}})
		require.Equal(t, "all", how)
		require.Len(t, held.Rows, 2)
		require.Contains(t, string(held.Rows[0].JSON), "4.50")
		require.Equal(t, `"2026-01-01 03:00:00+00"`, string(held.After[0]))
	}
	for _, bad := range []string{`"never"`, `7`, `"2027-01-01T03:00:00Z"`} {
		how, _ := c.get(window.Want{Size: 2, Anchored: true, After: []json.RawMessage{json.RawMessage(bad), json.RawMessage("3.50")}})
		require.Contains(t, how, "after: no such row")
	}
}

// TestResume comes back for windows with states that are known, and that are not.
func TestResume(t *testing.T) {
	t.Parallel()
	_, source, pool := startFlights(t, nil)
	want := window.Want{Size: 3, Choice: filter("from", "eq", "BOS")}
	c := choose(t, source, nil)
	_, first := c.get(want)
	exec(t, pool, `DELETE FROM flights WHERE id = 4`)
	second := c.shows(1, 7, 10)
	c.sub.Leave()
	exec(t, pool, `DELETE FROM flights WHERE id = 7`)

	d := choose(t, source, nil)
	d.get(window.Want{Size: 3, Choice: filter("from", "eq", "BOS")})
	now := d.shows(1, 10, 13)
	for _, rev := range []string{first.Rev, second.Rev, now.Rev} {
		e := choose(t, source, nil)
		back := want
		back.Rev = rev
		how, held := e.get(back)
		require.Equal(t, "step", how, rev)
		require.Equal(t, []int{1, 10, 13}, idsOf(held))
		require.Equal(t, rev, e.steps[0].From.Rev)
	}
	for name, change := range map[string]func(*window.Want){
		"another revision": func(w *window.Want) { w.Rev = "1.1" },
		"no revision":      func(w *window.Want) { w.Rev = "what" },
		"another choice":   func(w *window.Want) { w.Choice = filter("from", "eq", "AMS") },
		"another size":     func(w *window.Want) { w.Size = 4 },
		"another page":     func(w *window.Want) { w.Page = 1 },
	} {
		e := choose(t, source, nil)
		back := want
		back.Rev = first.Rev
		change(&back)
		how, _ := e.get(back)
		require.Equal(t, "all", how, name)
	}
}

// TestResumeAnchored comes back for a window whose anchor has left meanwhile.
func TestResumeAnchored(t *testing.T) {
	t.Parallel()
	_, source, pool := startFlights(t, nil)
	five := []json.RawMessage{json.RawMessage("5")}
	c := choose(t, source, nil)
	_, held := c.get(window.Want{Size: 3, Anchored: true, After: five})
	c.sub.Leave()
	exec(t, pool, `DELETE FROM flights WHERE id IN (5, 7)`)
	witness := choose(t, source, nil)
	witness.get(window.Want{Size: 7})
	witness.shows(1, 2, 3, 4, 6, 8, 9)
	d := choose(t, source, nil)
	how, now := d.get(window.Want{Size: 3, Anchored: true, After: five, Rev: held.Rev})
	require.Equal(t, "step", how)
	require.Equal(t, []int{6, 8, 9}, idsOf(now))
	require.Equal(t, "4", string(now.After[0]))
}

// TestStandingStill tells subscribers when their window cannot follow, and when it does again.
func TestStandingStill(t *testing.T) {
	t.Parallel()
	_, source, pool := startFlights(t, nil)
	c, d := choose(t, source, nil), choose(t, source, nil)
	c.get(window.Want{Size: 2})
	d.get(window.Want{Size: 2, Choice: filter("delay", "eq", 1)})
	exec(t, pool, `ALTER TABLE flights RENAME TO elsewhere`)
	c.until("word that it stands still", func() bool { return c.stands })
	d.until("word that it stands still", func() bool { return d.stands })
	exec(t, pool, `ALTER TABLE elsewhere RENAME TO flights`)
	c.until("word that it moves", func() bool { return !c.stands })
	d.until("word that it moves", func() bool { return !d.stands })
	exec(t, pool, `DELETE FROM flights WHERE id = 1`)
	c.shows(2, 3)
	d.shows(8, 15)
}

// TestAdvice tells the operator which indexes are missing, once.
func TestAdvice(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var lines []string
	wake := make(chan struct{}, 100)
	handler := &lineHandler{level: slog.LevelWarn, write: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
		wake <- struct{}{}
	}}
	_, source, _ := startFlights(t, &view.Config{Log: slog.New(handler)})
	for range 2 {
		c := choose(t, source, nil)
		c.get(window.Want{Size: 2, Choice: window.Choice{Sort: []string{"-delay", "note"}}})
		c.get(window.Want{Size: 2, Choice: filter("delay", "eq", 1)})
	}
	for range 2 {
		select {
		case <-wake:
		case <-time.After(patience):
			require.Fail(t, "no advice")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	all := strings.Join(lines, "\n")
	require.Len(t, lines, 2, all)
	require.Contains(t, all, "CREATE INDEX ON flights (delay DESC, note, id)")
	require.Contains(t, all, "gin (lower(note) gin_trgm_ops, lower(origin) gin_trgm_ops)")
}

// TestAdviceDoesNotQueue looks for an index while somebody waits to lock the table: it gives up, so that it neither holds
// a connection nor makes others wait.
func TestAdviceDoesNotQueue(t *testing.T) {
	t.Parallel()
	given := make(chan string, 10)
	log := slog.New(&lineHandler{level: slog.LevelDebug, write: func(line string) {
		if strings.Contains(line, "cannot look for an index") {
			given <- line
		}
	}})
	l, source, pool := startFlights(t, &view.Config{Log: log, QueryTimeout: time.Hour})
	choose(t, source, nil).get(window.Want{Size: 2})
	writer, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, writer.Rollback(context.Background())) }()
	_, err = writer.Exec(t.Context(), "LOCK TABLE flights IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	l.engine.AdviseAgain("flights")
	select {
	case line := <-given:
		require.Contains(t, line, "lock timeout")
	case <-time.After(patience):
		require.Fail(t, "it waits for the lock")
	}
}

// lineHandler takes lines of the log from a level on.
type lineHandler struct {
	level slog.Level
	write func(string)
}

func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }
func (h *lineHandler) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h *lineHandler) WithGroup(string) slog.Handler                { return h }
func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.Value.String(); return true })
	h.write(line)
	return nil
}
