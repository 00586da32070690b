package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// TestPageAccount looks at what the page shows to those who sign in.
func TestPageAccount(t *testing.T) {
	t.Parallel()
	b := browse(t)
	for name, test := range map[string]func(*testing.T, browser){
		"signs in and out":        testAccountSignsIn,
		"books and cancels":       testAccountBooks,
		"keeps users apart":       testAccountKeepsUsersApart,
		"shows many bookings":     testAccountShowsMany,
		"outlives the server":     testAccountOutlivesTheServer,
		"is used by keyboard":     testAccountByKeyboard,
		"is refused":              testAccountIsRefused,
		"fits a narrow window":    testAccountFitsANarrowWindow,
		"works with version one":  testAccountWithVersionOne,
		"is told of airports":     testAccountAirports,
		"follows groups":          testAccountGroups,
		"is one of several names": testAccountOffersNames,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, b) })
	}
}

const signIn = "Sign in to see the flights that you have booked."

func (p *tab) signIn(user string) {
	p.t.Helper()
	p.enter("#name", user)
	p.click("#sign")
	p.shows("#sign", "Sign out")
	p.shows("#status", "live")
}

func (p *tab) signOut() {
	p.t.Helper()
	p.click("#sign")
	p.shows("#sign", "Sign in")
	p.shows("#status", "live")
}

// requireMine waits until the list of bookings shows what a user has booked.
func (p *tab) requireMine(pool *pgxpool.Pool, user string) {
	p.t.Helper()
	p.requireTable(pool, flightCells+", 'Cancel'", fmt.Sprintf(
		"flights WHERE id IN (SELECT flight_id FROM bookings WHERE user_name = '%s') ORDER BY departs_at, id LIMIT 15", user))
}

// requireBooked waits until the explorer offers to cancel exactly what a user has booked.
func (p *tab) requireBooked(pool *pgxpool.Pool, user string) {
	p.t.Helper()
	action := fmt.Sprintf(", CASE WHEN id IN (SELECT flight_id FROM bookings WHERE user_name = '%s') THEN 'Cancel' ELSE 'Book' END", user)
	p.requireRows("#rows", pool, fullCells+action, fullRows+" ORDER BY departs_at, id LIMIT 100")
}

func testAccountSignsIn(t *testing.T, b browser) {
	pool := small(t)
	execute(t, pool, "INSERT INTO bookings VALUES ('Ada', 3), ('Ada', 1), ('Grace & <b>Co', 2)")
	p := b.open(t, serveDemo(t, pool))
	p.click("[data-list=my_flights]")
	p.shows("#problem", signIn)
	p.count("#rows th", 9)
	p.signIn("Ada")
	p.requireMine(pool, "Ada")
	p.shows("#problem", "")
	p.requireBooked(pool, "Ada")
	p.await(`location.search === "?user=Ada" && document.querySelector("#name").readOnly`)
	p.await(`document.querySelector("#viewers").textContent === "Ada"`)
	do(p, chromedp.Reload())
	p.click("[data-list=my_flights]")
	p.requireMine(pool, "Ada")
	p.signOut()
	p.shows("#problem", signIn)
	p.count("#lists tbody tr", 0)
	p.count("#rows th", 9)
	p.requireRows("#rows", pool, fullCells, fullRows+" ORDER BY departs_at, id")
	p.await(`location.search === "" && !document.querySelector("#name").readOnly`)
	p.signIn("Grace & <b>Co")
	p.requireTable(pool, flightCells+", 'Cancel'", "flights WHERE id = 2")
	p.signOut()
	p.enter("#name", " ")
	p.click("#sign") // nobody has that name
	p.shows("#sign", "Sign in")
	p.click("[data-list=departures]")
	p.requireTable(pool, flightCells, "flights ORDER BY departs_at, id LIMIT 15")
}

func testAccountBooks(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	p.signIn("Ada")
	p.click("[data-list=my_flights]")
	p.shows("#problem", "You have booked no flights: book some above.")
	p.requireBooked(pool, "Ada")
	p.click("#rows tr:nth-child(4) button")
	p.shows("#toasts p:last-child", "Flight 4 is booked.")
	require.Equal(t, "Ada 4", one[string](t, pool, "SELECT string_agg(concat_ws(' ', user_name, flight_id), ', ') FROM bookings"))
	p.requireMine(pool, "Ada")
	p.requireBooked(pool, "Ada")
	p.click("#rows tr:nth-child(2) button")
	p.shows("#toasts p:last-child", "Flight 2 is booked.")
	p.requireMine(pool, "Ada")
	p.click("#rows tr:nth-child(4) button") // it cancels by now
	p.shows("#toasts p:last-child", "Flight 4 is not booked any more.")
	p.requireMine(pool, "Ada")
	p.requireBooked(pool, "Ada")
	p.click("#lists tbody button")
	p.shows("#toasts p:last-child", "Flight 2 is not booked any more.")
	p.shows("#problem", "You have booked no flights: book some above.")
	p.requireBooked(pool, "Ada")
	require.Zero(t, one[int](t, pool, "SELECT count(*) FROM bookings"))
	p.await(`document.querySelector("#flight").value === ""`) // a button does not pick its row
}

