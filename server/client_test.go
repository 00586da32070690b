package server_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/client"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/server"
)

type person struct {
	Name string `json:"name"`
}

type notice struct {
	Text string `json:"text"`
}

// credentials are what signIn wants.
func credentials(name string) func(context.Context) (http.Header, error) {
	return func(context.Context) (http.Header, error) { return http.Header{"User": {name}}, nil }
}

// present are hooks that keep a list of the clients that say who they are.
func present(viewers *memory.List[person]) *server.Config {
	return &server.Config{
		Authenticate: func(r *http.Request) (server.Identity, error) {
			if name := r.Header.Get("User"); name != "" {
				return user{name}, nil
			}
			return nil, nil //nolint:nilnil // nobody is let in too
		},
		OnConnect: func(ctx context.Context, c *server.Conn) {
			if c.Identity() == nil {
				return
			}
			key := c.Request().RemoteAddr
			_, err := client.FollowVar(c.Peer(), "presence", &client.VarOptions[person]{
				OnChange: func(p person) { check(viewers.Put(key, p)) },
			})
			check(err)
			<-ctx.Done()
			viewers.Remove(key)
		},
	}
}

// TestPresence keeps a list of who is connected, and calls them all, as a program
// would: with typed handles at both ends.
func TestPresence(t *testing.T) {
	t.Parallel()
	viewers := memory.NewList[person]("viewers", nil)
	live, address := serve(t, nil, present(viewers))
	require.NoError(t, live.Provide(viewers))
	watcher := dial(t, address)
	require.Empty(t, watcher.list("viewers", 0, 9).Items)

	heard := make(chan string, 4)
	join := func(name string) *client.Client {
		c, err := client.Dial(within(t), address, &client.Config{Header: credentials(name), Provide: []client.Item{
			memory.NewVar("presence", person{name}),
			memory.NewFunc("notice", func(_ context.Context, n notice) (string, error) {
				heard <- name + " " + n.Text
				return name, nil
			}),
		}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close(context.Background())) })
		return c
	}
	f := &follower{browser: watcher, name: "viewers", size: 9, state: pageOf{held: true, size: 9}}
	shows := func(want ...string) {
		t.Helper()
		f.shows(pageOf{held: true, size: 9, total: len(want), items: want})
	}
	ann := join("ann")
	shows(`{"name":"ann"}`)
	join("bob")
	shows(`{"name":"ann"}`, `{"name":"bob"}`)

	for _, c := range live.Conns() {
		if c.Identity() == nil {
			continue
		}
		name, err := client.Call[notice, string](within(t), c.Peer(), "notice", notice{"hi"})
		require.NoError(t, err)
		require.Contains(t, []string{"ann", "bob"}, name)
	}
	require.ElementsMatch(t, []string{"ann hi", "bob hi"}, []string{await(t, heard, "a notice"), await(t, heard, "a notice")})
	require.NoError(t, ann.Close(within(t)))
	shows(`{"name":"bob"}`)
}

// TestClientOfDatabase has a client follow a list through a stop and a start of the
// server, with credentials that are asked for each time.
func TestClientOfDatabase(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	live := newServer(t, pool, &server.Config{Migrate: true, Authenticate: signIn}, listItem(), countItems())
	address := mount(t, live)
	require.NoError(t, live.Start(within(t)))
	ended := make(chan error, 100)
	c, err := client.Dial(within(t), address, &client.Config{
		MinBackOff: time.Millisecond, MaxBackOff: 10 * time.Millisecond,
		Header:       credentials("ann"),
		OnDisconnect: func(err error) { ended <- err },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close(context.Background())) })
	list, err := client.FollowList(c, "items", &client.ListOptions[item]{Page: 1, PageSize: 4})
	require.NoError(t, err)
	count, err := client.FollowVar[int](c, "count", nil)
	require.NoError(t, err)
	holds := func(ids ...int64) {
		t.Helper()
		eventually(t, "the page", func() bool {
			page, err := list.Snapshot()
			var have []int64
			for _, row := range page.Items {
				have = append(have, row.ID)
			}
			n, _ := count.Value()
			return err == nil && page.Held && slices.Equal(have, ids) && page.Total == n
		})
	}
	holds(5, 6, 7, 8)
	exec(t, pool, "DELETE FROM items WHERE id = 1")
	holds(6, 7, 8, 9)
	require.NoError(t, live.Stop(within(t)))
	require.Error(t, await(t, ended, "the disconnection"))
	exec(t, pool, "DELETE FROM items WHERE id = 2")
	require.NoError(t, live.Start(within(t)))
	holds(7, 8, 9, 10)
	exec(t, pool, "DELETE FROM items WHERE id = 3")
	holds(8, 9, 10, 11)
}
