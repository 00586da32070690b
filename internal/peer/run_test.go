package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/socksync/socksync/internal/wsconn"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// pair connects two peers that both provide the same items.
func pair(t *testing.T, items ...func() Item) (accepted, dialed *running) {
	t.Helper()
	newEnd := func() *running {
		r := new(Registry)
		for _, item := range items {
			require.NoError(t, r.Add(item()))
		}
		return newRunning(&Config{Registry: r, Limits: Limits{Calls: 1000}})
	}
	accepted, dialed = newEnd(), newEnd()
	dial(t, newServer(t, func(w http.ResponseWriter, r *http.Request) { serve(t, w, r, accepted) }), dialed)
	t.Cleanup(func() {
		dialed.stop(t)
		<-accepted.ended
	})
	return accepted, dialed
}

// Both ends have the same rights, at the same time and with the same names.
func TestBothEnds(t *testing.T) {
	t.Parallel()
	a, b := pair(t,
		func() Item { return memory.NewVar("x", 1) },
		func() Item {
			return memory.NewFunc("x", func(_ context.Context, args map[string]int) (int, error) { return args["n"] * 2, nil })
		},
		func() Item { return memory.NewList[int]("x", nil) },
	)
	var wait sync.WaitGroup
	for _, p := range []*running{a, b} {
		wait.Go(func() {
			v, l := NewRemoteVar("x", nil), NewRemoteList("x", nil)
			if err := errors.Join(p.Follow(v), p.Follow(l)); err != nil {
				t.Error(err)
			}
			raw, err := v.Get(t.Context())
			if err != nil || string(raw) != "1" {
				t.Errorf("get: %s, %v", raw, err)
			}
			if page, err := l.Get(t.Context(), 0, 0); err != nil || page.PageSize != 100 {
				t.Errorf("get: %+v, %v", page, err)
			}
		})
		for n := range 100 {
			wait.Go(func() {
				raw, err := p.Call(t.Context(), "x", json.RawMessage(fmt.Sprintf(`{"n":%d}`, n)))
				if err != nil || string(raw) != fmt.Sprint(2*n) {
					t.Errorf("call: %s, %v", raw, err)
				}
			})
		}
	}
	wait.Wait()
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	reason := errors.New("the reason")
	ctx, cancel := context.WithCancelCause(t.Context())
	p := newRunning(nil)
	url := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := wsconn.Accept(w, r, p.socket())
		if err != nil {
			t.Error(err)
			return
		}
		p.ended <- p.Run(ctx, conn)
	})
	ws, resp, err := websocket.Dial(t.Context(), url, nil)
	require.NoError(t, err)
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	tester := &raw{t, ws}
	tester.fence()
	cancel(reason)
	_, _, err = ws.Read(t.Context())
	require.Equal(t, websocket.StatusGoingAway, websocket.CloseStatus(err))
	require.ErrorIs(t, <-p.ended, reason)
	<-p.Done()
	_, err = p.Call(t.Context(), "f", nil)
	require.ErrorIs(t, err, ErrClosed)
}

func TestCloseWithACode(t *testing.T) {
	t.Parallel()
	p := newRunning(nil)
	tester := rawDial(t, p)
	tester.send(`{"func":"get","type":"var","name":"x"}`)
	tester.expectError(protocol.InvalidName)
	require.NoError(t, p.Close(protocol.CloseShutdown, "come back later"))
	require.NoError(t, p.Close(protocol.CloseTooSlow, "only the first reason counts"))
	_, _, err := tester.ws.Read(t.Context())
	var ce websocket.CloseError
	require.ErrorAs(t, err, &ce)
	require.Equal(t, websocket.CloseError{Code: protocol.CloseShutdown, Reason: "come back later"}, ce)
	require.Equal(t, protocol.CloseShutdown, wsconn.CloseStatus(<-p.ended))
}

func TestCloseBeforeRun(t *testing.T) {
	t.Parallel()
	p := newRunning(nil)
	require.NoError(t, p.Close(protocol.CloseShutdown, "too late"))
	require.NoError(t, p.Close(protocol.CloseTooSlow, "only the first reason counts"))
	_, err := p.Call(t.Context(), "f", nil)
	require.ErrorIs(t, err, ErrClosed)
	tester := rawDial(t, p)
	_, _, err = tester.ws.Read(t.Context())
	require.Equal(t, websocket.StatusCode(protocol.CloseShutdown), websocket.CloseStatus(err))
	require.Equal(t, protocol.CloseShutdown, wsconn.CloseStatus(<-p.ended))
}

// A call that waits when the connection is lost fails at once.
func TestConnectionIsLost(t *testing.T) {
	t.Parallel()
	p := newRunning(nil)
	tester := rawDial(t, p)
	result := make(chan error, 1)
	go func() {
		_, err := p.Call(t.Context(), "f", nil)
		result <- err
	}()
	tester.expect(subscribeFunction)
	tester.read()
	require.NoError(t, tester.ws.CloseNow())
	require.ErrorIs(t, <-result, ErrClosed)
	require.Equal(t, wsconn.StatusAbnormal, wsconn.CloseStatus(<-p.ended))
}

// Run waits for functions that are slow to end; Done does not.
func TestFunctionsOutliveTheConnection(t *testing.T) {
	t.Parallel()
	gate, entered := make(chan struct{}), make(chan struct{})
	registry := new(Registry)
	require.NoError(t, registry.Add(function(func(context.Context, json.RawMessage) (json.RawMessage, error) {
		close(entered)
		<-gate
		return nil, nil
	})))
	p := newRunning(&Config{Registry: registry})
	tester := rawDial(t, p)
	tester.send(subscribeFunction, callOf("1"))
	<-entered
	require.NoError(t, tester.ws.CloseNow())
	<-p.Done()
	require.Empty(t, p.ended, "Run waits for the function")
	close(gate)
	<-p.ended
}
