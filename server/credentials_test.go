package server_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/socksync/socksync/server"
)

// logbook is a log that a test reads.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// logger writes all there is to a logbook.
func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// named is an identity for a name: with values, and an end if there is one.
func named(name string, until time.Time) server.Identity {
	return server.Principal{Name: name, Values: map[string]any{"user": name}, Until: until}
}

// nameOf is the name of an identity of named, or "nobody".
func nameOf(identity server.Identity) string {
	if p, ok := identity.(server.Principal); ok {
		return p.Name
	}
	return "nobody"
}

// byToken takes tokens such as "ann" and "ann expires"; it panics at "panic".
func byToken(_ context.Context, c *server.Conn, token string) (server.Identity, error) {
	name, ends, _ := strings.Cut(token, " ")
	switch {
	case name == "panic":
		panic("storm")
	case name == "void":
		return server.Principal{Name: "void", Values: map[string]any{"bad": struct{}{}}}, nil
	case name == "nobody":
		return nil, nil //nolint:nilnil // a token for nobody
	case name != "ann" && name != "bob":
		return nil, errors.New("no such user")
	case c.Request() == nil:
		return nil, errors.New("no connection")
	case ends != "":
		return named(name, time.Now().Add(time.Hour+time.Second/2)), nil
	}
	return named(name, time.Time{}), nil
}

// asks is a server's configuration in which ann may use everything and others what
// is not ann's. It says who asked and in whose name the context is.
func asks() *server.Config {
	return &server.Config{
		AuthenticateToken: byToken,
		Authorize: func(ctx context.Context, who server.Identity, what server.Item) error {
			if nameOf(who) != nameOf(server.IdentityFrom(ctx)) {
				return errors.New("the context is another's")
			}
			if strings.HasPrefix(what.Name, "ann's") && nameOf(who) != "ann" {
				return server.ErrForbidden
			}
			return nil
		},
	}
}

// caller is a function that says who calls and whose the connection is.
func caller() *binding.FuncDef {
	return binding.Func("caller", func(ctx context.Context, _ struct{}) (string, error) {
		return nameOf(server.IdentityFrom(ctx)) + " " + nameOf(server.ConnFrom(ctx).Identity()), nil
	})
}

func dialV2(t *testing.T, address string) *browser {
	t.Helper()
	b, _ := dialWith(t, address, withHeader("X", "x", "socksync.v2"))
	require.NotNil(t, b)
	return b
}

// subscribe subscribes and waits until that is done.
func (b *browser) subscribe(kind, name string) {
	b.t.Helper()
	b.send(`{"func":"subscribe","type":%q,"name":%q,"id":"s"}`, kind, name)
	require.Equal(b.t, message{Func: "ok", ID: "s"}, b.take())
}

// authenticate sends a token and returns the answer.
func (b *browser) authenticate(token string) message {
	b.t.Helper()
	b.send(`{"func":"authenticate","token":%q,"id":"a"}`, token)
	m := b.take()
	require.Equal(b.t, "a", m.ID, "%+v", m)
	return m
}

// TestAuthenticateToken checks that a token changes who the connection is, for
// functions and for what may be used, and that a refused one changes nothing.
func TestAuthenticateToken(t *testing.T) {
	t.Parallel()
	var log logbook
	config := asks()
	config.Log = log.logger()
	live, address := serve(t, nil, config, caller())
	require.NoError(t, live.Provide(memory.NewVar("ann's", 1), memory.NewVar("all", 2)))
	b := dialV2(t, address)
	b.subscribe("function", "caller")
	b.subscribe("var", "all")
	refused := func() {
		t.Helper()
		b.send(`{"func":"subscribe","type":"var","name":"ann's","id":"s"}`)
		require.Equal(t, message{
			Func: "error", Type: "var", Name: "ann's", ID: "s",
			ErrorCode: int(protocol.Forbidden), Message: "forbidden",
		}, b.take())
	}
	refused()
	require.Equal(t, `"nobody nobody"`, b.result("caller", "1", "{}"))

	require.Equal(t, message{Func: "ok", ID: "a"}, b.authenticate("ann"))
	require.Equal(t, `"ann ann"`, b.result("caller", "2", "{}"))
	b.subscribe("var", "ann's")
	for _, bad := range []string{"eve-hidden", "panic hidden", "void hidden"} {
		require.Equal(t, int(protocol.Forbidden), b.authenticate(bad).ErrorCode, bad)
		require.Equal(t, `"ann ann"`, b.result("caller", "3", "{}"))
	}
	require.NotContains(t, log.String(), "hidden")
	for _, told := range []string{"no such user", "storm", `identity value \"bad\" of type struct {}`} {
		require.Contains(t, log.String(), told)
	}

	ok := b.authenticate("ann expires")
	require.Equal(t, 3600, *ok.ExpiresIn)
	b.send(`{"func":"authenticate","token":"bob","id":"a"}`)
	require.Equal(t, message{Func: "error", Type: "var", Name: "ann's", ErrorCode: int(protocol.Forbidden), Message: "forbidden"}, b.take())
	require.Equal(t, message{Func: "ok", ID: "a"}, b.take())
	require.Equal(t, `"bob bob"`, b.result("caller", "4", "{}"))
	refused()
	b.authenticate("nobody")
	require.Equal(t, `"nobody nobody"`, b.result("caller", "5", "{}"))
	require.Nil(t, live.Conns()[0].Identity())
}

