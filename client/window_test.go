package client_test

import (
	"encoding/json"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/socksync/socksync/client"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// numbers is a list of the numbers from 0 to n-1.
func numbers(t *testing.T, n int) *memory.List[int] {
	t.Helper()
	l := memory.NewList[int]("l", &memory.ListOptions{MaxPageSize: 10})
	items := make([]int, n)
	for i := range items {
		items[i] = i
	}
	require.NoError(t, l.Replace(items))
	return l
}

// until waits for a page.
func until(t *testing.T, l *client.List[int], what string, ok func(client.Page[int]) bool) client.Page[int] {
	t.Helper()
	ctx := soon(t)
	for {
		page, err := l.Snapshot()
		require.NoError(t, err)
		if ok(page) {
			return page
		}
		select {
		case <-l.Changed():
		case <-ctx.Done():
			require.Fail(t, "does not come", "%s, but is %+v", what, page)
		}
	}
}

// Several windows of one list over one connection, each with its own changes.
func TestSeveralWindows(t *testing.T) {
	t.Parallel()
	l := numbers(t, 25)
	c := dial(t, newFarEnd(t, l), nil)
	var lists []*client.List[int]
	for n, opts := range []client.ListOptions[int]{{PageSize: 5}, {Page: 2}, {Anchored: true, PageSize: 3}, {Anchored: true, PageSize: 3}} {
		list, err := client.FollowList(c, "l", &opts)
		require.NoError(t, err)
		page := until(t, list, "the window", func(p client.Page[int]) bool { return p.Held })
		require.Equal(t, [][]int{{0, 1, 2, 3, 4}, {20, 21, 22, 23, 24}, {0, 1, 2}, {0, 1, 2}}[n], page.Items)
		require.Equal(t, opts.Anchored, page.Anchored)
		require.Nil(t, page.After)
		lists = append(lists, list)
	}
	lists[3].Close()
	require.NoError(t, l.Delete(0))
	for n, want := range [][]int{{1, 2, 3, 4, 5}, {21, 22, 23, 24}, {1, 2, 3}} {
		page := until(t, lists[n], "the change", func(p client.Page[int]) bool { return p.Total == 24 })
		require.Equal(t, want, page.Items)
	}
	page, err := lists[3].Snapshot()
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 2}, page.Items)
}

// Endless scrolling: what is new is sent, and nothing twice.
func TestGrow(t *testing.T) {
	t.Parallel()
	l := numbers(t, 25)
	s := newFarEnd(t, l)
	c := dial(t, s, nil)
	list, err := client.FollowList(c, "l", &client.ListOptions[int]{Anchored: true, PageSize: 5})
	require.NoError(t, err)
	until(t, list, "the window", func(p client.Page[int]) bool { return p.Held })
	require.Len(t, s.said(t, "set_all"), 1)
	for size := 10; size <= 30; size += 10 {
		page, err := list.Grow(soon(t), size)
		require.NoError(t, err)
		require.Len(t, page.Items, min(size, 25))
		require.Equal(t, size, page.PageSize)
		for i, item := range page.Items {
			require.Equal(t, i, item)
		}
	}
	require.NoError(t, l.Append(25))
	page := until(t, list, "the new one", func(p client.Page[int]) bool { return p.Total == 26 })
	require.Len(t, page.Items, 26)
	require.Empty(t, s.said(t, "set_all"))
}

