package view_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
	"github.com/socksync/socksync/protocol"
	"github.com/socksync/socksync/store/view"
)

// valueSink is a subscriber of a var that remembers everything.
type valueSink struct {
	t   testing.TB
	sub window.ValueSubscription

	mu    sync.Mutex
	wake  chan struct{}
	said  []string // values in order; errors as "!"
	told  []string // every call of the source, with how many gets it answers
	sets  []string // those that were not answers
	asked int
	err   error // the last one
}

func followValue(t testing.TB, source window.ValueSource) *valueSink {
	s := &valueSink{t: t, wake: make(chan struct{})}
	s.sub = source.Subscribe(s, window.Options{})
	t.Cleanup(s.sub.Close)
	return s
}

func (s *valueSink) get(filter ...window.Condition) {
	s.mu.Lock()
	s.asked++
	s.mu.Unlock()
	s.sub.Get(filter)
}

func (s *valueSink) say(text string, gets int, what string) {
	s.said = append(s.said, text)
	s.told = append(s.told, fmt.Sprintf("%d %s", gets, what))
	close(s.wake)
	s.wake = make(chan struct{})
}

// Set implements window.ValueSink.
func (s *valueSink) Set(v *window.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sets = append(s.sets, string(v.JSON))
	s.say(string(v.JSON), 0, string(v.JSON))
}

// Answer implements window.ValueSink.
func (s *valueSink) Answer(v *window.Value, gets int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked -= gets
	s.say(string(v.JSON), gets, string(v.JSON))
}

// Fail implements window.ValueSink.
func (s *valueSink) Fail(err error, gets int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked -= gets
	s.err = err
	var refusal *protocol.Error
	if !errors.As(err, &refusal) {
		refusal = &protocol.Error{Message: "not fit for the peer: " + err.Error()}
	}
	s.say("!", gets, refusal.Message)
}

// until waits until the last that was said is as wanted; "!" is an error.
func (s *valueSink) until(want string) {
	s.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		s.mu.Lock()
		wake, have := s.wake, "nothing"
		if n := len(s.said); n > 0 {
			have = s.said[n-1]
		}
		s.mu.Unlock()
		if have == want {
			return
		}
		select {
		case <-wake:
		case <-limit.C:
			require.Equal(s.t, want, have)
			return
		}
	}
}

// all returns what was said, and checks that each get has one answer.
func (s *valueSink) all() []string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Zero(s.t, s.asked, "answers to come")
	return slices.Clone(s.said)
}

// vars runs an engine with vars alone.
func vars(t *testing.T, pool *pgxpool.Pool, defs ...*binding.VarDef) (*live, []window.ValueSource) {
	t.Helper()
	l := newLive(t, pool)
	sources := make([]window.ValueSource, len(defs))
	for i, def := range defs {
		sources[i] = l.variable(def)
	}
	l.run(nil)
	return l, sources
}

// board is a row that is a var.
type board struct {
	_     struct{}        `socksync:"table=numbers; var=board; where=id = 1"`
	ID    int64           `db:"id" json:"id" socksync:"pk"`
	V     *int64          `db:"v" json:"v"`
	Seen  sql.Null[int64] `db:"seen" json:"-"`
	Since *time.Time      `db:"since" json:"since"`
}

func boards(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.New(t, pgtest.MaxConns(6))
	_, err := pool.Exec(context.Background(), `CREATE TABLE numbers (id bigint PRIMARY KEY, v bigint, seen bigint, since timestamptz);
		CREATE TABLE other (id bigint PRIMARY KEY)`)
	require.NoError(t, err)
	return pool
}

// TestVarOfRow follows a row as an object through all that can happen to it.
func TestVarOfRow(t *testing.T) {
	t.Parallel()
	l, sources := vars(t, boards(t), binding.Var[board]())
	s := followValue(t, sources[0])
	s.get()
	s.until("null")
	l.exec("INSERT INTO numbers VALUES (1, 5)")
	s.until(`{"id":1,"v":5,"since":null}`)
	l.exec("UPDATE numbers SET seen = 1") // hidden: no change
	l.exec("INSERT INTO numbers VALUES (2, 6)")
	l.exec("UPDATE numbers SET v = NULL, since = '2001-02-03 04:05:06+03' WHERE id = 1")
	s.until(`{"id":1,"v":null,"since":"2001-02-03T01:05:06Z"}`)
	l.exec("DELETE FROM numbers WHERE id = 1")
	s.until("null")
	l.exec("UPDATE numbers SET id = 1 WHERE id = 2")
	s.until(`{"id":1,"v":6,"since":null}`)
	l.exec("TRUNCATE numbers")
	s.until("null")
	require.Equal(t, []string{
		"null", `{"id":1,"v":5,"since":null}`, `{"id":1,"v":null,"since":"2001-02-03T01:05:06Z"}`, "null", `{"id":1,"v":6,"since":null}`, "null",
	}, s.all(), "each value is said once")
}

