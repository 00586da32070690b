package sessionauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/socksync/socksync/auth/sessionauth"
	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/protocol"
	"github.com/socksync/socksync/server"
)

func TestMain(m *testing.M) {
	// The library's sessions in memory have a goroutine that cannot be ended without a data race.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/alexedwards/scs/v2/memstore.(*MemStore).startCleanup"))
}

// patience bounds what must come; it is never waited out when all is well.
const patience = time.Minute

// site is a web site with sessions and a live server.
type site struct {
	t    *testing.T
	url  string
	http *http.Client // one browser, with its cookies
}

// open starts a site. Recheck is as short as can be, so that what it finds out comes
// at once. around is the middleware that the live server is mounted behind.
func open(t *testing.T, around func(*scs.SessionManager) func(http.Handler) http.Handler) *site {
	t.Helper()
	sessions := scs.New()
	users, err := sessionauth.New(&sessionauth.Config{
		Middleware: sessions.LoadAndSave, Recheck: 20 * time.Millisecond,
		Identify: func(r *http.Request) (server.Identity, error) {
			if name := sessions.GetString(r.Context(), "user"); name != "" {
				return server.Principal{Name: name, Values: map[string]any{"user_id": name}}, nil
			}
			return nil, errors.New("nobody is signed in")
		},
	})
	require.NoError(t, err)
	live, err := server.New(nil, &server.Config{
		Authenticate: users.Authenticate, ExpiryGrace: time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}, whoami())
	require.NoError(t, err)
	require.NoError(t, live.Start(t.Context()))
	mux := http.NewServeMux()
	mux.Handle("/live", around(sessions)(live))
	mux.Handle("/sign-in", sessions.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		sessions.Put(r.Context(), "user", r.FormValue("user"))
	})))
	mux.Handle("/sign-out", sessions.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = sessions.Destroy(r.Context()) // in memory
	})))
	web := httptest.NewServer(mux)
	t.Cleanup(func() {
		require.NoError(t, live.Stop(context.Background()))
		web.Close()
	})
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &site{t: t, url: web.URL, http: &http.Client{Jar: jar, Transport: transport}}
}

func whoami() *binding.FuncDef {
	return binding.Func("whoami", func(ctx context.Context, _ struct{}) (string, error) {
		p, ok := server.IdentityFrom(ctx).(server.Principal)
		if !ok {
			return "", fmt.Errorf("the application's identity has become %T", server.IdentityFrom(ctx))
		}
		return p.Name, nil
	})
}

func (s *site) post(path string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, http.NoBody)
	require.NoError(s.t, err)
	response, err := s.http.Do(request)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, response.StatusCode)
	require.NoError(s.t, response.Body.Close())
}

