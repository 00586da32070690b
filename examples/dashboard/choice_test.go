package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// The lists of which people choose what they see.
const (
	byChoice = "flights_by_choice"
	explored = "flights_full" // in the page, by the explorer
)

// TestFlightsByChoice asks for what the contract allows.
func TestFlightsByChoice(t *testing.T) {
	t.Parallel()
	pool := various(t)
	w := serveDemo(t, pool).dialTwo(t)
	w.send(`{"func":"subscribe","type":"list","name":%q}`, byChoice)
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
		m := w.page(byChoice, c.choice)
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
	for _, list := range []string{byChoice, explored} {
		require.Equal(t, 100, w.page(list, `,"page_size":1000000`).PageSize)
		require.Len(t, w.page(list, `,"after":null,"page_size":1000000`).Items, 1000)
	}
	for _, c := range []struct{ list, choice, names string }{
		{byChoice, `"sort":["gate"]`, "gate"},
		{byChoice, `"sort":["origin_name"]`, "origin_name"},
		{byChoice, `"filter":{"gate":1}`, "gate"},
		{byChoice, `"filter":{"id":{"like":1}}`, "like"},
		{explored, `"sort":["name"]`, "name"},
		{explored, `"filter":{"origin_country":"USA"}`, "origin_country"},
		{"by_origin", `"sort":["late"]`, "late"},
		{"by_origin", `"filter":{"origin":"AAA"}`, "origin"},
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

// TestFlightsFull asks for what the contract allows of the flights with their airports: all columns are for filters and
// orders, the names and the note for searching.
func TestFlightsFull(t *testing.T) {
	t.Parallel()
	pool := various(t)
	w := serveDemo(t, pool).dialTwo(t)
	w.send(`{"func":"subscribe","type":"list","name":%q}`, explored)
	ask := func(choice, rest string) {
		m := w.page(explored, choice)
		want := one[[]int](t, pool, "SELECT array(SELECT id FROM "+fullRows+" "+rest+")")
		require.NotEmpty(t, want, choice)
		require.Equal(t, len(want), m.Total, choice)
		require.Equal(t, want, numbers(t, m.Items), choice)
	}
	ask("", "ORDER BY departs_at, id")
	for _, column := range []string{
		"id", "departs_at", "origin", "destination", "delay_minutes", "distance_miles", "note",
		"origin_name", "origin_city", "destination_name", "destination_city",
	} {
		ask(fmt.Sprintf(`,"sort":["-%s"]`, column), "ORDER BY "+column+" DESC, id")
		ask(fmt.Sprintf(`,"filter":{%q:{"null":false}}`, column), "WHERE "+column+" IS NOT NULL ORDER BY departs_at, id")
	}
	ask(`,"filter":{"origin_name":"Alpha Field","destination_city":{"ne":"Alpha"}}`,
		"WHERE origin_name = 'Alpha Field' AND destination_city IS DISTINCT FROM 'Alpha' ORDER BY departs_at, id")
	ask(`,"filter":{"origin_city":null}`, "WHERE origin_city IS NULL ORDER BY departs_at, id")
	ask(`,"search":"BRAVO late"`, "WHERE 'Bravo Municipal' IN (origin_name, destination_name) AND strpos(lower(note), 'late') > 0 ORDER BY departs_at, id")
	ask(`,"search":"alpha"`, "WHERE 'Alpha Field' IN (origin_name, destination_name) ORDER BY departs_at, id")
	require.Zero(t, w.page(explored, `,"search":"AAA"`).Total, "codes are not searched")
	require.Zero(t, w.page(explored, `,"search":"charlie"`).Total, "nor cities")
}