// TestVarOfColumnAndQuery follows one column of a row, and an aggregate of two tables.
func TestVarOfColumnAndQuery(t *testing.T) {
	t.Parallel()
	l, sources := vars(t, boards(t),
		binding.Var[*int64](binding.Name("column"), binding.Table("numbers"), binding.Select("v"), binding.Where("id = 1 -- one")),
		binding.Var[*float64](binding.Name("sum"), binding.Query("SELECT sum(v)::float8 / (SELECT count(*) FROM other) FROM numbers", "numbers", "other")))
	column, sum := followValue(t, sources[0]), followValue(t, sources[1])
	column.get()
	sum.get()
	column.until("null")
	sum.until("null")
	l.exec("INSERT INTO other VALUES (1), (2)")
	l.exec("INSERT INTO numbers VALUES (1, 3), (2, 4)")
	column.until("3")
	sum.until("3.5")
	l.exec("INSERT INTO other VALUES (3), (4), (5), (6), (7)")
	sum.until("1")
	l.exec("UPDATE numbers SET v = NULL")
	column.until("null")
	sum.until("null")
	column.get()
	column.get()
	require.Eventually(t, func() bool {
		column.mu.Lock()
		defer column.mu.Unlock()
		return column.asked == 0
	}, patience, patience/10_000)
}

// TestVarFails has a query give two rows, fail, and lose its table, each with a
// subscriber from before and one who comes meanwhile.
func TestVarFails(t *testing.T) {
	t.Parallel()
	def := binding.Var[int64](binding.Name("v"), binding.Query("SELECT 100 / v FROM numbers WHERE id < 10", "numbers"))
	l, sources := vars(t, boards(t), def)
	l.exec("INSERT INTO numbers VALUES (1, 50)")
	s := followValue(t, sources[0])
	s.get()
	s.until("2")
	for _, trouble := range []struct{ make, mend string }{
		{"INSERT INTO numbers VALUES (2, 20)", "DELETE FROM numbers WHERE id = 2"},
		{"UPDATE numbers SET v = 0", "UPDATE numbers SET v = 50"},
		{"UPDATE numbers SET v = NULL", "UPDATE numbers SET v = 50"},
		{"ALTER TABLE numbers RENAME TO gone", "ALTER TABLE gone RENAME TO numbers"},
	} {
		l.exec(trouble.make)
		late := followValue(t, sources[0])
		failing(t, late)
		requireRefused(t, late.err)
		l.exec(trouble.mend)
		late.until("2") // without asking again
		late.sub.Close()
		require.Equal(t, []string{"2"}, s.all(), "the value is the same")
	}
	l.exec("UPDATE numbers SET v = 25")
	s.until("4")
}

// failing asks until the answer is an error.
func failing(t *testing.T, s *valueSink) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		ready, err := s.asked == 0, s.err
		s.mu.Unlock()
		if ready && err == nil {
			s.get()
		}
		return err != nil
	}, patience, patience/10_000)
}

