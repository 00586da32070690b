package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// mine is what Postgres says a user has booked.
func mine(t *testing.T, pool *pgxpool.Pool, user string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT jsonb_build_object('flight_id', id, 'departs_at', to_char(departs_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
			'origin', origin, 'destination', destination, 'delay_minutes', delay_minutes, 'distance_miles', distance_miles, 'note', note)::text
		FROM flights WHERE id IN (SELECT flight_id FROM bookings WHERE user_name = $1) ORDER BY departs_at, id`, user)
	require.NoError(t, err)
	items, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return items
}

// passenger follows my_flights as a user, over version 1.
type passenger struct {
	*wire
	user string
	held pages
}

func (d *demo) passenger(t *testing.T, user string) *passenger {
	t.Helper()
	p := &passenger{d.dialAs(t, user), user, pages{}}
	p.send(`{"func":"subscribe","type":"list","name":"my_flights"}`)
	p.held.apply(t, p.page("my_flights", ""))
	return p
}

// holds reads until the passenger has what Postgres says.
func (p *passenger) holds(pool *pgxpool.Pool) {
	p.t.Helper()
	for want := mine(p.t, pool, p.user); ; {
		held := p.held["my_flights"]
		if held.Total == len(want) && same(p.t, want, held.Items) {
			return
		}
		p.held.apply(p.t, p.next())
	}
}

// hears nothing of what was committed before: the next that comes is what is committed now.
func (p *passenger) hearsNothing(pool *pgxpool.Pool) {
	p.t.Helper()
	p.follow("var", "board")
	p.value("board")
	title := one[string](p.t, pool, "UPDATE board SET title = title || '.' RETURNING title")
	require.Contains(p.t, p.value("board"), fmt.Sprintf("%q", title))
	p.send(`{"func":"unsubscribe","type":"var","name":"board"}`)
}

func TestMyFlights(t *testing.T) {
	t.Parallel()
	pool := small(t)
	execute(t, pool, `INSERT INTO bookings SELECT 'Ada', n FROM generate_series(2, 12, 2) n`)
	execute(t, pool, `INSERT INTO bookings VALUES ('Grace', 3), ('Grace', 4), ('ada', 5), ('Ada ', 6)`)
	d := serveDemo(t, pool)
	ada, grace, other := d.passenger(t, "Ada"), d.passenger(t, "Grace"), d.passenger(t, "Robert'); DROP TABLE bookings; --")
	require.Equal(t, []int{6, 2, 0}, []int{ada.held["my_flights"].Total, grace.held["my_flights"].Total, other.held["my_flights"].Total})
	for _, sql := range []string{
		"INSERT INTO bookings VALUES ('Ada', 1), ('Ada', 20)",
		"UPDATE flights SET note = 'changed', delay_minutes = NULL WHERE id IN (4, 5)",
		"UPDATE flights SET departs_at = 'epoch' WHERE id = 12",
		"UPDATE bookings SET user_name = 'Grace' WHERE (user_name, flight_id) = ('Ada', 8)",
		"UPDATE bookings SET flight_id = 9 WHERE (user_name, flight_id) = ('Ada', 10)",
		"UPDATE flights SET id = 100 + id WHERE id = 19",
		"UPDATE airports SET iata = 'ZZZ' WHERE iata = 'AAA'",
		"DELETE FROM flights WHERE id IN (2, 3, 5)",
		"DELETE FROM bookings WHERE user_name = 'Ada' AND flight_id > 9",
		"DELETE FROM airports WHERE iata = 'BBB'",
		"TRUNCATE bookings",
	} {
		execute(t, pool, sql)
		ada.holds(pool)
		grace.holds(pool)
	}
	other.hearsNothing(pool)
	require.Empty(t, mine(t, pool, "Ada"), "the last has emptied it")
}

// A change of one user's bookings is no message to another.
func TestMyFlightsAreMineAlone(t *testing.T) {
	t.Parallel()
	pool := small(t)
	execute(t, pool, `INSERT INTO bookings SELECT u, n FROM generate_series(1, 9) n, unnest(ARRAY['Ada', 'Grace']) u WHERE (n % 2 = 0) = (u = 'Ada')`)
	d := serveDemo(t, pool)
	ada, grace := d.passenger(t, "Ada"), d.passenger(t, "Grace")
	for _, sql := range []string{
		"INSERT INTO bookings VALUES ('Ada', 20)",
		"UPDATE flights SET delay_minutes = 7, departs_at = 'epoch' WHERE id = 4",
		"UPDATE bookings SET user_name = 'Linus' WHERE (user_name, flight_id) = ('Ada', 6)",
		"DELETE FROM flights WHERE id = 8",
		"DELETE FROM bookings WHERE user_name IN ('Ada', 'Linus')",
	} {
		execute(t, pool, sql)
		ada.holds(pool)
		grace.hearsNothing(pool)
		grace.holds(pool)
	}
}

// What the client says does not make it somebody else.
func TestMyFlightsCannotBeChosen(t *testing.T) {
	t.Parallel()
	pool := small(t)
	execute(t, pool, "INSERT INTO bookings VALUES ('Ada', 1), ('Grace', 2)")
	w := serveDemo(t, pool).dialAs(t, "Grace", versionTwo)
	w.send(`{"func":"subscribe","type":"list","name":"my_flights"}`)
	for _, choice := range []string{
		`"filter":{"user_name":"Ada"}`, `"filter":{"user":"Ada"}`, `"filter":{"flight_id":1}`, `"sort":["user_name"]`, `"search":"Ada"`,
	} {
		w.send(`{"func":"get","type":"list","name":"my_flights",%s}`, choice)
		m := w.next()
		require.Equal(t, []any{"error", 8}, []any{m.Func, m.Code}, choice)
	}
	m := w.page("my_flights", `,"user":"Ada","params":{"user":"Ada"},"after":null`)
	require.True(t, same(t, mine(t, pool, "Grace"), m.Items), "%s", m.Items)
}

func TestMyFlightsOfNobody(t *testing.T) {
	t.Parallel()
	pool := small(t)
	execute(t, pool, "INSERT INTO bookings VALUES ('', 1)")
	d := serveDemo(t, pool)
	for code, w := range map[int]*wire{3: d.dial(t), 9: d.dialTwo(t)} {
		w.send(`{"func":"subscribe","type":"list","name":"my_flights"}`)
		require.Equal(t, code, w.next().Code)
		w.send(`{"func":"get","type":"list","name":"my_flights"}`)
		require.Equal(t, "error", w.next().Func)
		w.follow("var", "board")
		w.value("board") // all else is for everybody
	}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	d := serveDemo(t, small(t))
	for _, name := range []string{"Ada", " Ada", "ålesund 東京 🛫", "%00", "a&user=b", strings.Repeat("x", maxName)} {
		d.passenger(t, name)
	}
	for _, name := range []string{"a\x00b", "\xff", strings.Repeat("x", maxName+1)} {
		conn, _, err := websocket.Dial(t.Context(), "ws://"+d.addr+"/ws/socksync/?user="+url.QueryEscape(name),
			&websocket.DialOptions{Subprotocols: []string{"socksync.v1"}})
		require.NoError(t, err)
		_, _, err = conn.Read(t.Context())
		require.EqualValues(t, 4001, websocket.CloseStatus(err), "%q: %v", name, err)
	}
}

func TestBookFlight(t *testing.T) {
	t.Parallel()
	pool := small(t)
	d := serveDemo(t, pool)
	ada := d.passenger(t, "Ada")
	for range 2 { // the second time there is nothing to do
		m := ada.call("book_flight", `{"id":5}`) // and the function's answer comes before the list's change
		require.Equal(t, "return", m.Func, m.Message)
		require.JSONEq(t, mine(t, pool, "Ada")[0], string(m.Value))
		ada.holds(pool)
	}
	require.Equal(t, "Ada 5", one[string](t, pool, "SELECT string_agg(concat_ws(' ', user_name, flight_id), ', ') FROM bookings"))

	require.Contains(t, d.dialAs(t, "Grace").call("cancel_flight", `{"id":5}`).Message, "you have not booked flight 5")
	want := mine(t, pool, "Ada")[0]
	m := ada.call("cancel_flight", `{"id":5}`)
	require.Equal(t, "return", m.Func, m.Message)
	require.JSONEq(t, want, string(m.Value))
	ada.holds(pool)
	require.Zero(t, one[int](t, pool, "SELECT count(*) FROM bookings"))
}

func TestBookFlightRefuses(t *testing.T) {
	t.Parallel()
	pool := small(t)
	execute(t, pool, "INSERT INTO bookings VALUES ('Grace', 1), ('', 2)")
	d := serveDemo(t, pool)
	for _, function := range []string{"book_flight", "cancel_flight"} {
		for user, refusals := range map[string]map[string]string{
			"Ada": {`{}`: "an id is needed", `{"id":null}`: "an id is needed", `{"id":987654321}`: "flight 987654321", `{"id":"5"}`: "id", `{"id":1.5}`: "id", `[5]`: ""},
			"":    {`{"id":1}`: "sign in first", `{"id":2}`: "sign in first", `{"id":2,"user":"Ada"}`: "sign in first"},
		} {
			w := d.dialAs(t, user)
			for args, message := range refusals {
				m := w.call(function, args)
				require.Equal(t, []any{"error", 8}, []any{m.Func, m.Code}, args)
				require.Contains(t, m.Message, message, args)
			}
		}
	}
	require.Equal(t, "Grace 1,  2", one[string](t, pool, "SELECT string_agg(user_name || ' ' || flight_id, ', ' ORDER BY flight_id) FROM bookings"), "nothing was written")
}

// A flight that is being deleted is not there to be booked, and that is no error of the server's.
func TestBookAFlightThatGoes(t *testing.T) {
	t.Parallel()
	pool := small(t)
	w := serveDemo(t, pool).dialAs(t, "Ada")
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(t.Context(), "DELETE FROM flights WHERE id = 5")
	require.NoError(t, err)
	w.send(`{"func":"subscribe","type":"function","name":"book_flight"}`)
	w.send(`{"func":"call","type":"function","name":"book_flight","id":"a","args":{"id":5}}`)
	require.Eventually(t, func() bool {
		return one[int](t, pool, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
	}, patience, tick)
	require.NoError(t, tx.Commit(t.Context()))
	m := w.next()
	require.Equal(t, []any{"error", 8}, []any{m.Func, m.Code})
	require.Contains(t, m.Message, "there is no flight 5")
}
