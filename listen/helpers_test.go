package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/migrations"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// patience bounds every wait, so that a fault fails a test instead of hanging it.
const patience = 30 * time.Second

// never is a period of maintenance that does not come: no safety poll covers a ring that was lost.
const never = time.Hour

// flights is the table of most tests.
const flights = "create table flights (id bigint primary key, v int not null default 0, note text)"

// querier is a pool, a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func exec(t testing.TB, db querier, sql string, args ...any) {
	t.Helper()
	rows, err := db.Query(t.Context(), sql, args...)
	require.NoError(t, err, sql)
	rows.Close()
	require.NoError(t, rows.Err(), sql)
}

func value[T any](t testing.TB, db querier, sql string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, db.QueryRow(t.Context(), sql, args...).Scan(&v), sql)
	return v
}

// install puts the schema and the triggers into a database.
func install(t testing.TB, pool *pgxpool.Pool, tables ...Table) {
	t.Helper()
	require.NoError(t, migrations.Up(t.Context(), pool))
	require.NoError(t, installTriggers(t.Context(), pool, tables))
}

func installTriggers(ctx context.Context, pool *pgxpool.Pool, tables []Table) error {
	var all []migrations.Table
	for _, table := range tables {
		all = append(all, migrations.Table{Name: table.Name, Key: table.Key, Logged: table.Logged})
	}
	return migrations.Install(ctx, pool, all)
}

// fixture is a database with tables that a feed watches, and a recorder that keeps copies of them.
type fixture struct {
	*recorder
	pool *pgxpool.Pool
	feed *Feed
}

// start runs a feed on a fresh database with the table flights.
func start(t testing.TB, change ...func(*Config)) *fixture {
	t.Helper()
	pool := pgtest.New(t)
	exec(t, pool, flights)
	return startOn(t, pool, []Table{{Name: "flights", Key: []string{"id"}}}, change...)
}

// startOn runs a feed on tables, which must exist.
func startOn(t testing.TB, pool *pgxpool.Pool, tables []Table, change ...func(*Config)) *fixture {
	t.Helper()
	install(t, pool, tables...)
	f := newFixture(t, pool, tables, change...)
	require.NoError(t, f.feed.Start(context.WithoutCancel(t.Context())))
	return f
}

// newFixture makes a feed that is stopped when the test ends.
func newFixture(t testing.TB, pool *pgxpool.Pool, tables []Table, change ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{recorder: newRecorder(), pool: pool}
	config := &Config{Pool: pool, Tables: tables, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	config.tuning.hooks.drained = f.drained
	config.tuning.hooks.armed = f.armed
	config.tuning.hooks.session = f.connected
	for _, c := range change {
		c(config)
	}
	f.recorder.tables = config.Tables
	var err error
	f.feed, err = New(config, f.recorder)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, f.feed.Stop(ctx))
	})
	return f
}

// arrive waits until the recorder stands at the present or later, without asking the feed for anything.
func (f *fixture) arrive(t testing.TB) {
	t.Helper()
	now, err := ParseSnapshot(value[string](t, f.pool, "select pg_current_snapshot()::text"))
	require.NoError(t, err)
	f.wait(t, "the present", func() bool { return f.at.Covers(now) })
}

// agrees waits for the present and compares the copies with the database, which must be at rest.
func (f *fixture) agrees(t testing.TB) {
	t.Helper()
	f.arrive(t)
	f.same(t)
}

// same compares the copies with the database.
func (f *fixture) same(t testing.TB) {
	t.Helper()
	for _, table := range f.tables {
		want, err := readRows(t.Context(), f.pool, table, nil)
		require.NoError(t, err)
		require.Equal(t, want, f.copyOf(table.Name), "table %s", table.Name)
	}
}

// sleeps waits until the feed has armed the bell and found nothing.
func (f *fixture) sleeps(t testing.TB) {
	t.Helper()
	f.wait(t, "sleep", func() bool { return f.asleep })
}

// recorder is a Drainer that keeps a copy of each table, changed by re-reading the keys that it is told. The mutex guards
// the fields; moved is closed and replaced whenever one of them changes.
type recorder struct {
	mu    sync.Mutex
	moved chan struct{}

	record
	tables []Table
	copies map[string]map[string]string // table, key, row

	// interfere is called in Drain, before it reads.
	interfere func(ctx context.Context, tx pgx.Tx, d *Drain) error
	// join applies a load that joins.
	join func(ctx context.Context, tx pgx.Tx, d *Drain, j Joined) error

	staged map[string]func(map[string]string) // by table; owned by the feed goroutine
	drain  *Drain
}

// record is what happened to a recorder.
type record struct {
	at      Snapshot
	epoch   string
	changes []Drain // committed
	joined  []Joined
	drains  int
	arms    int
	asleep  bool           // armed, and no drain since
	alls    map[string]int // committed, by table
	aborts  []error
	downs   []error
	pids    []uint32
}

// past returns a copy of what has happened.
func (r *recorder) past() record {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.record
	p.alls = maps.Clone(p.alls)
	return p
}

func newRecorder() *recorder {
	return &recorder{moved: make(chan struct{}), copies: make(map[string]map[string]string), record: record{alls: make(map[string]int)}}
}

