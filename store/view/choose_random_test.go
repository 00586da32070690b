package view_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
	"github.com/socksync/socksync/store/view"
)

var chooseRounds = flag.Int("rounds", 60, "rounds of the random test of choices")

// pick is a choice that subscribers make, and the same in SQL.
type pick struct {
	list         string
	choice       window.Choice
	table        string
	where, order string
}

const (
	pickPage   = 30 // maximum page size
	pickWindow = 80 // maximum size of an anchored window
)

// sorted adds an order to a choice.
func sorted(c window.Choice, by ...string) window.Choice {
	c.Sort = by
	return c
}

// picks are what subscribers draw from.
var picks = []pick{
	{"all", window.Choice{}, "items", "", "v DESC NULLS LAST, id"},
	{"all", sorted(window.Choice{}, "word", "-v"), "items", "", "word, v DESC, id"},
	{"all", sorted(window.Choice{}, "-word"), "items", "", "word DESC, id"},
	{"all", filter("v", "eq", 3), "items", "v = 3", "v DESC NULLS LAST, id"},
	{"all", sorted(filter("v", "null", true), "word"), "items", "v IS NULL", "word, id"},
	{"all", sorted(filter("v", "gte", 5, "v", "lt", 15), "-id"), "items", "v >= 5 AND v < 15", "id DESC"},
	{"all", filter("word", "prefix", "a"), "items", "starts_with(word, 'a')", "v DESC NULLS LAST, id"},
	{"all", sorted(filter("word", "contains", "eb"), "v"), "items", "strpos(word, 'eb') > 0", "v, id"},
	{"all", sorted(filter("v", "in", []any{1, 2, 3, nil}), "word"), "items", "v = ANY ('{1,2,3,NULL}')", "word, id"},
	{"all", window.Choice{Search: " A b "}, "items", "strpos(lower(word), 'a') > 0 AND strpos(lower(word), 'b') > 0", "v DESC NULLS LAST, id"},
	{"all", sorted(filter("v", "ne", 4), "-v", "word"), "items", "v IS DISTINCT FROM 4", "v DESC, word, id"},
	{"all", sorted(filter("word", "lte", "b"), "-word"), "items", "word <= 'b'", "word DESC, id"},
	{"all", sorted(filter("id", "gt", 40), "id"), "items", "id > 40", "id"},
	{"some", window.Choice{}, "items", "v % 3 <> 0", "word, id"},
	{"some", filter("word", "gt", "a"), "items", "v % 3 <> 0 AND word > 'a'", "word, id"},
	{"beats", window.Choice{}, "beats", "", "id"},
}

// picking is a run of the test: one writer, many subscribers.
type picking struct {
	*history
	oracle   *oracle
	faults   *faulty
	sources  map[string]window.Source
	accounts []*window.Account
	pickers  []*picker
	release  func() // of the lock of the table; nil if it is not locked
	many     bool   // the table has many rows more, for a while
}

func newPicking(t *testing.T, options ...pgtest.Option) *picking {
	pool := pgtest.New(t, append(options, pgtest.MaxConns(3))...)
	own, err := pgxpool.New(context.Background(), pool.Config().ConnString()+"&application_name=engine")
	require.NoError(t, err)
	t.Cleanup(own.Close)
	l := &live{t: t, pool: own, engine: view.New(&view.Config{
		Pool: own, Retry: 100 * time.Millisecond, Log: quiet, Views: 12, KeptRows: 2_000, Grace: 200 * time.Millisecond,
	})}
	r := &picking{history: &history{live: l, random: drawn(t)}, oracle: newOracle(), sources: map[string]window.Source{}}
	all := []binding.Option{binding.Filter("*"), binding.Sort("*"), binding.Search("word"), binding.MaxPageSize(pickPage), binding.MaxWindow(pickWindow)}
	for name, opts := range map[string][]binding.Option{
		"all":   {binding.Table("items"), binding.Order("-v nulls last, id")},
		"some":  {binding.Table("items"), binding.Order("word, id"), binding.Where("v % 3 <> 0 -- not all")},
		"beats": {binding.Table("beats")},
	} {
		r.sources[name] = r.list(binding.List[item](append(append(opts, binding.Name(name)), all...)...))
	}
	r.pool = pool
	r.exec(`CREATE TABLE items (id bigint PRIMARY KEY, v int, word text); CREATE TABLE beats (LIKE items INCLUDING ALL);
		INSERT INTO items SELECT g, nullif(g % 17, 0), chr(97 + g % 20) FROM generate_series(1, 150) g; INSERT INTO beats VALUES (1, 0)`)
	r.faults = &faulty{Drainer: r.engine, random: rand.New(rand.NewPCG(r.random.Uint64(), 3))}
	r.engine.Inspect(r.oracle.inspect)
	r.run(&told{r.faults, r.oracle, rand.New(rand.NewPCG(r.random.Uint64(), 4))})
	for range 8 {
		r.accounts = append(r.accounts, window.NewAccount(4, 1_000))
	}
	for i := range 4 * len(r.accounts) {
		r.pickers = append(r.pickers, r.subscribe(r.accounts[i%len(r.accounts)]))
	}
	return r
}

