package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
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

// statements is a pgx tracer that notes what is sent to the database, and can hold a statement up.
type statements struct {
	mu   sync.Mutex
	sent []string
	stop func(sql string, args []any) <-chan struct{} // nil: nothing is held up
}

type heldUp struct{}

// quietLog takes what tests bring about on purpose.
var quietLog = slog.New(slog.DiscardHandler)

// TraceQueryStart implements pgx.QueryTracer.
func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, q.SQL)
	if s.stop != nil {
		if until := s.stop(q.SQL, q.Args); until != nil {
			return context.WithValue(ctx, heldUp{}, until)
		}
	}
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer. The statement has its snapshot and its rows, and nobody has them yet.
func (*statements) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if until, ok := ctx.Value(heldUp{}).(<-chan struct{}); ok {
		select {
		case <-until:
		case <-ctx.Done():
		}
	}
}

// TraceBatchStart implements pgx.BatchTracer.
func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, b pgx.TraceBatchStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range b.Batch.QueuedQueries {
		s.sent = append(s.sent, q.SQL)
	}
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (*statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (*statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// about returns how many statements there were that have all these parts.
func (s *statements) about(parts ...string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sql := range s.sent {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(sql, part) }) {
			n++
		}
	}
	return n
}

// loads returns how many times a list of items was read as a whole.
func (s *statements) loads() int { return s.about(`"items"`, "ORDER BY", "socksync_order") }

// traced is a server of items whose statements are seen.
type traced struct {
	*statements
	t       testing.TB
	pool    *pgxpool.Pool
	address string
}

func newTraced(t testing.TB, config *server.Config) *traced {
	t.Helper()
	s := &traced{statements: &statements{}, t: t, pool: pgtest.New(t)}
	exec(t, s.pool, itemsTable)
	settings := s.pool.Config()
	settings.ConnConfig.Tracer = s.statements
	settings.MaxConns = 8
	served, err := pgxpool.NewWithConfig(context.Background(), settings)
	require.NoError(t, err)
	t.Cleanup(served.Close)
	config.Migrate, config.Log = true, quietLog
	_, s.address = serve(t, served, config, chosenItems())
	return s
}

func chosenItems() *binding.ListDef {
	return listItem(binding.Filter("*"), binding.Sort("*"), binding.Search("note"))
}

// asker is a connection of version 2 that asks, and waits for each answer.
type asker struct {
	*line
	menu *menu
}

func (s *traced) dial() *asker {
	s.t.Helper()
	return &asker{line: newLine(s.t, s.address, newLedger(s.t, s.pool, "items")), menu: &menu{
		name: "items", table: "items", key: []string{"id"}, keyJSON: []string{"id"}, maxPage: 50, maxWindow: 1000,
	}}
}

// open opens a view and waits for the answer, which is an error's message or "".
func (a *asker) open(fields string) (*pane, string) {
	a.t.Helper()
	p := a.line.open(a.menu)
	return p, a.ask(p, &ask{choice: &choice{menu: a.menu, fields: fields}, where: where{size: 50}})
}

func (a *asker) ask(p *pane, question *ask) string {
	a.t.Helper()
	a.mu.Lock()
	refused := len(a.refusals)
	a.mu.Unlock()
	p.get(func() *ask { return question })
	p.settle()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.refusals) > refused {
		return a.refusals[len(a.refusals)-1].text
	}
	return ""
}

// opens opens a view that must be answered.
func (a *asker) opens(fields string) *pane {
	a.t.Helper()
	p, refused := a.open(fields)
	require.Empty(a.t, refused, fields)
	return p
}

// refuses opens a view that must be refused, with a message that has the part.
func (a *asker) refuses(fields, part string) *pane {
	a.t.Helper()
	p, refused := a.open(fields)
	require.Contains(a.t, refused, part, fields)
	return p
}

// close ends the subscription of a view.
func (p *pane) close() {
	p.confirmed("unsubscribe", p.drop, func() { p.dropping-- })
	p.settle()
}

