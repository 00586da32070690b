package wsconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"

	"github.com/coder/websocket"
)

// Dial connects to a WebSocket URL (ws, wss, http or https). The context bounds
// the handshake only. If the server answered but refused, the error is a
// *HandshakeError. The client's transport must say through net/http/httptrace
// which connection it uses, as http.Transport does, or give a net.Conn as the
// body of its response.
func Dial(ctx context.Context, url string, cfg *Config) (*Conn, error) {
	full, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := newConn(&full)
	c.link.client = true
	client := *full.HTTPClient
	client.Transport = &upgrader{base: client.Transport, link: &c.link}
	//nolint:bodyclose // the library owns the body
	ws, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient:   &client,
		HTTPHeader:   full.Header,
		Subprotocols: full.Subprotocols,
	})
	if err != nil {
		if resp != nil {
			err = &HandshakeError{StatusCode: resp.StatusCode, Err: err}
		}
		return nil, fmt.Errorf("wsconn: dial %s: %w", url, err)
	}
	c.open(ws, &full)
	return c, nil
}

// upgrader is a RoundTripper that hands the library the link as the body of the
// response that switches protocols.
type upgrader struct {
	base http.RoundTripper // nil: http.DefaultTransport
	link *link
}

// RoundTrip implements http.RoundTripper.
func (u *upgrader) RoundTrip(req *http.Request) (*http.Response, error) {
	base := u.base
	if base == nil {
		base = http.DefaultTransport
	}
	var used lastConn
	trace := &httptrace.ClientTrace{GotConn: used.set}
	resp, err := base.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return resp, err
	}
	body, ok := resp.Body.(io.ReadWriteCloser)
	nc, isConn := resp.Body.(net.Conn)
	if !isConn {
		nc = used.get()
	}
	if !ok || nc == nil {
		_ = resp.Body.Close()
		return nil, errors.New("wsconn: the HTTP transport does not give its connection away")
	}
	u.link.attach(nc, body, body)
	resp.Body = u.link
	return resp, nil
}

// lastConn is the connection that a transport used last for a request.
type lastConn struct {
	mu sync.Mutex // the transport may report from another goroutine
	nc net.Conn
}

func (c *lastConn) set(info httptrace.GotConnInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nc = info.Conn
}

func (c *lastConn) get() net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nc
}
