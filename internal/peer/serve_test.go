package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// function is a Function made of a func.
type function func(ctx context.Context, args json.RawMessage) (json.RawMessage, error)

func (f function) Name() string { return "f" }

func (f function) Call(ctx context.Context, args json.RawMessage) (json.RawMessage, error) {
	return f(ctx, args)
}

const subscribeFunction = `{"func":"subscribe","type":"function","name":"f"}`

func callOf(id string) string {
	return fmt.Sprintf(`{"func":"call","type":"function","name":"f","id":%q}`, id)
}

func returnOf(id, value string) string {
	return fmt.Sprintf(`{"func":"return","type":"function","name":"f","id":%q,"value":%s}`, id, value)
}

type publicError struct{ error }

func (publicError) PublicMessage() string { return "what the peer may know" }

// What the peer gets to know of an error, and what is logged instead.
func TestFunctionErrors(t *testing.T) {
	t.Parallel()
	secret := errors.New("password is 12345")
	for name, c := range map[string]struct {
		f       function
		message string
		logged  string
	}{
		"any error": {
			func(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, secret },
			"function failed", "password is 12345",
		},
		"protocol error": {
			func(context.Context, json.RawMessage) (json.RawMessage, error) {
				return nil, fmt.Errorf("%w: %w", secret, &protocol.Error{Code: protocol.BadID, Message: "no flight 7"})
			},
			"no flight 7", "",
		},
		"public error": {
			func(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, publicError{secret} },
			"what the peer may know", "",
		},
		"panic": {
			func(context.Context, json.RawMessage) (json.RawMessage, error) { panic(secret) },
			"function failed", "password is 12345",
		},
		"not JSON": {
			func(context.Context, json.RawMessage) (json.RawMessage, error) { return json.RawMessage(`{`), nil },
			"function failed", "not JSON",
		},
		"not UTF-8": {
			func(context.Context, json.RawMessage) (json.RawMessage, error) {
				return json.RawMessage("\"\xff\""), nil
			},
			"function failed", "not JSON",
		},
		"too deep": {
			func(context.Context, json.RawMessage) (json.RawMessage, error) {
				return json.RawMessage(strings.Repeat("[", 64) + strings.Repeat("]", 64)), nil
			},
			"function failed", "nested too deep",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			p := newOffline(t, &Config{Log: slog.New(slog.NewTextHandler(&log, nil))}, c.f)
			p.takes(subscribeFunction, callOf("1"))
			p.runs.Wait()
			require.Equal(t, []string{fmt.Sprintf(`{"func":"error","error_code":8,"message":%q}`, c.message)}, p.says())
			require.Contains(t, log.String(), c.logged)
			require.Equal(t, c.logged == "", log.Len() == 0)
		})
	}
}

func TestFunctionContext(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	p := newRunning(&Config{Registry: new(Registry)})
	require.NoError(t, p.cfg.Registry.Add(function(func(ctx context.Context, args json.RawMessage) (json.RawMessage, error) {
		if args != nil {
			return json.Marshal(ctx.Value(testKey{}))
		}
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	})))
	tester := rawDial(t, p)
	tester.send(subscribeFunction, `{"func":"call","type":"function","name":"f","id":"1","args":{}}`)
	tester.expect(returnOf("1", `"carried"`))
	tester.send(callOf("2"))
	tester.fence()
	tester.close(p)
	require.ErrorIs(t, <-ended, context.Canceled)
}

// At most so many functions run at the same time, and an id is free again when
// its function has ended.
func TestCallsInFlight(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	p := newOffline(t, &Config{Limits: Limits{Calls: 2}}, function(func(context.Context, json.RawMessage) (json.RawMessage, error) {
		<-gate
		return json.RawMessage(`1`), nil
	}))
	p.takes(subscribeFunction, callOf("a"), callOf("b"), callOf("c"), callOf("a"))
	require.Equal(t, []string{
		`{"func":"error","error_code":8,"message":"too many calls in flight"}`,
		`{"func":"error","error_code":6,"message":"a call with this id is in flight"}`,
	}, p.says())
	gate <- struct{}{}
	gate <- struct{}{}
	p.runs.Wait()
	require.ElementsMatch(t, []string{returnOf("a", "1"), returnOf("b", "1")}, p.says())
	p.takes(callOf("a"))
	gate <- struct{}{}
	p.runs.Wait()
	require.Equal(t, []string{returnOf("a", "1")}, p.says())
}

