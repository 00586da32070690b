package view_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/localpg"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
	"github.com/socksync/socksync/store/view"
)

// TestLockedTable keeps one of two tables locked: the list of the other goes on, and
// gets that need the locked one are answered by an error.
func TestLockedTable(t *testing.T) {
	t.Parallel()
	pool := numbers(t, 10)
	_, err := pool.Exec(context.Background(), "CREATE TABLE a (LIKE numbers INCLUDING ALL); CREATE TABLE z (LIKE numbers INCLUDING ALL)")
	require.NoError(t, err)
	// The locked table is read before one of the others and after the other.
	l, sources := start(t, pool,
		binding.List[number](binding.Name("a"), binding.Table("a")), binding.List[number](), binding.List[number](binding.Name("z"), binding.Table("z")))
	a, n, z := trace(t, sources[0]), trace(t, sources[1]), trace(t, sources[2])
	a.get(0, 5)
	n.get(0, 5)
	z.get(0, 5)
	a.until(numbered(0, 5, 0))
	n.until(numbered(0, 5, 10, 0, 1, 2, 3, 4))
	z.until(numbered(0, 5, 0))

	// The lock is had as soon as the changes are there, and before anyone can read them.
	ctx := context.Background()
	writer, err := pool.Begin(ctx)
	require.NoError(t, err)
	_, err = writer.Exec(ctx, "INSERT INTO a VALUES (1); INSERT INTO z VALUES (2); DELETE FROM numbers WHERE id = 0")
	require.NoError(t, err)
	locker, err := pool.Begin(ctx)
	require.NoError(t, err)
	locked := make(chan error)
	go func() {
		_, err := locker.Exec(ctx, "LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE")
		locked <- err
	}()
	require.Eventually(t, func() bool {
		return len(l.answer(t, "SELECT '' FROM pg_locks WHERE relation = 'numbers'::regclass AND NOT granted")) == 1
	}, patience, patience/10_000)
	require.NoError(t, writer.Commit(ctx))
	require.NoError(t, <-locked)

	a.until(numbered(0, 5, 1, 1))
	z.until(numbered(0, 5, 1, 2))
	other := newSink(t)
	sub := sources[1].Subscribe(other, window.Options{})
	t.Cleanup(sub.Close)
	sub.Get(window.Want{Page: 1, Size: 5}) // a page that is not known
	requireRefused(t, other.failure())
	n.get(0, 5) // one that is
	n.until(numbered(0, 5, 10, 0, 1, 2, 3, 4))
	l.exec("INSERT INTO a VALUES (0)")
	a.until(numbered(0, 5, 2, 0, 1))
	require.NoError(t, locker.Rollback(ctx))
	n.until(numbered(0, 5, 9, 1, 2, 3, 4, 5))
	sub.Get(window.Want{Page: 1, Size: 5})
	other.rows([]string{`{"id":6,"v":0}`, `{"id":7,"v":0}`, `{"id":8,"v":0}`, `{"id":9,"v":0}`}, "the page after the lock")
	l.audit(a, n, z)
}

// audit checks that nothing was wrong with what subscribers were told.
func (l *live) audit(tracers ...*tracer) {
	l.t.Helper()
	for _, s := range tracers {
		s.mu.Lock()
		require.Empty(l.t, s.bad)
		require.Zero(l.t, s.asked, "every get has an answer")
		s.mu.Unlock()
	}
}

// TestConditionFails inserts a row on which the condition of one list fails: that list
// stands still until the row is gone, another list of the table goes on.
func TestConditionFails(t *testing.T) {
	t.Parallel()
	pool := numbers(t, 0)
	l, sources := start(t, pool,
		binding.List[number](binding.Name("broken"), binding.Where("10 / (v - 7) IS NOT NULL")), binding.List[number](binding.Name("whole")))
	broken, whole := trace(t, sources[0]), trace(t, sources[1])
	broken.get(0, 5)
	whole.get(0, 5)
	l.exec("INSERT INTO numbers VALUES (1), (2)")
	broken.until(numbered(0, 5, 2, 1, 2))
	l.exec("INSERT INTO numbers VALUES (3, 7)")
	l.exec("INSERT INTO numbers VALUES (4)")
	whole.until(shownPage{0, 5, 4, []string{`{"id":1,"v":0}`, `{"id":2,"v":0}`, `{"id":3,"v":7}`, `{"id":4,"v":0}`}})
	sink := follow(t, sources[0], 0, 3)
	requireRefused(t, sink.failure())
	broken.mu.Lock()
	require.Equal(t, numbered(0, 5, 2, 1, 2), broken.seen[len(broken.seen)-1], "the list stands still")
	broken.mu.Unlock()
	l.exec("DELETE FROM numbers WHERE id = 3")
	broken.until(numbered(0, 5, 3, 1, 2, 4))
	whole.until(numbered(0, 5, 3, 1, 2, 4))
	l.audit(broken, whole)
}

