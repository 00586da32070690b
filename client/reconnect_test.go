package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/socksync/socksync/client"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/internal/wsconn"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// brokenList cannot answer its first gets.
type brokenList struct {
	*memory.List[int]
	failures int32
	seen     atomic.Int32
}

func (b *brokenList) Subscribe(sink window.Sink, o window.Options) window.Subscription {
	return &brokenSubscription{b.List.Subscribe(sink, o), b, sink}
}

type brokenSubscription struct {
	window.Subscription
	list *brokenList
	sink window.Sink
}

func (s *brokenSubscription) Get(want window.Want) {
	if s.list.seen.Add(1) <= s.list.failures {
		s.sink.Fail(&protocol.Error{Code: protocol.Other, Message: "not now"}, 1)
		return
	}
	s.Subscription.Get(want)
}

// A lost connection is made again, and what was followed goes on at its page,
// with what has changed in between; what waits goes on waiting.
func TestReconnect(t *testing.T) {
	t.Parallel()
	for name, subprotocols := range map[string]func() []string{"version 1": version1, "version 2": protocol.Subprotocols} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reconnect(t, subprotocols)
		})
	}
}

func reconnect(t *testing.T, subprotocols func() []string) {
	l := memory.NewList[int]("l", &memory.ListOptions{MaxPageSize: 2})
	require.NoError(t, l.Replace([]int{1, 2, 3, 4, 5}))
	v := memory.NewVar("v", 1)
	double := memory.NewFunc("double", func(_ context.Context, a map[string]int) (int, error) { return 2 * a["n"], nil })
	s := newFarEndOf(t, subprotocols, l, v, double)
	lost := make(chan error, 10)
	c := dial(t, s, &client.Config{
		Provide:      []client.Item{memory.NewVar("mine", "still here")},
		OnDisconnect: func(err error) { lost <- err },
	})
	list, err := client.FollowList[int](c, "l", nil)
	require.NoError(t, err)
	value, err := client.FollowVar[int](c, "v", nil)
	require.NoError(t, err)
	_, err = list.Get(soon(t), 1, 2)
	require.NoError(t, err)
	_, err = value.Get(soon(t))
	require.NoError(t, err)

	for n, drop := range []func(*connection){
		func(conn *connection) { conn.socket.CloseNow() },
		func(conn *connection) { _ = conn.Close(protocol.CloseTooSlow, "") },
		func(conn *connection) { _ = conn.Close(protocol.CloseShutdown, "") },
		func(conn *connection) { _ = conn.Close(protocol.CloseCredentialsExpired, "") },
		func(conn *connection) { _ = conn.Close(wsconn.StatusNormal, "") },
	} {
		conn := s.next(t)
		mine, err := client.FollowVar[string](conn, "mine", nil)
		require.NoError(t, err)
		text, err := mine.Get(soon(t))
		require.NoError(t, err)
		require.Equal(t, "still here", text)

		drop(conn)
		require.NoError(t, v.Set(n+10))
		require.NoError(t, l.Set(2, n+10))
		receive(t, lost)
		for {
			page, err := list.Snapshot()
			require.NoError(t, err)
			now, _ := value.Value()
			if page.Held && page.Items[0] == n+10 && now == n+10 {
				want := client.Page[int]{Held: true, Page: 1, PageSize: 2, Total: 5, Items: []int{n + 10, 4}, Rev: page.Rev}
				require.Equal(t, want, page)
				break
			}
			select {
			case <-list.Changed():
			case <-value.Changed():
			case <-soon(t).Done():
				require.Fail(t, "does not come back")
			}
		}
		result, err := client.Call[map[string]int, int](soon(t), c, "double", map[string]int{"n": n})
		require.NoError(t, err)
		require.Equal(t, 2*n, result)
	}
}

// Without a connection, Get and Call wait for one.
func TestWithoutConnection(t *testing.T) {
	t.Parallel()
	l := memory.NewList[int]("l", nil)
	require.NoError(t, l.Append(5))
	s := newFarEnd(t, l, memory.NewFunc("f", func(context.Context, any) (int, error) { return 1, nil }))
	lost := make(chan struct{})
	var once sync.Once
	c := dial(t, s, &client.Config{OnDisconnect: func(error) { once.Do(func() { close(lost) }) }})
	list, err := client.FollowList[int](c, "l", nil)
	require.NoError(t, err)
	turnedAway := make(chan struct{}, 100)
	s.refuse(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "starting", http.StatusServiceUnavailable)
		select {
		case turnedAway <- struct{}{}:
		default:
		}
		return true
	})
	s.next(t).socket.CloseNow()
	receive(t, lost)

	_, err = client.Call[any, int](canceled(t), c, "f", nil)
	require.ErrorIs(t, err, context.Canceled)
	late, err := client.FollowList[int](c, "another", nil)
	require.NoError(t, err)
	late.Close()
	results := make(chan error, 2)
	go func() {
		page, err := list.Get(soon(t), 0, 3)
		if err == nil && (len(page.Items) != 1 || page.PageSize != 3) {
			err = fmt.Errorf("page %+v", page)
		}
		results <- err
	}()
	go func() {
		_, err := client.Call[any, int](soon(t), c, "f", nil)
		results <- err
	}()
	for range 3 {
		receive(t, turnedAway)
	}
	s.refuse(nil)
	require.NoError(t, receive(t, results))
	require.NoError(t, receive(t, results))
}

// A call whose connection is lost fails, and is not repeated.
func TestCallIsLost(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	entered := make(chan struct{}, 10)
	s := newFarEnd(t, memory.NewFunc("f", func(ctx context.Context, _ any) (any, error) {
		served.Add(1)
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	c := dial(t, s, nil)
	result := make(chan error, 1)
	go func() {
		_, err := client.Call[any, any](soon(t), c, "f", nil)
		result <- err
	}()
	receive(t, entered)
	s.next(t).socket.CloseNow()
	require.ErrorIs(t, receive(t, result), client.ErrClosed)
	s.next(t)
	require.EqualValues(t, 1, served.Load())
}

// Credentials that are refused end the client, whichever way it is told.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(*farEnd, *connection){
		"closed with 4001": func(_ *farEnd, conn *connection) {
			_ = conn.Close(protocol.CloseRefused, "token revoked")
		},
		"answered with 401": func(s *farEnd, conn *connection) {
			s.refuse(func(w http.ResponseWriter, _ *http.Request) bool {
				http.Error(w, "no", http.StatusUnauthorized)
				return true
			})
			conn.socket.CloseNow()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFarEnd(t)
			c := dial(t, s, nil)
			v, err := client.FollowVar[int](c, "v", nil)
			require.NoError(t, err)
			result := make(chan error, 1)
			go func() {
				for {
					_, err := v.Get(soon(t))
					var e *protocol.Error
					if !errors.As(err, &e) { // error 3 first: there is no such var
						result <- err
						return
					}
				}
			}()
			require.NoError(t, c.Err())
			refuse(s, s.next(t))
			receive(t, c.Done())
			require.ErrorIs(t, c.Err(), client.ErrRefused)
			require.ErrorIs(t, receive(t, result), client.ErrRefused)
			require.Empty(t, s.accepted, "it does not try again")
		})
	}
}