// told lets the oracle know which tables a drain leaves out, and few drains fail.
type told struct {
	*faulty
	oracle *oracle
	random *rand.Rand // of the feed goroutine
}

func (d *told) Drain(ctx context.Context, tx pgx.Tx, drain *listen.Drain) error {
	d.oracle.skipped = drain.Skipped
	if d.random.IntN(5) > 0 {
		return d.Drainer.Drain(ctx, tx, drain)
	}
	return d.faulty.Drain(ctx, tx, drain)
}

// TestChoicesAtRandom has subscribers choose, page, anchor, grow, leave and come back while a table changes and drains,
// connections and the table fail them. Every state that one is given is the one that the database was in at the
// sequence in its revision, as told by SQL in the transaction of that drain; in the end all are the present.
func TestChoicesAtRandom(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]pgtest.Option{"C.UTF-8": nil, "ICU en-US": {pgtest.ICU("en-US")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newPicking(t, options...)
			for range *chooseRounds {
				r.act()
			}
			r.calm()
			r.converge()
			r.leaveNothing()
		})
	}
}

// act does a few things at random.
func (r *picking) act() {
	for range r.random.IntN(3) {
		r.write()
	}
	for range r.random.IntN(6) {
		r.ask(r.pickers[r.random.IntN(len(r.pickers))])
	}
	if r.random.IntN(3) == 0 {
		r.replace(r.random.IntN(len(r.pickers)))
	}
	switch r.random.IntN(60) {
	case 0:
		r.cut("socksync feed")
	case 1:
		r.cut("engine")
	case 2, 3:
		if r.release == nil {
			r.release = r.lock("items")
		}
	case 4, 5, 6:
		r.calm()
		r.converge()
		r.faults.off.Store(false)
	}
	if r.release != nil && r.random.IntN(4) == 0 {
		r.release()
		r.release = nil
	}
	if r.random.IntN(2) == 0 {
		r.drained()
	}
	require.NoError(r.t, r.engine.Invariants())
	r.sound()
}

// drained waits for the next drain that is committed.
func (r *picking) drained() {
	r.t.Helper()
	before := r.faults.committed.Load()
	r.exec("UPDATE beats SET v = v + 1")
	require.Eventually(r.t, func() bool { return r.faults.committed.Load() > before }, patience, time.Millisecond)
}

// write makes a transaction. While the table is locked another one is written.
func (r *picking) write() {
	ctx := context.Background()
	sql, args := "UPDATE beats SET v = v + 1", []any(nil)
	if r.release == nil && r.random.IntN(8) > 0 {
		sql, args = r.change()
	}
	tx, err := r.pool.Begin(ctx)
	require.NoError(r.t, err)
	defer func() { _ = tx.Rollback(ctx) }() // after a failure
	_, err = tx.Exec(ctx, sql, append([]any{pgx.QueryExecModeExec}, args...)...)
	require.NoError(r.t, err, sql)
	require.NoError(r.t, tx.Commit(ctx))
}

