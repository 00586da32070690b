package view_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// item is a row with ties and NULLs in its order columns.
type item struct {
	ID   int64   `db:"id" json:"id" socksync:"pk"`
	V    *int64  `db:"v" json:"v"`
	Word *string `db:"word" json:"word"`
}

const makeItems = `CREATE TABLE items (id bigint PRIMARY KEY, v int, word text COLLATE "en-x-icu")`

// itemLists are lists with rows placed by encoded keys and by Postgres, with all rows
// and with some, and their oracles.
var itemLists = []struct{ name, where, order, oracle string }{
	{"by_v", "", "-v nulls last, id", "SELECT id, v, word FROM items ORDER BY v DESC NULLS LAST, id"},
	{"by_word", "", "word, -v", "SELECT id, v, word FROM items ORDER BY word, v DESC, id"},
	{"some", "v % 3 <> 0 -- not all", "v, -id", "SELECT id, v, word FROM items WHERE v % 3 <> 0 ORDER BY v, id DESC"},
	{"worded", "word >= 'b'", "-word, id", "SELECT id, v, word FROM items WHERE word >= 'b' ORDER BY word DESC, id"},
}

// history is a table that one writer changes, and what every list was after each of
// its transactions.
type history struct {
	*live
	random  *rand.Rand
	sources []window.Source
	tracers []*tracer
	follows []int       // index of the list that a tracer follows
	pages   []shownPage // where each tracer is, without items
	states  [][]string  // of all lists after a transaction: states[transaction*lists+list]
}

var seedFlag = flag.Lookup("seed")

func drawn(t testing.TB) *rand.Rand {
	seed := seedFlag.Value.(flag.Getter).Get().(uint64)
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("run it again with: -run '%s' -seed %d", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 2))
}

// newHistory makes the table and the engine; the writer has a pool of its own, so that
// the engine's connections can be ended.
func newHistory(t *testing.T) *history {
	t.Helper()
	pool := pgtest.New(t, pgtest.MaxConns(3))
	own, err := pgxpool.New(context.Background(), pool.Config().ConnString()+"&application_name=engine")
	require.NoError(t, err)
	t.Cleanup(own.Close)
	h := &history{live: newLive(t, own), random: drawn(t)}
	h.pool = pool
	h.exec(makeItems)
	h.exec("INSERT INTO items SELECT g, g % 17, chr(97 + g % 20) FROM generate_series(1, 60) g")
	for _, def := range itemLists {
		opts := []binding.Option{binding.Name(def.name), binding.Table("items"), binding.Order(def.order), binding.MaxPageSize(30)}
		if def.where != "" {
			opts = append(opts, binding.Where(def.where))
		}
		h.sources = append(h.sources, h.list(binding.List[item](opts...)))
	}
	return h
}

// follow has n subscribers look at random pages.
func (h *history) follow(n int) {
	for i := range n {
		list := i % len(itemLists)
		h.tracers = append(h.tracers, trace(h.t, h.sources[list]))
		h.follows = append(h.follows, list)
		h.pages = append(h.pages, shownPage{})
		h.move(i)
	}
}

func (h *history) move(i int) {
	h.pages[i] = shownPage{page: h.random.IntN(3) * h.random.IntN(3), size: 1 + h.random.IntN(20)}
	h.tracers[i].get(h.pages[i].page, h.pages[i].size)
}

// write makes one transaction and keeps what it leaves.
func (h *history) write(change func(tx pgx.Tx)) {
	h.t.Helper()
	ctx := context.Background()
	tx, err := h.pool.Begin(ctx)
	require.NoError(h.t, err)
	defer func() { _ = tx.Rollback(ctx) }() // after a failure
	change(tx)
	h.remember(tx)
	require.NoError(h.t, tx.Commit(ctx))
}

// remember reads what all lists are now.
func (h *history) remember(in querier) {
	h.t.Helper()
	for _, def := range itemLists {
		h.states = append(h.states, answerItems(h.t, in, def.oracle))
	}
}

