package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/internal/wsconn"
	"github.com/socksync/socksync/protocol"
	"github.com/socksync/socksync/server"
)

// TestHooks checks the order of the hooks, and what they and Conns say, over the
// life of a connection.
func TestHooks(t *testing.T) {
	t.Parallel()
	var events journal
	connected, gone := make(chan *server.Conn, 1), make(chan error, 1)
	live, address := serve(t, nil, &server.Config{
		OnConnect: func(ctx context.Context, c *server.Conn) {
			if server.ConnFrom(ctx) != c {
				events.add("another connection in the context")
			}
			events.add("connected")
			connected <- c
			<-ctx.Done()
			select {
			case <-c.Done():
			default:
				events.add("the context ended before the connection")
			}
			events.add("returned")
		},
		OnDisconnect: func(_ *server.Conn, err error) {
			events.add("disconnected")
			gone <- err
		},
	})
	require.Empty(t, live.Conns())
	b := dial(t, address)
	c := await(t, connected, "OnConnect")
	require.Equal(t, []*server.Conn{c}, live.Conns())
	require.Equal(t, []string{"connected"}, events.all())

	require.NoError(t, b.conn.Close(websocket.StatusNormalClosure, ""))
	err := await(t, gone, "OnDisconnect")
	require.Equal(t, wsconn.StatusNormal, wsconn.CloseStatus(err), "%v", err)
	require.Equal(t, []string{"connected", "returned", "disconnected"}, events.all())
	require.Empty(t, live.Conns())
	require.Error(t, c.Peer().Follow(peer.NewRemoteVar("late", nil)), "it has ended")
}

// TestConns checks that each connection is there while it is open, and no longer.
func TestConns(t *testing.T) {
	t.Parallel()
	gone := make(chan *server.Conn, 3)
	live, address := serve(t, nil, &server.Config{OnDisconnect: func(c *server.Conn, _ error) { gone <- c }})
	var browsers []*browser
	for range 3 {
		b := dial(t, address)
		b.send(`{"func":"get","type":"var","name":"none"}`)
		b.refused(3)
		browsers = append(browsers, b)
	}
	require.Len(t, live.Conns(), 3)
	for i, b := range browsers {
		require.NoError(t, b.conn.CloseNow())
		c := await(t, gone, "OnDisconnect")
		conns := live.Conns()
		require.False(t, slices.Contains(conns, c))
		require.Len(t, conns, 2-i)
	}
}

