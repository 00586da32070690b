package server_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/socksync/socksync/server"
)

func TestMaxMessageBytes(t *testing.T) {
	t.Parallel()
	message := func(size int) []byte {
		const head, tail = `{"func":"get","type":"var","name":"none","x":"`, `"}`
		return []byte(head + strings.Repeat("x", size-len(head)-len(tail)) + tail)
	}
	_, small := serve(t, nil, &server.Config{MaxMessageBytes: 1000})
	_, standard := serve(t, nil, nil)
	for address, limit := range map[string]int{small: 1000, standard: 1 << 20} {
		b := dial(t, address)
		b.raw(websocket.MessageText, message(limit))
		b.refused(3, "exactly as much as is allowed")
		b.raw(websocket.MessageText, message(limit+1))
		require.Equal(t, protocol.CloseTooBig, b.ended())
	}
}

func TestMaxSubscriptions(t *testing.T) {
	t.Parallel()
	live, address := serve(t, nil, &server.Config{MaxSubscriptions: 2}, whoami())
	require.NoError(t, live.Provide(memory.NewVar("v", 1), memory.NewVar("w", 1), memory.NewList[int]("l", nil)))
	b := dial(t, address)
	b.value("v")
	b.list("l", 0, 1)
	for _, item := range []string{`"var","name":"w"`, `"function","name":"whoami"`} {
		b.send(`{"func":"subscribe","type":%s}`, item)
		b.refused(8, item)
	}
	b.send(`{"func":"get","type":"var","name":"w"}`)
	b.refused(1, "not subscribed")
	b.value("v") // held already
	b.send(`{"func":"unsubscribe","type":"var","name":"v"}`)
	b.value("w")
	b.send(`{"func":"subscribe","type":"var","name":"v"}`)
	b.refused(8)
	b.send(`{"func":"unsubscribe_all"}`)
	b.value("v")
	b.list("l", 0, 1)
	dial(t, address).value("w") // each connection has its own limit
}

// TestMaxCalls checks the limit, that it is one of each connection, and that calls
// end with it.
func TestMaxCalls(t *testing.T) {
	t.Parallel()
	began, finish := make(chan struct{}), make(chan struct{})
	cut := make(chan error, 4)
	_, address := serve(t, nil, &server.Config{MaxCalls: 2}, binding.Func("slow", func(ctx context.Context, _ struct{}) (int, error) {
		began <- struct{}{}
		select {
		case <-finish:
		case <-ctx.Done():
			cut <- context.Cause(ctx)
		}
		return 1, nil
	}))
	start := func(b *browser, id string) {
		b.send(`{"func":"call","type":"function","name":"slow","id":%q}`, id)
		await(t, began, "the call")
	}
	b, other := dial(t, address), dial(t, address)
	for _, b := range []*browser{b, other} {
		b.send(`{"func":"subscribe","type":"function","name":"slow"}`)
	}
	start(b, "1")
	start(b, "2")
	b.send(`{"func":"call","type":"function","name":"slow","id":"2"}`)
	b.refused(6, "the id of a call in flight comes before the limit")
	b.send(`{"func":"call","type":"function","name":"slow","id":"3"}`)
	require.Contains(t, b.refused(8).Message, "too many")
	start(other, "1")

	finish <- struct{}{}
	id := b.takeOrOther(other).ID
	require.Contains(t, []string{"1", "2"}, id)
	require.NoError(t, b.conn.CloseNow())
	require.NoError(t, other.conn.CloseNow())
	for range 2 {
		require.Error(t, await(t, cut, "the end of a call's context"))
	}
}

// takeOrOther takes the next message of whichever browser gets one first.
func (b *browser) takeOrOther(other *browser) message {
	b.t.Helper()
	for limit := time.Now().Add(patience); time.Now().Before(limit); {
		b.mu.Lock()
		n, wake := len(b.inbox), b.wake
		b.mu.Unlock()
		other.mu.Lock()
		m, otherWake := len(other.inbox), other.wake
		other.mu.Unlock()
		switch {
		case n > 0:
			return b.take()
		case m > 0:
			return other.take()
		}
		select {
		case <-wake:
		case <-otherWake:
		}
	}
	panic("no message")
}

// narrow is a listener whose connections hold little in the kernel.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return c, c.(*net.UnixConn).SetWriteBuffer(4 << 10)
}

// slowly serves a server to clients of which the kernel takes little before they
// read. They come through a Unix socket: TCP is slow with small buffers.
func slowly(t *testing.T, live *server.Server) (address string, client *http.Client) {
	t.Helper()
	dir, err := os.MkdirTemp("", "slow") // the path of a socket must be short
	require.NoError(t, err)
	socket := filepath.Join(dir, "socket")
	listener, err := (&net.ListenConfig{}).Listen(within(t), "unix", socket)
	require.NoError(t, err)
	web := &httptest.Server{Listener: narrow{listener}, Config: &http.Server{Handler: live, ReadHeaderTimeout: patience}}
	web.Start()
	t.Cleanup(func() {
		require.NoError(t, live.Stop(context.Background()))
		web.Close()
		require.NoError(t, os.RemoveAll(dir))
	})
	dialer := &net.Dialer{}
	return "ws://slow/", &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}}}
}

