package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/server"
)

// item is a row of the table that most tests use.
type item struct {
	_    struct{} `socksync:"table=items; list=items; order=n, id; max_page_size=50"`
	ID   int64    `db:"id" json:"id" socksync:"pk"`
	N    *int32   `db:"n" json:"n"`
	Note *string  `db:"note" json:"note"`
}

const (
	itemsTable = `CREATE TABLE items (id bigint PRIMARY KEY, n int, note text);
INSERT INTO items SELECT g, g * 10, 'note ' || g FROM generate_series(1, 12) g;`
	fromItems = "SELECT id, n, note FROM items ORDER BY n, id"
)

func listItem(opts ...binding.Option) *binding.ListDef { return binding.List[item](opts...) }

// exec runs statements that must succeed.
func exec(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := pool.Exec(ctx, sql, args...)
	require.NoError(t, err, sql)
}

// querier is a pool or a connection.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// answerOf is a page as the database has it.
func answerOf[T any](t testing.TB, pool querier, query string, page, size int) pageOf {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rows, err := pool.Query(ctx, query, pgx.QueryExecModeDescribeExec) // no plan of a table that has changed since
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	require.NoError(t, err)
	answer := pageOf{held: true, page: page, size: size, total: len(all)}
	from := min(page*size, len(all))
	for _, row := range all[from:min(from+size, len(all))] {
		text, err := json.Marshal(row)
		require.NoError(t, err)
		answer.items = append(answer.items, string(text))
	}
	return answer
}

// dialWith is dial with options. The browser is nil if there is no WebSocket.
func dialWith(t testing.TB, address string, options *websocket.DialOptions) (*browser, *http.Response) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, address, options)
	if err != nil {
		require.NotNil(t, response, "dial: %v", err)
		return nil, response
	}
	conn.SetReadLimit(1 << 26)
	b := &browser{t: t, conn: conn, done: make(chan struct{}), wake: make(chan struct{})}
	go b.read()
	t.Cleanup(func() {
		_ = conn.CloseNow()
		<-b.done
	})
	return b, response
}

// raw sends a message of any kind as it is.
func (b *browser) raw(kind websocket.MessageType, data []byte) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(b.t, b.conn.Write(ctx, kind, data))
}

// refused returns the next message, which must be an error with the code.
func (b *browser) refused(code int, about ...any) message {
	b.t.Helper()
	m := b.take()
	require.Equal(b.t, "error", m.Func, about...)
	require.Equal(b.t, code, m.ErrorCode, "%v: %s", about, m.Message)
	require.NotEmpty(b.t, m.Message, about...)
	return m
}

// ended waits for the end of the connection and returns its close code.
func (b *browser) ended() int {
	b.t.Helper()
	await(b.t, b.done, "the connection ends")
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(websocket.CloseStatus(b.closed))
}

// list subscribes, asks for a page and returns the answer.
func (b *browser) list(name string, page, size int) message {
	b.t.Helper()
	b.send(`{"func":"subscribe","type":"list","name":%q}`, name)
	b.send(`{"func":"get","type":"list","name":%q,"page":%d,"page_size":%d}`, name, page, size)
	m := b.take()
	require.Equal(b.t, "set_all", m.Func, "%+v", m)
	require.Equal(b.t, name, m.Name)
	return m
}

// value subscribes to a var and returns its value.
func (b *browser) value(name string) string {
	b.t.Helper()
	b.send(`{"func":"subscribe","type":"var","name":%q}`, name)
	b.send(`{"func":"get","type":"var","name":%q}`, name)
	return b.set(name)
}

// set returns the value of the next message, which must set the var.
func (b *browser) set(name string) string {
	b.t.Helper()
	m := b.take()
	require.Equal(b.t, []string{"set", "var", name}, []string{m.Func, m.Type, m.Name}, "%+v", m)
	return string(m.Value)
}

// call calls a function that is subscribed, and returns the next message.
func (b *browser) call(name, id, args string) message {
	b.t.Helper()
	b.send(`{"func":"call","type":"function","name":%q,"id":%q,"args":%s}`, name, id, args)
	return b.take()
}

// result is the value of a call's return.
func (b *browser) result(name, id, args string) string {
	b.t.Helper()
	m := b.call(name, id, args)
	require.Equal(b.t, []string{"return", "function", name, id}, []string{m.Func, m.Type, m.Name, m.ID}, "%+v", m)
	return string(m.Value)
}

// follower is a browser that follows one page of a list strictly.
type follower struct {
	*browser
	name       string
	page, size int
	state      pageOf
	refusals   int // errors 8 so far
}

func follow(t testing.TB, address, name string, page, size int) *follower {
	t.Helper()
	f := &follower{browser: dial(t, address), name: name, page: page, size: size}
	require.NoError(t, f.state.apply(f.list(name, page, size)))
	return f
}

func (f *follower) get() {
	f.t.Helper()
	f.send(`{"func":"get","type":"list","name":%q,"page":%d,"page_size":%d}`, f.name, f.page, f.size)
}

// consume applies what has come in. The inbox is locked.
func (f *follower) consume(inbox []message) (err error) {
	for _, m := range inbox {
		if m.Func == "error" && m.ErrorCode == 8 {
			f.refusals++
			continue
		}
		if err = f.state.apply(m); err != nil {
			break
		}
	}
	f.inbox = nil
	return err
}

// shows waits until the page is as wanted.
func (f *follower) shows(want pageOf) {
	f.t.Helper()
	var bad error
	f.until(func() string { return fmt.Sprintf("page of %s:\nwant %+v\nhave %+v", f.name, want, f.state) }, func(inbox []message) bool {
		bad = f.consume(inbox)
		return bad != nil || f.state.equal(want)
	})
	require.NoError(f.t, bad)
}

// asks sends gets, one after the other, until an answer is as the condition wants
// it: for what the server finds out by itself, some time.
func (f *follower) asks(what string, condition func(message) bool) {
	f.t.Helper()
	limit := time.Now().Add(patience)
	for time.Now().Before(limit) {
		f.get()
		var m message
		for m.Func != "set_all" && (m.Func != "error" || m.ErrorCode != 8) {
			if m = f.take(); m.Func != "error" {
				require.NoError(f.t, f.state.apply(m))
			}
		}
		if condition(m) {
			return
		}
	}
	require.FailNow(f.t, "never: "+what)
}

func isRefusal(m message) bool { return m.Func == "error" }
func isPage(m message) bool    { return m.Func == "set_all" }

// await waits for a channel to be closed or to receive.
func await[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case v := <-c:
		return v
	case <-limit.C:
		require.FailNow(t, "did not come: "+what)
		panic("unreachable")
	}
}

// within is a context for what must not take long.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// mount serves a server that the test starts and stops itself.
func mount(t testing.TB, live *server.Server) string {
	t.Helper()
	web := httptest.NewServer(live)
	t.Cleanup(func() {
		require.NoError(t, live.Stop(context.Background()))
		web.Close()
	})
	return url(web)
}

// httpOf is the address of plain requests.
func httpOf(address string) string { return "http" + strings.TrimPrefix(address, "ws") }

// journal collects what happened, in order.
type journal struct {
	mu      sync.Mutex
	entries []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, fmt.Sprintf(format, args...))
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.entries...)
}
