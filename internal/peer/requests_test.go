package peer

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// audience collects what a peer's application is told.
type audience struct {
	*offline
	told []string
}

func newAudience(t *testing.T) *audience {
	t.Helper()
	a := new(audience)
	a.offline = newOffline(t, &Config{OnError: func(e *protocol.Error, taken bool) {
		a.told = append(a.told, fmt.Sprintf("%d taken=%v", e.Code, taken))
	}})
	return a
}

func (a *audience) followVar(name string) {
	a.t.Helper()
	require.NoError(a.t, a.Follow(NewRemoteVar(name, &VarOptions{OnError: func(err error) {
		a.told = append(a.told, fmt.Sprintf("%s %d", name, codeOf(err)))
	}})))
}

func codeOf(err error) protocol.Code {
	var e *protocol.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func (a *audience) calls(name string) *call {
	a.t.Helper()
	c, err := a.send(a.t.Context(), name, nil)
	require.NoError(a.t, err)
	return c
}

func (a *audience) require(told ...string) {
	a.t.Helper()
	require.Equal(a.t, strings.Join(told, ", "), strings.Join(a.told, ", "))
	a.told = nil
}

// isWaiting reports whether a call has not ended.
func isWaiting(c *call) bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

func TestErrorIsTakenByTheOnlyRequest(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	c := a.calls("f")
	a.takes(refusedWith(protocol.Other))
	a.require("8 taken=true")
	require.Equal(t, protocol.Other, codeOf(c.err))
	a.takes(refusedWith(protocol.Other))
	a.require("8 taken=false")

	c, d := a.calls("f"), a.calls("f")
	a.takes(refusedWith(protocol.Other))
	a.require("8 taken=false")
	require.True(t, isWaiting(c) && isWaiting(d), "nobody knows whose it is")
	a.takes(returnOf(c.id, "1"), refusedWith(protocol.Other))
	a.require("8 taken=true")
	require.Equal(t, protocol.Other, codeOf(d.err))

	// Who has given up is not asked for.
	c, d = a.calls("f"), a.calls("f")
	require.True(t, a.giveUp(c))
	a.takes(refusedWith(protocol.Other))
	a.require("8 taken=true")
	require.False(t, isWaiting(d))
}

func TestErrorIsTakenByTheOnlyGet(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	a.followVar("v")
	a.takes(refusedWith(protocol.Other))
	a.require("v 8", "8 taken=true")
	a.takes(refusedWith(protocol.Other), set(1), refusedWith(protocol.Other))
	a.require("8 taken=false", "8 taken=false")

	a.followVar("w")
	c := a.calls("f")
	a.takes(refusedWith(protocol.Other))
	a.require("8 taken=false")
	a.takes(`{"func":"set","type":"var","name":"w","value":1}`, refusedWith(protocol.Other))
	a.require("8 taken=true")
	require.False(t, isWaiting(c))
}

// Of a single item that may not exist, the first error 3 says that it does not.
// The error for the second message about it is not taken for anything else.
func TestItemThatIsNotProvided(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	c := a.calls("f")
	a.takes(refusedWith(protocol.InvalidName))
	require.Equal(t, protocol.InvalidName, codeOf(c.err))
	a.followVar("v")
	a.takes(refusedWith(protocol.InvalidName))
	a.require("3 taken=true", "3 taken=false")
	a.takes(set(1))
	a.require()

	// The next call subscribes again: it may have been provided since.
	a.says()
	c = a.calls("f")
	require.Equal(t, []string{subscribeFunction, string(protocol.AppendCall(nil, "f", c.id, nil))}, a.says())
	a.takes(returnOf(c.id, "1"))
	require.NoError(t, c.err)
	a.calls("f")
	require.Len(t, a.says(), 1)
}

// A server follows a var and subscribes to a function of a peer that has none of
// them, or only one.
func TestItemsThatAreNotProvided(t *testing.T) {
	t.Parallel()
	no := refusedWith(protocol.InvalidName)
	follow := func(t *testing.T) *audience {
		a := newAudience(t)
		a.followVar("v")
		require.NoError(t, a.Subscribe("f"))
		return a
	}
	t.Run("neither", func(t *testing.T) {
		t.Parallel()
		a := follow(t)
		a.takes(no, no)
		a.require("3 taken=false", "3 taken=false")
		a.takes(no)
		a.require("v 3", "3 taken=true")
		c := a.calls("f")
		a.takes(no)
		require.Equal(t, protocol.InvalidName, codeOf(c.err))
	})
	t.Run("only the var, which is slow", func(t *testing.T) {
		t.Parallel()
		a := follow(t)
		a.takes(no)
		a.require("3 taken=false")
		a.takes(set(1))
		c := a.calls("f")
		require.Len(t, a.says(), 5, "it is known by now that it has to be subscribed again")
		a.takes(no)
		require.Equal(t, protocol.InvalidName, codeOf(c.err))
	})
	t.Run("only the function, which fails", func(t *testing.T) {
		t.Parallel()
		a := follow(t)
		a.takes(no, no)
		c := a.calls("f")
		a.takes(refusedWith(protocol.Other))
		require.False(t, isWaiting(c), "both errors 3 were very likely for the var")
		require.Equal(t, protocol.Other, codeOf(c.err))
		c = a.calls("f")
		a.told = nil
		a.takes(returnOf(c.id, "1"))
		a.require("v 3")
	})
	t.Run("two calls at once", func(t *testing.T) {
		t.Parallel()
		a := newAudience(t)
		c, d := a.calls("f"), a.calls("g")
		a.takes(no, no, no)
		require.True(t, isWaiting(c) && isWaiting(d))
		a.takes(no)
		require.False(t, isWaiting(c) || isWaiting(d), "all that was sent was refused")
	})
}

// An item that was refused is subscribed again by the next get, and its
// unsubscribe is not sent.
func TestGetAfterRefusal(t *testing.T) {
	t.Parallel()
	p := newOffline(t, nil)
	r := NewRemoteList("l", nil)
	require.NoError(t, p.Follow(r))
	p.says()
	p.takes(refusedWith(protocol.InvalidName), refusedWith(protocol.InvalidName))
	r.Retry()
	require.Empty(t, p.says(), "there is no such list")
	_, err := r.Get(dead(t), 0, 0)
	require.Error(t, err)
	require.Equal(t, []string{subscribeList, `{"func":"get","type":"list","name":"l","page":0}`}, p.says())
	p.takes(refusedWith(protocol.InvalidName), refusedWith(protocol.InvalidName))
	p.Unfollow(r)
	r.Retry()
	require.Empty(t, p.says())
}

// A get that is answered by error 1 says that there is no subscription: the other
// end had too many, say. So the next one subscribes again.
func TestSubscriptionThatWasNotTaken(t *testing.T) {
	t.Parallel()
	p := newOffline(t, nil)
	require.NoError(t, p.Follow(NewRemoteList("l", nil)))
	v := NewRemoteVar("v", nil)
	require.NoError(t, p.Follow(v))
	p.takes(`{"func":"set_all","type":"list","name":"l","page":0,"page_size":2,"total_item_count":1,"items":[1]}`)
	p.takes(refusedWith(protocol.Other), refusedWith(protocol.InvalidFunc))
	p.says()
	v.Retry()
	require.Equal(t, []string{`{"func":"get","type":"var","name":"v"}`}, p.says(), "error 8 may be for the get")
	p.takes(refusedWith(protocol.InvalidFunc))
	v.Retry()
	require.Equal(t, []string{`{"func":"subscribe","type":"var","name":"v"}`, `{"func":"get","type":"var","name":"v"}`}, p.says())
}

// Retry asks for what has not come, and for nothing else.
func TestRetry(t *testing.T) {
	t.Parallel()
	p := newOffline(t, nil)
	list, v := NewRemoteList("l", nil), NewRemoteVar("v", nil)
	retry := func() []string {
		p.says()
		list.Retry()
		v.Retry()
		return p.says()
	}
	require.Empty(t, retry(), "not followed")
	require.NoError(t, p.Follow(list))
	require.NoError(t, p.Follow(v))
	require.Len(t, retry(), 2)
	p.takes(set(1), refusedWith(protocol.Other))
	require.Equal(t, []string{`{"func":"get","type":"list","name":"l","page":0}`}, retry())
	p.takes(`{"func":"set_all","type":"list","name":"l","page":0,"page_size":2,"total_item_count":1,"items":[1]}`)
	require.Empty(t, retry())
}
