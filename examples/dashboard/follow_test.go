package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestPagePeer is the page's end of version 2 against a far end that a test plays.
func TestPagePeer(t *testing.T) {
	t.Parallel()
	b := browse(t)
	for name, test := range map[string]func(*far){
		"applies steps":                   testPeerAppliesSteps,
		"loses a window":                  testPeerLosesAWindow,
		"goes on after a lost connection": testPeerGoesOn,
		"goes on from an anchor":          testPeerGoesOnFromAnAnchor,
		"forgets what it was growing":     testPeerForgetsGrowth,
		"is overtaken by itself":          testPeerSuperseded,
		"is refused a choice":             testPeerRefused,
		"stands still":                    testPeerStandsStill,
		"pauses":                          testPeerPauses,
		"pauses without a connection":     testPeerPausesAlone,
		"ends a pause by a choice":        testPeerEndsAPause,
		"may not pause":                   testPeerMayNotPause,
		"provides vars":                   testPeerProvidesVars,
		"provides functions":              testPeerProvidesFunctions,
		"calls":                           testPeerCalls,
		"is forbidden what it shows":      testPeerForbidden,
		"signs in":                        testPeerSignsIn,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(meet(t, b)) })
	}
}

// mark remembers the rows that are there now.
func (p *tab) mark(part string) {
	p.t.Helper()
	do(p, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{ for (const tr of document.querySelectorAll("%s tbody tr")) tr.dataset.old = "yes"; }`, part)))
}

// count waits until so many elements fit a selector.
func (p *tab) count(selector string, n int) {
	p.t.Helper()
	p.await(fmt.Sprintf(`document.querySelectorAll(%q).length === %d`, selector, n))
}

func change(fn string, index int, value string) string {
	if value != "" {
		value = `,"value":` + value
	}
	return fmt.Sprintf(`{"func":%q,"index":%d%s}`, fn, index, value)
}

// step sends a step.
func (f *far) step(id, rev, more string, changes ...string) {
	f.t.Helper()
	f.say("step", id, fmt.Sprintf(`,"rev":%q%s,"changes":[%s]`, rev, more, strings.Join(changes, ",")))
}

func testPeerAppliesSteps(f *far) {
	f.begin()
	f.page.mark("#rows")
	f.step("", "7.2", "", `{"func":"set_count","total_item_count":1234}`, change("delete", 0, ""), change("insert", 2, flightNumber(9, "late")),
		change("set", 0, flightNumber(2, "new")))
	f.shows("2 new", "3", "9 late")
	f.page.shows("#found", "1–3 of 1,234 flights")
	f.page.count("#rows tr[data-old]", 1)
	f.page.count("#rows tr.fresh", 2)
	f.step("", "7.3", "", change("delete", 2, ""), change("delete", 1, ""), change("delete", 0, ""), `{"func":"set_count","total_item_count":0}`)
	f.shows()
	f.page.shows("#trouble", "No flight is like that.")
	f.page.shows("#found", "0 flights")
}

// A step of which one change does not fit is not applied at all.
func testPeerLosesAWindow(f *far) {
	f.begin()
	for _, bad := range []string{
		change("delete", 3, ""), change("set", 3, flightNumber(9, "")), change("insert", 4, flightNumber(9, "")), change("delete", -1, ""),
		`{"func":"delete","index":"0"}`, `{"func":"delete"}`,
	} {
		f.step("", "7.2", "", `{"func":"set_count","total_item_count":1}`, change("set", 0, flightNumber(1, "half")), bad)
		m := f.listen(explored)
		require.Equal(f.t, heard{"func": "error", "type": "list", "name": explored, "view": f.view, "error_code": 5.0, "message": "bad index"}, m)
		id := f.hear("get", `,"after":null,"page_size":100`) // it holds nothing, so it names no rev
		f.step("", "7.3", "", change("delete", 0, ""))       // is on its way already
		f.settled()
		f.shows("1", "2", "3")
		f.page.shows("#found", "–")
		f.setAll(id, "7.4", 3, 1, 2, 3)
		f.page.shows("#found", "1–3 of 3 flights")
	}
}

func testPeerGoesOn(f *far) {
	f.begin()
	f.step("", "7.2", "", change("set", 0, flightNumber(1, "new")))
	f.shows("1 new", "2", "3")
	f.page.mark("#rows")
	f.lose()
	f.hear("subscribe", "")
	id := f.hear("get", `,"after":null,"page_size":100,"rev":"7.2"`)
	f.step(id, "7.9", "", change("set", 1, flightNumber(2, "meanwhile")))
	f.shows("1 new", "2 meanwhile", "3")
	f.page.count("#rows tr[data-old]", 2)

	f.lose()
	f.hear("subscribe", "")
	id = f.hear("get", `,"after":null,"page_size":100,"rev":"7.9"`)
	f.setAll(id, "8.1", 3, 3, 4, 5) // that state is not known any more
	f.shows("3", "4", "5")
	f.page.count("#rows tr[data-old]", 1)
	f.page.take() // the browser may tell of the connections
}

func testPeerGoesOnFromAnAnchor(f *far) {
	f.hear("subscribe", "")
	id := f.hear("get", `,"after":null,"page_size":100`)
	flights := make([]int, 1000)
	for i := range flights {
		flights[i] = i + 1
	}
	for size := 100; ; id = f.hear("get", fmt.Sprintf(`,"after":null,"page_size":%d`, size)) {
		if size == 100 {
			f.setAll(id, "7.1", 2000, flights[:100]...)
		} else {
			f.step(id, "7.1", "", grown(flights[size-100:size])...)
		}
		f.page.count("#rows tbody tr", size)
		if size == 1000 {
			break
		}
		size += 100
		do(f.page, chromedp.ScrollIntoView(chromedp.CSS("#end")))
	}
	f.page.shows("#limit", "This is the most that one window shows.")
	f.page.count("#rows tr.fresh", 0) // rows that one scrolls to are no news
	f.page.click("#further")
	id = f.hear("get", `,"after":[1000],"page_size":100`)
	f.say("set_all", id, `,"rev":"7.5","after":[1000],"page_size":100,"total_item_count":2000,"key":["id"],"items":[`+flightNumber(1001, "")+`]`)
	f.shows("1001")
	f.page.shows("#found", "1 behind 1000 of 2,000 flights")
	f.step("", "7.6", `,"after":[998]`, change("insert", 0, flightNumber(999, "")))
	f.shows("999", "1001")
	f.page.shows("#found", "2 behind 998 of 2,000 flights")
	f.lose()
	f.hear("subscribe", "")
	f.step(f.hear("get", `,"after":[998],"page_size":100,"rev":"7.6"`), "7.6", "")
	f.page.click("#start")
	f.setAll(f.hear("get", `,"after":null,"page_size":100`), "7.7", 3, 1, 2, 3)
	f.shows("1", "2", "3")
	f.page.await(`document.querySelector("#start").hidden && document.querySelector("#further").hidden`)
	f.page.take()
}

func grown(flights []int) []string {
	changes := make([]string, len(flights))
	for i, n := range flights {
		changes[i] = change("insert", n-1, flightNumber(n, ""))
	}
	return changes
}

// What it holds is not the window that it asked for last: it names no rev.
func testPeerForgetsGrowth(f *far) {
	f.hear("subscribe", "")
	flights := make([]int, 100)
	for i := range flights {
		flights[i] = i + 1
	}
	f.setAll(f.hear("get", `,"after":null,"page_size":100`), "7.1", 120, flights...)
	f.page.count("#rows tbody tr", 100)
	do(f.page, chromedp.ScrollIntoView(chromedp.CSS("#end")))
	f.hear("get", `,"after":null,"page_size":200`)
	f.lose()
	f.hear("subscribe", "")
	f.setAll(f.hear("get", `,"after":null,"page_size":200`), "7.1", 1, 1)
	f.shows("1")
	f.page.take()
}

func testPeerSuperseded(f *far) {
	f.begin()
	f.page.click("[data-column=note]")
	one := f.hear("get", `,"after":null,"page_size":100,"sort":["note"]`)
	f.page.click("[data-column=note]")
	two := f.hear("get", `,"after":null,"page_size":100,"sort":["-note"]`)
	require.NotEqual(f.t, one, two)
	f.say("error", one, `,"error_code":8,"message":"superseded"`)
	f.settled()
	f.page.shows("#trouble", "")
	f.setAll(two, "7.2", 2, 3, 2)
	f.shows("3", "2")
	f.page.shows("#trouble", "")

	f.page.click("[data-column=departs_at]") // now both are answered, and the connection is lost in between
	one = f.hear("get", `,"after":null,"page_size":100`)
	f.page.click("[data-column=departs_at]")
	f.hear("get", `,"after":null,"page_size":100,"sort":["-departs_at"]`)
	f.setAll(one, "7.3", 2, 2, 3)
	f.shows("2", "3")
	f.lose()
	f.hear("subscribe", "")
	f.setAll(f.hear("get", `,"after":null,"page_size":100,"sort":["-departs_at"]`), "7.3", 2, 3, 2)
	f.shows("3", "2")
	f.page.take()
}

func testPeerRefused(f *far) {
	f.begin()
	f.page.fill("delay_minutes gte", "99999999999")
	const choice = `,"after":null,"page_size":100,"filter":{"delay_minutes":{"gte":99999999999}}`
	f.say("error", f.hear("get", choice), `,"error_code":8,"message":"delay_minutes: out of range"`)
	f.page.shows("#trouble", "delay_minutes: out of range")
	f.step("", "7.2", "", change("set", 0, flightNumber(1, "new"))) // the window that there is goes on
	f.shows("1 new", "2", "3")
	f.page.shows("#trouble", "delay_minutes: out of range")
	f.setAll(f.hear("get", choice), "7.3", 1, 4) // asked again
	f.shows("4")
	f.page.shows("#trouble", "")
}

func testPeerStandsStill(f *far) {
	f.begin()
	f.say("error", "", `,"error_code":8,"message":"the list cannot be read now"`)
	f.page.shows("#trouble", "the list cannot be read now")
	f.step("", "7.2", "")
	f.page.shows("#trouble", "")
	f.settled() // it did not ask
	f.shows("1", "2", "3")
}

func testPeerPauses(f *far) {
	f.begin()
	f.page.click("#pause")
	f.hear("pause", "")
	f.page.shows("#pending", "0 pending")
	f.page.shows("#pause", "Resume")
	f.say("set_pending", "", `,"total_item_count":3,"pending":2`)
	f.page.shows("#pending", "2 pending")
	f.say("set_pending", "", `,"total_item_count":4001,"pending":3`)
	f.page.shows("#pending", "3 pending, 4,001 flights by now")
	f.shows("1", "2", "3")
	f.page.shows("#found", "1–3 of 3 flights")
	f.step("", "7.8", "", change("set", 0, flightNumber(1, "crossed"))) // has crossed the pause
	f.shows("1 crossed", "2", "3")
	f.page.shows("#pending", "0 pending")
	f.say("set_pending", "", `,"total_item_count":3,"pending":1`)
	f.page.shows("#pending", "1 pending")
	f.page.click("#pause")
	f.step(f.hear("resume", ""), "7.9", "", `{"func":"set_count","total_item_count":4001}`, change("insert", 0, flightNumber(4, "")))
	f.shows("4", "1 crossed", "2", "3")
	f.page.shows("#found", "1–4 of 4,001 flights")
	f.page.shows("#pending", "")
	f.page.shows("#pause", "Pause")
	f.page.count("#rows tr.fresh", 2)
}

// What is being read stays as it is; what it missed comes with resume.
func testPeerPausesAlone(f *far) {
	f.begin()
	f.page.click("#pause")
	f.hear("pause", "")
	f.lose()
	f.page.shows("#status", "live")
	f.settled()
	f.shows("1", "2", "3")
	f.page.click("#pause")
	f.hear("subscribe", "")
	f.step(f.hear("get", `,"after":null,"page_size":100,"rev":"7.1"`), "7.5", "", change("delete", 0, ""))
	f.shows("2", "3")
	f.page.shows("#pause", "Pause")
	f.page.take()
}

func testPeerEndsAPause(f *far) {
	f.begin()
	f.page.click("#pause")
	f.hear("pause", "")
	f.page.click("[data-column=note]")
	f.setAll(f.hear("get", `,"after":null,"page_size":100,"sort":["note"]`), "7.2", 1, 5)
	f.shows("5")
	f.page.shows("#pause", "Pause")
	f.page.shows("#pending", "")
}

func testPeerMayNotPause(f *far) {
	f.begin()
	f.page.click("#pause")
	f.say("error", f.hear("pause", ""), `,"error_code":1,"message":"no window"`)
	f.page.shows("#trouble", "no window")
	f.page.shows("#pause", "Pause")
	f.step("", "7.2", "", change("delete", 0, ""))
	f.shows("2", "3")
	f.page.shows("#trouble", "")
}

// What is not for its user, or not any more, goes at once. Another choice may be.
func testPeerForbidden(f *far) {
	f.begin()
	f.say("error", "", `,"error_code":9,"message":"not for you"`)
	f.shows()
	f.page.shows("#trouble", "not for you")
	f.page.shows("#found", "–")
	f.settled() // it does not ask again by itself
	f.page.click("[data-column=note]")
	f.hear("subscribe", "")
	id := f.hear("get", `,"after":null,"page_size":100,"sort":["note"]`)
	f.setAll(id, "7.3", 2, 3, 1)
	f.shows("3", "1")
	f.page.shows("#trouble", "")

	f.page.click("[data-column=id]")
	id = f.hear("get", `,"after":null,"page_size":100,"sort":["id"]`)
	f.say("error", id, `,"error_code":9,"message":"nor that"`)
	f.shows()
	f.page.shows("#trouble", "nor that")
	f.lose()
	f.hear("subscribe", "")
	f.setAll(f.hear("get", `,"after":null,"page_size":100,"sort":["id"]`), "7.4", 1, 1)
	f.shows("1")
	f.page.take()
}

// To be somebody else it connects anew, and keeps what everybody may see.
func testPeerSignsIn(f *far) {
	f.begin()
	require.Empty(f.t, f.user)
	f.page.enter("#name", "Ada & Co")
	f.page.click("#sign")
	f.take()
	require.Equal(f.t, "Ada & Co", f.user)
	view := f.listen("my_flights")["view"]
	get := f.listen("my_flights")
	require.Equal(f.t, []any{"get", view, 100.0}, []any{get["func"], get["view"], get["page_size"]})
	require.NotContains(f.t, get, "rev")
	f.hear("subscribe", "")
	f.step(f.hear("get", `,"after":null,"page_size":100,"rev":"7.1"`), "7.1", "")
	f.send(`{"func":"set_all","type":"list","name":"my_flights","view":%q,"id":%q,"rev":"3.1","after":null,"page_size":100,"total_item_count":1,"key":["flight_id"],
		"items":[{"flight_id":2}]}`, view, get["id"])
	const labels = `[...document.querySelectorAll("#rows tbody button")].map(b => b.textContent).join()`
	f.page.await(labels + ` === "Book,Cancel,Book"`)
	f.shows("1", "2", "3")
	f.send(`{"func":"error","type":"list","name":"my_flights","view":%q,"error_code":9,"message":"not any more"}`, view)
	f.page.await(labels + ` === "Book,Book,Book"`)

	do(f.page, chromedp.Evaluate[chromedp.Void](`{ // before there is a connection in between
		const sign = document.querySelector("#sign");
		sign.click();
		document.querySelector("#name").value = "Grace";
		sign.click();
	}`))
	for f.user != "Grace" {
		f.take()
	}
	require.NotEqual(f.t, view, f.listen("my_flights")["view"])
	f.hear("subscribe", "")
	f.step(f.hear("get", `,"after":null,"page_size":100,"rev":"7.1"`), "7.1", "")

	f.page.click("#sign")
	f.take()
	require.Empty(f.t, f.user)
	f.hear("subscribe", "") // and not the other list
	f.step(f.hear("get", `,"after":null,"page_size":100,"rev":"7.1"`), "7.2", "", change("delete", 0, ""))
	f.shows("2", "3")
	f.page.count("#rows tbody button", 0)
}