// TestCloseAtOnce checks that a Close counts however early it comes: here by the
// hook, and by who sees the connection in Conns first.
func TestCloseAtOnce(t *testing.T) {
	t.Parallel()
	_, byHook := serve(t, nil, &server.Config{
		OnConnect: func(_ context.Context, c *server.Conn) { _ = c.Close(4123, "not today") },
	})
	live, bySight := serve(t, nil, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var closing sync.WaitGroup
	t.Cleanup(func() { cancel(); closing.Wait() })
	closing.Go(func() {
		seen := map[*server.Conn]bool{}
		for ; ctx.Err() == nil; runtime.Gosched() {
			for _, c := range live.Conns() {
				if !seen[c] {
					seen[c] = true
					_ = c.Close(4123, "not today")
				}
			}
		}
	})
	for range 60 {
		for _, address := range []string{byHook, bySight} {
			require.Equal(t, 4123, dial(t, address).ended())
		}
	}
}

// TestPanics checks that a hook that panics ends its connection and nothing else.
func TestPanics(t *testing.T) {
	t.Parallel()
	gone := make(chan error, 2)
	_, address := serve(t, nil, &server.Config{
		Authenticate: signIn,
		OnConnect: func(_ context.Context, c *server.Conn) {
			if c.Identity() == (user{"jonah"}) {
				panic("storm")
			}
		},
		OnDisconnect: func(_ *server.Conn, err error) { gone <- err },
	}, whoami())
	other, _ := dialWith(t, address, withHeader("User", "ann"))
	jonah, _ := dialWith(t, address, withHeader("User", "jonah"))
	require.Equal(t, wsconn.StatusInternalError, jonah.ended())
	require.Equal(t, wsconn.StatusInternalError, wsconn.CloseStatus(await(t, gone, "OnDisconnect")))
	other.send(`{"func":"subscribe","type":"function","name":"whoami"}`)
	require.Equal(t, `"ann"`, other.result("whoami", "1", "{}"))
}

// TestCloseCodes checks what a code that cannot be sent becomes.
func TestCloseCodes(t *testing.T) {
	t.Parallel()
	live, address := serve(t, nil, nil)
	for code, want := range map[int]int{4000: 4000, 1000: 1000, 1005: 1011, 99: 1011} {
		b := dial(t, address)
		b.send(`{"func":"get","type":"var","name":"none"}`)
		b.refused(3)
		for _, c := range live.Conns() {
			err := c.Close(code, "bye")
			require.Equal(t, code != want, err != nil, "%d: %v", code, err)
		}
		require.Equal(t, want, b.ended(), code)
	}
}

// connection makes a server and a browser, with the server's end of the connection.
func connection(t *testing.T, config *server.Config, defs ...binding.Definition) (*server.Conn, *browser) {
	t.Helper()
	connected := make(chan *server.Conn, 1)
	config.OnConnect = func(_ context.Context, c *server.Conn) { connected <- c }
	_, address := serve(t, nil, config, defs...)
	b := dial(t, address)
	return await(t, connected, "OnConnect"), b
}

// expect takes the next message and checks its head.
func (b *browser) expect(what, kind, name string) message {
	b.t.Helper()
	m := b.take()
	require.Equal(b.t, []string{what, kind, name}, []string{m.Func, m.Type, m.Name}, "%+v", m)
	return m
}

// TestFollowingThePeer has the server follow a var and a list of the browser.
func TestFollowingThePeer(t *testing.T) {
	t.Parallel()
	c, b := connection(t, &server.Config{})
	values := make(chan string, 4)
	presence := peer.NewRemoteVar("presence", &peer.VarOptions{OnChange: func(v json.RawMessage) { values <- string(v) }})
	require.NoError(t, c.Peer().Follow(presence))
	b.expect("subscribe", "var", "presence")
	b.expect("get", "var", "presence")
	for _, value := range []string{`{"name":"ann"}`, `null`, `{"name":"bob"}`} {
		b.send(`{"func":"set","type":"var","name":"presence","value":%s}`, value)
		require.Equal(t, value, await(t, values, "the value"))
	}
	require.ErrorIs(t, c.Peer().Follow(presence), peer.ErrFollowed)

	pages := make(chan protocol.Page, 8)
	cart := peer.NewRemoteList("cart", &peer.ListOptions{
		Page: 1, PageSize: 2,
		OnChange: func(_ protocol.Func, p protocol.Page) { pages <- p },
	})
	require.NoError(t, c.Peer().Follow(cart))
	b.expect("subscribe", "list", "cart")
	m := b.expect("get", "list", "cart")
	require.Equal(t, []int{1, 2}, []int{*m.Page, *m.PageSize})
	b.send(`{"func":"set_all","type":"list","name":"cart","page":1,"page_size":2,"total_item_count":4,"items":["c","d"]}`)
	b.send(`{"func":"delete","type":"list","name":"cart","index":0}`)
	require.Len(t, await(t, pages, "set_all").Items, 2)
	require.Equal(t, []json.RawMessage{[]byte(`"d"`)}, await(t, pages, "delete").Items)

	b.send(`{"func":"delete","type":"list","name":"cart","index":7}`)
	b.refused(5)
	b.expect("get", "list", "cart")

	c.Peer().Unfollow(presence)
	b.expect("unsubscribe", "var", "presence")
	b.send(`{"func":"set","type":"var","name":"presence","value":"crossed the unsubscribe"}`)
	b.send(`{"func":"set","type":"var","name":"other","value":1}`)
	b.refused(3)
	require.Empty(t, values)
}

// TestCallingThePeer has the server call a function of the browser.
func TestCallingThePeer(t *testing.T) {
	t.Parallel()
	c, b := connection(t, &server.Config{})
	type outcome struct {
		value string
		err   error
	}
	call := func(ctx context.Context, args string) <-chan outcome {
		result := make(chan outcome, 1)
		go func() {
			v, err := c.Peer().Call(ctx, "notice", json.RawMessage(args))
			result <- outcome{string(v), err}
		}()
		return result
	}

	first := call(within(t), `{"text":"hi"}`)
	b.expect("subscribe", "function", "notice")
	m := b.expect("call", "function", "notice")
	require.NotEmpty(t, m.ID)
	second := call(within(t), `{}`)
	n := b.expect("call", "function", "notice")
	require.NotEqual(t, m.ID, n.ID)
	b.send(`{"func":"return","type":"function","name":"notice","id":%q,"value":2}`, n.ID)
	b.send(`{"func":"return","type":"function","name":"notice","id":%q,"value":1}`, m.ID)
	require.Equal(t, outcome{"1", nil}, await(t, first, "a result"))
	require.Equal(t, outcome{"2", nil}, await(t, second, "a result"))
	b.send(`{"func":"return","type":"function","name":"notice","id":%q,"value":1}`, m.ID)
	b.refused(6, "returned twice")

	third := call(within(t), `{}`)
	b.expect("call", "function", "notice")
	b.send(`{"func":"error","error_code":8,"message":"out of paper"}`)
	var told *protocol.Error
	require.ErrorAs(t, await(t, third, "an error").err, &told)
	require.Equal(t, protocol.Other, told.Code)

	ctx, cancel := context.WithCancelCause(within(t))
	fourth := call(ctx, `{}`)
	m = b.expect("call", "function", "notice")
	tired := errors.New("tired of waiting")
	cancel(tired)
	require.ErrorIs(t, await(t, fourth, "the end of the wait").err, tired)
	b.send(`{"func":"return","type":"function","name":"notice","id":%q}`, m.ID) // dropped

	fifth := call(within(t), `{}`)
	b.expect("call", "function", "notice")
	require.NoError(t, b.conn.CloseNow())
	require.ErrorIs(t, await(t, fifth, "the end of the connection").err, peer.ErrClosed)
	require.ErrorIs(t, await(t, call(within(t), `{}`), "a late call").err, peer.ErrClosed)
}

// TestCallTimeout checks that Config.CallTimeout ends a call that is not answered.
func TestCallTimeout(t *testing.T) {
	t.Parallel()
	c, b := connection(t, &server.Config{CallTimeout: 1})
	_, err := c.Peer().Call(context.Background(), "notice", nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	b.send(`{"func":"get","type":"var","name":"none"}`)
	for m := b.take(); m.Func != "error"; m = b.take() { // what was sent of the call
		require.Equal(t, "function", m.Type)
	}
}

// TestPeerWithoutItems checks that an error 3 tells that the peer lacks an item.
func TestPeerWithoutItems(t *testing.T) {
	t.Parallel()
	c, b := connection(t, &server.Config{})
	errs := make(chan error, 4)
	presence := peer.NewRemoteVar("presence", &peer.VarOptions{OnError: func(err error) { errs <- err }})
	require.NoError(t, c.Peer().Follow(presence))
	for range 2 { // subscribe and get
		b.take()
		b.send(`{"func":"error","error_code":3,"message":"no such item"}`)
	}
	var told *protocol.Error
	require.ErrorAs(t, await(t, errs, "the error"), &told)
	require.Equal(t, protocol.InvalidName, told.Code)

	result := make(chan error, 1)
	go func() {
		_, err := c.Peer().Call(within(t), "notice", nil)
		result <- err
	}()
	b.expect("subscribe", "function", "notice")
	b.expect("call", "function", "notice")
	for range 2 {
		b.send(`{"func":"error","error_code":3,"message":"no such item"}`)
	}
	require.ErrorAs(t, await(t, result, "the error"), &told)
	require.Equal(t, protocol.InvalidName, told.Code)
}

// TestBothDirections has both ends provide a var of the same name, and a function
// that calls back its caller.
func TestBothDirections(t *testing.T) {
	t.Parallel()
	_, b := connection(t, &server.Config{}, binding.Func("echo", func(ctx context.Context, args map[string]any) (string, error) {
		out, err := server.ConnFrom(ctx).Peer().Call(ctx, "echo", json.RawMessage(`{"asked":true}`))
		return fmt.Sprintf("%v %s", args["who"], out), err
	}))
	b.send(`{"func":"subscribe","type":"function","name":"echo"}`)
	b.send(`{"func":"call","type":"function","name":"echo","id":"1","args":{"who":"you"}}`)
	b.expect("subscribe", "function", "echo")
	m := b.expect("call", "function", "echo")
	b.send(`{"func":"return","type":"function","name":"echo","id":%q,"value":"me"}`, m.ID)
	m = b.expect("return", "function", "echo")
	require.Equal(t, []string{"1", `"you \"me\""`}, []string{m.ID, string(m.Value)})
}
