package client_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/socksync/socksync/client"
	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// guarded is a far end whose connections take tokens, and whose list "l" is not for owners whose token is "narrow".
func guarded(t *testing.T, taken chan<- string, lasts func(token string) time.Time, items ...peer.Item) *farEnd {
	t.Helper()
	s := newFarEnd(t, items...)
	s.configure(func(c *peer.Config, r *http.Request) {
		c.ExpiryGrace = time.Millisecond
		c.Credentials = peer.Credentials{Owner: r.Header.Get("Authorization")}
		c.Authenticate = func(_ context.Context, token string) (peer.Credentials, error) {
			taken <- token
			if token == "bad" {
				return peer.Credentials{}, errors.New("bad")
			}
			return peer.Credentials{Owner: token, Expires: lasts(token)}, nil
		}
		c.Authorize = func(_ context.Context, owner any, kind protocol.ItemType, _ string) error {
			if owner == "narrow" && kind == protocol.TypeList {
				return errors.New("too narrow")
			}
			return nil
		}
	})
	return s
}

// tokens gives one token after the other, the last for ever.
func tokens(all ...string) func(context.Context) (string, error) {
	var n atomic.Int32
	return func(context.Context) (string, error) { return all[min(int(n.Add(1)), len(all))-1], nil }
}

// A token is sent with the handshake and again over the connection, before everything else; others follow in time.
func TestToken(t *testing.T) {
	t.Parallel()
	taken := make(chan string, 100)
	s := guarded(t, taken, func(token string) time.Time {
		if token == "last" {
			return time.Time{}
		}
		return time.Now().Add(1100 * time.Millisecond) // told as 1 s, of which 3/4 are waited for
	}, memory.NewVar("v", 1))
	c := dial(t, s, &client.Config{
		Token: tokens("first", "second", "last"),
		Header: func(context.Context) (http.Header, error) {
			return http.Header{"Authorization": {"Basic"}, "X": {"y"}}, nil
		},
	})
	conn := s.next(t)
	require.Equal(t, "Bearer first", conn.header.Get("Authorization"))
	require.Equal(t, "y", conn.header.Get("X"))
	v, err := client.FollowVar[int](c, "v", nil)
	require.NoError(t, err)
	for _, token := range []string{"first", "second", "last"} {
		require.Equal(t, token, receive(t, taken))
		_, err = v.Get(soon(t))
		require.NoError(t, err)
	}
	require.Empty(t, s.accepted, "over one connection")
}

// The server says that the credentials have ended: a new token is sent at once. If it comes too late it is for another
// connection.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	taken := make(chan string, 100)
	l := memory.NewList[int]("l", nil)
	require.NoError(t, l.Append(1))
	s := guarded(t, taken, func(string) time.Time { return time.Time{} }, l)
	c := dial(t, s, &client.Config{Token: tokens("t1", "t2")})
	conn := s.next(t)
	list, err := client.FollowList[int](c, "l", nil)
	require.NoError(t, err)
	_, err = list.Get(soon(t), 0, 0)
	require.NoError(t, err)
	require.Equal(t, "t1", receive(t, taken))
	conn.SetCredentials(peer.Credentials{Owner: "t1", Expires: time.Now().Add(-time.Second)})
	require.Equal(t, "t2", receive(t, taken), "over the connection, or over the next one if it was closed before")
	require.Eventually(t, func() bool {
		_, err := list.Get(soon(t), 0, 0)
		return err == nil
	}, patient, time.Millisecond)
}

// A window that the credentials do not allow any more fails, and can be had again with others.
func TestForbiddenWindow(t *testing.T) {
	t.Parallel()
	taken := make(chan string, 100)
	l := memory.NewList[int]("l", nil)
	require.NoError(t, l.Append(1))
	s := guarded(t, taken, func(string) time.Time { return time.Time{} }, l)
	c := dial(t, s, &client.Config{Token: tokens("wide")})
	conn := s.next(t)
	wrong := make(chan error, 10)
	list, err := client.FollowList(c, "l", &client.ListOptions[int]{OnError: func(err error) { wrong <- err }})
	require.NoError(t, err)
	_, err = list.Get(soon(t), 0, 0)
	require.NoError(t, err)
	require.Equal(t, "wide", receive(t, taken))
	conn.SetCredentials(peer.Credentials{Owner: "narrow"})
	require.ErrorIs(t, receive(t, wrong), client.ErrForbidden)
	page, err := list.Snapshot()
	require.NoError(t, err)
	require.False(t, page.Held)
	_, err = list.Get(soon(t), 0, 0)
	require.ErrorIs(t, err, client.ErrForbidden)
	require.NotErrorIs(t, err, client.ErrExpired)
	conn.SetCredentials(peer.Credentials{Owner: "wide"})
	page, err = list.Get(soon(t), 0, 0)
	require.NoError(t, err)
	require.Equal(t, []int{1}, page.Items)
}

// A token that is refused is asked for again; a server that takes none is left alone.
func TestTokenRefused(t *testing.T) {
	t.Parallel()
	taken := make(chan string, 100)
	s := guarded(t, taken, func(string) time.Time { return time.Time{} })
	dial(t, s, &client.Config{Token: tokens("bad", "bad", "good")})
	for _, token := range []string{"bad", "bad", "good"} {
		require.Equal(t, token, receive(t, taken))
	}
	failing := func(context.Context) (string, error) { return "", errors.New("no token") }
	_, err := client.Dial(t.Context(), s.url, &client.Config{Token: failing})
	require.ErrorContains(t, err, "no token")

	plain := newFarEnd(t, memory.NewVar("v", 1))
	var asked atomic.Int32
	c := dial(t, plain, &client.Config{Token: func(context.Context) (string, error) { asked.Add(1); return "t", nil }})
	v, err := client.FollowVar[int](c, "v", nil)
	require.NoError(t, err)
	_, err = v.Get(soon(t))
	require.NoError(t, err)
	require.EqualValues(t, 1, asked.Load())
}
