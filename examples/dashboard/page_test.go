package main

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// TestPage looks at the page as people do: in a browser.
func TestPage(t *testing.T) {
	t.Parallel()
	b := browse(t)
	for name, test := range map[string]func(*testing.T, browser){
		"shows vars":            testPageShowsVars,
		"follows the table":     testPageFollowsTheTable,
		"turns pages":           testPageTurnsPages,
		"changes lists":         testPageChangesLists,
		"keeps rows that stay":  testPageKeepsRowsThatStay,
		"delays a flight":       testPageDelaysAFlight,
		"tells others":          testPageTellsOthers,
		"outlives the server":   testPageOutlivesTheServer,
		"outlives a lost table": testPageOutlivesALostTable,
		"fits a narrow window":  testPageFitsANarrowWindow,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, b) })
	}
}

// What the cells of a list show.
const (
	flightCells  = "id::text, to_char(departs_at, 'YYYY-MM-DD HH24:MI'), origin, destination, delay_minutes::text, distance_miles::text, note"
	fullCells    = "id::text, to_char(departs_at, 'YYYY-MM-DD HH24:MI'), origin, origin_name, destination, destination_name, delay_minutes::text, distance_miles::text, note"
	originCells  = "origin, flights::text, late::text, to_char(average_delay, 'FM999990.00')"
	airportCells = "iata, name, city, state, country, to_char(latitude, 'FM990.0000'), to_char(longitude, 'FM990.0000')"
)

// requireTable waits until the table that has pages shows what Postgres returns.
func (p *tab) requireTable(pool *pgxpool.Pool, cells, rest string) {
	p.t.Helper()
	p.requireRows("#lists", pool, cells, rest)
}

// requireRows waits until a table shows what Postgres returns.
func (p *tab) requireRows(part string, pool *pgxpool.Pool, cells, rest string) {
	p.t.Helper()
	query := fmt.Sprintf("SELECT array(SELECT coalesce(c, '') FROM unnest(ARRAY[%s]) c) FROM %s", cells, rest)
	rows, err := pool.Query(p.t.Context(), query)
	require.NoError(p.t, err)
	want, err := pgx.CollectRows(rows, pgx.RowTo[[]string])
	require.NoError(p.t, err)
	p.await(fmt.Sprintf(`JSON.stringify([...document.querySelectorAll("%s tbody tr")].map(tr => [...tr.cells].map(td => td.textContent))) === JSON.stringify(%s)`,
		part, quote(want)))
}

func testPageShowsVars(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	p.shows("#board h2", "Welcome")
	p.shows("#flights", "20")
	p.shows("#late", "16")
	p.shows("#average", "85.00")
	execute(t, pool, "UPDATE board SET title = '<b>Ice</b>', message = 'Mind the step.'")
	p.shows("#board h2", "<b>Ice</b>")
	p.shows("#board p", "Mind the step.")
	execute(t, pool, "DELETE FROM board")
	p.await(`document.querySelector("#board").hidden`)
	execute(t, pool, "INSERT INTO board VALUES (1, 'Thaw', '')")
	p.await(`!document.querySelector("#board").hidden`)
	execute(t, pool, "TRUNCATE flights CASCADE")
	p.shows("#flights", "0")
	p.shows("#average", "–")
	p.shows("#problem", "There are no rows here.")
}

func testPageFollowsTheTable(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	const page = "flights ORDER BY departs_at, id LIMIT 15"
	p.requireTable(pool, flightCells, page)
	for _, sql := range []string{
		"UPDATE flights SET note = 'changed', delay_minutes = NULL WHERE id = 4",
		"UPDATE flights SET departs_at = '2001-01-01 09:30' WHERE id = 2",
		"INSERT INTO flights (departs_at, origin, destination, distance_miles) VALUES ('2000-12-31 23:59', 'CCC', 'AAA', 12)",
		"DELETE FROM flights WHERE id IN (1, 5, 6)",
		"UPDATE airports SET iata = 'ÄÄÄ' WHERE iata = 'AAA'",
		"DELETE FROM flights WHERE id > 12",
		"UPDATE flights SET note = '<i>' WHERE id = 7; DELETE FROM flights WHERE id = 8; UPDATE flights SET departs_at = 'epoch' WHERE id = 11",
	} {
		execute(t, pool, sql)
		p.requireTable(pool, flightCells, page)
		p.shows("#count", one[string](t, pool, "SELECT count(*) || ' rows' FROM flights"))
	}
}

