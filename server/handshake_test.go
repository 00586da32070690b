package server_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/socksync/socksync/server"
)

// withHeader are options for a handshake with one header.
func withHeader(name, value string, subprotocols ...string) *websocket.DialOptions {
	return &websocket.DialOptions{HTTPHeader: http.Header{name: []string{value}}, Subprotocols: subprotocols}
}

// user is an identity.
type user struct{ name string }

// signIn lets in who gives a name.
func signIn(r *http.Request) (server.Identity, error) {
	if name := r.Header.Get("User"); name != "" {
		return user{name}, nil
	}
	return nil, errors.New("no name given")
}

// whoami is a function that knows its caller.
func whoami() *binding.FuncDef {
	return binding.Func("whoami", func(ctx context.Context, _ struct{}) (string, error) {
		u, ok := server.IdentityFrom(ctx).(user)
		if !ok || server.ConnFrom(ctx).Identity() != u {
			return "", server.PublicError("nobody")
		}
		return u.name, nil
	})
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	_, address := serve(t, nil, &server.Config{Authenticate: signIn}, whoami())

	ann, _ := dialWith(t, address, withHeader("User", "ann"))
	bob, _ := dialWith(t, address, withHeader("User", "bob", "socksync.v1"))
	for name, b := range map[string]*browser{"ann": ann, "bob": bob} {
		b.send(`{"func":"subscribe","type":"function","name":"whoami"}`)
		require.Equal(t, `"`+name+`"`, b.result("whoami", "1", "{}"))
	}

	for _, offers := range [][]string{nil, {"chat"}} {
		b, response := dialWith(t, address, &websocket.DialOptions{Subprotocols: offers})
		require.Nil(t, b, offers)
		require.Equal(t, http.StatusUnauthorized, response.StatusCode, offers)
	}
	for _, offers := range [][]string{{"socksync.v1"}, {"socksync.v2"}, {"chat", "socksync.v2", "socksync.v1"}} {
		b, _ := dialWith(t, address, &websocket.DialOptions{Subprotocols: offers})
		require.NotNil(t, b, offers)
		require.Equal(t, protocol.CloseRefused, b.ended(), offers)
	}
	require.Equal(t, http.StatusUnauthorized, get(t, address).StatusCode, "no WebSocket at all")
}

// TestIdentityOfNobody checks the zero configuration.
func TestIdentityOfNobody(t *testing.T) {
	t.Parallel()
	require.Nil(t, server.IdentityFrom(context.Background()))
	require.Nil(t, server.ConnFrom(context.Background()))
	live, address := serve(t, nil, nil, whoami())
	b := dial(t, address)
	b.send(`{"func":"subscribe","type":"function","name":"whoami"}`)
	require.Equal(t, "nobody", b.callFails("whoami"))
	c := live.Conns()[0]
	require.Nil(t, c.Identity())
	require.Equal(t, "/ws/socksync/", c.Request().URL.Path)
}

func (b *browser) callFails(name string) string {
	b.t.Helper()
	b.send(`{"func":"call","type":"function","name":%q,"id":"x"}`, name)
	return b.refused(8).Message
}