// TestNoAuthenticateToken checks a server that takes no tokens.
func TestNoAuthenticateToken(t *testing.T) {
	t.Parallel()
	_, address := serve(t, nil, nil)
	require.Equal(t, int(protocol.Other), dialV2(t, address).authenticate("ann").ErrorCode)
}

// TestSetIdentity checks that the program can change who a connection is, also by a
// function that the client calls.
func TestSetIdentity(t *testing.T) {
	t.Parallel()
	signIn := binding.Func("sign_in", func(ctx context.Context, args struct {
		Name string `json:"name"`
	},
	) (string, error) {
		err := server.ConnFrom(ctx).SetIdentity(named(args.Name, time.Time{}))
		return nameOf(server.IdentityFrom(ctx)), err
	})
	live, address := serve(t, nil, asks(), caller(), signIn)
	mine := memory.NewVar("ann's", 1)
	require.NoError(t, live.Provide(mine))
	b, old := dialV2(t, address), dial(t, address)
	b.subscribe("function", "caller")
	b.subscribe("function", "sign_in")
	require.Equal(t, int(protocol.Forbidden), b.call("sign_in", "1", `{"name":"ann"}`).ErrorCode, "the result is for who has called")
	require.Equal(t, `"ann ann"`, b.result("caller", "2", "{}"))
	b.subscribe("var", "ann's")
	old.send(`{"func":"get","type":"var","name":"ann's"}`)
	old.refused(int(protocol.InvalidName))

	for _, c := range live.Conns() {
		require.NoError(t, c.SetIdentity(named("ann", time.Time{})))
		require.Equal(t, "ann", nameOf(c.Identity()))
	}
	require.Equal(t, "1", old.value("ann's"))
	b.send(`{"func":"get","type":"var","name":"ann's","id":"g"}`)
	require.JSONEq(t, "1", b.set("ann's"))
	for _, c := range live.Conns() {
		require.NoError(t, c.SetIdentity(nil))
	}
	require.NoError(t, mine.Set(2))
	old.refused(int(protocol.InvalidName))
	require.Empty(t, b.refused(int(protocol.Forbidden)).ID)
	require.Equal(t, `"nobody nobody"`, b.result("caller", "3", "{}"), "and nothing of the new value")
}

// TestSetBadIdentity checks that a connection whose new identity cannot be used does
// not go on as who it was.
func TestSetBadIdentity(t *testing.T) {
	t.Parallel()
	config := asks()
	config.Log = quietLog
	c, b := connection(t, config, caller())
	require.NoError(t, c.SetIdentity(named("ann", time.Time{})))
	require.ErrorContains(t, c.SetIdentity(server.Principal{Values: map[string]any{"team": struct{}{}}}), `identity value "team" of type struct {}`)
	require.Equal(t, protocol.CloseRefused, b.ended())
	require.NoError(t, c.SetIdentity(named("bob", time.Time{})), "a connection that has ended takes any")
}

// TestBadIdentity checks who is not let in: an identity that no list can use, and one
// that could not be found because the program panicked. Neither is waited for.
func TestBadIdentity(t *testing.T) {
	t.Parallel()
	var log logbook
	_, address := serve(t, nil, &server.Config{
		Log: log.logger(),
		Authenticate: func(r *http.Request) (server.Identity, error) {
			if r.Header.Get("X") == "panic" {
				panic("storm")
			}
			return server.Principal{Values: map[string]any{"team": "hidden\x00"}}, nil
		},
	})
	for _, x := range []string{"panic", "x"} {
		b, _ := dialWith(t, address, withHeader("X", x, "socksync.v1"))
		require.Equal(t, protocol.CloseRefused, b.ended(), x)
		b, response := dialWith(t, address, withHeader("X", x))
		require.Nil(t, b)
		require.Equal(t, http.StatusUnauthorized, response.StatusCode, x)
	}
	require.Contains(t, log.String(), "storm")
	require.Contains(t, log.String(), `level=ERROR msg="an identity has a value that no list or var can use`)
	require.NotContains(t, log.String(), "hidden")
}

// expired is a server where everybody's identity has ended, and is followed by what
// renew says.
func expired(t *testing.T, grace time.Duration, renew func(context.Context) (server.Identity, error)) (address string) {
	t.Helper()
	config := asks()
	config.ExpiryGrace, config.Log = grace, quietLog
	config.Authenticate = func(*http.Request) (server.Identity, error) {
		ended := named("ann", time.Now().Add(-time.Second))
		if renew == nil {
			return ended, nil
		}
		return visit{of: ended, until: time.Now().Add(-time.Second), renew: renew}, nil
	}
	_, address = serve(t, nil, config, caller())
	return address
}

