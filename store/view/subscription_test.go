package view_test

import (
	"context"
	"fmt"
	"math/rand/v2"
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

// number is a row that is ordered by its key.
type number struct {
	_  struct{} `socksync:"table=numbers; list=numbers; max_page_size=50"`
	ID int64    `db:"id" json:"id" socksync:"pk"`
	V  int64    `db:"v" json:"v"`
}

// numbers makes a database with a table of n rows.
func numbers(t *testing.T, n int, opts ...pgtest.Option) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.New(t, append(opts, pgtest.MaxConns(6))...)
	_, err := pool.Exec(context.Background(), "CREATE TABLE numbers (id bigint PRIMARY KEY, v bigint NOT NULL DEFAULT 0)")
	require.NoError(t, err)
	_, err = pool.Exec(context.Background(), "INSERT INTO numbers SELECT g, 0 FROM generate_series(0, $1::int - 1) g", n)
	require.NoError(t, err)
	return pool
}

// numbered is a page of a table in which v is 0.
func numbered(page, size, total int, ids ...int) shownPage {
	p := shownPage{page: page, size: size, total: total, items: []string{}}
	for _, id := range ids {
		p.items = append(p.items, fmt.Sprintf(`{"id":%d,"v":0}`, id))
	}
	return p
}

// failure waits for a get to fail and returns why.
func (s *sink) failure() error {
	s.t.Helper()
	limit := time.After(patience)
	for {
		s.mu.Lock()
		err, wake := s.err, s.wake
		s.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-wake:
		case <-limit:
			require.Fail(s.t, "no get has failed")
		}
	}
}

// requireRefused checks that an error is what a peer is told: 8, without internals.
func requireRefused(t *testing.T, err error) {
	t.Helper()
	var refusal *protocol.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, protocol.Other, refusal.Code)
	require.Regexp(t, "^the (list|var) cannot be read now$", refusal.Message)
}

// TestGetBeforeLoad asks before there is anything to answer with, many times; the
// last page counts.
func TestGetBeforeLoad(t *testing.T) {
	t.Parallel()
	l := newLive(t, numbers(t, 10))
	source := l.list(binding.List[number]())
	l.prepare(nil)
	s := trace(t, source)
	for page := range 20 {
		s.get(page, 3)
	}
	s.get(3, 3)
	l.begin()
	s.until(numbered(3, 3, 10, 9))
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Zero(t, s.asked, "every get has an answer")
	require.Len(t, s.seen, 1, "they were answered together")
}

// TestPagesComeAndGo opens and closes windows of all kinds; in the end none is left.
func TestPagesComeAndGo(t *testing.T) {
	t.Parallel()
	l, sources := start(t, numbers(t, 10), binding.List[number]())
	a, b := trace(t, sources[0]), trace(t, sources[0])
	a.get(0, 4)
	a.until(numbered(0, 4, 10, 0, 1, 2, 3))
	b.get(0, 4) // the same page, which is there
	b.until(numbered(0, 4, 10, 0, 1, 2, 3))
	a.get(0, 4) // where it is already
	a.until(numbered(0, 4, 10, 0, 1, 2, 3))
	b.get(2, 4)
	b.until(numbered(2, 4, 10, 8, 9))
	b.get(7, 4)
	b.until(numbered(7, 4, 10))
	b.get(1<<53-1, 50)
	b.until(numbered(1<<53-1, 50, 10))
	l.exec("DELETE FROM numbers WHERE id = 1")
	a.until(numbered(0, 4, 9, 0, 2, 3, 4))
	b.until(numbered(1<<53-1, 50, 9))
	require.Equal(t, view.Held{Pages: 2}, l.engine.Held("numbers"))
	a.sub.Close()
	a.sub.Close()
	b.get(0, 4)
	b.sub.Close() // perhaps while it waits
	b.sub.Get(window.Want{Page: 1, Size: 4})
	never := sources[0].Subscribe(newSink(t), window.Options{})
	never.Close()
	require.Equal(t, view.Held{}, l.engine.Held("numbers"))
	c := trace(t, sources[0])
	c.get(1, 4)
	c.until(numbered(1, 4, 9, 5, 6, 7, 8))
}