// change draws a statement: small ones, large ones that have views load again, and such that change the table itself.
func (r *picking) change() (string, []any) {
	if r.many && r.random.IntN(3) == 0 {
		r.many = false
		return "DELETE FROM items WHERE id >= 100000", nil
	}
	switch r.random.IntN(60) {
	case 0:
		return `CREATE TEMPORARY TABLE old ON COMMIT DROP AS SELECT * FROM items; TRUNCATE items;
			INSERT INTO items SELECT * FROM old WHERE id % 3 > 0`, nil
	case 1:
		return "ALTER TABLE items ALTER v TYPE " + []string{"int", "bigint", "numeric"}[r.random.IntN(3)], nil
	case 2:
		r.many = true
		return "INSERT INTO items SELECT g, g % 23, 'm' FROM generate_series(100000, 102500) g ON CONFLICT DO NOTHING", nil
	case 3:
		return "DELETE FROM items WHERE id % 5 = 0", nil
	case 4, 5:
		return "INSERT INTO items SELECT g, g % 19, chr(97 + g % 26) FROM generate_series(1, 150) g ON CONFLICT DO NOTHING", nil
	case 6:
		return "UPDATE items SET v = (v + id) % 20, word = upper(word)", nil
	}
	if id := r.anchor(); id >= 0 && r.random.IntN(2) == 0 {
		return []string{
			"DELETE FROM items WHERE id = $1", "UPDATE items SET v = coalesce(v, 0) + $1 % 5 - 2 WHERE id = $1",
			"UPDATE items SET v = 3, word = 'aeb' WHERE id BETWEEN $1 - 1 AND $1 + 1", "UPDATE items SET word = word || 'b' WHERE id = $1",
		}[r.random.IntN(4)], []any{id}
	}
	return r.statement()
}

// anchor returns the key of a row that somebody's window begins after, -1 if there is none.
func (r *picking) anchor() int64 {
	for _, i := range r.random.Perm(len(r.pickers)) {
		p := r.pickers[i]
		p.mu.Lock()
		held := p.held
		p.mu.Unlock()
		if held != nil && held.After != nil {
			return keyOf(held.After)
		}
	}
	return -1
}

// calm ends all faults.
func (r *picking) calm() {
	r.faults.off.Store(true)
	if r.release != nil {
		r.release()
		r.release = nil
	}
}

// sound fails the test if somebody was told something wrong.
func (r *picking) sound() {
	r.t.Helper()
	for _, p := range r.pickers {
		p.mu.Lock()
		bad := p.bad
		p.mu.Unlock()
		require.Empty(r.t, bad)
	}
}

// converge waits until every get is answered and every window is the present.
func (r *picking) converge() {
	r.t.Helper()
	now := &snapshot{}
	require.NoError(r.t, pgx.BeginTxFunc(context.Background(), r.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		return now.read(context.Background(), tx, nil)
	}))
	for _, p := range r.pickers {
		p.until(func() bool { return len(p.asks) == 0 && (p.held == nil || now.compare(p.pick, p.held) == nil) }, func() any {
			return now.compare(p.pick, p.held)
		})
	}
	r.sound()
}

// leaveNothing checks that nothing is kept for those who are gone.
func (r *picking) leaveNothing() {
	answers := map[string]int{}
	for _, p := range r.pickers {
		p.sub.Close()
		p.mu.Lock()
		for how, n := range p.answers {
			answers[how] += n
		}
		p.mu.Unlock()
	}
	r.t.Logf("%d drains committed, %d aborted; %v", r.faults.committed.Load(), r.faults.aborted.Load(), answers)
	r.engine.Swept(func() bool {
		return r.engine.Chosen() == 0 && r.engine.Held("all") == view.Held{} && r.engine.Held("some") == view.Held{}
	})
	for _, a := range r.accounts {
		for i := range 4 {
			require.NoError(r.t, a.Hold(i, 250, nil), "the account is not empty")
		}
	}
}

// replace has one subscriber go, and another come.
func (r *picking) replace(i int) {
	gone := r.pickers[i]
	if r.random.IntN(3) == 0 {
		gone.sub.Close()
	} else {
		gone.sub.Leave()
	}
	gone.mu.Lock()
	gone.gone = true
	bad, seen, answers := gone.bad, gone.seen, gone.answers
	gone.mu.Unlock()
	require.Empty(r.t, bad)
	p := r.subscribe(gone.account)
	p.mu.Lock()
	p.answers = answers
	if p.list == gone.list {
		p.seen = seen
	}
	back := len(p.seen) > 0 && r.random.IntN(4) > 0
	p.mu.Unlock()
	r.pickers[i] = p
	if back {
		p.get(p.back(r.random))
	}
}

// draw returns a choice of a list.
func (r *picking) draw(list string) int {
	for {
		if i := r.random.IntN(len(picks)); picks[i].list == list {
			return i
		}
	}
}

