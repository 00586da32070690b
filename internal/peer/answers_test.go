package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// One connection follows a list many times, each with its own view, and a var and a list of one name besides.
func TestViewsAreApart(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	names := make(map[string]bool) // every view and id
	fresh := func(name string) {
		require.NotEmpty(t, name)
		require.False(t, names[name], "%s was given before", name)
		names[name] = true
	}
	var lists []*watched
	var gets []asked
	for n := range 3 {
		w := watch(ListOptions{PageSize: 2})
		subscribe, get := p.opens(w)
		require.Equal(t, asked{Func: "subscribe", Type: "list", Name: "l", View: get.View, ID: subscribe.ID}, subscribe)
		require.Equal(t, asked{Func: "get", Type: "list", Name: "l", View: get.View, ID: get.ID, Page: new(int), PageSize: 2}, get)
		fresh(get.View)
		fresh(subscribe.ID)
		fresh(get.ID)
		p.takes(ok(subscribe), firstPage(get, fmt.Sprintf("1.%d", n), n, "[]"))
		lists, gets = append(lists, w), append(gets, get)
	}
	v := NewRemoteVar("l", nil)
	subscribe, get := p.opens(v)
	fresh(get.View)
	p.takes(ok(subscribe), head("set", get, true)+`"value":7}`)

	p.takes(leads(gets[1], "1.9", `{"func":"insert","index":0,"value":5}`))
	require.Equal(t, []string{"set_all [] of 0"}, lists[0].saw())
	require.Equal(t, []string{"set_all [] of 1", "step [5] of 1"}, lists[1].saw())
	require.Equal(t, []string{"set_all [] of 2"}, lists[2].saw())
	value, _ := v.Value()
	require.Equal(t, "7", string(value))
	require.Empty(t, p.says(), "nothing was wrong")
	require.Empty(t, p.asked.queries, "all has been answered")
	require.ErrorIs(t, p.Follow(lists[0]), ErrFollowed)
}

// A view that was given up is not used again, and what comes late for it is dropped.
func TestLateForAView(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w := watch(ListOptions{})
	subscribe, first := p.opens(w)
	p.takes(ok(subscribe))
	p.Unfollow(w)
	bye := p.one()
	require.Equal(t, asked{Func: "unsubscribe", Type: "list", Name: "l", View: first.View, ID: bye.ID}, bye)
	require.NotEmpty(t, bye.ID)
	require.Len(t, p.asked.queries, 1, "the get will not be answered")
	require.Empty(t, p.asked.records[key{protocol.TypeList, "l"}].views)
	_, second := p.opens(w)
	require.NotEqual(t, first.View, second.View)
	p.takes(firstPage(first, "1.1", 1, "[1]"), leads(first, "1.2", ""), refuses(first, protocol.Other, "late"), ok(bye))
	require.Empty(t, w.saw())
	require.Empty(t, w.codes())
	require.Empty(t, p.says())
	p.takes(firstPage(second, "1.3", 3, "[3]"))
	require.Equal(t, []string{"set_all [3] of 3"}, w.saw())

	// Of an item that was never followed nothing may come.
	other := first
	other.Name = "other"
	p.takes(leads(other, "1.4", ""))
	require.Equal(t, protocol.InvalidName, p.one().Code)
}

// An answer belongs to the get that it names, also if others wait.
func TestAnswersById(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w := watch(ListOptions{PageSize: 2})
	_, first := p.opens(w)
	second, one := p.begins(func(ctx context.Context) (protocol.Page, error) { return w.Get(ctx, 1, 2) })
	third, two := p.begins(func(ctx context.Context) (protocol.Page, error) { return w.Get(ctx, 2, 2) })
	require.ErrorIs(t, (<-one).err, ErrSuperseded)
	p.takes(refuses(first, protocol.Other, "superseded"))
	require.Empty(t, w.codes(), "nobody waits for it")
	p.takes(firstPage(second, "1.1", 8, "[3,4]"))
	require.Empty(t, two)
	require.Equal(t, []string{"set_all [3 4] of 8"}, w.saw())
	p.takes(firstPage(third, "1.2", 8, "[5,6]"))
	answer := <-two
	require.NoError(t, answer.err)
	require.Equal(t, []json.RawMessage{[]byte("5"), []byte("6")}, answer.page.Items)
	require.Equal(t, "1.2", answer.page.Rev)

	// An id that is not known says nothing of who waits, but the message holds.
	_, three := p.begins(func(ctx context.Context) (protocol.Page, error) { return w.Get(ctx, 0, 2) })
	unknown := third
	unknown.ID = "whose is this"
	p.takes(firstPage(unknown, "1.3", 9, "[7]"), refuses(unknown, protocol.Other, "no"), ok(unknown))
	require.Empty(t, three)
	require.Equal(t, []string{"set_all [5 6] of 8", "set_all [7] of 9"}, w.saw())
	require.Empty(t, w.codes())
}

