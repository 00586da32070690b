package view_test

import (
	"context"
	"encoding/json"
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

func TestMain(m *testing.M) { pgtest.Main(m) }

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// live is an engine that follows a database.
type live struct {
	t      testing.TB
	pool   *pgxpool.Pool
	engine *view.Engine
}

// start runs an engine for the lists, with a source for each.
func start(t testing.TB, pool *pgxpool.Pool, lists ...*binding.ListDef) (*live, []window.Source) {
	t.Helper()
	ctx := context.Background()
	e := view.New(&view.Config{Pool: pool})
	sources := make([]window.Source, len(lists))
	for i, def := range lists {
		require.NoError(t, def.Validate())
		sources[i] = e.List(def.WithDefaults())
	}
	require.NoError(t, e.Check(ctx))
	require.NoError(t, migrations.Up(ctx, pool))
	tables := make([]migrations.Table, 0, len(e.Tables()))
	for _, table := range e.Tables() {
		tables = append(tables, migrations.Table{Name: table.Name, Key: table.Key})
	}
	require.NoError(t, migrations.Install(ctx, pool, tables))
	feed, err := listen.New(&listen.Config{Pool: pool, Tables: e.Tables()}, e)
	require.NoError(t, err)
	e.Start(feed)
	require.NoError(t, feed.Start(ctx))
	t.Cleanup(func() {
		require.NoError(t, feed.Stop(context.Background()))
		e.Stop()
	})
	return &live{t: t, pool: pool, engine: e}, sources
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
	sub := source.Subscribe(s)
	sub.Get(page, size)
	t.Cleanup(sub.Close)
	return s
}

func encode(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}
