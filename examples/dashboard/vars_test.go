package main

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
)

func TestBoard(t *testing.T) {
	t.Parallel()
	pool := small(t)
	w := serveDemo(t, pool).dial(t)
	w.follow("var", "board")
	require.JSONEq(t, one[string](t, pool, "SELECT to_jsonb(board)::text FROM board WHERE id = 1"), w.value("board"))

	execute(t, pool, "INSERT INTO board VALUES (2, 'Not this one', '')")
	execute(t, pool, "UPDATE board SET message = 'Gate 4 <closed>' WHERE id = 1")
	require.JSONEq(t, one[string](t, pool, "SELECT to_jsonb(board)::text FROM board WHERE id = 1"), w.value("board"))

	execute(t, pool, "DELETE FROM board WHERE id = 1")
	require.Equal(t, "null", w.value("board"))
	execute(t, pool, "INSERT INTO board VALUES (1, 'New', 'again')")
	require.JSONEq(t, `{"id":1,"title":"New","message":"again"}`, w.value("board"))
}

// totals are counted here without the program's query.
func requireTotals(t *testing.T, pool *pgxpool.Pool, got string) {
	t.Helper()
	var numbers map[string]any
	require.NoError(t, json.Unmarshal([]byte(got), &numbers))
	want := map[string]any{
		"flights":       float64(one[int](t, pool, "SELECT count(id) FROM flights")),
		"late":          float64(one[int](t, pool, "SELECT count(*) FROM flights WHERE delay_minutes >= 30")),
		"average_delay": nil,
	}
	if average := one[*float64](t, pool, "SELECT avg(delay_minutes)::float8 FROM flights"); average != nil {
		want["average_delay"] = *average
	}
	require.Equal(t, want, numbers)
}

func TestTotals(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	w := serveDemo(t, pool).dial(t)
	w.follow("var", "totals")
	requireTotals(t, pool, w.value("totals"))
	for _, sql := range []string{
		"UPDATE flights SET delay_minutes = NULL WHERE id % 2 = 0",
		"DELETE FROM flights WHERE id > 10000",
		"UPDATE flights SET delay_minutes = NULL",
		"TRUNCATE flights CASCADE",
	} {
		execute(t, pool, sql)
		requireTotals(t, pool, w.value("totals"))
	}
}

func TestPageAndReady(t *testing.T) {
	t.Parallel()
	d := serveDemo(t, small(t))
	require.Eventually(t, func() bool { return d.get(t, "/ready") == http.StatusOK }, patience, tick)
	for path, status := range map[string]int{
		"/": http.StatusOK, "/app.js": http.StatusOK, "/socksync.js": http.StatusOK, "/follow.js": http.StatusOK, "/style.css": http.StatusOK,
		"/main.go": http.StatusNotFound, "/ws/socksync/": http.StatusUpgradeRequired,
	} {
		require.Equal(t, status, d.get(t, path), path)
	}
}