// has waits until the view is of a list with as many items.
func (p *pane) has(total int) {
	p.line.t.Helper()
	p.line.until(func() string { return p.failed("a total of %d", total).Error() }, func() bool { return p.shown != nil && p.shown.total == total })
}

// TestViewIsShared has many subscribers choose the same, in words of their own: the table is read once.
func TestViewIsShared(t *testing.T) {
	t.Parallel()
	s := newTraced(t, &server.Config{})
	s.dial().opens("").has(12)
	before := s.loads()
	for i, fields := range []string{
		`,"filter":{"n":{"gte":50}},"sort":["-n"]`,
		`,"sort":["-n"],"filter":{"n":{"gte":50}}`,
		`,"sort":["-n","id"],"filter":{"n":{"gte":50}}`,
		`,"sort":["-n"],"filter":{"n":{"gte":50}},"search":""`,
		`,"sort":["-n"],"filter":{"n":{"gte":50}},"search":"  "`,
	} {
		a := s.dial()
		a.opens(fields).has(8)
		a.opens(fields).has(8)
		require.Equal(t, 1, s.loads()-before, "%d: %s", i, fields)
	}
	s.dial().opens(`,"sort":["n"]`).has(12) // as it is defined
	s.dial().opens(`,"sort":["n","id"]`).has(12)
	require.Equal(t, 1, s.loads()-before, "the order of the list")
	s.dial().opens(`,"filter":{"n":{"gte":60}},"sort":["-n"]`).has(7)
	require.Equal(t, 2, s.loads()-before, "something else")
}

// TestViewsOfConnection checks MaxViews: choices are counted once, the list as it is defined is none, what is closed counts no
// more, and a get that is refused changes nothing.
func TestViewsOfConnection(t *testing.T) {
	t.Parallel()
	s := newTraced(t, &server.Config{MaxViews: 2})
	a := s.dial()
	a.opens("").has(12)
	first := a.opens(`,"filter":{"n":{"gte":20}}`)
	a.opens(`,"filter":{"n":{"gte":30}}`).has(10)
	a.opens(`,"filter":{"n":{"gte":20}}`).has(11)
	third := a.refuses(`,"filter":{"n":{"gte":40}}`, "too many choices open on this connection: at most 2")
	s.dial().opens(`,"filter":{"n":{"gte":40}}`).has(9) // another connection
	require.Contains(t, a.ask(first, &ask{choice: &choice{menu: a.menu, fields: `,"filter":{"n":{"gte":40}}`}, where: where{size: 50}}), "too many")
	exec(t, s.pool, "INSERT INTO items VALUES (13, 130, NULL)")
	first.has(12)

	twin := a.panes[3]
	require.Contains(t, a.ask(twin, &ask{choice: &choice{menu: a.menu, fields: `,"filter":{"n":{"gte":40}}`}, where: where{size: 50}}), "too many")
	first.close()
	require.Contains(t, a.ask(third, &ask{choice: &choice{menu: a.menu, fields: `,"filter":{"n":{"gte":40}}`}, where: where{size: 50}}), "too many",
		"its twin still has the choice")
	twin.close()
	require.Empty(t, a.ask(third, &ask{choice: &choice{menu: a.menu, fields: `,"filter":{"n":{"gte":40}}`}, where: where{size: 50}}))
	third.has(10)
}

// TestRowsOfConnection checks MaxViewRows.
func TestRowsOfConnection(t *testing.T) {
	t.Parallel()
	s := newTraced(t, &server.Config{MaxViewRows: 15})
	a := s.dial()
	a.opens("").has(12) // is not counted
	a.opens(`,"filter":{"n":{"gte":50}}`).has(8)
	big := a.refuses(`,"sort":["-n"]`, "at most 15")
	a.opens(`,"filter":{"n":{"gte":60}}`).has(7)
	require.Contains(t, a.ask(big, &ask{choice: &choice{menu: a.menu, fields: `,"filter":{"n":{"gte":120}}`}, where: where{size: 50}}), "at most 15")
	a.panes[1].close()
	require.Empty(t, a.ask(big, &ask{choice: &choice{menu: a.menu, fields: `,"filter":{"n":{"gte":120}}`}, where: where{size: 50}}))
}