// An error finds what it answers by the id, whatever else waits.
func TestErrorsById(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	a.Speak(protocol.V2)
	v, w := watch(ListOptions{}), watch(ListOptions{})
	_, _ = a.opens(v)
	_, get := a.opens(w)
	c, d := a.calls("f"), a.calls("f")
	sent := a.asks()
	require.Len(t, sent, 3, "one subscribe")
	require.Equal(t, c.id, sent[1].ID)

	a.takes(refuses(get, protocol.Other, "not now"))
	a.require("8 taken=true")
	require.Equal(t, []protocol.Code{protocol.Other}, w.codes())
	require.Empty(t, v.codes())
	require.True(t, isWaiting(c) && isWaiting(d))
	a.takes(refuses(sent[2], protocol.Other, "it failed"))
	a.require("8 taken=true")
	require.True(t, isWaiting(c))
	require.ErrorContains(t, d.err, "it failed")
	a.takes(refuses(sent[2], protocol.Other, "again"))
	a.require("8 taken=false")

	require.True(t, a.giveUp(c))
	a.takes(refuses(sent[1], protocol.Other, "late"))
	a.require("8 taken=false")
	require.Empty(t, a.asked.gaveUp)

	// Without an id and a name it is nobody's.
	a.takes(`{"func":"error","error_code":8,"message":"no"}`)
	a.require("8 taken=false")
	require.Empty(t, v.codes())
}

// Who was refused a subscription is told once, and the next get asks for one.
func TestSubscribeIsRefused(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w := watch(ListOptions{})
	subscribe, get := p.opens(w)
	p.takes(refuses(subscribe, protocol.Other, "too many subscriptions"), refuses(get, protocol.InvalidFunc, "not subscribed"))
	require.Equal(t, []protocol.Code{protocol.Other}, w.codes())
	w.Retry()
	again := p.asks()
	require.Len(t, again, 2)
	require.Equal(t, "subscribe", again[0].Func)
	require.Equal(t, get.View, again[0].View)
	p.takes(ok(again[0]), firstPage(again[1], "1.1", 1, "[1]"))
	require.Equal(t, []string{"set_all [1] of 1"}, w.saw())
	w.Retry()
	require.Empty(t, p.says())

	// Of a get that says that there is no subscription, the same is true.
	next, done := p.begins(func(ctx context.Context) (protocol.Page, error) { return w.Get(ctx, 3, 0) })
	p.takes(refuses(next, protocol.InvalidFunc, "not subscribed"))
	require.Equal(t, protocol.InvalidFunc, codeOf((<-done).err))
	_, err := w.Get(dead(t), 3, 0)
	require.Error(t, err)
	require.Len(t, p.asks(), 2)
}

// What answers a get from before it was subscribed again says nothing of the new subscription.
func TestSubscribesAgainInBetween(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w := watch(ListOptions{})
	subscribe, get := p.opens(w)
	p.takes(refuses(subscribe, protocol.Other, "too many subscriptions"))
	w.Retry()
	again := p.asks()
	p.takes(refuses(get, protocol.InvalidFunc, "not subscribed"), ok(again[0]), firstPage(again[1], "1.1", 1, "[1]"))
	require.Len(t, w.codes(), 1)
	p.Unfollow(w)
	require.Equal(t, "unsubscribe", p.one().Func)
}

