package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
)

const (
	flightJSON = `jsonb_build_object('id', id, 'departs_at', to_char(departs_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'origin', origin,
		'destination', destination, 'delay_minutes', delay_minutes, 'distance_miles', distance_miles, 'note', note)`
	airportJSON = `jsonb_build_object('iata', iata, 'name', name, 'city', city, 'state', state, 'country', country,
		'latitude', latitude, 'longitude', longitude)`
)

// fullRows are the flights with the names of their airports.
const fullRows = `(SELECT flights.*, o.name AS origin_name, o.city AS origin_city, d.name AS destination_name, d.city AS destination_city
	FROM flights, airports o, airports d WHERE (o.iata, d.iata) = (origin, destination)) flights`

const (
	fullJSON = flightJSON + ` || jsonb_build_object('origin_name', origin_name, 'origin_city', origin_city,
		'destination_name', destination_name, 'destination_city', destination_city)`
	originJSON = `jsonb_build_object('origin', origin, 'flights', flights, 'late', late, 'average_delay', average_delay)`
	originRows = `(SELECT origin, (SELECT count(*) FROM flights f WHERE f.origin = o.origin) AS flights,
		(SELECT count(*) FROM flights f WHERE f.origin = o.origin AND delay_minutes >= 30) AS late,
		(SELECT avg(delay_minutes)::float8 FROM flights f WHERE f.origin = o.origin) AS average_delay
		FROM (SELECT DISTINCT origin FROM flights) o) origins`
)

// contract is what each list shows: the items, and the rows in their order.
var contract = map[string]struct{ item, rows, order string }{
	"departures":        {flightJSON, "flights", "departs_at, id"},
	"delays":            {flightJSON, "flights WHERE delay_minutes >= 30", "delay_minutes DESC, id"},
	"longest":           {flightJSON, "flights", "distance_miles DESC, origin, destination DESC, id"},
	"remarks":           {flightJSON, "flights WHERE delay_minutes >= 120", "note, id DESC"},
	"flights_by_choice": {flightJSON, "flights", "id"},
	"flights_full":      {"(" + fullJSON + ")", fullRows, "departs_at, id"},
	"by_origin":         {originJSON, originRows, "flights DESC, origin"},
	"airports":          {airportJSON, "airports", "name, iata"},
}

// wanted is what Postgres says a page is.
func wanted(t *testing.T, pool *pgxpool.Pool, list string, page, size int) (items []string, total int) {
	t.Helper()
	c := contract[list]
	total = one[int](t, pool, "SELECT count(*) FROM "+c.rows)
	rows, err := pool.Query(t.Context(), fmt.Sprintf("SELECT %s::text FROM %s ORDER BY %s LIMIT $1 OFFSET $2", c.item, c.rows, c.order), size, page*size)
	require.NoError(t, err)
	items, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return items, total
}

// same says whether items are equal as JSON.
func same(t *testing.T, want []string, got []json.RawMessage) bool {
	t.Helper()
	return slices.EqualFunc(want, got, func(a string, b json.RawMessage) bool {
		var x, y any
		require.NoError(t, json.Unmarshal([]byte(a), &x))
		require.NoError(t, json.Unmarshal(b, &y))
		return fmt.Sprint(x) == fmt.Sprint(y) // maps are printed in the order of their keys
	})
}

func TestListsAreAsPostgresOrdersThem(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	w := serveDemo(t, pool).dial(t)
	for list := range contract {
		w.send(`{"func":"subscribe","type":"list","name":%q}`, list)
		_, total := wanted(t, pool, list, 0, 1)
		last := (total - 1) / 7
		for _, ask := range []struct {
			choice     string
			page, size int // as answered
		}{
			{``, 0, 100},
			{`,"page":2`, 2, 100},
			{`,"page":3,"page_size":7`, 3, 7},
			{`,"page":1,"page_size":101`, 1, 100},
			{`,"page":0,"page_size":1000000`, 0, 100},
			{fmt.Sprintf(`,"page":%d,"page_size":7`, last), last, 7},
			{`,"page":123456,"page_size":10`, 123456, 10},
		} {
			got := w.page(list, ask.choice)
			items, total := wanted(t, pool, list, ask.page, ask.size)
			require.Equal(t, []int{ask.page, ask.size, total}, []int{got.Page, got.PageSize, got.Total}, "%s%s", list, ask.choice)
			require.True(t, same(t, items, got.Items), "%s%s:\nwant %s\ngot  %s", list, ask.choice, items, texts(got.Items))
		}
	}
}

