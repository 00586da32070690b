package client_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/socksync/socksync/client"
	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

type flight struct {
	ID   int    `json:"id"`
	Note string `json:"note"`
}

func TestFollowVar(t *testing.T) {
	t.Parallel()
	v := memory.NewVar("board", flight{1, "on time"})
	s := newFarEnd(t, v)
	c := dial(t, s, nil)
	seen := make(chan flight, 10)
	followed, err := client.FollowVar(c, "board", &client.VarOptions[flight]{OnChange: func(f flight) { seen <- f }})
	require.NoError(t, err)
	require.Equal(t, flight{1, "on time"}, receive(t, seen))
	require.NoError(t, v.Set(flight{1, "late"}))
	require.Equal(t, flight{1, "late"}, receive(t, seen))
	receive(t, followed.Changed())
	value, known := followed.Value()
	require.True(t, known)
	require.Equal(t, flight{1, "late"}, value)
	value, err = followed.Get(soon(t))
	require.NoError(t, err)
	require.Equal(t, flight{1, "late"}, value)

	again, err := client.FollowVar[flight](c, "board", nil)
	require.NoError(t, err)
	followed.Close()
	_, err = again.Get(soon(t))
	require.NoError(t, err)
}

func TestFollowList(t *testing.T) {
	t.Parallel()
	l := memory.NewList[flight]("flights", &memory.ListOptions{MaxPageSize: 3})
	require.NoError(t, l.Replace([]flight{{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}}))
	s := newFarEnd(t, l)
	c := dial(t, s, nil)
	seen := make(chan client.Page[flight], 10)
	followed, err := client.FollowList(c, "flights", &client.ListOptions[flight]{
		PageSize: 2, OnChange: func(p client.Page[flight]) { seen <- p },
	})
	require.NoError(t, err)
	first := receive(t, seen)
	require.NotEmpty(t, first.Rev)
	require.Equal(t, client.Page[flight]{
		Held: true, PageSize: 2, Total: 4, Items: []flight{{1, "a"}, {2, "b"}}, Rev: first.Rev,
	}, first)
	require.NoError(t, l.Set(1, flight{2, "B"}))
	require.Equal(t, []flight{{1, "a"}, {2, "B"}}, receive(t, seen).Items)

	page, err := followed.Get(soon(t), 1, 0)
	require.NoError(t, err)
	require.NotEqual(t, first.Rev, page.Rev)
	require.Equal(t, client.Page[flight]{Held: true, Page: 1, PageSize: 3, Total: 4, Items: []flight{{4, "d"}}, Rev: page.Rev}, page)
	page, err = followed.Snapshot()
	require.NoError(t, err)
	require.Equal(t, []flight{{4, "d"}}, page.Items)
	followed.Close()
	_, err = followed.Get(soon(t), 0, 0)
	require.ErrorIs(t, err, client.ErrClosed)
}

func canceled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	l := memory.NewList[any]("l", nil)
	require.NoError(t, l.Replace([]any{1, "two", 3}))
	v := memory.NewVar[any]("v", "one")
	s := newFarEnd(t, l, v)
	c := dial(t, s, nil)
	wrong := make(chan error, 10)
	onError := func(err error) { wrong <- err }
	followed, err := client.FollowList(c, "l", &client.ListOptions[int]{OnError: onError})
	require.NoError(t, err)
	require.ErrorContains(t, receive(t, wrong), `list "l": item 1`)
	page, err := followed.Snapshot()
	require.ErrorContains(t, err, "item 1")
	require.Equal(t, []int{1, 0, 3}, page.Items)
	require.NoError(t, l.Set(1, 2))
	page, err = followed.Get(soon(t), 0, 0)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3}, page.Items)

	value, err := client.FollowVar(c, "v", &client.VarOptions[int]{OnError: onError})
	require.NoError(t, err)
	require.ErrorContains(t, receive(t, wrong), `"v"`)
	_, known := value.Value()
	require.False(t, known)
	_, err = value.Get(soon(t))
	require.Error(t, err)
}

func TestCall(t *testing.T) {
	t.Parallel()
	s := newFarEnd(t,
		memory.NewFunc("delay", func(_ context.Context, f flight) (flight, error) {
			if f.ID == 0 {
				return flight{}, &protocol.Error{Code: protocol.Other, Message: "no such flight"}
			}
			f.Note += "!"
			return f, nil
		}),
		memory.NewFunc("nothing", func(context.Context, struct{}) (any, error) { return nil, nil }),
	)
	c := dial(t, s, nil)
	f, err := client.Call[flight, flight](soon(t), c, "delay", flight{7, "late"})
	require.NoError(t, err)
	require.Equal(t, flight{7, "late!"}, f)

	_, err = client.Call[flight, flight](soon(t), c, "delay", flight{})
	var e *protocol.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, protocol.Error{Code: protocol.Other, Message: "no such flight"}, *e)

	none, err := client.Call[any, *flight](soon(t), c, "nothing", nil)
	require.NoError(t, err)
	require.Nil(t, none)

	_, err = client.Call[any, int](soon(t), c, "not there", nil)
	require.ErrorAs(t, err, &e)
	require.Equal(t, protocol.InvalidName, e.Code)

	_, err = client.Call[chan int, int](soon(t), c, "delay", nil)
	require.ErrorContains(t, err, "arguments")
	_, err = client.Call[flight, int](soon(t), c, "delay", flight{ID: 1})
	require.ErrorContains(t, err, "result")
}