// What others book is not shown, and what becomes theirs goes.
func testAccountKeepsUsersApart(t *testing.T, b browser) {
	pool := small(t)
	execute(t, pool, "INSERT INTO bookings SELECT u, n FROM generate_series(1, 9) n, unnest(ARRAY['Ada', 'Grace']) u WHERE (n % 2 = 0) = (u = 'Ada')")
	d := serveDemo(t, pool)
	tabs := map[string]*tab{"Ada": b.open(t, d), "Grace": b.open(t, d)}
	for user, p := range tabs {
		p.signIn(user)
		p.click("[data-list=my_flights]")
	}
	for _, sql := range []string{
		"UPDATE bookings SET user_name = 'Grace' WHERE flight_id = 4",
		"UPDATE flights SET delay_minutes = 99, departs_at = departs_at + '10 hours' WHERE id IN (2, 3)",
		"DELETE FROM flights WHERE id IN (1, 6)",
		"UPDATE bookings SET user_name = CASE user_name WHEN 'Ada' THEN 'Grace' ELSE 'Ada' END",
	} {
		execute(t, pool, sql)
		for user, p := range tabs {
			p.requireMine(pool, user)
			p.requireBooked(pool, user)
		}
	}
	tabs["Ada"].signOut()
	tabs["Ada"].signIn("Grace")
	tabs["Ada"].requireMine(pool, "Grace")
	tabs["Ada"].requireBooked(pool, "Grace")
	tabs["Ada"].shows("#count", one[string](t, pool, "SELECT count(*) || ' rows' FROM bookings WHERE user_name = 'Grace'"))
}

// More bookings than the first get brings are known to the explorer.
func testAccountShowsMany(t *testing.T, b browser) {
	pool := small(t)
	many(t, pool)
	execute(t, pool, "UPDATE flights SET departs_at = departs_at - interval '1 year' WHERE id BETWEEN 1390 AND 1400")
	execute(t, pool, "INSERT INTO bookings SELECT 'Ada', n FROM generate_series(1000, 1400) n")
	execute(t, pool, "UPDATE flights SET departs_at = departs_at + interval '2 years' WHERE id BETWEEN 1390 AND 1400")
	p := b.open(t, serveDemo(t, pool))
	p.signIn("Ada")
	p.click("[data-column=departs_at]")
	p.requireRows("#rows", pool, fullCells+", CASE WHEN id BETWEEN 1000 AND 1400 THEN 'Cancel' ELSE 'Book' END", fullRows+" ORDER BY departs_at DESC, id LIMIT 100")
	p.click("[data-list=my_flights]")
	p.shows("#count", "401 rows")
	p.shows("#pages", "of 27")
}

func testAccountOutlivesTheServer(t *testing.T, b browser) {
	pool := small(t)
	execute(t, pool, "INSERT INTO bookings VALUES ('Ada', 3), ('Ada', 1)")
	d := serveDemo(t, pool)
	p := b.open(t, d)
	p.signIn("Ada")
	p.click("[data-list=my_flights]")
	p.requireMine(pool, "Ada")
	d.stop()
	p.shows("#status", "connecting")
	p.click("#rows tr:nth-child(4) button")
	p.shows("#toasts p:last-child", "there is no connection")
	execute(t, pool, "UPDATE bookings SET user_name = 'Grace' WHERE flight_id = 3")
	start(t, options{addr: d.addr, database: pool.Config().ConnString()})
	p.shows("#status", "live")
	p.requireMine(pool, "Ada")
	p.requireBooked(pool, "Ada")
	p.take()
	p.close() // before the server goes again
}

func testAccountByKeyboard(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	press := func(keys string) { do(p, chromedp.KeyEvent(keys)) }
	do(p, chromedp.Evaluate[chromedp.Void](`document.querySelector("#name").select()`))
	press("Ada")
	press(kb.Enter)
	p.shows("#sign", "Sign out")
	p.requireBooked(pool, "Ada")
	do(p, chromedp.Focus(chromedp.CSS("[data-column=note]")))
	press(kb.Tab) // the first row
	press(kb.ArrowDown)
	press(kb.Tab) // its button
	at := func(flight int, label string) {
		p.await(fmt.Sprintf(`document.activeElement.ariaLabel === "%s flight %d" && document.activeElement.closest("tr").cells[0].textContent === "%d"`, label, flight, flight))
	}
	at(2, "Book")
	press(kb.Enter)
	at(2, "Cancel")
	press(kb.ArrowDown)
	at(3, "Book")
	press(" ")
	at(3, "Cancel")
	execute(t, pool, "UPDATE flights SET note = 'new' WHERE id = 3")
	p.requireBooked(pool, "Ada")
	at(3, "Cancel")
	execute(t, pool, "DELETE FROM flights WHERE id = 3")
	at(4, "Book")
	press(kb.Tab)
	p.await(`document.activeElement.id === "pause" && document.querySelector("#flight").value === ""`)
	require.Equal(t, "Ada 2", one[string](t, pool, "SELECT string_agg(concat_ws(' ', user_name, flight_id), ', ') FROM bookings"))
}