// TestConditionTakesLong has the condition of one list take longer than a drain may:
// the list is loaded again, beside the feed, and another list of the table goes on.
func TestConditionTakesLong(t *testing.T) {
	t.Parallel()
	l := newLive(t, numbers(t, 2))
	l.config.StatementTimeout = 200 * time.Millisecond
	slow := l.list(binding.List[number](binding.Name("slow"), binding.Where("v <> 7 OR pg_sleep(1) IS NOT NULL")))
	quick := l.list(binding.List[number]())
	l.run(nil)
	s, q := trace(t, slow), trace(t, quick)
	s.get(0, 5)
	q.get(0, 5)
	s.until(numbered(0, 5, 2, 0, 1))
	q.until(numbered(0, 5, 2, 0, 1))
	l.exec("INSERT INTO numbers VALUES (2, 7)")
	want := shownPage{0, 5, 3, []string{`{"id":0,"v":0}`, `{"id":1,"v":0}`, `{"id":2,"v":7}`}}
	q.until(want)
	s.until(want)
	l.exec("UPDATE numbers SET v = 0")
	s.until(numbered(0, 5, 3, 0, 1, 2))
	l.audit(s, q)
}

// TestKeysNotUnique drops the primary key and gives two rows the same key: the lists
// stand still until one of the rows is gone.
func TestKeysNotUnique(t *testing.T) {
	t.Parallel()
	l, sources := start(t, numbers(t, 3), binding.List[number](), binding.List[number](binding.Name("placed")))
	l.engine.PlaceByPostgres("placed")
	a, b := trace(t, sources[0]), trace(t, sources[1])
	a.get(0, 5)
	b.get(0, 5)
	a.until(numbered(0, 5, 3, 0, 1, 2))
	b.until(numbered(0, 5, 3, 0, 1, 2))
	l.exec("ALTER TABLE numbers DROP CONSTRAINT numbers_pkey")
	l.exec("INSERT INTO numbers VALUES (1)")
	requireRefused(t, l.refused(sources[0]))
	requireRefused(t, l.refused(sources[1]))
	l.exec("DELETE FROM numbers WHERE ctid = (SELECT max(ctid) FROM numbers WHERE id = 1)")
	l.exec("INSERT INTO numbers VALUES (4)")
	a.until(numbered(0, 5, 4, 0, 1, 2, 4))
	b.until(numbered(0, 5, 4, 0, 1, 2, 4))
	l.audit(a, b)
}

// refused asks for pages until that is answered by an error.
func (l *live) refused(source window.Source) error {
	l.t.Helper()
	for page := 0; ; page++ {
		s := trace(l.t, source)
		s.get(page, 2)
		s.mu.Lock()
		for s.asked > 0 {
			wake := s.wake
			s.mu.Unlock()
			select {
			case <-wake:
			case <-time.After(patience):
				require.Fail(l.t, "a get has no answer")
			}
			s.mu.Lock()
		}
		err := s.err
		s.mu.Unlock()
		if err != nil {
			return err
		}
		require.Less(l.t, page, 100_000, "no get has failed")
	}
}