func testPageTurnsPages(t *testing.T, b browser) {
	pool := small(t)
	execute(t, pool, `INSERT INTO flights (departs_at, origin, destination, distance_miles)
		SELECT timestamp '2001-02-01' + n * interval '1 minute', 'BBB', 'CCC', n FROM generate_series(1, 1000) n`)
	p := b.open(t, serveDemo(t, pool))
	shows := func(page, size int) {
		t.Helper()
		p.requireTable(pool, flightCells, fmt.Sprintf("flights ORDER BY departs_at, id LIMIT %d OFFSET %d", size, page*size))
		p.await(fmt.Sprintf(`document.querySelector("#page").value === "%d"`, page+1))
	}
	shows(0, 15)
	p.shows("#count", "1,020 rows")
	p.shows("#pages", "of 68")
	p.await(`document.querySelector("#first").disabled && document.querySelector("#previous").disabled`)
	p.click("#next")
	shows(1, 15)
	p.click("#next")
	shows(2, 15)
	p.click("#previous")
	shows(1, 15)
	p.click("#last")
	shows(67, 15)
	p.await(`document.querySelector("#last").disabled && document.querySelector("#next").disabled`)
	p.enter("#page", "30")
	shows(29, 15)
	execute(t, pool, "DELETE FROM flights WHERE id = 2") // far before this page
	shows(29, 15)
	p.enter("#page", "9999")
	shows(67, 15)
	p.choose("#size", "100")
	shows(0, 100)
	p.shows("#pages", "of 11")
	p.click("#last")
	shows(10, 100)
	execute(t, pool, "DELETE FROM flights WHERE id > 50") // the page is past the end now
	p.shows("#problem", "There are no rows here.")
	p.shows("#pages", "of 1")
	p.click("#first")
	shows(0, 100)
}

func testPageChangesLists(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	for list, c := range contract {
		cells, columns := flightCells, 7
		switch list {
		case byChoice, explored:
			continue // people choose of it elsewhere
		case "airports":
			cells = airportCells
		case "by_origin":
			cells, columns = originCells, 4
		}
		p.click(fmt.Sprintf("[data-list=%s]", list))
		p.await(fmt.Sprintf(`document.querySelector("[aria-pressed=true]").dataset.list === %q`, list))
		p.requireTable(pool, cells, c.rows+" ORDER BY "+c.order+" LIMIT 15")
		p.count("#lists thead th", columns)
		p.count("#lists col", columns)
	}
	for range 10 { // as fast as one can click
		do(p, chromedp.Evaluate[chromedp.Void](`{ for (const b of document.querySelectorAll("nav button")) b.click(); }`))
	}
	p.click("[data-list=airports]")
	p.requireTable(pool, airportCells, "airports ORDER BY name, iata")
	execute(t, pool, "DELETE FROM airports WHERE iata = 'CCC'")
	p.requireTable(pool, airportCells, "airports ORDER BY name, iata")
}

func testPageKeepsRowsThatStay(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	const page = "flights ORDER BY departs_at, id LIMIT 15"
	p.requireTable(pool, flightCells, page)
	do(p, chromedp.Evaluate[chromedp.Void](`{ for (const tr of document.querySelectorAll("#lists tbody tr")) tr.dataset.old = "yes"; }`))
	execute(t, pool, "UPDATE flights SET note = 'changed' WHERE id = 4")
	execute(t, pool, "DELETE FROM flights WHERE id = 6")
	p.requireTable(pool, flightCells, page)
	p.await(`document.querySelectorAll("#lists tbody tr[data-old]").length === 13`)
	p.await(`document.querySelectorAll("#lists tbody tr.fresh").length === 2`)
}