// sleeper is a connection that does not read until it is made a browser.
type sleeper struct {
	t    *testing.T
	conn *websocket.Conn
}

func sleep(t *testing.T, address string, client *http.Client) *sleeper {
	t.Helper()
	conn, _, err := websocket.Dial(within(t), address, &websocket.DialOptions{HTTPClient: client})
	require.NoError(t, err)
	conn.SetReadLimit(1 << 26)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &sleeper{t, conn}
}

func (s *sleeper) send(text string) {
	s.t.Helper()
	require.NoError(s.t, s.conn.Write(within(s.t), websocket.MessageText, []byte(text)))
}

// wake begins to read.
func (s *sleeper) wake() *browser {
	b := &browser{t: s.t, conn: s.conn, done: make(chan struct{}), wake: make(chan struct{})}
	go b.read()
	s.t.Cleanup(func() {
		_ = s.conn.CloseNow()
		<-b.done
	})
	return b
}

// TestSlowReader has a connection sleep through many commits. When it reads again it
// gets what was under way and little more, and holds the present.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	const commits, bulk = 60, 8_000
	exec(t, pool, "UPDATE items SET note = repeat('x', $1)", bulk)
	live, err := server.New(pool, &server.Config{Migrate: true, StallTimeout: time.Hour}, listItem())
	require.NoError(t, err)
	require.NoError(t, live.Start(within(t)))
	address, client := slowly(t, live)

	slow := sleep(t, address, client)
	slow.send(`{"func":"subscribe","type":"list","name":"items"}`)
	slow.send(`{"func":"get","type":"list","name":"items","page":0,"page_size":12}`)
	fast := &follower{browser: sleep(t, address, client).wake(), name: "items", page: 0, size: 12}
	require.NoError(t, fast.state.apply(fast.list("items", 0, 12)))
	for i := range commits {
		exec(t, pool, "UPDATE items SET n = n + 1, note = repeat($2, $3) WHERE id = $1", i%12+1, string(rune('a'+i%26)), bulk)
		fast.shows(answerOf[item](t, pool, fromItems, 0, 12)) // each commit is a change of its own
	}
	exec(t, pool, "DELETE FROM items WHERE id = 5")

	awake := &follower{browser: slow.wake(), name: "items", page: 0, size: 12}
	messages := 0
	want := answerOf[item](t, pool, fromItems, 0, 12)
	var bad error
	awake.until(func() string { return "the present" }, func(inbox []message) bool {
		messages += len(inbox)
		bad = awake.consume(inbox)
		return bad != nil || awake.state.equal(want)
	})
	require.NoError(t, bad)
	t.Logf("%d messages for %d commits", messages, commits)
	// The answer to the get, perhaps some changes that were under way, and one folded step.
	require.Less(t, messages, commits/6, "what a slow connection has not been sent is folded")
	fast.shows(want)
}

// TestStalledReader checks that a connection that takes nothing is closed with 4008.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	gone := make(chan error, 1)
	live, err := server.New(nil, &server.Config{
		StallTimeout: time.Millisecond, OnDisconnect: func(_ *server.Conn, err error) { gone <- err },
	})
	require.NoError(t, err)
	require.NoError(t, live.Provide(memory.NewVar("big", strings.Repeat("x", 1<<20))))
	require.NoError(t, live.Start(within(t)))
	address, client := slowly(t, live)
	s := sleep(t, address, client)
	s.send(`{"func":"subscribe","type":"var","name":"big"}`)
	s.send(`{"func":"get","type":"var","name":"big"}`)
	require.ErrorContains(t, await(t, gone, "the end of the connection"), "4008")
}

// TestReplies checks that a connection that asks for more than it reads gets every
// answer in the end.
func TestReplies(t *testing.T) {
	t.Parallel()
	live, err := server.New(nil, &server.Config{MaxReplyBytes: 100_000, StallTimeout: time.Hour})
	require.NoError(t, err)
	require.NoError(t, live.Provide(memory.NewVar("big", strings.Repeat("x", 50_000))))
	require.NoError(t, live.Start(within(t)))
	address, client := slowly(t, live)
	s := sleep(t, address, client)
	s.send(`{"func":"subscribe","type":"var","name":"big"}`)
	const gets = 40
	for i := range gets {
		s.send(`{"func":"get","type":"var","name":"big"}`)
		s.send(fmt.Sprintf(`{"func":"get","type":"var","name":"none %d"}`, i))
	}
	b := s.wake()
	got := map[string]int{}
	for range 2 * gets {
		got[b.take().Func]++
	}
	require.Equal(t, map[string]int{"set": gets, "error": gets}, got)
}

// TestPings checks that a connection whose peer is gone without a word is ended.
func TestPings(t *testing.T) {
	t.Parallel()
	gone := make(chan error, 1)
	live, err := server.New(nil, &server.Config{
		PingInterval: time.Millisecond, OnDisconnect: func(_ *server.Conn, err error) { gone <- err },
	})
	require.NoError(t, err)
	require.NoError(t, live.Start(within(t)))
	address, client := slowly(t, live)
	sleep(t, address, client) // nobody reads, so nobody answers a ping
	require.ErrorContains(t, await(t, gone, "the end of the connection"), "ping")
}