// Whoever reads a page holds it, and sees what it is missing.
func TestPause(t *testing.T) {
	t.Parallel()
	l := numbers(t, 8)
	c := dial(t, newFarEnd(t, l), nil)
	list, err := client.FollowList[int](c, "l", nil)
	require.NoError(t, err)
	err = list.Pause(soon(t))
	var e *protocol.Error
	if err != nil { // the page may have been there already
		require.ErrorAs(t, err, &e)
		require.Equal(t, protocol.InvalidFunc, e.Code)
	}
	_, err = list.Get(soon(t), 0, 5)
	require.NoError(t, err)
	require.False(t, list.Paused())
	require.NoError(t, list.Pause(soon(t)))
	require.NoError(t, list.Pause(soon(t)), "it does no harm")
	require.True(t, list.Paused())
	require.NoError(t, l.Set(1, 100))
	require.NoError(t, l.Append(8))
	page := until(t, list, "both changes", func(p client.Page[int]) bool { return p.PendingTotal == 9 })
	require.Equal(t, 1, page.Pending)
	require.Equal(t, 8, page.Total)
	require.Equal(t, []int{0, 1, 2, 3, 4}, page.Items)

	page, err = list.Resume(soon(t))
	require.NoError(t, err)
	require.False(t, list.Paused())
	require.Equal(t, []int{0, 100, 2, 3, 4}, page.Items)
	require.Equal(t, [3]int{9, 0, 0}, [3]int{page.Total, page.Pending, page.PendingTotal})
	_, err = list.Resume(soon(t))
	require.NoError(t, err, "it does no harm")
	require.NoError(t, l.Set(2, 200))
	until(t, list, "the next change", func(p client.Page[int]) bool { return p.Items[2] == 200 })

	require.NoError(t, list.Pause(soon(t)))
	_, err = list.Get(soon(t), 0, 5)
	require.NoError(t, err)
	require.False(t, list.Paused())
}

// A connection that is made again brings what has changed, and no more.
func TestReconnectWithRevision(t *testing.T) {
	t.Parallel()
	l := numbers(t, 25)
	s := newFarEnd(t, l)
	lost, gate := make(chan error), make(chan struct{})
	c := dial(t, s, &client.Config{OnDisconnect: func(err error) {
		lost <- err
		<-gate
	}})
	list, err := client.FollowList(c, "l", &client.ListOptions[int]{Anchored: true, PageSize: 5})
	require.NoError(t, err)
	before, err := list.Grow(soon(t), 20)
	require.NoError(t, err)
	s.said(t, "set_all")
	for _, change := range []func() error{
		func() error { return nil },
		func() error { return l.Set(3, 300) },
		func() error { return l.Delete(0) },
	} {
		s.next(t).socket.CloseNow()
		receive(t, lost)
		require.NoError(t, change())
		page, err := list.Snapshot()
		require.NoError(t, err)
		require.True(t, page.Held)
		require.Equal(t, before.Items, page.Items)
		require.ErrorIs(t, list.Pause(soon(t)), client.ErrClosed)
		gate <- struct{}{}
		before = until(t, list, "what has changed", func(p client.Page[int]) bool {
			return slices.Equal(l.All()[:20], p.Items) && p.Total == l.Len()
		})
	}
	go func() {
		for range lost {
			gate <- struct{}{}
		}
	}()
	require.NoError(t, c.Close(t.Context()))
	close(lost)
	require.Empty(t, s.said(t, "set_all"))
}

// What the list does not allow names the column, and changes nothing.
func TestChoiceIsRefused(t *testing.T) {
	t.Parallel()
	l := numbers(t, 3)
	c := dial(t, newFarEnd(t, l), nil)
	refused := make(chan error, 10)
	list, err := client.FollowList(c, "l", &client.ListOptions[int]{OnError: func(err error) { refused <- err }})
	require.NoError(t, err)
	_, err = list.Get(soon(t), 0, 3)
	require.NoError(t, err)
	for column, w := range map[string]client.Window{
		"delay":  {Sort: []string{"-delay"}},
		"origin": {Filter: []client.Condition{client.Eq("origin", "OSL")}},
		"search": {Search: "fog"},
		"after":  {Anchored: true, After: []any{5}},
	} {
		_, err := list.Choose(soon(t), w)
		var e *protocol.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, protocol.Other, e.Code)
		require.ErrorContains(t, e, column)
		require.ErrorContains(t, receive(t, refused), column)
	}
	require.NoError(t, l.Append(3))
	page := until(t, list, "a change", func(p client.Page[int]) bool { return p.Total == 4 })
	require.Equal(t, []int{0, 1, 2}, page.Items)
	page, err = list.Get(soon(t), 1, 3)
	require.NoError(t, err, "of what is chosen, which is nothing")
	require.Equal(t, []int{3}, page.Items)

	// What cannot be sent is not.
	_, err = list.Choose(soon(t), client.Window{Anchored: true, After: []any{make(chan int)}})
	require.ErrorContains(t, err, "after")
	_, err = client.FollowList(c, "l", &client.ListOptions[int]{Filter: []client.Condition{client.Eq("a", make(chan int))}})
	require.ErrorContains(t, err, "filter: a")
	_, err = client.FollowList(c, "l", &client.ListOptions[int]{Filter: []client.Condition{client.Prefix("a", "x"), {Column: "b", Operator: "like"}}})
	require.ErrorContains(t, err, "like")
}