// TestAltered changes the type, the collation and the name of the column that a list is
// ordered by, and the table's.
func TestAltered(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(6))
	_, err := pool.Exec(context.Background(), `CREATE TYPE size AS ENUM ('small', 'large');
		CREATE TABLE t (id bigint PRIMARY KEY, v text COLLATE "C", s size);
		INSERT INTO t VALUES (1, '10', 'small'), (2, '9', 'large'), (3, 'B', 'small'), (4, 'a', NULL), (5, 'Ä', 'large')`)
	require.NoError(t, err)
	type row struct {
		ID int64   `db:"id" json:"id" socksync:"pk"`
		V  *string `db:"v" json:"-"`
	}
	bySize := &binding.ListDef{
		Name: "s", Table: "t", Key: []string{"id"}, Columns: []binding.Column{{Name: "id", JSON: "id"}, {Name: "s"}},
		Order: []binding.OrderTerm{{Column: "s"}},
	}
	l, sources := start(t, pool, binding.List[row](binding.Name("v"), binding.Table("t"), binding.Order("v")), bySize)
	s, z := trace(t, sources[0]), trace(t, sources[1])
	s.get(0, 9)
	z.get(0, 9)
	ids := func(ids ...int) shownPage {
		p := numbered(0, 9, len(ids), ids...)
		for i := range p.items {
			p.items[i] = strings.Replace(p.items[i], `,"v":0`, "", 1)
		}
		return p
	}
	s.until(ids(1, 2, 3, 4, 5))
	require.True(t, l.engine.Encoded("v"))
	for _, step := range []struct {
		sql  string
		want []int
	}{
		{`ALTER TABLE t ALTER v TYPE text COLLATE "en-x-icu"`, []int{1, 2, 4, 5, 3}},
		{"UPDATE t SET v = 'Z' WHERE id = 1", []int{2, 4, 5, 3, 1}},
		{`ALTER TABLE t ALTER v TYPE text COLLATE "C"`, []int{2, 3, 1, 4, 5}},
		{"UPDATE t SET v = id; ALTER TABLE t ALTER v TYPE int USING 10 - v::int", []int{5, 4, 3, 2, 1}},
		{"UPDATE t SET v = 100 WHERE id = 5", []int{4, 3, 2, 1, 5}},
		{"ALTER TABLE t RENAME v TO w; ALTER TABLE t ADD v numeric; UPDATE t SET v = id % 3", []int{3, 1, 4, 2, 5}},
	} {
		l.exec(step.sql)
		s.until(ids(step.want...))
	}
	l.exec("ALTER TABLE t RENAME TO u")
	requireRefused(t, l.refused(sources[0]))
	l.exec("INSERT INTO u (id, v) VALUES (6, -1)")
	l.exec("ALTER TABLE u RENAME TO t")
	s.until(ids(6, 3, 1, 4, 2, 5))
	z.until(ids(1, 3, 2, 5, 4, 6))
	l.exec("ALTER TYPE size ADD VALUE 'tiny' BEFORE 'small'")
	l.exec("UPDATE t SET s = 'tiny' WHERE id = 6")
	z.until(ids(6, 1, 3, 2, 5, 4))
	l.exec("ALTER TYPE size RENAME VALUE 'tiny' TO 'least'")
	l.exec("UPDATE t SET s = 'least' WHERE id = 5")
	z.until(ids(5, 6, 1, 3, 2, 4))
	l.audit(s, z)
}

// TestBigChanges makes changes that are cheaper to load than to place. Subscribers see
// the state before and the state after.
func TestBigChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, order string
		rows        int
		sql         string
	}{
		{"encoded", "v, id", 24_000, "UPDATE numbers SET v = 1"},
		{"by Postgres", "v, id", 3_000, "UPDATE numbers SET v = 1"},
		{"by Postgres, moving all", "v, id", 3_000, "UPDATE numbers SET v = 3000 - id"},
		{"by Postgres, moving none", "id", 3_000, "UPDATE numbers SET v = 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, sources := start(t, numbers(t, c.rows), binding.List[number](binding.Order(c.order)))
			if c.name != "encoded" {
				l.engine.PlaceByPostgres("numbers")
			}
			s, other := trace(t, sources[0]), trace(t, sources[0])
			s.get(0, 3)
			other.get(7, 3)
			s.until(numbered(0, 3, c.rows, 0, 1, 2))
			other.until(numbered(7, 3, c.rows, 21, 22, 23))
			l.exec(c.sql)
			for page, tracer := range map[int]*tracer{0: s, 7: other} {
				want := l.answer(t, fmt.Sprintf(`SELECT format('{"id":%%s,"v":%%s}', id, v) FROM numbers ORDER BY %s LIMIT 3 OFFSET %d`, c.order, 3*page))
				tracer.until(shownPage{page, 3, c.rows, want})
				require.Len(t, tracer.seen, 2)
			}
			l.audit(s, other)
		})
	}
}

// TestPlans holds that rows are looked up by an index also when the statements were
// planned while the table was empty.
func TestPlans(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(6))
	_, err := pool.Exec(context.Background(), `CREATE TABLE single (id bigint PRIMARY KEY, v int); CREATE DOMAIN feeling AS text;
		CREATE TABLE two (a text, b feeling, v int, PRIMARY KEY (b, a))`)
	require.NoError(t, err)
	plain := func(table string, key ...string) *binding.ListDef {
		d := &binding.ListDef{Name: table, Table: table, Key: key, Where: "v > 3", Columns: []binding.Column{{Name: "v", JSON: "v"}}}
		for _, k := range key {
			d.Columns = append(d.Columns, binding.Column{Name: k, JSON: k})
		}
		return d
	}
	l, sources := start(t, pool, plain("single", "id"), plain("two", "a", "b"))
	for i, name := range []string{"single", "two"} {
		follow(t, sources[i], 0, 1).rows([]string{}, "the empty table")
		plans, err := l.engine.Plans(context.Background(), name)
		require.NoError(t, err)
		for _, plan := range plans {
			require.Contains(t, plan, "Index")
			require.NotContains(t, plan, "Seq Scan on "+name)
		}
	}
}

// forgetful tells the engine, once, that a table changed in ways that nobody knows.
type forgetful struct {
	listen.Drainer
	all atomic.Bool
}

func (f *forgetful) Drain(ctx context.Context, tx pgx.Tx, d *listen.Drain) error {
	if f.all.Swap(false) {
		d.Tables[`"numbers"`] = &listen.Change{All: true}
	}
	return f.Drainer.Drain(ctx, tx, d)
}

