package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// TestPageExplorer looks at the part of the page where people choose what they see.
func TestPageExplorer(t *testing.T) {
	t.Parallel()
	b := browse(t)
	for name, test := range map[string]func(*testing.T, browser){
		"sorts":                     testExplorerSorts,
		"sorts by several columns":  testExplorerSortsBySeveral,
		"filters":                   testExplorerFilters,
		"searches":                  testExplorerSearches,
		"follows its choice":        testExplorerFollows,
		"is refused":                testExplorerIsRefused,
		"scrolls without end":       testExplorerScrolls,
		"pauses":                    testExplorerPauses,
		"comes back":                testExplorerComesBack,
		"outlives the server":       testExplorerOutlivesTheServer,
		"is one of several":         testExplorerIsOneOfSeveral,
		"offers airports":           testExplorerOffersAirports,
		"is used by keyboard":       testExplorerByKeyboard,
		"falls back to version one": testExplorerFallsBack,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, b) })
	}
}

// various returns a database with flights that differ in everything.
func various(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := small(t)
	execute(t, pool, `UPDATE flights SET
		origin = (ARRAY['AAA', 'BBB', 'CCC'])[1 + id % 3], destination = (ARRAY['AAA', 'BBB', 'CCC'])[1 + id / 7 % 3],
		departs_at = timestamp '2001-01-01' + id * 7 % 20 * interval '5 hours', distance_miles = id * 37 % 50,
		delay_minutes = nullif(id * 13 % 20 * 10 - 20, 60), note = (ARRAY['late', 'Late', 'Gate <b>4', '100 %', NULL, 'a_b'])[1 + id % 6]`)
	execute(t, pool, `INSERT INTO flights (departs_at, origin, destination, distance_miles) VALUES
		('2001-01-02 23:59:59.999999', 'AAA', 'AAA', 0), ('2001-01-03 00:00', 'AAA', 'AAA', 50)`)
	return pool
}

// requireFlights waits until the explorer shows the flights that a query over flights finds.
func (p *tab) requireFlights(pool *pgxpool.Pool, rest string) {
	p.t.Helper()
	rows, err := pool.Query(p.t.Context(), "SELECT id::text AS number FROM "+fullRows+" "+rest)
	require.NoError(p.t, err)
	want, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(p.t, err)
	p.await(fmt.Sprintf(`[...document.querySelectorAll("#rows tbody tr")].map(tr => tr.cells[0].textContent).join() === %s`, quote(strings.Join(want, ","))))
}

// fill gives a field of the form a text, as a finger does.
func (p *tab) fill(field, text string) {
	p.t.Helper()
	do(p, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
		"{ const f = document.querySelector(`#choice [name=%q]`); f.value = %q; f.dispatchEvent(new Event('input', { bubbles: true })); }", field, text)))
}

func testExplorerSorts(t *testing.T, b browser) {
	pool := various(t)
	d := serveDemo(t, pool)
	p := b.open(t, d)
	p.requireFlights(pool, "ORDER BY departs_at, id")
	p.await(`document.querySelector("[data-column=departs_at]").parentElement.getAttribute("aria-sort") === "ascending"`)
	for _, column := range []string{
		"id", "origin", "origin_name", "destination", "destination_name", "delay_minutes", "distance_miles", "note", "departs_at",
	} {
		p.click("[data-column=" + column + "]")
		p.requireFlights(pool, "ORDER BY "+column+", id")
		p.await(`[...document.querySelectorAll("#rows th")].map(th => th.getAttribute("aria-sort")).filter(way => way !== "none").join() === "ascending"`)
		p.click("[data-column=" + column + "]")
		p.requireFlights(pool, "ORDER BY "+column+" DESC, id")
		p.await(fmt.Sprintf(`document.querySelector("[data-column=%s]").parentElement.getAttribute("aria-sort") === "descending"`, column))
	}
	p.click("[data-column=origin]") // once more
	p.requireFlights(pool, "ORDER BY origin, id")
	for advice, times := range map[string]int{"(origin, id)": 1, "(origin DESC, id)": 1, "(departs_at, id)": 0, "(id": 0} {
		require.Len(t, d.log.lines(func(line string) bool { return strings.Contains(line, "CREATE INDEX ON flights "+advice) }), times, advice)
	}
}