// TestCloseWhileWaiting closes subscriptions that wait for the first load, for the
// rows of a page, and nothing is left of them.
func TestCloseWhileWaiting(t *testing.T) {
	t.Parallel()
	pool := numbers(t, 10)
	l := newLive(t, pool)
	source := l.list(binding.List[number]())
	l.prepare(nil)
	release := l.lock("numbers") // the load has to wait for it
	l.begin()
	for page := range 5 {
		s := source.Subscribe(newSink(t), window.Options{})
		s.Get(window.Want{Page: page, Size: 5})
		s.Get(window.Want{Page: page + 1, Size: 5})
		s.Close()
	}
	require.Equal(t, view.Held{}, l.engine.Held("numbers"))
	release()
	s := trace(t, source)
	s.get(1, 5)
	s.until(numbered(1, 5, 10, 5, 6, 7, 8, 9))
	require.Equal(t, view.Held{Pages: 1}, l.engine.Held("numbers"))
}

// TestManyComeAndGo has subscribers come, look at pages and go, all at once, while the
// table changes. In the end nothing is left of them.
func TestManyComeAndGo(t *testing.T) {
	t.Parallel()
	l, sources := start(t, numbers(t, 60), binding.List[number]())
	random := drawn(t)
	var wg sync.WaitGroup
	for range 8 {
		pages := rand.New(rand.NewPCG(random.Uint64(), 4))
		wg.Go(func() {
			for range 25 {
				s := trace(t, sources[0])
				for range pages.IntN(4) {
					s.get(pages.IntN(5), 1+pages.IntN(20))
				}
				s.sub.Close()
			}
		})
	}
	for n := range 40 {
		l.exec("UPDATE numbers SET id = id + 100 WHERE id = $1", n)
	}
	wg.Wait()
	require.Equal(t, view.Held{}, l.engine.Held("numbers"))
	s := trace(t, sources[0])
	s.get(0, 2)
	s.until(numbered(0, 2, 60, 40, 41))
}

// TestUnfilledWindow follows a list without asking for a page: the steps show what
// they insert and set, and the total.
func TestUnfilledWindow(t *testing.T) {
	t.Parallel()
	l, sources := start(t, numbers(t, 30), binding.List[number]())
	witness := trace(t, sources[0])
	witness.get(0, 3)
	witness.until(numbered(0, 3, 30, 0, 1, 2))
	silent := trace(t, sources[0])
	for _, sql := range []string{
		"UPDATE numbers SET v = 1 WHERE id = 3",
		"INSERT INTO numbers VALUES (-1), (-2)",
		"DELETE FROM numbers WHERE id IN (5, 29)",
		"UPDATE numbers SET id = 100 - id WHERE id BETWEEN 10 AND 20",
		"UPDATE numbers SET v = 2",
		"UPDATE numbers SET v = 0",
		"INSERT INTO numbers VALUES (-3)",
	} {
		l.exec(sql)
	}
	witness.until(numbered(0, 3, 31, -3, -2, -1))
	silent.mu.Lock()
	require.NotEmpty(t, silent.early)
	require.Empty(t, silent.seen)
	silent.mu.Unlock()
	silent.get(0, 4)
	silent.until(numbered(0, 4, 31, -3, -2, -1, 0))
}