// The result of a call that nobody is subscribed for anymore is dropped; so is
// one whose connection is gone.
func TestResultIsDropped(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	p := newOffline(t, nil, function(func(context.Context, json.RawMessage) (json.RawMessage, error) {
		<-gate
		return json.RawMessage(`1`), nil
	}))
	p.takes(subscribeFunction, callOf("a"), `{"func":"unsubscribe","type":"function","name":"f"}`, subscribeFunction, callOf("b"))
	gate <- struct{}{}
	gate <- struct{}{}
	p.runs.Wait()
	require.Equal(t, []string{returnOf("b", "1")}, p.says())

	p.takes(callOf("c"))
	p.mu.Lock()
	p.out.shut()
	p.mu.Unlock()
	gate <- struct{}{}
	p.runs.Wait()
	require.Empty(t, p.says())
}

func TestSubscriptionLimit(t *testing.T) {
	t.Parallel()
	var items []Item
	for i := range 4 {
		items = append(items, memory.NewVar(fmt.Sprint(i), i))
	}
	p := newOffline(t, &Config{Limits: Limits{Subscriptions: 2}}, items...)
	subscribe := func(i int) string { return fmt.Sprintf(`{"func":"subscribe","type":"var","name":"%d"}`, i) }
	p.takes(subscribe(0), subscribe(1), subscribe(1))
	require.Empty(t, p.says())
	p.takes(subscribe(2))
	require.Equal(t, []string{`{"func":"error","error_code":8,"message":"too many subscriptions"}`}, p.says())
	p.takes(`{"func":"unsubscribe","type":"var","name":"0"}`, subscribe(3), subscribe(2))
	require.Len(t, p.says(), 1)
	p.takes(`{"func":"unsubscribe_all"}`, subscribe(0), subscribe(2))
	require.Empty(t, p.says())
}

// An item that is refused looks in every way like one that does not exist.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	p := newOffline(t, &Config{Authorize: func(ctx context.Context, _ any, kind protocol.ItemType, name string) error {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, fmt.Sprint(ctx.Value(testKey{}), kind, name))
		if name == "secret" {
			return errors.New("not for you")
		}
		return nil
	}}, memory.NewVar("secret", 1), memory.NewVar("open", 2))
	unknown := `{"func":"error","error_code":3,"message":"no such item"}`
	for _, name := range []string{"secret", "not there"} {
		for _, f := range []string{"subscribe", "get", "unsubscribe", "set", "call", "nonsense"} {
			p.takes(fmt.Sprintf(`{"func":%q,"type":"var","name":%q}`, f, name))
			require.Equal(t, []string{unknown}, p.says(), "%s %s", f, name)
		}
	}
	require.Contains(t, asked, "carriedvarsecret")
	p.takes(`{"func":"subscribe","type":"var","name":"open"}`)
	n := len(asked)
	p.takes(`{"func":"get","type":"var","name":"open"}`, `{"func":"subscribe","type":"var","name":"open"}`)
	require.Equal(t, []string{`{"func":"set","type":"var","name":"open","value":2}`}, p.says())
	require.Len(t, asked, n, "who is subscribed is not asked again")
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	r := new(Registry)
	require.NoError(t, r.Add(memory.NewVar("x", 1), memory.NewList[int]("x", nil)))
	require.ErrorContains(t, r.Add(memory.NewVar("x", 1)), `var "x": provided twice`)
	require.ErrorContains(t, r.Add(memory.NewVar("y", 1), memory.NewVar("y", 1)), `var "y": provided twice`)
	require.Nil(t, r.lookup(key{protocol.TypeVar, "y"}), "all or none")
	require.ErrorContains(t, r.Add(memory.NewVar("", 1)), "1 to 128 bytes")
	require.ErrorContains(t, r.Add(memory.NewVar(strings.Repeat("x", 129), 1)), "1 to 128 bytes")
	require.ErrorContains(t, r.Add(memory.NewVar("c", make(chan int))), "encode chan int")
	require.ErrorContains(t, r.Add(nameOnly{}), "peer.nameOnly is not a list, a var or a function")
	require.Nil(t, (*Registry)(nil).lookup(key{}))
}

type nameOnly struct{}

func (nameOnly) Name() string { return "n" }