// TestViewsOfServer checks MaxTotalViews, and that a view that nobody watches is dropped after some time: then there is room.
func TestViewsOfServer(t *testing.T) {
	t.Parallel()
	s := newTraced(t, &server.Config{MaxTotalViews: 2, Grace: 20 * time.Millisecond})
	a, b := s.dial(), s.dial()
	a.opens("").has(12)
	first, second := a.opens(`,"filter":{"n":{"gte":20}}`), a.opens(`,"sort":["-n"]`)
	b.opens(`,"sort":["-n"]`).has(12) // has been opened
	third := b.refuses(`,"sort":["note"]`, "too many")
	first.close()
	eventually(t, "the view is dropped", func() bool {
		return b.ask(third, &ask{choice: &choice{menu: b.menu, fields: `,"sort":["note"]`}, where: where{size: 50}}) == ""
	})
	third.has(12)
	second.has(12)
	b.refuses(`,"sort":["-note"]`, "too many")
	before := s.loads()
	b.hangUp() // and loses its two choices, of which a has one
	first.subscribe()
	eventually(t, "the view of a connection that is gone is dropped", func() bool {
		return a.ask(first, &ask{choice: &choice{menu: a.menu, fields: `,"sort":["-note"]`}, where: where{size: 50}}) == ""
	})
	require.Equal(t, 1, s.loads()-before)
}

// TestRowsOfServer checks MaxTotalViewRows.
func TestRowsOfServer(t *testing.T) {
	t.Parallel()
	s := newTraced(t, &server.Config{MaxTotalViewRows: 15, Grace: 20 * time.Millisecond})
	a, b := s.dial(), s.dial()
	a.opens("").has(12)
	first := a.opens(`,"sort":["-n"]`)
	big := b.refuses(`,"filter":{"n":{"gte":50}}`, "room")
	b.opens(`,"filter":{"n":{"gte":100}}`).has(3)
	first.close()
	eventually(t, "the view is dropped", func() bool {
		return b.ask(big, &ask{choice: &choice{menu: b.menu, fields: `,"filter":{"n":{"gte":50}}`}, where: where{size: 50}}) == ""
	})
	big.has(8)
}

// TestLoadIsBesideTheFeed holds up the load of a choice when it has read its rows: everybody else goes on, and what has been
// committed since is in the answer.
func TestLoadIsBesideTheFeed(t *testing.T) {
	t.Parallel()
	s := newTraced(t, &server.Config{})
	a, b := s.dial(), s.dial()
	whole := a.opens("")
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.mu.Lock()
	s.stop = func(sql string, args []any) <-chan struct{} {
		if !strings.Contains(sql, "ORDER BY") || !strings.Contains(fmt.Sprint(args), "held up") {
			return nil
		}
		once.Do(func() { close(begun) })
		return release
	}
	s.mu.Unlock()
	held := b.line.open(b.menu)
	held.get(func() *ask {
		return &ask{choice: &choice{menu: b.menu, fields: `,"filter":{"note":{"ne":"held up"}},"sort":["-n"]`}, where: where{size: 50}}
	})
	await(t, begun, "the load")
	for i := range 20 {
		exec(t, s.pool, "INSERT INTO items VALUES ($1, $2, $3)", 100+i, 1000+i, []string{"held up", "x"}[i%2])
		exec(t, s.pool, "DELETE FROM items WHERE id = $1", i+1)
		whole.has(12 + max(0, i-11))
		s.dial().opens(`,"sort":["note"]`).has(12 + max(0, i-11)) // others are opened
	}
	b.mu.Lock()
	require.Nil(t, held.shown)
	b.mu.Unlock()
	close(release)
	held.has(10)
	want := answerOf[item](t, s.pool, "SELECT id, n, note FROM items WHERE note IS DISTINCT FROM 'held up' ORDER BY n DESC, id", 0, 50)
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Equal(t, want.items, held.shown.items)
}