// A name that the server does not take is no reason to stay outside.
func testAccountIsRefused(t *testing.T, b browser) {
	pool := small(t)
	d := serveDemo(t, pool)
	p := b.visit(t, "http://"+d.addr+"/?user="+strings.Repeat("x", maxName+1))
	p.shows("#toasts p", "The server does not let anybody of that name in.")
	p.shows("#sign", "Sign in")
	p.await(`location.search === ""`)
	p.requireRows("#rows", pool, fullCells, fullRows+" ORDER BY departs_at, id")
}

func testAccountFitsANarrowWindow(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	do(p, chromedp.EmulateViewport(360, 740))
	p.signIn(strings.Repeat("W", 40))
	p.requireBooked(pool, "")
	p.await(`document.documentElement.scrollWidth === 360`)
	p.await(`document.querySelector("#rows tbody button").getBoundingClientRect().right <= 360`) // at hand without scrolling
	p.click("#rows tbody button")
	p.shows("#toasts p", "Flight 1 is booked.")
	p.click("[data-list=by_origin]")
	p.requireTable(pool, originCells, originRows)
	p.await(`document.querySelector("#lists table").getBoundingClientRect().right <= 360`)
}

func testAccountWithVersionOne(t *testing.T, b browser) {
	pool := small(t)
	execute(t, pool, "INSERT INTO bookings VALUES ('Ada', 3), ('Ada', 1)")
	p := b.visit(t, "http://"+serveDemo(t, pool).addr+"/?version=1&user=Ada")
	p.click("[data-list=my_flights]")
	p.requireMine(pool, "Ada")
	p.click("#rows tr:nth-child(4) button")
	p.shows("#toasts p", "Flight 4 is booked.")
	p.requireMine(pool, "Ada")
	p.signOut()
	p.shows("#problem", signIn)
	p.await(`location.search === "?version=1"`)
	p.await(`document.querySelector("#status").title === "protocol version 1"`)
	p.await(`[...document.querySelectorAll("#rows th button")].every(b => b.disabled)`)
}

// The flights of an airport follow what it is called.
func testAccountAirports(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	p.enter("#search", "zulu")
	p.shows("#trouble", "No flight is like that.")
	execute(t, pool, "UPDATE airports SET name = 'Zulu Strip', city = 'Zulu City' WHERE iata = 'BBB'")
	p.requireFlights(pool, "WHERE destination = 'BBB' ORDER BY departs_at, id")
	p.await(`document.querySelector("#rows tbody tr").cells[5].title === "Zulu Strip, Zulu City"`)
	execute(t, pool, "UPDATE airports SET city = NULL WHERE iata = 'BBB'")
	p.await(`document.querySelector("#rows tbody tr").cells[5].title === "Zulu Strip"`)
	p.click("[data-column=origin_name]")
	p.requireFlights(pool, "WHERE destination = 'BBB' ORDER BY origin_name, id")
	execute(t, pool, "UPDATE flights SET origin = 'BBB', destination = 'AAA' WHERE id < 8")
	p.requireFlights(pool, "WHERE 'BBB' IN (origin, destination) ORDER BY origin_name, id")
	execute(t, pool, "UPDATE airports SET name = 'Yankee' WHERE iata = 'BBB'")
	p.shows("#trouble", "No flight is like that.")
}

func testAccountGroups(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	p.click("[data-list=by_origin]")
	for _, sql := range []string{
		"UPDATE flights SET origin = 'BBB' WHERE id % 4 = 0",
		"UPDATE flights SET delay_minutes = NULL WHERE origin = 'BBB'",
		"UPDATE flights SET origin = 'CCC' WHERE id > 4",
		"UPDATE airports SET iata = 'ZZZ' WHERE iata = 'AAA'",
		"DELETE FROM flights WHERE origin = 'BBB'",
	} {
		execute(t, pool, sql)
		p.requireTable(pool, originCells, originRows+" ORDER BY flights DESC, origin")
		p.shows("#count", one[string](t, pool, "SELECT count(DISTINCT origin) || ' rows' FROM flights"))
	}
	execute(t, pool, "TRUNCATE flights CASCADE")
	p.shows("#problem", "There are no rows here.")
}

// The names that the page offers are those of the simulation.
func testAccountOffersNames(t *testing.T, _ browser) {
	page, err := os.ReadFile("page/index.html")
	require.NoError(t, err)
	require.Contains(t, string(page), "<option>"+strings.Join(passengers, "</option><option>")+"</option>")
}