func testExplorerSortsBySeveral(t *testing.T, b browser) {
	pool := various(t)
	p := b.open(t, serveDemo(t, pool))
	click := func(column string, shift bool) {
		do(p, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
			"document.querySelector(`[data-column=%s]`).dispatchEvent(new MouseEvent('click', { shiftKey: %t }))", column, shift)))
	}
	click("origin", false)
	click("note", true)
	p.requireFlights(pool, "ORDER BY origin, note, id")
	click("origin", true)
	p.requireFlights(pool, "ORDER BY origin DESC, note, id")
	click("destination", true)
	click("destination", true)
	p.requireFlights(pool, "ORDER BY origin DESC, note, destination DESC, id")
	p.await(`[...document.querySelectorAll("#rows th button")].map(b => b.dataset.rank).join() === ",,1,,3,,,,2"`)
	click("note", false)
	p.requireFlights(pool, "ORDER BY note, id")
}

func testExplorerFilters(t *testing.T, b browser) {
	pool := various(t)
	p := b.open(t, serveDemo(t, pool))
	for _, c := range []struct{ field, text, where string }{
		{"origin in", "bbb", "origin = 'BBB'"},
		{"origin in", "A", "starts_with(origin, 'A')"},
		{"origin in", "AAA, ccc", "origin IN ('AAA', 'CCC')"},
		{"origin in", "ZZZ", "false"},
		{"destination in", "AAA", "destination = 'AAA'"},
		{"destination in", "bbb aaa", "destination IN ('AAA', 'BBB')"},
		{"delay_minutes gte", "50", "delay_minutes >= 50"},
		{"delay_minutes lte", "50", "delay_minutes <= 50"},
		{"delay_minutes gte", "-10", "delay_minutes >= -10"},
		{"distance_miles gte", "20", "distance_miles >= 20"},
		{"distance_miles lte", "20", "distance_miles <= 20"},
		{"departs_at gte", "2001-01-03", "departs_at >= '2001-01-03'"},
		{"departs_at lte", "2001-01-02", "departs_at < '2001-01-03'"},
	} {
		p.fill(c.field, c.text)
		p.requireFlights(pool, "WHERE "+c.where+" ORDER BY departs_at, id")
		p.click("#choice [type=reset]")
		p.requireFlights(pool, "ORDER BY departs_at, id")
	}
	where := "true"
	for _, c := range []struct{ field, text, where string }{
		{"delay_minutes gte", "0", "delay_minutes >= 0"},
		{"delay_minutes lte", "150", "delay_minutes <= 150"},
		{"origin in", "AAA BBB", "origin <> 'CCC'"},
		{"departs_at gte", "2001-01-02", "departs_at >= '2001-01-02'"},
		{"departs_at lte", "2001-01-04", "departs_at < '2001-01-05'"},
		{"distance_miles lte", "40", "distance_miles <= 40"},
		{"search", "late", "strpos(lower(note), 'late') > 0"},
	} {
		p.fill(c.field, c.text)
		where += " AND " + c.where
		p.requireFlights(pool, "WHERE "+where+" ORDER BY departs_at, id")
	}
	require.NotZero(t, one[int](t, pool, "SELECT count(*) FROM flights WHERE "+where))
	p.click("[data-column=delay_minutes]")
	p.requireFlights(pool, "WHERE "+where+" ORDER BY delay_minutes, id")
	p.shows("#found", one[string](t, pool, "SELECT format('1–%s of %s flights', count(*), count(*)) FROM flights WHERE "+where))
}