// querier is a pool or a transaction.
type querier interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
}

// answerItems returns the rows that a query gives, as they are published.
func answerItems(t testing.TB, in querier, query string) []string {
	t.Helper()
	rows, err := in.Query(context.Background(), query, pgx.QueryExecModeExec)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[item])
	require.NoError(t, err)
	texts := make([]string, len(all))
	for i := range all {
		texts[i] = encode(t, all[i])
	}
	return texts
}

// transactions is how many states there are.
func (h *history) transactions() int { return len(h.states) / len(itemLists) }

// at is what a page was after a transaction.
func (h *history) at(transaction, list, page, size int) shownPage {
	all := h.states[transaction*len(itemLists)+list]
	from := min(page*size, len(all))
	return shownPage{page, size, len(all), append([]string{}, all[from:min(from+size, len(all))]...)}
}

// converge waits until every subscriber sees the present.
func (h *history) converge() {
	h.t.Helper()
	for i, s := range h.tracers {
		s.until(h.at(h.transactions()-1, h.follows[i], h.pages[i].page, h.pages[i].size))
	}
}

// audit checks that every state that was published is one that the database was in,
// each no older than the one before.
func (h *history) audit() (states int) {
	h.t.Helper()
	for i, s := range h.tracers {
		s.mu.Lock()
		seen, bad := s.seen, s.bad
		s.mu.Unlock()
		require.Empty(h.t, bad, "list %s", itemLists[h.follows[i]].name)
		transaction := 0
		for n, have := range seen {
			from := transaction
			for !h.at(transaction, h.follows[i], have.page, have.size).equal(have) {
				transaction++
				require.Less(h.t, transaction, h.transactions(), "list %s: state %d is not one since transaction %d: %+v",
					itemLists[h.follows[i]].name, n, from, have)
			}
		}
		states += len(seen)
	}
	return states
}

var itemWords = []string{"", "a", "A", "ä", "b", "B", "zebra", "Zebra", "éclair", "e\u0301clair", "a b", "a-b", "ab", "10", "9", "ß"}

// statement draws a change; all succeed.
func (h *history) statement() (string, []any) {
	r := h.random
	id := r.IntN(80)
	var word any = itemWords[r.IntN(len(itemWords))]
	var v any = r.IntN(20)
	if r.IntN(6) == 0 {
		word, v = nil, nil
	}
	switch r.IntN(11) {
	case 0, 1:
		return "INSERT INTO items VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET v = excluded.v, word = excluded.word", []any{id, v, word}
	case 2:
		return "UPDATE items SET v = $2 WHERE id = $1", []any{id, v}
	case 3:
		return "UPDATE items SET word = $2 WHERE id = $1", []any{id, word}
	case 4:
		return "UPDATE items SET v = v + 1 WHERE id % 7 = $1", []any{r.IntN(7)}
	case 5:
		return "UPDATE items SET id = id + 1000 WHERE id = $1 AND NOT EXISTS (SELECT FROM items o WHERE o.id = items.id + 1000)", []any{id}
	case 6:
		return "UPDATE items SET id = id - 1000 WHERE id > 1000 AND NOT EXISTS (SELECT FROM items o WHERE o.id = items.id - 1000)", nil
	case 7:
		return "DELETE FROM items WHERE id BETWEEN $1 AND $1 + 3", []any{id}
	case 8:
		return "INSERT INTO items SELECT g, $2, $3 FROM generate_series($1::bigint, $1 + 6) g ON CONFLICT DO NOTHING", []any{id, v, word}
	case 9:
		return "UPDATE items SET word = upper(word) WHERE v = $1", []any{r.IntN(20)}
	default:
		return "WITH gone AS (DELETE FROM items WHERE id = $1 RETURNING *) INSERT INTO items SELECT id, v + 1, word FROM gone", []any{id}
	}
}

