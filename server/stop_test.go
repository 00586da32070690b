package server_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/protocol"
	"github.com/socksync/socksync/server"
)

// TestStopWithConnections checks that Stop closes every connection with 4010 while
// commits go on, and waits for the hooks.
func TestStopWithConnections(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	var events journal
	live := newServer(t, pool, &server.Config{
		Migrate: true,
		OnConnect: func(ctx context.Context, _ *server.Conn) {
			<-ctx.Done()
			events.add("connected")
		},
		OnDisconnect: func(*server.Conn, error) { events.add("disconnected") },
	}, listItem(), countItems())
	address := mount(t, live)
	require.NoError(t, live.Start(within(t)))
	var followers []*follower
	for i := range 8 {
		f := follow(t, address, "items", i%3, 3)
		f.value("count")
		followers = append(followers, f)
	}
	ctx, cancel := context.WithCancel(context.Background())
	wrote := make(chan error, 1)
	go func() {
		var err error
		for ctx.Err() == nil && err == nil {
			_, err = pool.Exec(context.Background(), "UPDATE items SET n = (n + 7) % 100")
		}
		wrote <- err
	}()
	require.NoError(t, live.Stop(within(t)))
	require.Len(t, events.all(), 16, "Stop has waited for all hooks")
	for _, f := range followers {
		require.Equal(t, protocol.CloseShutdown, f.ended())
	}
	require.Empty(t, live.Conns())
	cancel()
	require.NoError(t, await(t, wrote, "the writer"), "the pool serves on")
}

// TestStopWaits checks that Stop waits for a function, as long as its context does,
// and may be called again.
func TestStopWaits(t *testing.T) {
	t.Parallel()
	began, finish := make(chan struct{}), make(chan struct{})
	live := newServer(t, nil, nil, binding.Func("stubborn", func(context.Context, struct{}) (int, error) {
		close(began)
		<-finish
		return 1, nil
	}))
	address := mount(t, live)
	require.NoError(t, live.Start(within(t)))
	b := dial(t, address)
	b.send(`{"func":"subscribe","type":"function","name":"stubborn"}`)
	b.send(`{"func":"call","type":"function","name":"stubborn","id":"1"}`)
	await(t, began, "the call")

	ctx, cancel := context.WithCancelCause(context.Background())
	reason := errors.New("no patience")
	cancel(reason)
	require.ErrorIs(t, live.Stop(ctx), reason)
	require.Equal(t, protocol.CloseShutdown, b.ended(), "whoever is slow, the clients are told")
	stopped := make(chan error, 2)
	for range 2 {
		go func() { stopped <- live.Stop(context.Background()) }()
	}
	close(finish)
	for range 2 {
		require.NoError(t, await(t, stopped, "Stop"))
	}
}

// TestStopDuringHandshake checks that who is being let in when Stop comes is told
// to go elsewhere, and does not hold Stop up.
func TestStopDuringHandshake(t *testing.T) {
	t.Parallel()
	asked, decide := make(chan struct{}), make(chan error)
	live := newServer(t, nil, &server.Config{Authenticate: func(*http.Request) (server.Identity, error) {
		asked <- struct{}{}
		return nil, <-decide
	}})
	address := mount(t, live)
	require.NoError(t, live.Start(within(t)))
	dialed := make(chan *browser, 2)
	for range 2 {
		go func() {
			b, _ := dialWith(t, address, &websocket.DialOptions{Subprotocols: []string{protocol.SubprotocolV1}})
			dialed <- b
		}()
		await(t, asked, "the question")
	}
	stopped := make(chan error, 1)
	go func() { stopped <- live.Stop(context.Background()) }()
	require.Eventually(t, func() bool { return errors.Is(live.Ready(), server.ErrNotStarted) }, patience, patience/1000)
	require.Equal(t, http.StatusServiceUnavailable, get(t, address).StatusCode)

	decide <- nil
	decide <- errors.New("refused")
	codes := map[int]bool{}
	for range 2 {
		codes[await(t, dialed, "the handshake").ended()] = true
	}
	require.Equal(t, map[int]bool{protocol.CloseShutdown: true, protocol.CloseRefused: true}, codes)
	require.NoError(t, await(t, stopped, "Stop"))
}
