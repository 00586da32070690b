package peer

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/socksync/socksync/internal/wsconn"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// running is a Peer at one end of a real WebSocket.
type running struct {
	*Peer
	stall time.Duration // of the socket
	ended chan error    // of Run
}

// serve runs a peer on the connection that a request becomes.
func serve(t testing.TB, w http.ResponseWriter, r *http.Request, p *running) {
	conn, err := wsconn.Accept(w, r, p.socket())
	if err != nil {
		t.Errorf("accept: %v", err)
		return
	}
	p.run(conn)
}

// dial runs a peer on a connection to a URL.
func dial(t testing.TB, url string, p *running) {
	t.Helper()
	conn, err := wsconn.Dial(t.Context(), url, p.socket())
	require.NoError(t, err)
	go p.run(conn)
}

func newRunning(cfg *Config) *running {
	if cfg == nil {
		cfg = new(Config)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &running{Peer: New(cfg), ended: make(chan error, 1)}
}

func (p *running) socket() *wsconn.Config {
	return &wsconn.Config{Next: p.Next, ReadLimit: p.cfg.Limits.MessageBytes, StallTimeout: p.stall}
}

// testKey is for what tests put into the context of Run.
type testKey struct{}

func (p *running) run(conn Conn) {
	p.ended <- p.Run(context.WithValue(context.Background(), testKey{}, "carried"), conn)
}

// stop closes the connection and waits for Run.
func (p *running) stop(t testing.TB) {
	t.Helper()
	require.NoError(t, p.Close(1000, ""))
	select {
	case <-p.ended:
	case <-t.Context().Done():
	}
}

// newServer returns the URL of a WebSocket whose connections are handled by
// handle.
func newServer(t testing.TB, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return "ws" + s.URL[len("http"):]
}

// patient is how long a test waits for what must come, on however slow a machine.
const patient = 30 * time.Second

// raw is a WebSocket without any knowledge of the protocol: what a tester holds.
type raw struct {
	t  testing.TB
	ws *websocket.Conn
}

// rawDial makes a tester that dials the peer.
func rawDial(t testing.TB, p *running) *raw {
	t.Helper()
	url := newServer(t, func(w http.ResponseWriter, r *http.Request) { serve(t, w, r, p) })
	ws, resp, err := websocket.Dial(t.Context(), url, nil)
	require.NoError(t, err)
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	ws.SetReadLimit(-1)
	return &raw{t, ws}
}

// rawAccept makes a tester that the peer dials.
func rawAccept(t testing.TB, p *running) *raw {
	t.Helper()
	accepted := make(chan *websocket.Conn, 1)
	url := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("accept: %v", err)
		}
		accepted <- ws
	})
	dial(t, url, p)
	ws := <-accepted
	ws.SetReadLimit(-1)
	return &raw{t, ws}
}

// send sends text messages.
func (r *raw) send(messages ...string) {
	r.t.Helper()
	for _, m := range messages {
		require.NoError(r.t, r.ws.Write(r.t.Context(), websocket.MessageText, []byte(m)))
	}
}

// read returns the next message.
func (r *raw) read() string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patient)
	defer cancel()
	kind, data, err := r.ws.Read(ctx)
	require.NoError(r.t, err)
	require.Equal(r.t, websocket.MessageText, kind)
	return string(data)
}

// expect reads messages and compares them byte for byte.
func (r *raw) expect(messages ...string) {
	r.t.Helper()
	for _, m := range messages {
		require.Equal(r.t, m, r.read())
	}
}

// expectError reads an error message with a code.
func (r *raw) expectError(code protocol.Code) {
	r.t.Helper()
	f, err := protocol.Parse([]byte(r.read()))
	require.NoError(r.t, err)
	require.Equal(r.t, protocol.FuncError, f.Func)
	require.Equal(r.t, code, f.PeerError().Code)
	require.NotEmpty(r.t, f.PeerError().Message)
}

// fence waits until the peer has dealt with everything: of a name that nobody
// provides comes error 3.
func (r *raw) fence() {
	r.t.Helper()
	r.send(`{"func":"subscribe","type":"var","name":"nobody provides this"}`)
	r.expectError(protocol.InvalidName)
}

// close ends the connection and waits for the peer.
func (r *raw) close(p *running) {
	r.t.Helper()
	_ = r.ws.Close(websocket.StatusNormalClosure, "")
	<-p.ended
}