// TestExpiry checks what becomes of connections whose identity has ended.
func TestExpiry(t *testing.T) {
	t.Parallel()
	failing := func(context.Context) (server.Identity, error) { return nil, errors.New("signed out") }
	panicking := func(context.Context) (server.Identity, error) { panic("storm") }
	ended := func(context.Context) (server.Identity, error) { return named("ann", time.Now()), nil }
	for _, renew := range []func(context.Context) (server.Identity, error){nil, failing, panicking, ended} {
		short, long := expired(t, time.Millisecond, renew), expired(t, 0, renew)
		require.Equal(t, protocol.CloseCredentialsExpired, dial(t, long).ended(), "version 1 cannot renew")
		b := dialV2(t, short)
		b.refused(int(protocol.CredentialsExpired))
		require.Equal(t, protocol.CloseCredentialsExpired, b.ended())

		b = dialV2(t, long)
		b.refused(int(protocol.CredentialsExpired))
		b.send(`{"func":"subscribe","type":"function","name":"caller","id":"1"}`)
		require.Equal(t, "1", b.refused(int(protocol.CredentialsExpired)).ID)
		require.Equal(t, message{Func: "ok", ID: "a"}, b.authenticate("bob"))
		b.subscribe("function", "caller")
		require.Equal(t, `"bob bob"`, b.result("caller", "2", "{}"))
	}
}

// TestRenewer checks that an identity that renews itself goes on without a word.
func TestRenewer(t *testing.T) {
	t.Parallel()
	var followed visit
	followed = visit{of: named("bob", time.Time{}), renew: func(context.Context) (server.Identity, error) { return followed, nil }}
	address := expired(t, 0, func(ctx context.Context) (server.Identity, error) {
		if nameOf(server.IdentityFrom(ctx)) != "ann" || server.ConnFrom(ctx) == nil {
			return nil, errors.New("the context is another's")
		}
		return followed, nil
	})
	for _, b := range []*browser{dialV2(t, address), dial(t, address)} {
		b.send(`{"func":"subscribe","type":"function","name":"caller"}`)
		require.Equal(t, `"bob bob"`, b.result("caller", "1", "{}"))
	}
}

// TestResultsAreForTheCaller checks that the result of a function goes to who has
// called it, and to the same one whose identity only ends later, but to nobody else.
func TestResultsAreForTheCaller(t *testing.T) {
	t.Parallel()
	running, finish := make(chan context.Context), make(chan struct{})
	slow := binding.Func("slow", func(ctx context.Context, _ struct{}) (string, error) {
		running <- ctx
		select {
		case <-finish:
		case <-ctx.Done(): // the test has failed
		}
		return "for " + nameOf(server.IdentityFrom(ctx)), nil
	})
	_, address := serve(t, nil, asks(), slow)
	b := dialV2(t, address)
	b.authenticate("ann")
	b.subscribe("function", "slow")
	during := func(token string) message {
		t.Helper()
		b.send(`{"func":"call","type":"function","name":"slow","id":"1"}`)
		ctx := await(t, running, "the call")
		b.authenticate(token)
		require.Equal(t, "ann", nameOf(server.IdentityFrom(ctx)))
		finish <- struct{}{}
		return b.take()
	}
	require.JSONEq(t, `"for ann"`, string(during("ann expires").Value))
	require.JSONEq(t, `"for ann"`, string(during("ann").Value))
	m := during("bob")
	require.Equal(t, []string{"error", "1"}, []string{m.Func, m.ID})
	require.NotContains(t, m.Message, "ann")
}

// sameness says of itself whether it is the same as another.
type sameness struct{ is func() bool }

// Same implements server.Comparer.
func (s sameness) Same(server.Identity) bool { return s.is() }

// TestSame checks whom an identity counts as the same as.
func TestSame(t *testing.T) {
	t.Parallel()
	ann, later := named("ann", time.Time{}), named("ann", time.Now())
	pointed, ok := later.(server.Principal)
	require.True(t, ok)
	yes, no := sameness{func() bool { return true }}, sameness{func() bool { return false }}
	for _, c := range []struct {
		a, b server.Identity
		same bool
	}{
		{nil, nil, true},
		{ann, nil, false},
		{nil, ann, false},
		{ann, later, true},
		{ann, &pointed, true},
		{&pointed, ann, true},
		{ann, (*server.Principal)(nil), false},
		{ann, named("bob", time.Time{}), false},
		{ann, server.Principal{Name: "ann"}, false},
		{visit{of: ann}, visit{of: later, until: time.Now()}, true},
		{visit{of: ann}, ann, true},
		{user{"ann"}, user{"ann"}, true},
		{user{"ann"}, user{"bob"}, false},
		{user{"ann"}, &user{"ann"}, false},
		{yes, nil, true},
		{no, no, false},
		{sameness{func() bool { panic("storm") }}, nil, false},
	} {
		require.Equal(t, c.same, server.SameOwner(c.a, c.b), "%#v and %#v", c.a, c.b)
	}
}

func TestNegativeExpiryGrace(t *testing.T) {
	t.Parallel()
	_, err := server.New(nil, &server.Config{ExpiryGrace: -1})
	require.ErrorContains(t, err, "a duration is negative")
}