// wishes is a list that remembers what it was asked for, and gives the zero window.
type wishes struct {
	*memory.List[int]
	wants chan window.Want
}

func (w *wishes) Subscribe(sink window.Sink, o window.Options) window.Subscription {
	return &wishing{w.List.Subscribe(sink, o), w}
}

type wishing struct {
	window.Subscription
	list *wishes
}

func (w *wishing) Get(want window.Want) {
	w.list.wants <- want
	w.Subscription.Get(window.Want{})
}

// Every part of a choice arrives as it was meant.
func TestChoiceArrives(t *testing.T) {
	t.Parallel()
	w := &wishes{numbers(t, 3), make(chan window.Want, 10)}
	c := dial(t, newFarEnd(t, w), nil)
	list, err := client.FollowList(c, "l", &client.ListOptions[int]{
		PageSize: 7, Anchored: true, After: []any{5, "x", nil, json.RawMessage("true")},
		Sort: []string{"-delay", "origin"}, Search: "bergen fog",
		Filter: []client.Condition{
			client.Eq("a", "<&>"), client.Eq("b", nil), client.Ne("c", 1.5), client.Lt("d", 1), client.Lte("e", 2), client.Gt("f", 3),
			client.Gte("f", 4), client.In("g", []string{"x", "y"}), client.In("h", []int(nil)), client.Prefix("i", "p"),
			client.Contains("j", "q"), client.Null("k", true), client.Null("l", false),
		},
	})
	require.NoError(t, err)
	want := receive(t, w.wants)
	require.True(t, want.Anchored)
	require.Equal(t, []json.RawMessage{[]byte("5"), []byte(`"x"`), []byte("null"), []byte("true")}, want.After)
	require.Equal(t, 7, want.Size)
	require.Equal(t, []string{"-delay", "origin"}, want.Choice.Sort)
	require.Equal(t, "bergen fog", want.Choice.Search)
	var got []string
	for _, c := range want.Choice.Filter {
		got = append(got, c.Column+" "+string(c.Operator)+" "+string(c.Value))
	}
	require.Equal(t, []string{
		`a eq "\u003c\u0026\u003e"`, "b eq null", "c ne 1.5", "d lt 1", "e lte 2", "f gt 3", "f gte 4", `g in ["x","y"]`, "h in []",
		`i prefix "p"`, `j contains "q"`, "k null true", "l null false",
	}, got)

	// A page of what is chosen, then nothing chosen.
	_, err = list.Get(soon(t), 4, 9)
	require.NoError(t, err)
	page := receive(t, w.wants)
	require.Equal(t, window.Want{Page: 4, Size: 9, Choice: want.Choice}, page)
	_, err = list.Choose(soon(t), client.Window{})
	require.NoError(t, err)
	require.Equal(t, window.Want{}, receive(t, w.wants))
}

// Against a server that speaks version 1, what it cannot express is an error that says so.
func TestVersion1(t *testing.T) {
	t.Parallel()
	for name, connect := range map[string]func(*testing.T, ...client.Item) *client.Client{
		"of the server": func(t *testing.T, items ...client.Item) *client.Client {
			return dial(t, newFarEndOf(t, version1, items...), nil)
		},
		"of the client": func(t *testing.T, items ...client.Item) *client.Client {
			return dial(t, newFarEnd(t, items...), &client.Config{Version1: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, numbers(t, 25), memory.NewVar("v", 1))
			_, err := client.FollowList(c, "l", &client.ListOptions[int]{Sort: []string{"a"}})
			require.ErrorIs(t, err, client.ErrVersion)
			_, err = client.FollowVar(c, "v", &client.VarOptions[int]{Params: map[string]any{"a": 1}})
			require.ErrorIs(t, err, client.ErrVersion)
			list, err := client.FollowList(c, "l", &client.ListOptions[int]{PageSize: 2})
			require.NoError(t, err)
			_, err = client.FollowList[int](c, "l", nil)
			require.ErrorIs(t, err, client.ErrFollowed)
			_, err = list.Choose(soon(t), client.Window{Anchored: true})
			require.ErrorIs(t, err, client.ErrVersion)
			require.ErrorIs(t, list.Pause(soon(t)), client.ErrVersion)
			page, err := list.Get(soon(t), 1, 4)
			require.NoError(t, err)
			require.Equal(t, client.Page[int]{Held: true, Page: 1, PageSize: 4, Total: 25, Items: []int{4, 5, 6, 7}}, page)
			page, err = list.Grow(soon(t), 5)
			require.NoError(t, err)
			require.Equal(t, []int{5, 6, 7, 8, 9}, page.Items)
		})
	}
}