// randomWrite makes a transaction of a few random statements.
func (h *history) randomWrite() {
	h.write(func(tx pgx.Tx) {
		for range 1 + h.random.IntN(3) {
			sql, args := h.statement()
			_, err := tx.Exec(context.Background(), sql, append([]any{pgx.QueryExecModeExec}, args...)...)
			require.NoError(h.t, err, sql)
		}
		switch h.random.IntN(40) {
		case 0:
			_, err := tx.Exec(context.Background(), `CREATE TEMPORARY TABLE old ON COMMIT DROP AS SELECT * FROM items;
				TRUNCATE items; INSERT INTO items SELECT * FROM old WHERE id % 2 = 0`, pgx.QueryExecModeExec)
			require.NoError(h.t, err)
		case 1:
			types := []string{"int", "bigint", "numeric"}
			_, err := tx.Exec(context.Background(), "ALTER TABLE items ALTER v TYPE "+types[h.random.IntN(3)], pgx.QueryExecModeExec)
			require.NoError(h.t, err)
		}
	})
}

// faulty is an engine of which drains fail, before, while and after it has read.
type faulty struct {
	listen.Drainer
	random *rand.Rand // of the feed goroutine
	off    atomic.Bool

	aborted, committed atomic.Int64
}

var errFault = errors.New("a fault of the test")

const feedTable = `"items"`

func (f *faulty) Drain(ctx context.Context, tx pgx.Tx, d *listen.Drain) error {
	if f.off.Load() {
		return f.Drainer.Drain(ctx, tx, d)
	}
	kind := f.random.IntN(16)
	switch kind {
	case 0:
		return errFault
	case 1:
		return &listen.TableError{Table: feedTable, Err: errFault}
	case 2:
		ctx, cancel := context.WithCancel(ctx)
		cancel() // which closes the connection
		return f.Drainer.Drain(ctx, tx, d)
	}
	if err := f.Drainer.Drain(ctx, tx, d); err != nil {
		return err
	}
	switch kind {
	case 3, 4, 5:
		return errFault
	case 6:
		return &listen.TableError{Table: feedTable, Err: errFault}
	case 7:
		_, err := tx.Exec(ctx, "SELECT 1/0")
		return err
	case 8:
		_, _ = tx.Exec(ctx, "SELECT 1/0") // nobody notices before the commit
	}
	return nil
}

func (f *faulty) Commit() {
	f.committed.Add(1)
	f.Drainer.Commit()
}

func (f *faulty) Abort(err error) {
	f.aborted.Add(1)
	f.Drainer.Abort(err)
}

// TestFaults has drains and connections fail at random while a table changes and
// subscribers move about. Every state that is published is one that the database was
// in, none is older than the one before, and in the end all are the present.
func TestFaults(t *testing.T) {
	t.Parallel()
	for run := range 2 {
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			t.Parallel()
			h := newHistory(t)
			f := &faulty{Drainer: h.engine, random: rand.New(rand.NewPCG(h.random.Uint64(), 3))}
			h.remember(h.pool)
			h.run(f)
			h.follow(16)
			for range 90 {
				h.randomWrite()
				if h.random.IntN(3) == 0 {
					h.move(h.random.IntN(len(h.tracers)))
				}
				switch h.random.IntN(30) {
				case 0, 1, 2, 3:
					i := h.random.IntN(len(h.tracers))
					h.tracers[i].until(h.at(h.transactions()-1, h.follows[i], h.pages[i].page, h.pages[i].size))
				case 4:
					h.cut("socksync feed")
				case 5:
					h.cut("engine")
				}
			}
			f.off.Store(true)
			h.converge()
			states := h.audit()
			t.Logf("%d states; %d drains committed, %d aborted", states, f.committed.Load(), f.aborted.Load())
			require.Positive(t, f.aborted.Load())
		})
	}
}

// cut ends connections of the engine.
func (h *history) cut(application string) {
	h.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1", application)
}