func testExplorerSearches(t *testing.T, b browser) {
	pool := various(t)
	p := b.open(t, serveDemo(t, pool))
	p.requireFlights(pool, "ORDER BY departs_at, id")
	for _, text := range []string{"late", "LATE", "gate <B>", "bravo", "ALPHA gate", "%", "a_b", "\u00a0 late  field ", `\`, "nothing of that kind"} {
		p.enter("#search", text)
		where := "true"
		for word := range strings.FieldsSeq(text) {
			literal := one[string](t, pool, "SELECT quote_literal(lower($1::text))", word)
			where += fmt.Sprintf(" AND (strpos(lower(note), %[1]s) > 0 OR strpos(lower(origin_name), %[1]s) > 0 OR strpos(lower(destination_name), %[1]s) > 0)", literal)
		}
		p.requireFlights(pool, "WHERE "+where+" ORDER BY departs_at, id")
	}
	p.shows("#trouble", "No flight is like that.")
	p.shows("#found", "0 flights")
}

// Rows come, go and move as they fit what was chosen, each shown as it is.
func testExplorerFollows(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	p.requireRows("#rows", pool, fullCells, fullRows+" ORDER BY departs_at, id")
	p.fill("delay_minutes gte", "50")
	p.click("[data-column=destination]")
	p.click("[data-column=destination]")
	const chosen = " WHERE delay_minutes >= 50 ORDER BY destination DESC, id"
	p.requireRows("#rows", pool, fullCells, fullRows+chosen)
	for _, sql := range []string{
		"UPDATE flights SET delay_minutes = 50 WHERE id = 1",
		"UPDATE flights SET delay_minutes = NULL WHERE id = 9",
		"UPDATE flights SET note = 'only the note' WHERE id = 1",
		"UPDATE flights SET destination = 'AAA' WHERE id IN (12, 13)",
		"UPDATE flights SET id = 100 + id WHERE id > 15",
		"DELETE FROM flights WHERE id = 101 OR delay_minutes > 150",
		"UPDATE airports SET name = 'Zulu <b>Strip', city = 'Zulu' WHERE iata = 'BBB'",
		"UPDATE airports SET iata = 'ZZZ' WHERE iata = 'BBB'",
		"UPDATE airports SET name = name || '!'",
		"INSERT INTO flights (departs_at, origin, destination, delay_minutes, distance_miles) SELECT 'epoch', 'AAA', 'CCC', n, n FROM generate_series(45, 55) n",
	} {
		execute(t, pool, sql)
		p.requireRows("#rows", pool, fullCells, fullRows+chosen)
		p.shows("#found", one[string](t, pool, "SELECT format('1–%s of %1$s flights', count(*)) FROM flights WHERE delay_minutes >= 50"))
	}
	execute(t, pool, "TRUNCATE flights CASCADE")
	p.shows("#trouble", "No flight is like that.")
}

func testExplorerIsRefused(t *testing.T, b browser) {
	pool := various(t)
	p := b.open(t, serveDemo(t, pool))
	p.requireFlights(pool, "ORDER BY departs_at, id")
	p.fill("delay_minutes gte", "99999999999")
	p.await(`document.querySelector("#trouble").textContent.includes("delay_minutes")`)
	execute(t, pool, "DELETE FROM flights WHERE id = 3")
	p.requireFlights(pool, "ORDER BY departs_at, id") // what was there goes on
	p.fill("delay_minutes gte", "40")
	p.requireFlights(pool, "WHERE delay_minutes >= 40 ORDER BY departs_at, id")
	p.shows("#trouble", "")
}

// many adds flights up to number 1,500.
func many(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	execute(t, pool, `INSERT INTO flights (departs_at, origin, destination, delay_minutes, distance_miles)
		SELECT timestamp '2001-02-01' + n * interval '1 minute', 'BBB', 'CCC', n % 50, n FROM generate_series(21, 1500) n`)
}

func testExplorerScrolls(t *testing.T, b browser) {
	pool := small(t)
	many(t, pool)
	p := b.open(t, serveDemo(t, pool))
	p.click("[data-column=delay_minutes]")
	const order = "ORDER BY delay_minutes, id "
	p.requireFlights(pool, order+"LIMIT 100")
	p.mark("#rows")
	for size := 200; size <= 1000; size += 100 {
		do(p, chromedp.ScrollIntoView(chromedp.CSS("#end")))
		p.count("#rows tbody tr", size)
	}
	p.requireFlights(pool, order+"LIMIT 1000")
	p.count("#rows tr[data-old]", 100)
	p.count("#rows tr.fresh", 0)
	p.shows("#limit", "This is the most that one window shows.")
	p.shows("#found", "1–1,000 of 1,500 flights")
	execute(t, pool, "DELETE FROM flights WHERE id % 100 = 7; UPDATE flights SET delay_minutes = -5 WHERE id % 200 = 9")
	p.requireFlights(pool, order+"LIMIT 1000")

	p.click("#further")
	p.requireFlights(pool, order+"OFFSET 1000 LIMIT 100")
	const anchor = "SELECT id FROM flights " + order + "OFFSET %d LIMIT 1"
	last, before := one[int](t, pool, fmt.Sprintf(anchor, 999)), one[int](t, pool, fmt.Sprintf(anchor, 998))
	p.shows("#found", fmt.Sprintf("100 behind %d of 1,485 flights", last))
	execute(t, pool, "DELETE FROM flights WHERE id = $1", last)
	p.shows("#found", fmt.Sprintf("100 behind %d of 1,484 flights", before))
	p.requireFlights(pool, order+"OFFSET 999 LIMIT 100")
	do(p, chromedp.ScrollIntoView(chromedp.CSS("#end")))
	p.requireFlights(pool, order+"OFFSET 999 LIMIT 200")
	p.click("#start")
	p.requireFlights(pool, order+"LIMIT 100")
	p.await(`document.querySelector("#start").hidden`)
}

func testExplorerPauses(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	p.requireFlights(pool, "ORDER BY departs_at, id")
	p.click("#pause")
	p.shows("#pending", "0 pending")
	p.mark("#rows")
	for _, change := range []struct{ sql, pending string }{
		{"UPDATE flights SET note = 'unseen' WHERE id IN (2, 5)", "2 pending"},
		{"DELETE FROM flights WHERE id = 1", "2 pending, 19 flights by now"},
		{"UPDATE flights SET note = 'again' WHERE id IN (2, 6)", "3 pending, 19 flights by now"},
		{"INSERT INTO flights (id, departs_at, origin, destination, distance_miles) VALUES (0, 'epoch', 'AAA', 'BBB', 1)", "4 pending"},
	} {
		execute(t, pool, change.sql)
		p.shows("#pending", change.pending)
	}
	p.requireTable(pool, flightCells, "flights ORDER BY departs_at, id LIMIT 15") // it goes on
	p.count("#rows tr[data-old]", 20)
	p.shows("#rows tr:first-child td", "1")
	p.click("#pause")
	p.requireRows("#rows", pool, fullCells, fullRows+" ORDER BY departs_at, id")
	p.shows("#pending", "")
	p.count("#rows tr[data-old]", 16)
	p.count("#rows tr.fresh", 4)
	execute(t, pool, "UPDATE flights SET note = 'live' WHERE id = 2")
	p.requireRows("#rows", pool, fullCells, fullRows+" ORDER BY departs_at, id")
}

// messages are those frames that are about the explorer's list.
func messages(frames []string) (list []message) {
	for _, text := range frames {
		var m message
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			panic(err)
		}
		if m.Name == explored {
			list = append(list, m)
		}
	}
	return list
}

// returned is called when the explorer has come back over a second connection. It requires that it has named the last
// state that it had got over the first, and returns what it was answered.
func (p *tab) returned() (answer message) {
	p.t.Helper()
	var get message
	var rev string
	require.Eventually(p.t, func() bool { // the browser tells of frames in its own time
		sent, received := p.frames()
		asked, got := messages(sent), messages(received)
		again := 1 + slices.IndexFunc(asked[1:], func(m message) bool { return m.Func == "subscribe" })
		if again == 0 || again+1 == len(asked) {
			return false
		}
		get = asked[again+1]
		i := slices.IndexFunc(got, func(m message) bool { return m.ID == get.ID })
		if i > 0 {
			rev, answer = got[i-1].Rev, got[i]
		}
		return i > 0
	}, patience, tick)
	require.Equal(p.t, "get", get.Func)
	require.NotEmpty(p.t, get.Rev)
	require.Equal(p.t, rev, get.Rev)
	return answer
}

// After a tunnel the page gets what it missed, not all of it.
func testExplorerComesBack(t *testing.T, b browser) {
	pool := small(t)
	u := dig(t, serveDemo(t, pool).addr)
	p := b.visit(t, u.url())
	p.click("[data-column=delay_minutes]")
	p.click("[data-column=delay_minutes]")
	p.fill("destination in", "BBB")
	const chosen = " WHERE destination = 'BBB' ORDER BY delay_minutes DESC, id"
	p.requireRows("#rows", pool, fullCells, fullRows+chosen)
	execute(t, pool, "UPDATE flights SET note = 'before' WHERE id = 8")
	p.requireRows("#rows", pool, fullCells, fullRows+chosen)
	p.mark("#rows")

	u.close()
	p.shows("#status", "connecting")
	p.count("#rows tbody tr", 10)
	execute(t, pool, "UPDATE flights SET note = 'meanwhile' WHERE id = 4")
	execute(t, pool, "DELETE FROM flights WHERE id = 6")
	u.open()
	p.shows("#status", "live")
	p.requireRows("#rows", pool, fullCells, fullRows+chosen)
	p.count("#rows tr[data-old]", 8)
	require.Equal(t, "step", p.returned().Func)
	p.take() // the browser tells of the attempts that failed
}

func testExplorerOutlivesTheServer(t *testing.T, b browser) {
	pool := small(t)
	d := serveDemo(t, pool)
	p := b.open(t, d)
	p.click("[data-column=note]")
	const chosen = " ORDER BY note, id"
	p.requireRows("#rows", pool, fullCells, fullRows+chosen)
	p.mark("#rows")
	d.stop()
	p.shows("#status", "connecting")
	execute(t, pool, "UPDATE flights SET note = 'meanwhile' WHERE id = 4")
	start(t, options{addr: d.addr, database: pool.Config().ConnString()})
	p.shows("#status", "live")
	p.requireRows("#rows", pool, fullCells, fullRows+chosen)
	p.count("#rows tr[data-old]", 19)
	p.returned()
	execute(t, pool, "UPDATE flights SET note = 'after' WHERE id = 6")
	p.requireRows("#rows", pool, fullCells, fullRows+chosen)
	p.take()
	p.close() // before the server goes again
}

// All tables of the page are live at once, over one connection, two of them windows of one list.
func testExplorerIsOneOfSeveral(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	p.fill("delay_minutes lte", "100")
	p.click("[data-list=delays]")
	for _, sql := range []string{
		"UPDATE flights SET delay_minutes = 99 WHERE id = 7",
		"UPDATE flights SET delay_minutes = 0 WHERE id = 20",
		"DELETE FROM flights WHERE id IN (6, 8, 19)",
		"INSERT INTO flights (departs_at, origin, destination, delay_minutes, distance_miles) VALUES ('epoch', 'AAA', 'BBB', 70, 1)",
	} {
		execute(t, pool, sql)
		p.requireRows("#rows", pool, fullCells, fullRows+" WHERE delay_minutes <= 100 ORDER BY departs_at, id")
		p.requireTable(pool, flightCells, "flights WHERE delay_minutes >= 30 ORDER BY delay_minutes DESC, id LIMIT 15")
		p.requireRows("#worst", pool, "id::text, origin, destination, delay_minutes::text",
			"flights WHERE delay_minutes >= 30 ORDER BY delay_minutes DESC, id LIMIT 15")
	}
	sent, received := p.frames()
	require.NotEmpty(t, received)
	for _, text := range sent {
		require.NotContains(t, text, `"func":"error"`)
	}
}

func testExplorerOffersAirports(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	p.requireFlights(pool, "ORDER BY departs_at, id")
	p.count("#airports option", 0) // nobody has asked
	do(p, chromedp.Focus(chromedp.CSS("#choice [list=airports]")))
	p.count("#airports option", 3)
	p.await(`document.querySelector("#airports option[value=AAA]").textContent === "Alpha Field, Alpha, AK"`)
	execute(t, pool, "INSERT INTO airports SELECT 'X' || n, 'Field ' || n, NULL, NULL, 'USA', 0, 0 FROM generate_series(1, 250) n")
	p.count("#airports option", 253)
	execute(t, pool, "UPDATE airports SET name = 'Zulu' WHERE iata = 'AAA'; DELETE FROM airports WHERE iata = 'X7'")
	p.await(`document.querySelector("#airports option:last-child").textContent === "Zulu, Alpha, AK"`)
	p.count("#airports option", 252)
}

func testExplorerByKeyboard(t *testing.T, b browser) {
	pool := small(t)
	p := b.open(t, serveDemo(t, pool))
	press := func(keys string) { do(p, chromedp.KeyEvent(keys)) }
	p.requireFlights(pool, "ORDER BY departs_at, id")
	do(p, chromedp.Focus(chromedp.CSS("[data-column=note]")))
	press(kb.Enter)
	p.requireFlights(pool, "ORDER BY note, id")
	press(" ")
	p.requireFlights(pool, "ORDER BY note DESC, id")
	do(p, chromedp.Focus(chromedp.CSS("[data-column=id]")))
	press(kb.Enter)
	p.requireFlights(pool, "ORDER BY departs_at, id")
	do(p, chromedp.Focus(chromedp.CSS("[data-column=note]")))
	press(kb.Tab)
	at := func(flight int) {
		p.await(fmt.Sprintf(`document.activeElement.closest("#rows tbody")?.contains(document.activeElement) && document.activeElement.cells[0].textContent === "%d"`, flight))
	}
	at(1)
	press(kb.ArrowDown)
	press(kb.ArrowDown)
	at(3)
	press(kb.Enter)
	p.await(`document.querySelector("#flight").value === "3"`)
	execute(t, pool, "UPDATE flights SET note = 'new' WHERE id = 3")
	p.requireRows("#rows", pool, fullCells, fullRows+" ORDER BY departs_at, id")
	at(3)
	execute(t, pool, "DELETE FROM flights WHERE id = 3")
	at(4)
	press(kb.End)
	at(20)
	press(kb.ArrowDown)
	press(kb.ArrowUp)
	at(19)
	press(kb.Home)
	at(1)
	press(kb.Tab)
	p.await(`document.activeElement.id === "pause"`)
	press(kb.Enter)
	p.shows("#pause", "Resume")
}

// A server of before version 2 is no use to the explorer, but the page works.
func testExplorerFallsBack(t *testing.T, b browser) {
	pool := small(t)
	many(t, pool)
	p := b.visit(t, "http://"+serveDemo(t, pool).addr+"/?version=1")
	p.await(`document.querySelector("#status").title === "protocol version 1"`)
	p.requireFlights(pool, "ORDER BY departs_at, id LIMIT 100")
	p.await(`document.querySelector("#choice fieldset").disabled && document.querySelector("#pause").disabled`)
	p.await(`[...document.querySelectorAll("#rows th button")].every(b => b.disabled)`)
	p.requireTable(pool, flightCells, "flights ORDER BY departs_at, id LIMIT 15")
	execute(t, pool, "DELETE FROM flights WHERE id < 10")
	p.requireFlights(pool, "ORDER BY departs_at, id LIMIT 100")
	p.requireTable(pool, flightCells, "flights ORDER BY departs_at, id LIMIT 15")
	p.click("[data-list=delays]")
	p.await(`document.querySelector("#problem").textContent.includes("version 1")`)
	p.click("[data-list=longest]")
	p.requireTable(pool, flightCells, "flights ORDER BY distance_miles DESC, origin, destination DESC, id LIMIT 15")
	sent, received := p.frames()
	for _, text := range append(sent, received...) {
		for _, field := range []string{"view", "rev", "after", "sort", "filter", "step", "key"} {
			require.NotContains(t, text, `"`+field+`"`)
		}
	}
}
