package main

import (
	"context"
	"go/format"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/client"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/server"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestItStaysShort(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	formatted, err := format.Source(source)
	require.NoError(t, err)
	require.Equal(t, string(formatted), string(source), "gofmt")
	require.LessOrEqual(t, strings.Count(string(source), "\n"), 40)
}

// The program serves at a fixed address, which may be taken here; so this does with
// its parts what main does.
func TestTasksAreLive(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	pool := pgtest.New(t)
	_, err := pool.Exec(ctx, "CREATE TABLE tasks (id serial PRIMARY KEY, title text NOT NULL, done bool NOT NULL DEFAULT false)")
	require.NoError(t, err)
	live := must(server.New(pool, &server.Config{Migrate: true}, binding.List[task]()))
	require.NoError(t, live.Start(ctx))
	t.Cleanup(func() { require.NoError(t, live.Stop(context.Background())) })
	web := httptest.NewServer(live)
	t.Cleanup(web.Close)

	peer, err := client.Dial(ctx, web.URL, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, peer.Close(context.Background())) })
	tasks, err := client.FollowList[task](peer, "tasks", nil)
	require.NoError(t, err)
	for _, change := range []struct {
		sql  string
		want []task
	}{
		{"INSERT INTO tasks (title) VALUES ('Read'), ('Write')", []task{{ID: 1, Title: "Read"}, {ID: 2, Title: "Write"}}},
		{"UPDATE tasks SET done = true WHERE id = 1", []task{{ID: 2, Title: "Write"}, {ID: 1, Title: "Read", Done: true}}},
		{"DELETE FROM tasks WHERE id = 2", []task{{ID: 1, Title: "Read", Done: true}}},
	} {
		_, err := pool.Exec(ctx, change.sql)
		require.NoError(t, err)
		requirePage(ctx, t, tasks, change.want)
	}
}

// requirePage waits until the page is as wanted.
func requirePage(ctx context.Context, t *testing.T, list *client.List[task], want []task) {
	t.Helper()
	for {
		page, err := list.Snapshot()
		require.NoError(t, err)
		if page.Total == len(want) && slices.Equal(page.Items, want) {
			return
		}
		select {
		case <-list.Changed():
		case <-ctx.Done():
			require.FailNow(t, "the page stays what it is", "%+v", page)
		}
	}
}

func TestThePageIsThere(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	http.FileServerFS(page).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	require.Equal(t, http.StatusOK, answer.Code)
	require.Contains(t, answer.Body.String(), `name: "tasks"`)
}
