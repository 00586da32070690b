package view_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
	"github.com/socksync/socksync/migrations"
	"github.com/socksync/socksync/store/view"
)

// TestMain runs the tests somewhere else: nothing may depend on where a server is.
func TestMain(m *testing.M) {
	time.Local = time.FixedZone("elsewhere", 5*60*60+45*60)
	pgtest.Main(m)
}

// quiet takes what tests bring about on purpose.
var quiet = slog.New(slog.DiscardHandler)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// live is an engine that follows a database.
type live struct {
	t      testing.TB
	pool   *pgxpool.Pool
	engine *view.Engine
	config listen.Config // beside pool, tables and log
	feed   *listen.Feed
}

// start runs an engine for the lists, with a source for each.
func start(t testing.TB, pool *pgxpool.Pool, lists ...*binding.ListDef) (*live, []window.Source) {
	t.Helper()
	l := newLive(t, pool)
	sources := make([]window.Source, len(lists))
	for i, def := range lists {
		sources[i] = l.list(def)
	}
	l.run(nil)
	return l, sources
}

// newLive makes an engine that retries soon.
func newLive(t testing.TB, pool *pgxpool.Pool) *live {
	return &live{t: t, pool: pool, engine: view.New(&view.Config{Pool: pool, Retry: 100 * time.Millisecond, Log: quiet})}
}

func (l *live) list(def *binding.ListDef) window.Source {
	l.t.Helper()
	require.NoError(l.t, def.Validate())
	return l.engine.List(def.WithDefaults())
}

func (l *live) variable(def *binding.VarDef) window.ValueSource {
	l.t.Helper()
	require.NoError(l.t, def.Validate())
	return l.engine.Var(def)
}

// run checks the definitions, installs the triggers and starts the feed, which calls
// the drainer; nil is the engine itself.
func (l *live) run(drainer listen.Drainer) {
	l.t.Helper()
	l.prepare(drainer)
	l.begin()
}

// prepare does everything but start the feed, so that gets can come before.
func (l *live) prepare(drainer listen.Drainer) {
	l.t.Helper()
	ctx, t, e, pool := context.Background(), l.t, l.engine, l.pool
	require.NoError(t, e.Check(ctx))
	require.NoError(t, migrations.Up(ctx, pool))
	tables := make([]migrations.Table, 0, len(e.Tables()))
	for _, table := range e.Tables() {
		tables = append(tables, migrations.Table{Name: table.Name, Key: table.Key, Logged: table.Logged})
	}
	require.NoError(t, migrations.Install(ctx, pool, tables))
	if drainer == nil {
		drainer = e
	}
	config := l.config
	config.Pool, config.Tables, config.Log = pool, e.Tables(), quiet
	feed, err := listen.New(&config, drainer)
	require.NoError(t, err)
	l.feed = feed
	e.Start(feed)
}

func (l *live) begin() {
	l.t.Helper()
	require.NoError(l.t, l.feed.Start(context.Background()))
	l.t.Cleanup(func() {
		require.NoError(l.t, l.feed.Stop(context.Background()))
		l.engine.Stop()
	})
}

// loaded waits until a list has been loaded.
func (l *live) loaded(name string) {
	l.t.Helper()
	require.Eventually(l.t, func() bool { return !l.engine.Loading(name) }, patience, time.Millisecond)
}

// lock keeps everyone from a table until the function that it returns is called.
func (l *live) lock(table string) (release func()) {
	l.t.Helper()
	ctx := context.Background()
	tx, err := l.pool.Begin(ctx)
	require.NoError(l.t, err)
	_, err = tx.Exec(ctx, "LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE")
	require.NoError(l.t, err)
	release = func() { _ = tx.Rollback(ctx) } // also a second time
	l.t.Cleanup(release)
	return release
}

func (l *live) exec(sql string, args ...any) {
	l.t.Helper()
	_, err := l.pool.Exec(context.Background(), sql, args...)
	require.NoError(l.t, err, sql)
}

// sink keeps the state of one window.
type sink struct {
	t    testing.TB
	mu   sync.Mutex
	wake chan struct{} // closed and replaced at every call
	last *window.State
	all  []*window.State // every state since the answer
	err  error
}

func newSink(t testing.TB) *sink { return &sink{t: t, wake: make(chan struct{})} }

func (s *sink) called(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.wake)
	s.wake = make(chan struct{})
}

// Step implements window.Sink.
func (s *sink) Step(step *window.Step) {
	s.called(func() {
		if s.last != nil {
			s.last = step.To
			s.all = append(s.all, step.To)
		}
	})
}

// Answer implements window.Sink.
func (s *sink) Answer(state *window.State, _ int) {
	s.called(func() { s.last, s.all, s.err = state, append(s.all, state), nil })
}

// Resume implements window.Sink.
func (s *sink) Resume(step *window.Step, gets int) { s.Answer(step.To, gets) }

// Still implements window.Sink.
func (*sink) Still(error) {}

// Fail implements window.Sink.
func (s *sink) Fail(err error, _ int) { s.called(func() { s.err = err }) }

// rows waits until the window shows the rows.
func (s *sink) rows(want []string, about string) {
	s.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		s.mu.Lock()
		have, wake := shown(s.last), s.wake
		s.mu.Unlock()
		if slices.Equal(have, want) {
			return
		}
		select {
		case <-wake:
		case <-limit.C:
			require.Equal(s.t, want, have, about)
			return
		}
	}
}

func shown(state *window.State) []string {
	if state == nil {
		return []string{"nothing yet"}
	}
	rows := make([]string, len(state.Rows))
	for i, r := range state.Rows {
		rows[i] = string(r.JSON)
	}
	return rows
}

// follow subscribes a sink to a page.
func follow(t testing.TB, source window.Source, page, size int) *sink {
	s := newSink(t)
	sub := source.Subscribe(s, window.Options{})
	sub.Get(window.Want{Page: page, Size: size})
	t.Cleanup(sub.Close)
	return s
}

func encode(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}
