package wsconn

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// acceptKey is the answer to a key of a handshake (RFC 6455, 4.2.2).
func acceptKey(key string) string {
	h := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(h[:])
}

func TestSubprotocols(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		ours, theirs   []string
		ofServer, ofUs string
	}{
		{"the server's order counts", []string{"v2", "v1"}, []string{"v1", "v2"}, "v2", "v2"},
		{"the server's spelling", []string{"socksync.v1"}, []string{"SockSync.V1"}, "socksync.v1", "SockSync.V1"},
		{"none in common", []string{"v2"}, []string{"v3"}, "", ""},
		{"none offered", []string{"v2"}, nil, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, conns := serve(t, &Config{Subprotocols: tt.ours})
			client, err := Dial(t.Context(), u, &Config{Subprotocols: tt.theirs})
			require.NoError(t, err)
			server := <-conns
			require.Equal(t, tt.ofServer, server.Subprotocol())
			require.Equal(t, tt.ofUs, client.Subprotocol())
			finish(client)
			finish(server)
		})
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		cfg    Config
		origin string // %HOST% is the server's
		status int
	}{
		{"no origin", Config{}, "", 101},
		{"own host", Config{}, "http://%HOST%", 101},
		{"other host", Config{}, "https://evil.example", 403},
		{"listed host", Config{OriginPatterns: []string{"*.example"}}, "https://app.example", 101},
		{"listed scheme", Config{OriginPatterns: []string{"https://app.example"}}, "https://app.example", 101},
		{"other scheme", Config{OriginPatterns: []string{"https://app.example"}}, "http://app.example", 403},
		{"not listed", Config{OriginPatterns: []string{"app.example"}}, "https://evil.example", 403},
		{"unchecked", Config{InsecureSkipVerify: true}, "https://evil.example", 101},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, conns := serve(t, &tt.cfg)
			where, err := url.Parse(u)
			require.NoError(t, err)
			header := http.Header{}
			if tt.origin != "" {
				header.Set("Origin", strings.ReplaceAll(tt.origin, "%HOST%", where.Host))
			}
			client, err := Dial(t.Context(), u, &Config{Header: header})
			if tt.status != http.StatusSwitchingProtocols {
				var he *HandshakeError
				require.ErrorAs(t, err, &he)
				require.Equal(t, tt.status, he.StatusCode)
				return
			}
			require.NoError(t, err)
			finish(client)
			finish(<-conns)
		})
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	_, err := Accept(rec, httptest.NewRequest(http.MethodGet, "/", http.NoBody), &Config{OriginPatterns: []string{"["}})
	require.ErrorIs(t, err, path.ErrBadPattern)
	require.Equal(t, http.StatusInternalServerError, rec.Code)
	_, err = Dial(t.Context(), "ws://localhost", &Config{StallTimeout: -1})
	require.Error(t, err)
	require.NoError(t, (*Config)(nil).Validate())
}

func TestAcceptRefusesPlainRequest(t *testing.T) {
	t.Parallel()
	u, _ := serve(t, nil)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(u)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusUpgradeRequired, resp.StatusCode)
}

func TestAcceptWithoutHijacker(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	_, err := Accept(rec, httptest.NewRequest(http.MethodGet, "/", http.NoBody), nil)
	require.Error(t, err)
	require.Equal(t, http.StatusNotImplemented, rec.Code)
}

// wrapped is a middleware's ResponseWriter.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestAcceptThroughMiddleware(t *testing.T) {
	t.Parallel()
	conns := make(chan *Conn, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := Accept(wrapped{w}, r, nil); err == nil {
			conns <- c
		}
	}))
	defer s.Close()
	ws := dial(t, s.URL, nil)
	require.NoError(t, ws.Write(t.Context(), websocket.MessageText, []byte("hello")))
	c := <-conns
	msg, err := c.Read()
	require.NoError(t, err)
	require.Equal(t, "hello", string(msg))
	finish(c)
}

