package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// dead returns a context that has ended, for a Get that nobody waits for.
func dead(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func refusedWith(code protocol.Code) string {
	return string(protocol.AppendError(nil, &protocol.Error{Code: code, Message: "from the other end"}))
}

func TestEveryStateIsSeen(t *testing.T) {
	t.Parallel()
	p := newOffline(t, nil)
	var seen []string
	r := NewRemoteList("l", &ListOptions{OnChange: func(f protocol.Func, page protocol.Page) {
		seen = append(seen, fmt.Sprintf("%s %d %s", f, page.Total, page.Items))
	}})
	require.NoError(t, p.Follow(r))
	p.takes(
		count(1),
		`{"func":"insert","type":"list","name":"l","index":0,"value":"ignored"}`,
		`{"func":"set_all","type":"list","name":"l","page":0,"page_size":2,"total_item_count":1,"items":[1]}`,
		count(2),
		`{"func":"insert","type":"list","name":"l","index":1,"value":2}`,
		`{"func":"set","type":"list","name":"l","index":0,"value":3}`,
		`{"func":"delete","type":"list","name":"l","index":0}`,
	)
	require.Equal(t, []string{
		"set_count 1 []", "set_all 1 [1]", "set_count 2 [1]", "insert 2 [1 2]", "set 2 [3 2]", "delete 2 [2]",
	}, seen)
	<-r.Changed()
	require.Empty(t, r.Changed(), "once for any number of changes")

	var values []string
	v := NewRemoteVar("v", &VarOptions{OnChange: func(raw json.RawMessage) { values = append(values, string(raw)) }})
	require.NoError(t, p.Follow(v))
	p.takes(set(1), set(1), `{"func":"set","type":"var","name":"v","value":null}`)
	require.Equal(t, []string{"1", "1", "null"}, values)
	last, known := v.Value()
	require.True(t, known)
	require.Equal(t, "null", string(last))
	<-v.Changed()
}

func TestFollowTwice(t *testing.T) {
	t.Parallel()
	p, other := newOffline(t, nil), newOffline(t, nil)
	r := NewRemoteList("l", nil)
	require.NoError(t, p.Follow(r))
	require.ErrorIs(t, p.Follow(r), ErrFollowed)
	require.ErrorIs(t, other.Follow(r), ErrFollowed)
	require.ErrorIs(t, p.Follow(NewRemoteList("l", nil)), ErrFollowed)
	require.NoError(t, p.Follow(NewRemoteVar("l", nil)), "another type is another item")
	require.Error(t, p.Follow(NewRemoteVar("", nil)))
	p.Unfollow(NewRemoteList("l", nil))
	other.Unfollow(r)
	require.Len(t, p.says(), 4, "nothing was unsubscribed")
	p.Unfollow(r)
	p.Unfollow(r)
	require.Equal(t, []string{`{"func":"unsubscribe","type":"list","name":"l"}`}, p.says())
	require.NoError(t, other.Follow(r))
}

// What comes late for a subscription that has ended does not touch a newer one.
func TestGenerations(t *testing.T) {
	t.Parallel()
	p := newOffline(t, nil)
	first := NewRemoteVar("v", nil)
	require.NoError(t, p.Follow(first))
	link := first.link
	p.takes(set(1))
	p.Unfollow(first)
	p.takes(set(2))
	require.NoError(t, p.Follow(first))
	frame, err := protocol.Parse([]byte(set(3)))
	require.NoError(t, err)
	require.NoError(t, first.receive(link, &frame, nil))
	first.refuse(link, nil, ErrClosed)
	first.detach(link, ErrClosed)
	last, _ := first.Value()
	require.Equal(t, "1", string(last))
	p.takes(set(4))
	last, _ = first.Value()
	require.Equal(t, "4", string(last))
}

func TestGetWaits(t *testing.T) {
	t.Parallel()
	p := newOffline(t, nil)
	r := NewRemoteList("l", &ListOptions{PageSize: 2})
	require.NoError(t, p.Follow(r))
	type got struct {
		page protocol.Page
		err  error
	}
	get := func(page, size int) <-chan got {
		done := make(chan got, 1)
		p.says()
		go func() {
			page, err := r.Get(t.Context(), page, size)
			done <- got{page, err}
		}()
		require.Eventually(t, func() bool { return len(p.says()) > 0 }, patient, time.Millisecond)
		return done
	}
	one := get(1, 2)
	two := get(2, 9)
	require.ErrorIs(t, (<-one).err, ErrSuperseded)
	p.takes(`{"func":"set_all","type":"list","name":"l","page":1,"page_size":2,"total_item_count":0,"items":[]}`)
	p.takes(`{"func":"set_all","type":"list","name":"l","page":2,"page_size":10,"total_item_count":0,"items":[]}`)
	require.Empty(t, two, "those are the answers to gets before")
	p.takes(`{"func":"set_all","type":"list","name":"l","page":2,"page_size":5,"total_item_count":11,"items":[7]}`)
	answer := <-two
	require.NoError(t, answer.err)
	require.Equal(t, protocol.Page{Held: true, Page: 2, PageSize: 5, Total: 11, Items: []json.RawMessage{[]byte("7")}}, answer.page)
	require.Equal(t, answer.page, r.Snapshot())

	three := get(3, 0)
	p.Unfollow(r)
	require.ErrorIs(t, (<-three).err, ErrClosed)
	_, err := r.Get(t.Context(), 0, 0)
	require.ErrorIs(t, err, ErrClosed, "nobody follows it anymore")
	require.NoError(t, p.Follow(r))
	_, err = r.Get(dead(t), 0, 0)
	require.ErrorIs(t, err, context.Canceled)
}

func TestResume(t *testing.T) {
	t.Parallel()
	first, second := newOffline(t, &Config{Resume: true}), newOffline(t, nil)
	stays, goes := NewRemoteVar("v", nil), NewRemoteVar("w", nil)
	require.NoError(t, first.Follow(stays))
	require.NoError(t, first.Follow(goes))
	list := NewRemoteList("l", &ListOptions{Page: 4, PageSize: 2})
	require.NoError(t, first.Follow(list))
	_, err := list.Get(dead(t), 5, 2)
	require.Error(t, err)

	results := make(chan error, 2)
	started := make(chan struct{}, 2)
	for _, v := range []*RemoteVar{stays, goes} {
		go func() {
			started <- struct{}{}
			_, err := v.Get(t.Context())
			results <- err
		}()
	}
	<-started
	<-started
	require.Eventually(t, func() bool { return waits(stays) && waits(goes) }, patient, time.Millisecond)
	first.end(ErrClosed)
	require.Empty(t, results)
	reason := errors.New("no other connection")
	goes.Abandon(reason)
	require.ErrorIs(t, <-results, reason)
	require.ErrorIs(t, first.Follow(NewRemoteVar("x", nil)), ErrClosed)

	require.NoError(t, second.Follow(stays))
	require.NoError(t, second.Follow(list))
	require.Equal(t, []string{
		`{"func":"subscribe","type":"var","name":"v"}`,
		`{"func":"get","type":"var","name":"v"}`,
		`{"func":"subscribe","type":"list","name":"l"}`,
		`{"func":"get","type":"list","name":"l","page":5,"page_size":2}`,
	}, second.says())
	second.takes(set(1))
	require.NoError(t, <-results)
}

func waits(v *RemoteVar) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.waiter.done != nil
}

func TestCallTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newOffline(t, &Config{CallTimeout: 7 * time.Second})
		start := time.Now()
		_, err := p.Call(t.Context(), "f", nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 7*time.Second, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err = p.Call(ctx, "f", nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Hour+7*time.Second, time.Since(start), "a deadline of the caller's own may be later")
	})
}

func TestCallCannotBeSent(t *testing.T) {
	t.Parallel()
	p := newOffline(t, nil)
	for _, args := range []string{`{`, `{"a":`, "\"\xff\""} {
		_, err := p.Call(t.Context(), "f", json.RawMessage(args))
		require.ErrorContains(t, err, "cannot be sent", args)
	}
	_, err := p.Call(t.Context(), "", nil)
	require.Error(t, err)
	require.Error(t, p.Subscribe(""))
	require.Empty(t, p.says())
}

// A call waits while too much is waiting to be written.
func TestCallWaitsForRoom(t *testing.T) {
	t.Parallel()
	p := newOffline(t, &Config{Limits: Limits{ReplyBytes: 100}})
	for range 10 {
		p.takes(`{"func":"get","type":"var","name":"x"}`)
	}
	_, err := p.Call(dead(t), "f", nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, p.says(), 10)

	p.takes(`{"func":"get","type":"var","name":"x"}`, `{"func":"get","type":"var","name":"x"}`)
	sent := make(chan error, 1)
	go func() {
		_, err := p.send(t.Context(), "f", nil)
		sent <- err
	}()
	require.Len(t, p.says(), 2)
	require.NoError(t, <-sent)
	require.Len(t, p.says(), 2)

	p.end(ErrClosed)
	_, err = p.send(t.Context(), "f", nil)
	require.ErrorIs(t, err, ErrClosed)
}

// Of calls that were given up only so many are remembered.
func TestGivenUpCallsAreBounded(t *testing.T) {
	t.Parallel()
	p := newOffline(t, nil)
	var ids []string
	for range gaveUpLimit + 1 {
		c, err := p.send(t.Context(), "f", nil)
		require.NoError(t, err)
		_, err = p.result(dead(t), c)
		require.ErrorIs(t, err, context.Canceled)
		ids = append(ids, c.id)
		p.says()
	}
	require.Len(t, p.asked.calls, gaveUpLimit)
	p.takes(returnOf(ids[1], "1"))
	require.Empty(t, p.says())
	p.takes(returnOf(ids[0], "1"), returnOf(ids[1], "1"))
	require.Len(t, p.says(), 2, "one is forgotten, one has returned")
	require.Len(t, p.asked.calls, gaveUpLimit-1)
	require.Len(t, p.asked.gaveUp, gaveUpLimit-1)
}

func TestUnsubscribeFromFunction(t *testing.T) {
	t.Parallel()
	p := newOffline(t, nil)
	p.Unsubscribe("f")
	c, err := p.send(t.Context(), "f", nil)
	require.NoError(t, err)
	require.Len(t, p.says(), 2)
	p.Unsubscribe("f")
	_, err = p.result(t.Context(), c)
	require.ErrorIs(t, err, ErrClosed)
	p.takes(returnOf(c.id, "1"))
	require.Equal(t, []string{`{"func":"unsubscribe","type":"function","name":"f"}`}, p.says())
}
