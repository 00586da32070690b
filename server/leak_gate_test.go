package server_test

import (
	"context"
	"net"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/server"
)

// gates are a server's listener whose next connection may get a gate.
type gates struct {
	net.Listener
	mu   sync.Mutex
	next *gate
}

// gate holds up what the server writes to a connection.
type gate struct {
	mu     sync.Mutex
	moved  sync.Cond
	closed bool
	stuck  bool // a write waits
}

func (g *gates) mount(t testing.TB, live *server.Server) string {
	t.Helper()
	web := httptest.NewUnstartedServer(live)
	g.Listener, web.Listener = web.Listener, g
	web.Start()
	t.Cleanup(func() {
		require.NoError(t, live.Stop(context.Background()))
		web.Close()
	})
	return url(web)
}

// arm gives the next connection a gate, which is open.
func (g *gates) arm() *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next = &gate{}
	g.next.moved.L = &g.next.mu
	return g.next
}

// Accept implements net.Listener.
func (g *gates) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil || g.next == nil {
		return conn, err
	}
	gated := &gatedConn{conn, g.next}
	g.next = nil
	return gated, nil
}

type gatedConn struct {
	net.Conn
	gate *gate
}

// Write implements net.Conn.
func (c *gatedConn) Write(p []byte) (int, error) {
	c.gate.mu.Lock()
	for c.gate.closed {
		c.gate.stuck = true
		c.gate.moved.Broadcast()
		c.gate.moved.Wait()
	}
	c.gate.stuck = false
	c.gate.mu.Unlock()
	return c.Conn.Write(p)
}

func (g *gate) set(closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = closed
	g.moved.Broadcast()
}

// await waits until a write is held up.
func (g *gate) await() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for !g.stuck {
		g.moved.Wait()
	}
}
