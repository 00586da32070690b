package main

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// dialTwo opens a connection that speaks version 2.
func (d *demo) dialTwo(t *testing.T) *wire {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	options := &websocket.DialOptions{Subprotocols: []string{"socksync.v2", "socksync.v1"}}
	conn, _, err := websocket.Dial(ctx, "ws://"+d.addr+"/ws/socksync/", options)
	require.NoError(t, err)
	require.Equal(t, "socksync.v2", conn.Subprotocol())
	conn.SetReadLimit(1 << 24)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &wire{t: t, conn: conn}
}

// TestFlightsByChoice asks for what the contract allows.
func TestFlightsByChoice(t *testing.T) {
	t.Parallel()
	pool := various(t)
	w := serveDemo(t, pool).dialTwo(t)
	w.send(`{"func":"subscribe","type":"list","name":%q}`, explored)
	for _, c := range []struct{ choice, rest string }{
		{``, "ORDER BY id"},
		{`,"sort":["note","-id"]`, "ORDER BY note, id DESC"},
		{`,"filter":{"id":7}`, "WHERE id = 7"},
		{`,"filter":{"departs_at":{"lt":"2001-01-02T00:00:00Z"}}`, "WHERE departs_at < '2001-01-02' ORDER BY id"},
		{`,"filter":{"origin":{"ne":"AAA"},"destination":{"in":["AAA","BBB"]}}`, "WHERE origin <> 'AAA' AND destination IN ('AAA', 'BBB') ORDER BY id"},
		{`,"filter":{"delay_minutes":{"null":true}}`, "WHERE delay_minutes IS NULL ORDER BY id"},
		{`,"filter":{"distance_miles":{"gt":10,"lte":30}}`, "WHERE distance_miles > 10 AND distance_miles <= 30 ORDER BY id"},
		{`,"filter":{"note":{"contains":"at"}}`, "WHERE strpos(note, 'at') > 0 ORDER BY id"},
		{`,"filter":{"note":{"prefix":"La"}}`, "WHERE starts_with(note, 'La') ORDER BY id"},
		{`,"search":"LATE aa"`, "WHERE strpos(lower(note), 'late') > 0 AND 'AAA' IN (origin, destination) ORDER BY id"},
	} {
		m := w.page(explored, c.choice)
		want := one[[]int](t, pool, "SELECT array(SELECT id FROM flights "+c.rest+")")
		require.NotEmpty(t, want, c.choice)
		require.Equal(t, len(want), m.Total, c.choice)
		require.Equal(t, want, numbers(t, m.Items), c.choice)
	}
}

// numbers are the ids of flights.
func numbers(t *testing.T, items []json.RawMessage) []int {
	t.Helper()
	list := make([]int, len(items))
	for i, item := range items {
		var flight struct{ ID int }
		require.NoError(t, json.Unmarshal(item, &flight))
		list[i] = flight.ID
	}
	return list
}

func TestFlightsByChoiceBounds(t *testing.T) {
	t.Parallel()
	pool := small(t)
	many(t, pool)
	w := serveDemo(t, pool).dialTwo(t)
	for list := range contract {
		w.send(`{"func":"subscribe","type":"list","name":%q}`, list)
	}
	require.Equal(t, 100, w.page(explored, `,"page_size":1000000`).PageSize)
	require.Len(t, w.page(explored, `,"after":null,"page_size":1000000`).Items, 1000)
	for _, c := range []struct{ list, choice, names string }{
		{explored, `"sort":["gate"]`, "gate"},
		{explored, `"filter":{"gate":1}`, "gate"},
		{explored, `"filter":{"id":{"like":1}}`, "like"},
		{"departures", `"sort":["note"]`, "note"},
		{"delays", `"filter":{"origin":"AAA"}`, "origin"},
		{"airports", `"search":"alpha"`, ""},
	} {
		w.send(`{"func":"get","type":"list","name":%q,%s}`, c.list, c.choice)
		m := w.next()
		require.Equal(t, []any{"error", 8, c.list}, []any{m.Func, m.Code, m.Name}, c.choice)
		require.Contains(t, m.Message, c.names)
	}
}