func (r *recorder) Drain(ctx context.Context, tx pgx.Tx, d *Drain) error {
	r.staged, r.drain = make(map[string]func(map[string]string)), d
	r.mu.Lock()
	interfere, join := r.interfere, r.join
	r.mu.Unlock()
	if interfere != nil {
		if err := interfere(ctx, tx, d); err != nil {
			return err
		}
	}
	for _, table := range r.tables {
		if c := d.Tables[table.Name]; c != nil {
			if err := r.stage(ctx, tx, table, c); err != nil {
				if IsLockTimeout(err) || hasCode(err, "42P01") {
					return &TableError{Table: table.Name, Err: err}
				}
				return fmt.Errorf("read %s: %w", table.Name, err)
			}
		}
	}
	for _, j := range d.Joined {
		if join == nil {
			continue
		}
		if err := join(ctx, tx, d, j); err != nil {
			return err
		}
	}
	return nil
}

func (r *recorder) stage(ctx context.Context, tx pgx.Tx, table Table, c *Change) error {
	if c.Missing != nil {
		if c.All || c.Keys != nil {
			return errors.New("a missing table has other changes")
		}
		r.staged[table.Name] = func(rows map[string]string) { clear(rows) }
		return nil
	}
	keys := c.Keys
	if c.All {
		keys = nil
	} else if len(keys) == 0 {
		return errors.New("a change has nothing")
	}
	rows, err := readRows(ctx, tx, table, keys)
	if err != nil {
		return err
	}
	r.staged[table.Name] = func(known map[string]string) { apply(known, rows, keys) }
	return nil
}

// apply puts what was read of some keys, or of all with nil, into a copy.
func apply(known, read map[string]string, keys [][]string) {
	if keys == nil {
		clear(known)
	}
	for _, key := range keys {
		delete(known, strings.Join(key, "\x00"))
	}
	maps.Copy(known, read)
}

func (r *recorder) Commit() {
	r.change(func() {
		for table, apply := range r.staged {
			if r.copies[table] == nil {
				r.copies[table] = make(map[string]string)
			}
			apply(r.copies[table])
		}
		for table, c := range r.drain.Tables {
			if c.All {
				r.alls[table]++
			}
		}
		r.changes = append(r.changes, *r.drain)
		r.joined = append(r.joined, r.drain.Joined...)
	})
	r.staged, r.drain = nil, nil
}

func (r *recorder) Abort(err error) {
	r.staged, r.drain = nil, nil
	r.change(func() { r.aborts = append(r.aborts, err) })
}

func (r *recorder) Down(err error) { r.change(func() { r.downs = append(r.downs, err) }) }

func (r *recorder) drained(d *Drain) {
	r.change(func() { r.at, r.epoch, r.drains, r.asleep = d.Snapshot, d.Epoch, r.drains+1, false })
}

func (r *recorder) armed() { r.change(func() { r.arms++; r.asleep = true }) }

func (r *recorder) connected(pid uint32) { r.change(func() { r.pids = append(r.pids, pid) }) }

// change changes fields and tells those who wait.
func (r *recorder) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.moved)
	r.moved = make(chan struct{})
}

// wait returns when a condition on the fields holds.
func (r *recorder) wait(t testing.TB, what string, condition func() bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		r.mu.Lock()
		ok, moved := condition(), r.moved
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-moved:
		case <-timeout:
			require.FailNow(t, "waited too long for "+what)
		}
	}
}

func (r *recorder) copyOf(table string) map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows := maps.Clone(r.copies[table])
	if rows == nil {
		rows = map[string]string{}
	}
	return rows
}

// setInterfere has f called in each drain from now on.
func (r *recorder) setInterfere(f func(ctx context.Context, tx pgx.Tx, d *Drain) error) {
	r.change(func() { r.interfere = f })
}

// forget drops what was recorded of committed drains.
func (r *recorder) forget() {
	r.change(func() { r.changes, r.joined, r.aborts, r.downs, r.alls = nil, nil, nil, nil, make(map[string]int) })
}

// keysOf returns the keys that committed drains had for a table, as a set.
func (r *recorder) keysOf(table string) map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := make(map[string]bool)
	for _, d := range r.changes {
		if c := d.Tables[table]; c != nil {
			for _, key := range c.Keys {
				keys[strings.Join(key, "/")] = true
			}
		}
	}
	return keys
}

// readRows reads the rows of some keys, or all with nil, by key.
func readRows(ctx context.Context, db querier, table Table, keys [][]string) (map[string]string, error) {
	columns := make([]string, len(table.Key))
	for i, column := range table.Key {
		columns[i] = fmt.Sprintf("r.%s::text", column)
	}
	sql := fmt.Sprintf("select array[%s], r::text from %s r", strings.Join(columns, ", "), table.Name)
	var args []any
	if keys != nil {
		var places []string
		for i := range table.Key {
			column := make([]string, len(keys))
			for j, key := range keys {
				column[j] = key[i]
			}
			args = append(args, column)
			places = append(places, fmt.Sprintf("$%d::text[]", i+1))
		}
		sql += fmt.Sprintf(" where (%s) in (select * from unnest(%s))", strings.Join(columns, ", "), strings.Join(places, ", "))
	}
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	read := make(map[string]string)
	var key []string
	var row string
	_, err = pgx.ForEachRow(rows, []any{&key, &row}, func() error {
		read[strings.Join(key, "\x00")] = row
		return nil
	})
	return read, err
}

func itoa(i int) string { return strconv.Itoa(i) }

func contains(s, part string) bool { return strings.Contains(s, part) }