// TestOneRowBeforeGet changes one row at a time of a page that nobody has asked for:
// each change is told by exactly the messages that it takes.
func TestOneRowBeforeGet(t *testing.T) {
	t.Parallel()
	l, sources := start(t, numbers(t, 4), binding.List[number](binding.MaxPageSize(4)), binding.List[number](binding.Name("all")))
	silent, witness := trace(t, sources[0]), trace(t, sources[1])
	witness.get(0, 9)
	witness.until(numbered(0, 9, 4, 0, 1, 2, 3))
	l.loaded("numbers")
	for _, c := range []struct {
		sql  string
		all  []string // the rows then
		want []string // messages, without type and name
	}{
		{"UPDATE numbers SET v = 1 WHERE id = 2", []string{"0,0", "1,0", "2,1", "3,0"}, []string{`{"func":"set"*"index":2,"value":{"id":2,"v":1}}`}},
		{"INSERT INTO numbers VALUES (-1)", []string{"-1,0", "0,0", "1,0", "2,1", "3,0"}, []string{
			`{"func":"set_count"*"total_item_count":5}`, `{"func":"delete"*"index":3}`, `{"func":"insert"*"index":0,"value":{"id":-1,"v":0}}`,
		}},
		{"UPDATE numbers SET v = 2 WHERE id = 2", []string{"-1,0", "0,0", "1,0", "2,2", "3,0"}, []string{`{"func":"set"*"index":3,"value":{"id":2,"v":2}}`}},
		{"UPDATE numbers SET v = 2 WHERE id = 3", []string{"-1,0", "0,0", "1,0", "2,2", "3,2"}, nil},
		{"DELETE FROM numbers WHERE id = 0", []string{"-1,0", "1,0", "2,2", "3,2"}, []string{
			`{"func":"set_count"*"total_item_count":4}`, `{"func":"delete"*"index":1}`, `{"func":"insert"*"index":3,"value":{"id":3,"v":2}}`,
		}},
	} {
		l.exec(c.sql)
		all := shownPage{size: 9, total: len(c.all)}
		for _, row := range c.all {
			id, v, _ := strings.Cut(row, ",")
			all.items = append(all.items, fmt.Sprintf(`{"id":%s,"v":%s}`, id, v))
		}
		witness.until(all)
		l.engine.Held("numbers") // both lists have been told
		for i := range c.want {
			c.want[i] = strings.Replace(c.want[i], "*", `,"type":"list","name":"numbers",`, 1)
		}
		silent.mu.Lock()
		require.Equal(t, c.want, silent.early, c.sql)
		silent.early = nil
		silent.mu.Unlock()
	}
	other := trace(t, sources[0]) // has the rows of the page read, which changes nothing
	other.get(0, 4)
	other.until(shownPage{0, 4, 4, []string{`{"id":-1,"v":0}`, `{"id":1,"v":0}`, `{"id":2,"v":2}`, `{"id":3,"v":2}`}})
	l.engine.Held("numbers")
	silent.mu.Lock()
	defer silent.mu.Unlock()
	require.Empty(t, silent.early)
}

// TestStartAgain stops an engine and starts it with another feed. What was subscribed
// before has ended, and closing it late does no harm to those who came since.
func TestStartAgain(t *testing.T) {
	t.Parallel()
	l := newLive(t, numbers(t, 3))
	source := l.list(binding.List[number]())
	total := l.variable(binding.Var[int64](binding.Name("total"), binding.Query("SELECT count(*) FROM numbers", "numbers")))
	l.run(nil)
	old, oldValue := trace(t, source), followValue(t, total)
	old.get(0, 2)
	old.until(numbered(0, 2, 3, 0, 1))
	oldValue.get()
	oldValue.until("3")
	require.NoError(t, l.feed.Stop(context.Background()))
	l.engine.Stop()
	l.exec("INSERT INTO numbers VALUES (9)")
	l.run(nil)
	s, value := trace(t, source), followValue(t, total)
	s.get(0, 2)
	value.get()
	s.until(numbered(0, 2, 4, 0, 1))
	value.until("4")
	old.sub.Close()
	oldValue.sub.Close()
	l.exec("DELETE FROM numbers WHERE id = 0")
	s.until(numbered(0, 2, 3, 1, 2))
	value.until("3")
	require.Equal(t, view.Held{Pages: 1}, l.engine.Held("numbers"))
	require.Equal(t, 1, l.engine.Followers("total"))
}