// Every kind of simulated write runs many times on the real data; none fails, and
// all lists follow.
func TestListsFollowTheSimulation(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	w := serveDemo(t, pool).dial(t)
	held := pages{}
	for list := range contract {
		w.send(`{"func":"subscribe","type":"list","name":%q}`, list)
		held.apply(t, w.page(list, `,"page":1,"page_size":20`))
	}

	random := newSimulator(pool, nil).random
	for _, kind := range writes {
		for range 100 {
			done, err := pool.Exec(t.Context(), kind.sql, kind.args(random)...)
			require.NoError(t, err, kind.sql)
			require.EqualValues(t, 1, done.RowsAffected(), kind.sql)
		}
	}
	require.Zero(t, one[int](t, pool, "SELECT count(*) FROM flights WHERE delay_minutes NOT BETWEEN -200 AND 2000 OR origin = destination AND id > 20000"))
	require.Zero(t, one[int](t, pool, "SELECT count(*) FROM flights WHERE departs_at NOT BETWEEN '2000-12-01' AND '2001-05-01'"))

	settle(t, pool, w, held)
}

// settle reads until every page is what Postgres says.
func settle(t *testing.T, pool *pgxpool.Pool, w *wire, held pages) {
	t.Helper()
	for name, page := range held {
		for items, total := wanted(t, pool, name, page.Page, page.PageSize); ; page = held[name] {
			if page.Total == total && same(t, items, page.Items) {
				break
			}
			held.apply(t, w.next())
		}
	}
}

func TestListsFollowEveryKindOfChange(t *testing.T) {
	t.Parallel()
	pool := small(t)
	w := serveDemo(t, pool).dial(t)
	held := pages{}
	for list := range contract {
		w.send(`{"func":"subscribe","type":"list","name":%q}`, list)
		held.apply(t, w.page(list, ""))
	}
	for _, sql := range []string{
		"UPDATE flights SET delay_minutes = 500, note = NULL WHERE id = 7",
		"DELETE FROM flights WHERE id = 3",
		"INSERT INTO flights (departs_at, origin, destination, distance_miles) VALUES ('2001-01-01 03:30:15', 'CCC', 'AAA', 2000)",
		"UPDATE airports SET name = 'Delta Strip', city = NULL WHERE iata = 'BBB'",
		"UPDATE flights SET origin = 'BBB', destination = 'CCC' WHERE id = 8",
		"UPDATE flights SET delay_minutes = NULL WHERE origin = 'BBB'",
		"UPDATE airports SET iata = 'ZZZ' WHERE iata = 'AAA'", // and all flights from there
		"DELETE FROM airports WHERE iata = 'CCC'",             // and its flight
		"TRUNCATE flights CASCADE",
	} {
		execute(t, pool, sql)
		settle(t, pool, w, held)
	}
}

func TestListErrors(t *testing.T) {
	t.Parallel()
	pool := small(t)
	d := serveDemo(t, pool)
	w := d.dial(t)
	w.send(`{"func":"subscribe","type":"list","name":"arrivals"}`)
	require.Equal(t, 3, w.next().Code)
	w.send(`{"func":"subscribe","type":"list","name":"airports"}`)
	w.send(`{"func":"get","type":"list","name":"airports","page":-1}`)
	require.Equal(t, 5, w.next().Code)

	execute(t, pool, "ALTER TABLE airports RENAME TO elsewhere")
	for w.send(`{"func":"get","type":"list","name":"airports"}`); w.next().Code != 8; {
		w.send(`{"func":"get","type":"list","name":"airports"}`) // it was faster
	}
	execute(t, pool, "ALTER TABLE elsewhere RENAME TO airports")
	execute(t, pool, "UPDATE airports SET name = 'Back again' WHERE iata = 'BBB'")
	held := pages{}
	for held["airports"] == nil {
		w.send(`{"func":"get","type":"list","name":"airports"}`)
		if m := w.next(); m.Func == "set_all" {
			held.apply(t, m)
		}
	}
	settle(t, pool, w, held)
	require.NotEmpty(t, d.log.take(), "the operator is told")
}
