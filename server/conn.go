package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/internal/wsconn"
	"github.com/socksync/socksync/protocol"
)

// Conn is one connected peer. Its methods may be called by any goroutine. To
// follow what the peer provides, give it to the functions of package client.
type Conn struct {
	server  *Server
	peer    *peer.Peer
	socket  *wsconn.Conn
	request *http.Request
	hooks   sync.WaitGroup
}

// Identity returns the identity that is in force now.
func (c *Conn) Identity() Identity { return identityOf(c.peer.Credentials().Owner) }

// Request returns the request that opened the connection. Its body is not to be
// used.
func (c *Conn) Request() *http.Request { return c.request }

// Peer returns the connection's engine, for the functions of package client.
func (c *Conn) Peer() *peer.Peer { return c.peer }

// Close closes the connection with a WebSocket close code and a reason. It does
// not wait for the peer.
func (c *Conn) Close(code int, reason string) error {
	if err := c.socket.Close(code, reason); err != nil { // also before the peer runs
		return err
	}
	return c.peer.Close(code, reason) // nobody waits for room any more
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.peer.Done() }

// connected calls Config.OnConnect. A panic ends the connection and not the program.
func (c *Conn) connected(ctx context.Context) {
	defer func() {
		if p := recover(); p != nil {
			c.server.log.Error("OnConnect panicked", "error", p, "stack", string(debug.Stack()))
			_ = c.Close(wsconn.StatusInternalError, "internal error") // it may have ended
		}
	}()
	c.server.config.OnConnect(ctx, c)
}

// authorize asks Config.Authorize. A panic refuses the item: it must not take the
// connection's reader down.
func (c *Conn) authorize(ctx context.Context, of any, kind protocol.ItemType, name string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		if err != nil && !errors.Is(err, ErrForbidden) {
			c.server.log.Error("authorization failed", "type", kind, "name", name, "error", err)
		}
	}()
	return c.server.config.Authorize(withCaller(ctx, of), identityOf(of), Item{Type: kind, Name: name})
}

type contextKey struct{}

// ConnFrom returns the connection that a function's context belongs to, or nil.
func ConnFrom(ctx context.Context) *Conn {
	c, _ := ctx.Value(contextKey{}).(*Conn)
	return c
}