// TestAllWhileLoading has a change of which nothing was logged come to light while a
// load is under way that has not seen it.
func TestAllWhileLoading(t *testing.T) {
	t.Parallel()
	l := newLive(t, numbers(t, 3))
	source := l.list(binding.List[number](binding.Where("pg_advisory_xact_lock_shared(5) IS NOT NULL")))
	f := &forgetful{Drainer: l.engine}
	l.run(f)
	s := trace(t, source)
	s.get(0, 5)
	s.until(numbered(0, 5, 3, 0, 1, 2))
	ctx := context.Background()
	gate, err := l.pool.Begin(ctx)
	require.NoError(t, err)
	_, err = gate.Exec(ctx, "SELECT pg_advisory_xact_lock(5)")
	require.NoError(t, err)
	l.engine.PlaceByPostgres("numbers") // loads again
	waits := "SELECT '' FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
	require.Eventually(t, func() bool { return len(l.answer(t, waits)) == 1 }, patience, patience/10_000)
	l.exec("INSERT INTO numbers VALUES (7); TRUNCATE socksync.change")
	f.all.Store(true)
	l.feed.Kick()
	require.Eventually(t, func() bool { return !f.all.Load() }, patience, patience/10_000)
	require.True(t, l.engine.Loading("numbers"))
	require.NoError(t, gate.Rollback(ctx))
	s.until(numbered(0, 5, 4, 0, 1, 2, 7))
	l.audit(s)
}

// haunted has each load bring a row that is not there.
type haunted struct {
	listen.Drainer
	over  atomic.Bool
	loads atomic.Int64
}

func (h *haunted) Drain(ctx context.Context, tx pgx.Tx, d *listen.Drain) error {
	if !h.over.Load() {
		h.loads.Add(int64(view.Haunt(d)))
	}
	return h.Drainer.Drain(ctx, tx, d)
}

// TestLoadsOfNoUse has what loads bring not fit the database: gets are answered by an
// error, and the list is not loaded again and again without a pause.
func TestLoadsOfNoUse(t *testing.T) {
	t.Parallel()
	pool := numbers(t, 3)
	l := &live{t: t, pool: pool, engine: view.New(&view.Config{Pool: pool, Log: quiet, Retry: time.Hour})}
	source := l.list(binding.List[number]())
	total := l.variable(binding.Var[int64](binding.Name("total"), binding.Query("SELECT count(*) FROM numbers", "numbers")))
	h := &haunted{Drainer: l.engine}
	h.over.Store(true)
	l.run(h)
	s := trace(t, source)
	s.get(0, 5)
	s.until(numbered(0, 5, 3, 0, 1, 2))
	h.over.Store(false)
	l.engine.PlaceByPostgres("numbers") // loads again
	requireRefused(t, l.refused(source))
	loads := h.loads.Load()
	value := followValue(t, total)
	value.get()
	for n := 4; n < 14; n++ {
		l.exec("INSERT INTO numbers VALUES ($1)", n)
		value.until(fmt.Sprint(n))
	}
	require.Equal(t, loads, h.loads.Load())
	requireRefused(t, l.refused(source))
	h.over.Store(true)
	l.exec("TRUNCATE numbers; INSERT INTO numbers VALUES (1)")
	value.until("1")
	s.until(numbered(0, 5, 1, 1))
	l.audit(s)
}

// TestDatabaseAway stops the server: what is known is still answered, everything else
// refused, and in the end all is as in the database.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, &localpg.Config{})
	pool := pgtest.On(t, server, pgtest.MaxConns(6))
	l := newLive(t, pool)
	l.exec("CREATE TABLE numbers (id bigint PRIMARY KEY, v bigint NOT NULL DEFAULT 0); INSERT INTO numbers VALUES (1), (2)")
	source := l.list(binding.List[number]())
	total := l.variable(binding.Var[int64](binding.Name("total"), binding.Query("SELECT count(*) FROM numbers", "numbers")))
	l.run(nil)
	s := trace(t, source)
	s.get(0, 5)
	s.until(numbered(0, 5, 2, 1, 2))
	value := followValue(t, total)
	value.get()
	value.until("2")
	require.NoError(t, server.Kill(context.Background()))
	requireRefused(t, l.refused(source))
	s.get(0, 5)
	s.until(numbered(0, 5, 2, 1, 2))
	require.NoError(t, server.StartAgain(context.Background()))
	require.Eventually(t, func() bool {
		_, err := pool.Exec(context.Background(), "INSERT INTO numbers VALUES (3)")
		return err == nil
	}, patience, patience/1000)
	s.until(numbered(0, 5, 3, 1, 2, 3))
	value.until("3")
	l.audit(s)
}