// ask draws a get.
func (r *picking) ask(p *picker) {
	a := asked{pick: r.draw(p.list)}
	p.mu.Lock()
	held, last, many := p.held, p.last, len(p.asks) > 3
	if held != nil && r.random.IntN(2) == 0 {
		a.pick = p.pick
	}
	p.mu.Unlock()
	if many {
		return
	}
	a.want = window.Want{Size: 1 + r.random.IntN(pickPage+10), Choice: picks[a.pick].choice}
	switch r.random.IntN(10) {
	case 0, 1, 2:
		a.want.Page = r.random.IntN(3) * r.random.IntN(3)
	case 3:
		a.want.Anchored = true
	case 4:
		a.want.Anchored, a.want.After = true, []json.RawMessage{json.RawMessage(fmt.Sprint(r.random.IntN(160)))}
	case 5, 6:
		if held == nil || len(held.Rows) == 0 {
			return
		}
		a.want.Anchored = true
		a.want.After = []json.RawMessage{json.RawMessage(held.Rows[r.random.IntN(len(held.Rows))].Key)}
	case 7, 8: // grows
		if held == nil {
			return
		}
		a = last
		a.want.Rev, a.from = "", nil
		if a.want.Anchored && r.random.IntN(2) == 0 {
			a.want.After = held.After
		}
		a.want.Size = held.Size + 1 + r.random.IntN(20)
	default:
		if held == nil {
			return
		}
		a = p.back(r.random)
	}
	p.get(a)
}

// snapshot is what all choices were at one time.
type snapshot struct {
	items map[string]map[int64]string // what is published of the rows of each table
	ids   map[int][]int64             // by choice; none if the table could not be read
}

// read asks for all choices of the tables that can be read.
func (s *snapshot) read(ctx context.Context, tx pgx.Tx, skipped map[string]error) error {
	s.items, s.ids = map[string]map[int64]string{}, map[int][]int64{}
	var parts []string
	for i, p := range picks {
		if skipped[`"`+p.table+`"`] != nil {
			continue
		}
		where := ""
		if p.where != "" {
			where = " WHERE " + p.where
		}
		parts = append(parts, fmt.Sprintf("SELECT %d, ARRAY(SELECT id FROM %s%s ORDER BY %s)", i, p.table, where, p.order))
		if s.items[p.table] == nil {
			if err := s.readItems(ctx, tx, p.table); err != nil {
				return err
			}
		}
	}
	if len(parts) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, strings.Join(parts, " UNION ALL "), pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	var i int
	var ids []int64
	_, err = pgx.ForEachRow(rows, []any{&i, &ids}, func() error {
		s.ids[i] = append([]int64{}, ids...)
		return nil
	})
	return err
}

func (s *snapshot) readItems(ctx context.Context, tx pgx.Tx, table string) error {
	rows, err := tx.Query(ctx, "SELECT id, v, word FROM "+table, pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[item])
	s.items[table] = make(map[int64]string, len(all))
	for _, it := range all {
		text, _ := json.Marshal(it)
		s.items[table][it.ID] = string(text)
	}
	return err
}

// compare holds a state against what was.
func (s *snapshot) compare(pick int, state *window.State) error {
	ids := s.ids[pick]
	if ids == nil {
		return fmt.Errorf("%v: the table was left out of this drain", picks[pick])
	}
	if state.Total != len(ids) {
		return fmt.Errorf("%v: total %d, want %d", picks[pick], state.Total, len(ids))
	}
	from := min(state.Page*state.Size, len(ids))
	if state.Anchored && state.After != nil {
		if from = slices.Index(ids, keyOf(state.After)) + 1; from == 0 {
			return fmt.Errorf("%v: the anchor %s is no row", picks[pick], state.After)
		}
	}
	want := []string{}
	for _, id := range ids[from:min(from+state.Size, len(ids))] {
		want = append(want, s.items[picks[pick].table][id])
	}
	if have := shown(state); !slices.Equal(want, have) {
		return fmt.Errorf("%v: page %d of %d after %s\nhave %v\nwant %v", picks[pick], state.Page, state.Size, state.After, have, want)
	}
	return nil
}

// keyOf is the id in an anchor, -1 if there is none.
func keyOf(after []json.RawMessage) (id int64) {
	if len(after) != 1 || json.Unmarshal(after[0], &id) != nil {
		return -1
	}
	return id
}