// The server follows and calls what the client provides, from the start and
// later.
func TestProvide(t *testing.T) {
	t.Parallel()
	s := newFarEnd(t)
	presence := memory.NewVar("presence", flight{1, "here"})
	c := dial(t, s, &client.Config{Provide: []client.Item{presence}})
	conn := s.next(t)
	require.NoError(t, c.Provide(memory.NewFunc("notice", func(_ context.Context, text map[string]string) (string, error) {
		return "got " + text["text"], nil
	})))
	require.Error(t, c.Provide(presence))
	followed, err := client.FollowVar[flight](conn, "presence", nil)
	require.NoError(t, err)
	value, err := followed.Get(soon(t))
	require.NoError(t, err)
	require.Equal(t, flight{1, "here"}, value)
	answer, err := client.Call[map[string]string, string](soon(t), conn, "notice", map[string]string{"text": "it"})
	require.NoError(t, err)
	require.Equal(t, "got it", answer)
}

func TestDialFails(t *testing.T) {
	t.Parallel()
	s := newFarEnd(t)
	s.refuse(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "no", http.StatusUnauthorized)
		return true
	})
	_, err := client.Dial(t.Context(), s.url, nil)
	require.ErrorIs(t, err, client.ErrRefused)
	s.refuse(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "no", http.StatusTeapot)
		return true
	})
	_, err = client.Dial(t.Context(), s.url, nil)
	require.Error(t, err)
	require.NotErrorIs(t, err, client.ErrRefused)
	_, err = client.Dial(canceled(t), s.url, nil)
	require.ErrorIs(t, err, context.Canceled)
	_, err = client.Dial(t.Context(), "ftp://x", nil)
	require.Error(t, err)
	_, err = client.Dial(t.Context(), s.url, &client.Config{Provide: []client.Item{memory.NewVar("", 1)}})
	require.ErrorContains(t, err, "provide")
	boom := errors.New("no token")
	_, err = client.Dial(t.Context(), s.url, &client.Config{Header: func(context.Context) (http.Header, error) { return nil, boom }})
	require.ErrorIs(t, err, boom)
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	entered, gate := make(chan struct{}), make(chan struct{})
	slow := memory.NewFunc("slow", func(context.Context, any) (any, error) {
		close(entered)
		<-gate
		return nil, nil
	})
	s := newFarEnd(t)
	c := dial(t, s, &client.Config{Provide: []client.Item{slow}})
	conn := s.next(t)
	l, err := client.FollowList[int](c, "l", nil)
	require.NoError(t, err)
	got := make(chan error, 2)
	go func() {
		_, err := l.Get(soon(t), 3, 0)
		got <- err
	}()
	go func() {
		_, err := client.Call[any, any](soon(t), conn, "slow", nil)
		got <- err
	}()
	<-entered
	require.ErrorIs(t, c.Close(canceled(t)), context.Canceled, "the function still runs")
	receive(t, got)
	receive(t, got)
	receive(t, c.Done())
	require.ErrorIs(t, c.Err(), client.ErrClosed)
	<-conn.Done()
	require.Equal(t, 1000, peer.CloseCode(conn.Err()))
	close(gate)
	require.NoError(t, c.Close(t.Context()))
	require.NoError(t, c.Close(t.Context()))

	_, err = client.FollowVar[int](c, "v", nil)
	require.ErrorIs(t, err, client.ErrClosed)
	_, err = client.Call[any, any](t.Context(), c, "f", nil)
	require.ErrorIs(t, err, client.ErrClosed)
}

// A list that the server cannot read is asked for again until it can.
func TestListThatCannotBeRead(t *testing.T) {
	t.Parallel()
	broken := &brokenList{List: memory.NewList[int]("l", nil), failures: 5}
	require.NoError(t, broken.Append(7))
	s := newFarEnd(t, broken)
	c := dial(t, s, nil)
	wrong := make(chan error, 100)
	l, err := client.FollowList(c, "l", &client.ListOptions[int]{OnError: func(err error) { wrong <- err }})
	require.NoError(t, err)
	for {
		page, err := l.Snapshot()
		require.NoError(t, err)
		if page.Held {
			require.Equal(t, []int{7}, page.Items)
			break
		}
		receive(t, l.Changed())
	}
	var e *protocol.Error
	require.ErrorAs(t, receive(t, wrong), &e)
	require.Equal(t, protocol.Error{Code: protocol.Other, Message: "not now"}, *e)
}

func header(s string) http.Header { return http.Header{"Authorization": {s}} }

func TestHeader(t *testing.T) {
	t.Parallel()
	s := newFarEnd(t)
	var attempts atomic.Int64
	dial(t, s, &client.Config{Header: func(context.Context) (http.Header, error) {
		if attempts.Add(1) == 2 {
			return nil, errors.New("no token just now")
		}
		return header(string(rune('0' + attempts.Load()))), nil
	}})
	conn := s.next(t)
	require.Equal(t, "1", conn.header.Get("Authorization"))
	require.Equal(t, protocol.SubprotocolV2, conn.socket.Subprotocol())
	conn.socket.CloseNow()
	require.Equal(t, "3", s.next(t).header.Get("Authorization"), "each attempt asks for its own")
}
