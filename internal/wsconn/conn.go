package wsconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/coder/websocket"
)

// Conn is one WebSocket connection. Read belongs to one goroutine at a time;
// everything else may be called by any goroutine at any time, also by Next.
type Conn struct {
	subprotocol string
	ws          *websocket.Conn
	link        link // the writing; has its own lock

	// Owned by the goroutine that reads.
	message *[]byte // pooled; nil while none is lent out
	err     error   // of every Read from now on
}

// newConn returns a Conn to attach a socket and the library to.
func newConn(cfg *Config) *Conn {
	return &Conn{link: link{
		next: cfg.Next, wheel: cfg.Wheel,
		stall: cfg.StallTimeout, linger: cfg.CloseTimeout,
	}}
}

// attach gives the link its socket.
func (l *link) attach(nc net.Conn, in io.Reader, closer io.Closer) {
	l.nc, l.in, l.closer = nc, in, closer
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		l.resumable = true
	}
}

// open starts the connection after the handshake.
func (c *Conn) open(ws *websocket.Conn, cfg *Config) {
	c.ws, c.link.ws = ws, ws
	c.subprotocol = ws.Subprotocol()
	for _, s := range cfg.Subprotocols {
		if strings.EqualFold(s, c.subprotocol) {
			c.subprotocol = s // the library keeps the peer's spelling
		}
	}
	ws.SetReadLimit(cfg.ReadLimit)
	c.link.wheel.add(&c.link)
}

// Subprotocol is the subprotocol agreed on, as Config.Subprotocols spells it, or
// "" if there is none.
func (c *Conn) Subprotocol() string { return c.subprotocol }

// Flush has Next called soon, by another goroutine. It never blocks; calls in
// quick succession become one. After Close it does nothing.
func (c *Conn) Flush() { c.link.flush() }

// Close starts to close the connection with a close frame and returns at once.
// Before the close frame goes what is being written and, if Flush was called
// before, what Next returns once more. Whatever the peer sends until its own
// close frame is discarded; Read fails when that is here, or after
// Config.CloseTimeout. Only the first reason to close counts: further calls do
// nothing. An error means that the code cannot be sent, and 1011 was instead. A
// reason that is too long is cut.
//
// Go on calling Read after Close. If nobody does, the socket is closed after
// CloseTimeout, and the peer may get a reset instead of the close frame.
func (c *Conn) Close(code int, reason string) error {
	if !validCode(code) {
		c.link.bye(&CloseError{Code: StatusInternalError})
		return fmt.Errorf("wsconn: close code %d cannot be sent", code)
	}
	c.link.bye(&CloseError{Code: code, Reason: validReason(reason)})
	return nil
}

// CloseNow closes the socket without a close frame. Read then fails at once. It
// may be called in any state and more than once.
func (c *Conn) CloseNow() {
	c.link.fail(fmt.Errorf("wsconn: %w", net.ErrClosed))
}

// Read waits for the next text message and returns it. The bytes are good, and
// may be modified, until the next Read. They are not checked to be UTF-8: close
// with StatusInvalidPayload if they are not. A binary message closes the
// connection with StatusUnsupported, one over the limit with StatusTooBig.
//
// When Read fails, the connection is over (see the package comment), and every
// further Read returns the same error: a *CloseError if it ended with a close
// frame, ErrNoPong, net.ErrClosed after CloseNow, or what happened to the socket.
func (c *Conn) Read() ([]byte, error) {
	c.recycle()
	if c.err != nil {
		return nil, c.err
	}
	msg, err := c.read()
	if err == nil && !c.link.isClosing() {
		return msg, nil
	}
	c.recycle()
	c.err = c.end(err)
	return nil, c.err
}

// read reads one message of any type.
func (c *Conn) read() ([]byte, error) {
	typ, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return nil, fmt.Errorf("wsconn: read: %w", err)
	}
	if typ != websocket.MessageText {
		return nil, c.Close(StatusUnsupported, "binary message")
	}
	return c.fill(r)
}

// messages are the buffers that messages are read into. An idle connection has
// none.
var messages = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

// fill reads the whole message into a pooled buffer, which grows with what has
// come, not with what was announced.
func (c *Conn) fill(r io.Reader) ([]byte, error) {
	c.message, _ = messages.Get().(*[]byte)
	b := (*c.message)[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		*c.message = b
		switch {
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return nil, fmt.Errorf("wsconn: read message: %w", err)
		}
	}
}

// recycle takes the buffer of the last message back.
func (c *Conn) recycle() {
	const keep = 64 << 10
	if c.message != nil && cap(*c.message) <= keep {
		messages.Put(c.message)
	}
	c.message = nil
}

// end brings the connection to its end and returns why it ended. err is what the
// library said, nil if this end is closing.
func (c *Conn) end(err error) error {
	cause := c.settle(err)
	if c.link.readErr != nil {
		c.link.fail(cause)
	} else {
		// Discards what the peer sends until its close frame, unless that has come.
		// The frame that the library would send does not get past the link, which
		// has its own.
		_ = c.ws.Close(websocket.StatusNormalClosure, "")
	}
	c.link.wait()
	return cause
}

// settle finds out why the connection ends: what happened first counts.
func (c *Conn) settle(err error) error {
	l := &c.link
	l.mu.Lock()
	defer l.mu.Unlock()
	var ce websocket.CloseError
	switch {
	case l.cause != nil:
	case errors.As(err, &ce):
		l.cause = &CloseError{Code: int(ce.Code), Reason: ce.Reason, Remote: true}
	case l.byLibrary != nil:
		l.cause = l.byLibrary
	case l.readErr != nil:
		l.cause = fmt.Errorf("wsconn: connection lost: %w", l.readErr)
	default: // the library says nothing to the peer about some violations
		e := &CloseError{Code: StatusProtocolError, Reason: "protocol error"}
		l.cause = e
		l.beginClose(closeFrame(e.Code, e.Reason, l.client))
	}
	return l.cause
}