// What is forbidden is not asked for again either.
func TestForbidden(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w := watch(ListOptions{})
	subscribe, get := p.opens(w)
	p.takes(ok(subscribe), refuses(get, protocol.Forbidden, "no"))
	require.Equal(t, []protocol.Code{protocol.Forbidden}, w.codes())
	w.Retry()
	require.Empty(t, p.says())
}

// What is not provided is not asked for again, but for who asks.
func TestNotProvidedInV2(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w := watch(ListOptions{})
	subscribe, get := p.opens(w)
	p.takes(refuses(subscribe, protocol.InvalidName, "no such item"), refuses(get, protocol.InvalidName, "no such item"))
	require.Equal(t, []protocol.Code{protocol.InvalidName}, w.codes())
	w.Retry()
	p.Unfollow(w)
	require.Empty(t, p.says(), "there is nothing to ask for, nor to unsubscribe from")
	require.Empty(t, p.asked.queries)

	require.NoError(t, p.Subscribe("f"))
	first := p.one()
	require.NotEmpty(t, first.ID)
	c, err := p.send(t.Context(), "f", nil)
	require.NoError(t, err)
	p.takes(refuses(first, protocol.InvalidName, "no such item"))
	require.True(t, isWaiting(c), "it has an answer of its own")
	p.takes(refuses(p.one(), protocol.InvalidName, "no such item"))
	require.Equal(t, protocol.InvalidName, codeOf(c.err))
	_, err = p.send(t.Context(), "f", nil)
	require.NoError(t, err)
	all := p.asks()
	require.Len(t, all, 2, "it may be provided by now")
	p.takes(ok(all[0]))
	p.Unsubscribe("f")
	require.NotEmpty(t, p.one().ID)
}

// An error without an id that names a window: it stands still, or is no more.
func TestWindowStandsStill(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w, other := watch(ListOptions{}), watch(ListOptions{})
	_, get := p.opens(w)
	_, _ = p.opens(other)
	p.takes(firstPage(get, "1.1", 1, "[1]"), halts(get, protocol.Other))
	require.Equal(t, []protocol.Code{protocol.Other}, w.codes())
	require.True(t, w.Snapshot().Held)
	w.Retry()
	require.Empty(t, p.says(), "it moves again by itself")
	p.takes(leads(get, "1.2", `{"func":"set","index":0,"value":2}`))
	require.Equal(t, []string{"set_all [1] of 1", "step [2] of 1"}, w.saw())

	// Forbidden ends it.
	p.takes(halts(get, protocol.Forbidden), leads(get, "1.3", `{"func":"set","index":0,"value":3}`))
	require.Equal(t, []protocol.Code{protocol.Forbidden}, w.codes())
	require.Equal(t, protocol.Page{}, w.Snapshot(), "nothing of it is shown anymore")
	require.Empty(t, other.codes())
	w.Retry()
	require.Empty(t, p.says())
	_, err := w.Get(dead(t), 0, 0)
	require.Error(t, err)
	all := p.asks()
	require.Len(t, all, 2)
	require.Equal(t, "subscribe", all[0].Func)
}

// What is asked of a provider that does not answer is bounded, also if it is the provider that makes us ask.
func TestUnansweredIsBounded(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	w := watch(ListOptions{})
	_, get := p.opens(w)
	full := func() int {
		for range 2 * unansweredLimit {
			_, _ = w.Get(dead(t), 1, 0)
		}
		return len(p.asks())
	}
	require.Equal(t, unansweredLimit-2, full(), "besides the subscribe and the first get")
	_, err := w.Get(t.Context(), 2, 0)
	require.ErrorIs(t, err, errUnanswered)
	require.ErrorIs(t, w.Pause(t.Context()), errUnanswered)
	p.takes(firstPage(get, "1.1", 1, "[1]"))
	require.Equal(t, 1, full())
	p.Unfollow(w)
	require.Len(t, p.asked.queries, 1, "the unsubscribe")
	p.says()

	_, get = p.opens(w)
	get.ID = "none"
	for range 2 * unansweredLimit {
		p.takes(firstPage(get, "1.1", 1, "[1]"), leads(get, "1.2", `{"func":"delete","index":1}`))
	}
	require.Len(t, p.asked.queries, 1+unansweredLimit)
}
