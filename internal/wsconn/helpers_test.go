package wsconn

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// outbox is the simplest owner of a connection: messages wait here until they
// are pulled.
type outbox struct {
	mu   sync.Mutex
	msgs [][]byte
}

func (o *outbox) put(msgs ...[]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.msgs = append(o.msgs, msgs...)
}

func (o *outbox) next(buf [][]byte) [][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	buf = append(buf, o.msgs...)
	o.msgs = nil
	return buf
}

// serve starts a real server that accepts one connection after the other.
func serve(t testing.TB, cfg *Config, configure ...func(*httptest.Server)) (url string, conns <-chan *Conn) {
	t.Helper()
	ch := make(chan *Conn, 1024)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := Accept(w, r, cfg); err == nil {
			ch <- c
		}
	}))
	for _, f := range configure {
		f(s)
	}
	if s.TLS != nil {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.URL, ch
}

// dial connects a client of the library.
func dial(t testing.TB, url string, opts *websocket.DialOptions) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), url, opts)
	require.NoError(t, err)
	ws.SetReadLimit(-1)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

// pair returns a connection over real TCP and the library's client at its other
// end.
func pair(t testing.TB, cfg *Config) (*Conn, *websocket.Conn) {
	t.Helper()
	url, conns := serve(t, cfg)
	ws := dial(t, url, nil)
	c := <-conns
	t.Cleanup(c.CloseNow)
	return c, ws
}

// finish ends a connection that no other goroutine reads, and waits until nothing
// of it runs.
func finish(c *Conn) {
	c.CloseNow()
	for _, err := c.Read(); err == nil; {
		_, err = c.Read()
	}
}

// readAll reads until the connection ends; the channel then has the error.
func readAll(c *Conn) <-chan error {
	end := make(chan error, 1)
	go func() {
		for {
			if _, err := c.Read(); err != nil {
				end <- err
				return
			}
		}
	}()
	return end
}

// readOne reads one message; the channel then has the error, or nil.
func readOne(c *Conn) <-chan error {
	end := make(chan error, 1)
	go func() {
		_, err := c.Read()
		end <- err
	}()
	return end
}

// pipeListener hands out one end of a net.Pipe, wrapped as the test wants.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn, 1), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// servePipe starts a server for one connection over an in-memory pipe without
// any buffer. It returns the client's end of the pipe.
func servePipe(t testing.TB, cfg *Config, wrap func(net.Conn) net.Conn) (far net.Conn, conns <-chan *Conn) {
	t.Helper()
	near, far := net.Pipe()
	if wrap != nil {
		near = wrap(near)
	}
	l, ch := newPipeListener(), make(chan *Conn, 1)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := Accept(w, r, cfg); err == nil {
			ch <- c
		}
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(l)
	}()
	l.conns <- near
	t.Cleanup(func() {
		_ = far.Close()
		_ = s.Close()
		<-served
	})
	return far, ch
}

// pipe returns a connection over an in-memory pipe and the pipe's other end.
func pipe(t testing.TB, cfg *Config, wrap func(net.Conn) net.Conn) (*Conn, net.Conn) {
	t.Helper()
	far, conns := servePipe(t, cfg, wrap)
	handshake(t, far)
	c := <-conns
	t.Cleanup(c.CloseNow)
	return c, far
}

// pipePair is pipe with the library's client at the other end.
func pipePair(t testing.TB, cfg *Config, wrap func(net.Conn) net.Conn, opts *websocket.DialOptions) (*Conn, *websocket.Conn) {
	t.Helper()
	far, conns := servePipe(t, cfg, wrap)
	if opts == nil {
		opts = &websocket.DialOptions{}
	}
	opts.HTTPClient = &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return far, nil },
	}}
	ws := dial(t, "http://pipe", opts)
	c := <-conns
	t.Cleanup(c.CloseNow)
	return c, ws
}

// handshake makes the client's part of a handshake by hand.
func handshake(t testing.TB, nc net.Conn) {
	t.Helper()
	_, err := io.WriteString(nc, upgradeRequest)
	require.NoError(t, err)
	// One byte at a time, so that no frame is read ahead.
	var head strings.Builder
	for b := make([]byte, 1); !strings.HasSuffix(head.String(), "\r\n\r\n"); {
		_, err := io.ReadFull(nc, b)
		require.NoError(t, err)
		head.Write(b)
	}
	require.True(t, strings.HasPrefix(head.String(), "HTTP/1.1 101 "), head.String())
}

const upgradeRequest = "GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"

// rawDial connects over TCP with a handshake by hand.
func rawDial(t testing.TB, url string) *net.TCPConn {
	t.Helper()
	nc, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	handshake(t, nc)
	return nc.(*net.TCPConn)
}

// frame is one frame as the tests read and write it: an implementation of its
// own, straight from RFC 6455.
type frame struct {
	first   byte // FIN, RSV, opcode
	payload []byte
}

const (
	text    = 0x81
	closing = 0x88
	pinging = 0x89
	ponging = 0x8a
)

// client returns the frame as a client sends it, with the mask 1 2 3 4.
func (f frame) client() []byte {
	key := [4]byte{1, 2, 3, 4}
	b := f.server()
	b[1] |= 0x80
	n := len(b) - len(f.payload)
	out := slices.Concat(b[:n], key[:])
	for i, c := range f.payload {
		out = append(out, c^key[i%4])
	}
	return out
}

// server returns the frame without a mask.
func (f frame) server() []byte {
	b := []byte{f.first}
	switch n := len(f.payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, f.payload...)
}

// readFrame reads one frame, masked or not.
func readFrame(r io.Reader) (f frame, err error) {
	var h [2]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return f, err
	}
	size := uint64(h[1] & 0x7f)
	if size >= 126 {
		ext := make([]byte, 8)
		part := ext[6:]
		if size == 127 {
			part = ext
		}
		if _, err := io.ReadFull(r, part); err != nil {
			return f, err
		}
		size = binary.BigEndian.Uint64(ext)
	}
	var key [4]byte
	if h[1]&0x80 != 0 {
		if _, err := io.ReadFull(r, key[:]); err != nil {
			return f, err
		}
	}
	f = frame{first: h[0], payload: make([]byte, size)}
	_, err = io.ReadFull(r, f.payload)
	for i := range f.payload {
		f.payload[i] ^= key[i%4]
	}
	return f, err
}

// closePayload is the payload of a close frame.
func closePayload(code int, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}