// dial opens a WebSocket with the browser's cookies, as a page does.
func (s *site) dial(subprotocol string) *websocket.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, s.url+"/live", &websocket.DialOptions{
		HTTPClient: s.http, Subprotocols: []string{subprotocol},
	})
	require.NoError(s.t, err, "%+v", response)
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// whoami asks the server for the connection's name.
func (s *site) whoami(conn *websocket.Conn, id int) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(s.t, conn.Write(ctx, websocket.MessageText, []byte(`{"func":"subscribe","type":"function","name":"whoami"}`)))
	require.NoError(s.t, conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"func":"call","type":"function","name":"whoami","id":"%d"}`, id)))
	var answer struct {
		Func, Value, Message string
	}
	_, data, err := conn.Read(ctx)
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(data, &answer), "%s", data)
	return answer.Value
}

// ended reads to the end and returns its code.
func (s *site) ended(conn *websocket.Conn) int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			return int(websocket.CloseStatus(err))
		}
	}
}

// TestSessions follows a session of a real library: nobody, somebody, somebody
// else, nobody again, also where the live server is mounted behind the sessions'
// middleware, whose context holds what the session was.
func TestSessions(t *testing.T) {
	t.Parallel()
	for name, around := range map[string]func(*scs.SessionManager) func(http.Handler) http.Handler{
		"beside": func(*scs.SessionManager) func(http.Handler) http.Handler {
			return func(h http.Handler) http.Handler { return h }
		},
		"behind": func(s *scs.SessionManager) func(http.Handler) http.Handler { return s.LoadAndSave },
	} {
		for _, version := range []string{protocol.SubprotocolV1, protocol.SubprotocolV2} {
			t.Run(name+" "+version, func(t *testing.T) {
				t.Parallel()
				s := open(t, around)
				require.Equal(t, protocol.CloseRefused, s.ended(s.dial(version)))
				s.post("/sign-in?user=ann")
				conn := s.dial(version)
				require.Equal(t, "ann", s.whoami(conn, 0))
				s.post("/sign-in?user=bob")
				for id := 1; s.whoami(conn, id) != "bob"; id++ {
					require.Less(t, id, 1_000_000, "the other one never comes")
				}
				s.post("/sign-out")
				require.Equal(t, protocol.CloseCredentialsExpired, s.ended(conn))
				require.Equal(t, protocol.CloseRefused, s.ended(s.dial(version)))
			})
		}
	}
}

type key struct{}

// request is one that opens a WebSocket, as a server gets it.
func request() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/live?x=1", io.NopCloser(errReader{}))
	r.Header = http.Header{
		"Cookie": {"session=1"}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Origin": {"https://example.org"},
		"Sec-Websocket-Key": {"x"}, "Sec-Websocket-Protocol": {"socksync.v2"},
	}
	ctx := context.WithValue(r.Context(), key{}, "outer")
	return r.WithContext(context.WithValue(ctx, http.LocalAddrContextKey, net.Addr(&net.TCPAddr{Port: 7})))
}

// errReader is a body that must not be read.
type errReader struct{}

// Read implements io.Reader.
func (errReader) Read([]byte) (int, error) { panic("the body is the connection's") }

// TestWhatTheMiddlewareSees checks the request that is given to the middleware, at
// first and again, and that the original is left alone.
func TestWhatTheMiddlewareSees(t *testing.T) {
	t.Parallel()
	var seen []*http.Request
	a, err := sessionauth.New(&sessionauth.Config{
		Middleware: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen = append(seen, r)
				r.Header.Set("Seen", "yes")
				w.Header().Set("Set-Cookie", "session=2")
				w.WriteHeader(http.StatusTeapot)
				_, err := w.Write([]byte("answer"))
				require.NoError(t, err)
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "inner")))
				next.ServeHTTP(w, r) // the first one counts
			})
		},
		Identify: func(r *http.Request) (server.Identity, error) { return r.Context().Value(key{}), nil },
	})
	require.NoError(t, err)
	opened := request()
	before := opened.Clone(opened.Context()).Header
	identity, err := a.Authenticate(opened)
	for range 2 {
		require.NoError(t, err)
		require.Equal(t, "inner", identity.(server.Wrapper).Unwrap())
		r := seen[len(seen)-1]
		require.Equal(t, http.Header{"Cookie": {"session=1"}, "Origin": {"https://example.org"}, "Seen": {"yes"}}, r.Header)
		require.Equal(t, []string{"/live?x=1", opened.RemoteAddr, opened.Host}, []string{r.URL.String(), r.RemoteAddr, r.Host})
		require.Nil(t, r.Context().Value(key{}), "what was put there when the connection was made")
		require.Equal(t, 7, r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr).Port)
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.Empty(t, body)
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "later"))
		identity, err = identity.(server.Renewer).Renew(ctx)
		require.NoError(t, err)
		cancel()
		require.Error(t, seen[len(seen)-1].Context().Err(), "it ends with who asks")
	}
	require.Equal(t, before, opened.Header)
}

// TestRefusals checks who is not let in, and why it says.
func TestRefusals(t *testing.T) {
	t.Parallel()
	errNobody := errors.New("nobody")
	status := http.StatusForbidden
	refuse := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	elsewhere := func(next http.Handler) http.Handler { return http.TimeoutHandler(next, patience, "") }
	nobody := func(*http.Request) (server.Identity, error) { return nil, errNobody }
	for _, c := range []struct {
		config sessionauth.Config
		want   string
	}{
		{sessionauth.Config{Identify: nobody}, "sessionauth: nobody"},
		{sessionauth.Config{Identify: nobody, Middleware: elsewhere}, "sessionauth: nobody"},
		{sessionauth.Config{Identify: nobody, Middleware: refuse}, "answered the request itself, with status 403"},
	} {
		a, err := sessionauth.New(&c.config)
		require.NoError(t, err)
		identity, err := a.Authenticate(request())
		require.ErrorContains(t, err, c.want)
		require.True(t, identity == nil)
	}
}

// TestWhenItIsAsked checks how long an identity counts.
func TestWhenItIsAsked(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(time.Second)
	for _, c := range []struct {
		recheck        time.Duration
		until          time.Time
		earliest, last time.Duration // of the identity's end, from before and after it was made
	}{
		{0, time.Time{}, 45 * time.Second, time.Minute},
		{time.Hour, time.Time{}, 45 * time.Minute, time.Hour},
		{time.Hour, time.Now().Add(10 * time.Hour), 45 * time.Minute, time.Hour},
		{time.Nanosecond, time.Time{}, 0, time.Nanosecond},
		{time.Hour, soon, 0, 0},
	} {
		a, err := sessionauth.New(&sessionauth.Config{Recheck: c.recheck, Identify: func(*http.Request) (server.Identity, error) {
			return server.Principal{Until: c.until}, nil
		}})
		require.NoError(t, err)
		before := time.Now()
		identity, err := a.Authenticate(request())
		require.NoError(t, err)
		end := identity.(server.Expirer).Expires()
		if c.last == 0 {
			require.True(t, end.Equal(soon), "the identity's own end is earlier")
			continue
		}
		require.False(t, end.Before(before.Add(c.earliest)), "%v", c)
		require.False(t, end.After(time.Now().Add(c.last)), "%v", c)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, config := range []*sessionauth.Config{nil, {}, {
		Recheck: -1, Identify: func(*http.Request) (server.Identity, error) { return nil, errors.New("") },
	}} {
		_, err := sessionauth.New(config)
		require.ErrorContains(t, err, "sessionauth config: ")
	}
}