func testPageDelaysAFlight(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	p.click("#lists tbody tr:nth-child(3)")
	p.await(`document.querySelector("#flight").value === "3"`)
	p.enter("#minutes", "123")
	p.click("#delay button")
	p.shows("#delay output", "Flight 3: 123 minutes.")
	p.shows("#lists tbody tr:nth-child(3) td.late", "123")
	require.Equal(t, 123, one[int](t, pool, "SELECT delay_minutes FROM flights WHERE id = 3"))
	p.enter("#flight", "4242")
	p.click("#delay button")
	p.shows("#delay output", "there is no flight 4242")
	p.enter("#flight", "2")
	p.click("#delay button")
	p.shows("#delay output", "Flight 2: 123 minutes.")
}

func testPageTellsOthers(t *testing.T, b browser) {
	d := serveDemo(t, small(t))
	one, two := b.open(t, d), b.open(t, d)
	const names = `[...document.querySelectorAll("#viewers li")].map(li => li.textContent).sort().join()`
	one.enter("#name", "Ada")
	two.enter("#name", "Grace")
	for _, p := range []*tab{one, two} {
		p.await(names + ` === "Ada,Grace"`)
	}
	one.enter("#text", "Gate <4> has moved")
	one.click("#notice button")
	for _, p := range []*tab{one, two} {
		p.shows("#toasts p", "Gate <4> has moved")
	}
	one.shows("#notice output", "Shown to 2.")
	two.enter("#name", " ")
	one.await(names + ` === "Ada,somebody"`)
	do(two, chromedp.Navigate("about:blank"))
	one.await(names + ` === "Ada"`)
	do(two, chromedp.Evaluate[chromedp.Void]("history.back()"))
	one.await(names + ` === "Ada,somebody"`)
	do(one, chromedp.Reload())
	one.await(names + ` === "Ada,somebody"`) // the name was kept
}

func testPageOutlivesTheServer(t *testing.T, b browser) {
	pool := small(t)
	d := serveDemo(t, pool)
	p := b.open(t, d)
	p.shows("#count", "20 rows")
	p.click("#next")
	const page = "flights ORDER BY departs_at, id LIMIT 15 OFFSET 15"
	p.requireTable(pool, flightCells, page)
	d.stop()
	p.shows("#status", "connecting")
	p.await(`document.querySelectorAll("#lists tbody tr").length === 5`) // they stay
	p.enter("#text", "anybody?")
	p.click("#notice button")
	p.shows("#notice output", "there is no connection")
	execute(t, pool, "UPDATE flights SET note = 'meanwhile' WHERE id = 17")
	execute(t, pool, "UPDATE board SET title = 'Back'")
	start(t, options{addr: d.addr, database: pool.Config().ConnString()})
	p.shows("#status", "live")
	p.requireTable(pool, flightCells, page)
	p.shows("#board h2", "Back")
	p.await(`document.querySelectorAll("#viewers li").length === 1`)
	execute(t, pool, "DELETE FROM flights WHERE id = 17")
	p.requireTable(pool, flightCells, page)
	for _, message := range p.take() {
		require.Contains(t, message, "WebSocket connection to", "the browser itself reports attempts that fail")
	}
	p.close() // before the server goes again
}

func testPageOutlivesALostTable(t *testing.T, b browser) {
	pool := small(t)
	d := serveDemo(t, pool)
	p := b.open(t, d)
	execute(t, pool, "ALTER TABLE airports RENAME TO elsewhere")
	p.click("[data-list=airports]")
	p.await(`document.querySelector("#problem").textContent !== ""`)
	execute(t, pool, "ALTER TABLE elsewhere RENAME TO airports")
	p.requireTable(pool, airportCells, "airports ORDER BY name, iata")
	p.shows("#problem", "")
	execute(t, pool, "DELETE FROM airports WHERE iata = 'BBB'")
	p.requireTable(pool, airportCells, "airports ORDER BY name, iata")
	require.NotEmpty(t, d.log.take(), "the operator is told")
}

func testPageFitsANarrowWindow(t *testing.T, b browser) {
	p := b.open(t, serveDemo(t, small(t)))
	do(p, chromedp.EmulateViewport(360, 740))
	p.await(`document.documentElement.scrollWidth === 360`)
}
