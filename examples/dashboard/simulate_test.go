package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const everything = `SELECT (SELECT count(*) FROM bookings) || md5(string_agg(f::text, ',' ORDER BY id)) || (SELECT string_agg(b::text, ',' ORDER BY id) FROM board b) FROM flights f`

func TestSimulateWrites(t *testing.T) {
	t.Parallel()
	pool := small(t)
	before := one[string](t, pool, everything)
	w := start(t, options{database: pool.Config().ConnString(), simulate: 200}).dial(t)
	w.follow("var", "totals")
	for range 3 {
		w.value("totals") // the first one, and then changes
	}
	require.NotEqual(t, before, one[string](t, pool, everything))
}

func TestSimulateNothing(t *testing.T) {
	t.Parallel()
	pool := small(t)
	before := one[string](t, pool, everything)
	d := start(t, options{database: pool.Config().ConnString(), simulate: 0})
	w := d.dial(t)
	w.follow("var", "board")
	for range 20 { // it goes on for a while
		w.value("board")
		execute(t, pool, "UPDATE board SET message = message || '.'")
	}
	execute(t, pool, "UPDATE board SET message = rtrim(message, '.') || '.'")
	_ = w.conn.CloseNow()
	d.stop()
	require.Equal(t, before, one[string](t, pool, everything))
}

// An empty table has nothing to write to, and that is no error.
func TestSimulateOnEmptyTables(t *testing.T) {
	t.Parallel()
	pool := small(t)
	execute(t, pool, "TRUNCATE flights CASCADE")
	execute(t, pool, "DELETE FROM board")
	s := newSimulator(pool, nil)
	for _, kind := range writes {
		require.NoError(t, s.write(t.Context(), kind))
	}
}

func TestSimulatePicksByWeight(t *testing.T) {
	t.Parallel()
	total := 0
	for _, w := range writes {
		total += w.weight
	}
	require.Equal(t, 100, total)
	seen := map[string]int{}
	s := newSimulator(nil, nil)
	for range 20000 {
		seen[s.pick().sql]++
	}
	for _, w := range writes {
		require.InDelta(t, 200*w.weight, seen[w.sql], 400, w.sql)
	}
}