// A server may come back with another version: what that cannot express waits for the next.
func TestVersionChanges(t *testing.T) {
	t.Parallel()
	var old atomic.Bool
	l := numbers(t, 25)
	s := newFarEndOf(t, func() []string {
		if old.Load() {
			return version1()
		}
		return protocol.Subprotocols()
	}, l)
	c := dial(t, s, nil)
	wrong := make(chan error, 100)
	list, err := client.FollowList(c, "l", &client.ListOptions[int]{
		Anchored: true, PageSize: 2, OnError: func(err error) { wrong <- err },
	})
	require.NoError(t, err)
	until(t, list, "the window", func(p client.Page[int]) bool { return p.Held })
	old.Store(true)
	s.next(t).socket.CloseNow()
	require.ErrorIs(t, receive(t, wrong), client.ErrVersion)
	_, err = list.Grow(soon(t), 3)
	require.ErrorIs(t, err, client.ErrVersion)
	require.NoError(t, l.Append(25))
	old.Store(false)
	s.next(t).socket.CloseNow()
	until(t, list, "what has changed", func(p client.Page[int]) bool { return p.Total == 26 })
	page, err := list.Grow(soon(t), 4)
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 2, 3}, page.Items)
}

// paramVar is a var whose value is its parameters.
type paramVar struct{ name string }

func (v *paramVar) Name() string { return v.name }

func (v *paramVar) Subscribe(sink window.ValueSink, _ window.Options) window.ValueSubscription {
	return &paramSubscription{v, sink}
}

type paramSubscription struct {
	v    *paramVar
	sink window.ValueSink
}

func (s *paramSubscription) Get(filter []window.Condition) {
	all := map[string]json.RawMessage{}
	for _, c := range filter {
		if c.Column == "secret" {
			s.sink.Fail(window.Refusal("secret: no such parameter"), 1)
			return
		}
		all[c.Column] = c.Value
	}
	raw, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	s.sink.Answer(&window.Value{Name: s.v.name, JSON: raw}, 1)
}

func (s *paramSubscription) Close() {}

// A var is followed with several sets of parameters at once.
func TestVarParams(t *testing.T) {
	t.Parallel()
	type params map[string]any
	c := dial(t, newFarEnd(t, &paramVar{"v"}), nil)
	one, err := client.FollowVar(c, "v", &client.VarOptions[params]{Params: params{"airport": "OSL", "least": 5}})
	require.NoError(t, err)
	two, err := client.FollowVar(c, "v", &client.VarOptions[params]{Params: params{"airport": nil}})
	require.NoError(t, err)
	value, err := one.Get(soon(t))
	require.NoError(t, err)
	require.Equal(t, params{"airport": "OSL", "least": 5.0}, value)
	value, err = two.Get(soon(t))
	require.NoError(t, err)
	require.Equal(t, params{"airport": nil}, value)
	value, err = two.Choose(soon(t), params{"airport": "BGO"})
	require.NoError(t, err)
	require.Equal(t, params{"airport": "BGO"}, value)
	_, err = two.Choose(soon(t), params{"secret": 1})
	require.ErrorContains(t, err, "secret")
	value, err = two.Get(soon(t))
	require.NoError(t, err)
	require.Equal(t, params{"airport": "BGO"}, value)
	_, err = two.Choose(soon(t), params{"airport": make(chan int)})
	require.ErrorContains(t, err, "airport")
	_, err = client.FollowVar(c, "v", &client.VarOptions[params]{Params: params{"airport": make(chan int)}})
	require.Error(t, err)
}