// TestAuthorize checks that what is refused looks like what does not exist.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	forbidden := func(ctx context.Context, who server.Identity, what server.Item) error {
		switch {
		case server.IdentityFrom(ctx) != who:
			return errors.New("the context is another's")
		case what.Name == "panics":
			panic("authorize")
		case what.Name == "secret" && who != user{"root"}:
			return server.ErrForbidden
		}
		return nil
	}
	live, address := serve(t, nil, &server.Config{Authenticate: signIn, Authorize: forbidden}, whoami(),
		binding.Func("secret", func(context.Context, struct{}) (int, error) { return 42, nil }))
	require.NoError(t, live.Provide(memory.NewVar("secret", 1), memory.NewList[int]("secret", nil), memory.NewVar("panics", 1), memory.NewVar("open", 1)))

	ann, _ := dialWith(t, address, withHeader("User", "ann"))
	for _, kind := range []string{"var", "list", "function"} {
		for _, f := range []string{"subscribe", "get", "call", "unsubscribe", "set", "nonsense"} {
			ann.send(`{"func":%q,"type":%q,"name":"secret","id":"1"}`, f, kind)
			told := ann.refused(3, f, kind)
			ann.send(`{"func":%q,"type":%q,"name":"no such","id":"1"}`, f, kind)
			require.Equal(t, ann.refused(3, f, kind), told, "%s %s: it must not show that there is such an item", f, kind)
		}
	}
	ann.send(`{"func":"subscribe","type":"var","name":"panics"}`)
	ann.refused(3)
	require.Equal(t, "1", ann.value("open"))

	root, _ := dialWith(t, address, withHeader("User", "root"))
	require.Equal(t, "1", root.value("secret"))
	require.Empty(t, root.list("secret", 0, 1).Items)
	root.send(`{"func":"subscribe","type":"function","name":"secret"}`)
	require.Equal(t, "42", root.result("secret", "1", "{}"))
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	_, address := serve(t, nil, &server.Config{Origins: []string{"app.example", "*.trusted.example", "https://only.tls"}})
	_, everybody := serve(t, nil, &server.Config{Origins: []string{"*"}})
	host := strings.TrimSuffix(httpOf(address), "/ws/socksync/")
	for origin, allowed := range map[string]bool{
		"":                             true, // no browser
		host:                           true,
		"https://app.example":          true,
		"http://app.example":           true,
		"https://a.trusted.example":    true,
		"https://only.tls":             true,
		"http://only.tls":              false,
		"https://evil.example":         false,
		"https://app.example.evil.com": false,
		"https://evilapp.example":      false,
		"null":                         false,
	} {
		options := &websocket.DialOptions{}
		if origin != "" {
			options = withHeader("Origin", origin)
		}
		b, response := dialWith(t, address, options)
		require.Equal(t, allowed, b != nil, origin)
		if !allowed {
			require.Equal(t, http.StatusForbidden, response.StatusCode, origin)
		}
		if origin != "null" {
			b, _ = dialWith(t, everybody, options)
			require.NotNil(t, b, origin)
		}
	}
}

// TestSubprotocols checks that the best version that is offered is spoken, version 1 without an offer, and
// that it is named only to who offered it.
func TestSubprotocols(t *testing.T) {
	t.Parallel()
	live, address := serve(t, nil, nil)
	require.NoError(t, live.Provide(memory.NewVar("v", 1)))
	for _, c := range []struct {
		offers []string
		chosen string
	}{
		{nil, ""},
		{[]string{"socksync.v1"}, "socksync.v1"},
		{[]string{"socksync.v2", "socksync.v1"}, "socksync.v2"},
		{[]string{"socksync.v1", "socksync.v2"}, "socksync.v2"},
		{[]string{"chat", "socksync.v1"}, "socksync.v1"},
		{[]string{"socksync.v2"}, "socksync.v2"},
		{[]string{"socksync.v3"}, ""},
		{[]string{"chat"}, ""},
	} {
		b, response := dialWith(t, address, &websocket.DialOptions{Subprotocols: c.offers})
		require.NotNil(t, b, c.offers)
		require.Equal(t, c.chosen, response.Header.Get("Sec-WebSocket-Protocol"), c.offers)
		require.Equal(t, "1", b.value("v"), c.offers)
		b.send(`{"func":"get","type":"var","name":"x","id":"a"}`)
		want := message{Func: "error", ErrorCode: 3, Message: "no such item"}
		if c.chosen == "socksync.v2" {
			want.Type, want.Name, want.ID = "var", "x", "a"
		}
		require.Equal(t, want, b.take(), c.offers)
	}
}

// get makes a plain request. The body has been read.
func get(t testing.TB, address string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(within(t), http.MethodGet, httpOf(address), http.NoBody)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, errors.Join(err, response.Body.Close()))
	return response
}

// TestPlainRequests checks what is answered to who does not want a WebSocket, or
// wants one too early or too late.
func TestPlainRequests(t *testing.T) {
	t.Parallel()
	live, err := server.New(nil, nil)
	require.NoError(t, err)
	address := mount(t, live)

	unavailable := func(about string) {
		t.Helper()
		require.ErrorIs(t, live.Ready(), server.ErrNotStarted, about)
		require.Equal(t, http.StatusServiceUnavailable, get(t, address).StatusCode, about)
		b, response := dialWith(t, address, nil)
		require.Nil(t, b, about)
		require.Equal(t, http.StatusServiceUnavailable, response.StatusCode, about)
	}
	unavailable("before Start")
	require.NoError(t, live.Start(within(t)))
	require.NoError(t, live.Ready())
	require.Equal(t, http.StatusUpgradeRequired, get(t, address).StatusCode)
	dial(t, address)
	require.NoError(t, live.Stop(within(t)))
	unavailable("after Stop")
}