// A client need not wait for the answer before it sends.
func TestFramesBehindHandshake(t *testing.T) {
	t.Parallel()
	u, conns := serve(t, nil)
	nc, err := net.Dial("tcp", strings.TrimPrefix(u, "http://"))
	require.NoError(t, err)
	defer func() { _ = nc.Close() }()
	all := []byte(upgradeRequest)
	big := strings.Repeat("x", 3000)
	for _, m := range []string{"one", big, "three"} {
		all = append(all, frame{text, []byte(m)}.client()...)
	}
	_, err = nc.Write(all)
	require.NoError(t, err)
	c := <-conns
	for _, want := range []string{"one", big, "three"} {
		msg, err := c.Read()
		require.NoError(t, err)
		require.Equal(t, want, string(msg))
	}
	finish(c)
}

func TestDialRefused(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusUnauthorized)
	}))
	defer s.Close()
	_, err := Dial(t.Context(), s.URL, &Config{HTTPClient: s.Client()})
	var he *HandshakeError
	require.ErrorAs(t, err, &he)
	require.Equal(t, http.StatusUnauthorized, he.StatusCode)
}

func TestDialNobody(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = Dial(t.Context(), "ws://"+l.Addr().String(), nil)
	require.Error(t, err)
	require.NotErrorAs(t, err, new(*HandshakeError))
	require.Equal(t, StatusAbnormal, CloseStatus(err))
}

func TestDialHeader(t *testing.T) {
	t.Parallel()
	token := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token <- r.Header.Get("Authorization")
		http.Error(w, "seen", http.StatusTeapot)
	}))
	defer s.Close()
	header := http.Header{"Authorization": {"Bearer x"}}
	_, err := Dial(t.Context(), s.URL, &Config{Header: header, HTTPClient: s.Client()})
	require.Error(t, err)
	require.Equal(t, "Bearer x", <-token)
	require.Len(t, header, 1, "the caller's header is not touched")
}

// The context of Dial has no say after the handshake.
func TestDialContextEnds(t *testing.T) {
	t.Parallel()
	u, conns := serve(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var out outbox
	client, err := Dial(ctx, u, &Config{Next: out.next})
	require.NoError(t, err)
	cancel()
	server := <-conns
	out.put([]byte("still here"))
	client.Flush()
	msg, err := server.Read()
	require.NoError(t, err)
	require.Equal(t, "still here", string(msg))
	finish(client)
	finish(server)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	var out, back outbox
	var s *httptest.Server
	u, conns := serve(t, &Config{Next: out.next}, func(ts *httptest.Server) {
		ts.EnableHTTP2 = true
		ts.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		s = ts
	})
	client, err := Dial(t.Context(), strings.Replace(u, "https", "wss", 1),
		&Config{Next: back.next, HTTPClient: s.Client()})
	require.NoError(t, err)
	server := <-conns
	big := []byte(strings.Repeat("0123456789", 50_000))
	out.put([]byte("first"), big)
	server.Flush()
	back.put(big, []byte("last"))
	client.Flush()
	for _, r := range []struct {
		conn *Conn
		want []string
	}{{client, []string{"first", string(big)}}, {server, []string{string(big), "last"}}} {
		for _, want := range r.want {
			msg, err := r.conn.Read()
			require.NoError(t, err)
			require.Equal(t, want, string(msg))
		}
	}
	ends := []<-chan error{readAll(client), readAll(server)}
	require.NoError(t, server.Close(4010, "restart"))
	for _, end := range ends {
		require.Equal(t, 4010, CloseStatus(<-end))
	}
}

// opaque is a RoundTripper that tells nothing about its connection.
type opaque struct{ body io.ReadCloser }

func (o opaque) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: o.body}, nil
}

func TestDialOpaqueTransport(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	_, err := Dial(t.Context(), "ws://x", &Config{HTTPClient: &http.Client{
		Transport: opaque{struct{ io.ReadWriteCloser }{near}},
	}})
	require.ErrorContains(t, err, "does not give its connection away")
}