// TestVarGoesForward has writers count up while subscribers come and go: nobody sees
// the count fall, or the same value told twice.
func TestVarGoesForward(t *testing.T) {
	t.Parallel()
	l, sources := vars(t, boards(t), binding.Var[int64](binding.Name("sum"), binding.Query("SELECT sum(v)::bigint FROM numbers", "numbers")))
	l.exec("INSERT INTO numbers VALUES (1, 0), (2, 0)")
	s := followValue(t, sources[0])
	s.get()
	var wg sync.WaitGroup
	const counts = 60
	for writer := range 2 {
		wg.Go(func() {
			for range counts {
				_, err := l.pool.Exec(context.Background(), "UPDATE numbers SET v = v + 1 WHERE id = $1", writer+1)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 40 {
			passer := followValue(t, sources[0])
			passer.get()
			passer.get()
			passer.sub.Close()
			passer.sub.Close()
		}
	})
	wg.Wait()
	s.until(strconv.Itoa(2 * counts))
	said := s.all()
	last := -1
	for i, text := range said {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		require.Greater(t, n, last, "value %d of %v", i, said)
		last = n
	}
	require.Equal(t, 1, l.engine.Followers("sum"))
}

// TestVarWithoutType publishes values of which no Go type is known, and deep ones.
func TestVarWithoutType(t *testing.T) {
	t.Parallel()
	query := func(name, sql string, columns ...binding.Column) *binding.VarDef {
		return &binding.VarDef{Name: name, Query: sql, Tables: []string{"numbers"}, Columns: columns}
	}
	nested := func(n int) string { return fmt.Sprintf("SELECT (repeat('[', %d) || repeat(']', %d))::jsonb", n, n) }
	defs := []*binding.VarDef{
		query("time", "SELECT timestamptz '2001-02-03 04:05:06+03'"),
		query("times", "SELECT array[timestamptz '2001-02-03 04:05:06+03']"),
		query("uuid", "SELECT uuid '123e4567-e89b-12d3-a456-426614174000'"),
		query("number", "SELECT 1.50::numeric"),
		query("null", "SELECT NULL::int"),
		query("json null", "SELECT 'null'::jsonb"),
		query("json", `SELECT '{"b": [1, 2.50], "a": 12345678901234567890}'::json`),
		query("row", "SELECT 1 AS a, now() AS hidden, 'x' AS \"B\"",
			binding.Column{Name: "a", JSON: "z"}, binding.Column{Name: "hidden"}, binding.Column{Name: "B", JSON: "b"}),
		query("deep", nested(63)),
		query("too deep", nested(64)),
	}
	want := []string{
		`"2001-02-03T01:05:06Z"`, `["2001-02-03T01:05:06Z"]`, `"123e4567-e89b-12d3-a456-426614174000"`, "1.50", "null", "null",
		`{"b":[1,2.50],"a":12345678901234567890}`, `{"z":1,"b":"x"}`, fmt.Sprintf("%s%s", slices.Repeat([]byte("["), 63), slices.Repeat([]byte("]"), 63)), "!",
	}
	_, sources := vars(t, boards(t), defs...)
	for i, source := range sources {
		s := followValue(t, source)
		s.get()
		s.until(want[i])
	}
}

// TestVarTimes has times in all kinds of fields: they are published in UTC, wherever
// the server runs.
func TestVarTimes(t *testing.T) {
	t.Parallel()
	const at = "timestamptz '2001-02-03 04:05:06+03'"
	defs := []*binding.VarDef{
		binding.Var[time.Time](binding.Name("time"), binding.Query("SELECT "+at, "numbers")),
		binding.Var[sql.NullTime](binding.Name("null time"), binding.Query("SELECT "+at, "numbers")),
		binding.Var[sql.Null[time.Time]](binding.Name("null of time"), binding.Query("SELECT "+at, "numbers")),
	}
	_, sources := vars(t, boards(t), defs...)
	for _, source := range sources {
		s := followValue(t, source)
		s.get()
		s.until(`"2001-02-03T01:05:06Z"`)
	}
}

// TestVarStopsWhileItRuns stops the engine while a query runs and a try is due.
func TestVarStopsWhileItRuns(t *testing.T) {
	t.Parallel()
	pool := boards(t)
	e := view.New(&view.Config{Pool: pool, Log: quiet, Retry: time.Hour})
	slow := e.Var(binding.Var[string](binding.Name("slow"), binding.Query("SELECT pg_sleep(3600)::text", "numbers")))
	broken := e.Var(binding.Var[int](binding.Name("broken"), binding.Query("SELECT 1 / count(*) FROM numbers", "numbers")))
	e.Stop() // before the start
	require.NoError(t, e.Check(context.Background()))
	l := &live{t: t, pool: pool, engine: e}
	l.prepare(nil)
	a, b := followValue(t, slow), followValue(t, broken)
	a.get()
	b.get()
	require.NoError(t, l.feed.Start(context.Background()))
	b.until("!")
	require.NoError(t, l.feed.Stop(context.Background()))
	require.ErrorIs(t, l.feed.Ready(), listen.ErrNotRunning)
	e.Stop()
	e.Stop()
}
