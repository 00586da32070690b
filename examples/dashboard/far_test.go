package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// far is the other end of the page, played by a test. It answers nothing by itself.
type far struct {
	*wire
	conns chan caller
	page  *tab
	view  string // of the explorer
	user  string // who has signed in
}

// caller is a connection of the page.
type caller struct {
	*websocket.Conn
	user string
}

// meet opens the page against a far end of the test's own, and takes its connection.
func meet(t *testing.T, b browser) *far {
	t.Helper()
	f := &far{conns: make(chan caller)}
	files, err := fs.Sub(pageFiles, "page")
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(files))
	mux.HandleFunc("/ws/socksync/", f.serve)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	met := make(chan struct{})
	go func() {
		defer close(met)
		f.wire = &wire{t: t}
		f.take()
	}()
	f.page = b.visit(t, server.URL+"/")
	<-met
	return f
}

func (f *far) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"socksync.v2"}})
	if err == nil {
		conn.SetReadLimit(1 << 20)
		f.conns <- caller{conn, r.URL.Query().Get("user")}
	}
}

// lose ends the connection and takes the next one.
func (f *far) lose() {
	f.t.Helper()
	_ = f.conn.CloseNow()
	f.page.await(`document.querySelector("#status").textContent === "connecting"`)
	f.take()
}

// take takes the page's next connection.
func (f *far) take() {
	c := <-f.conns
	f.conn, f.user = c.Conn, c.user
}

// heard is a message of the page, as JSON.
type heard map[string]any

// listen returns the next message of the page that is about an item.
func (f *far) listen(name string) heard {
	f.t.Helper()
	for {
		m := f.any()
		if m["name"] == name {
			return m
		}
	}
}

// any returns the next message of the page.
func (f *far) any() heard {
	f.t.Helper()
	var m heard
	data, err := f.data()
	require.NoError(f.t, err)
	require.NoError(f.t, json.Unmarshal(data, &m))
	return m
}

// hear takes the next message about the explorer's list, which must be func with these fields and a view and an id of its
// own, and returns the id.
func (f *far) hear(fn, fields string) (id string) {
	f.t.Helper()
	m := f.listen(explored)
	id, _ = m["id"].(string)
	view, _ := m["view"].(string)
	if fn == "subscribe" {
		f.view = view
	}
	require.NotEmpty(f.t, view)
	require.Equal(f.t, f.view, view)
	delete(m, "id")
	delete(m, "view")
	got, err := json.Marshal(m)
	require.NoError(f.t, err)
	require.JSONEq(f.t, fmt.Sprintf(`{"func":%q,"type":"list","name":%q%s}`, fn, explored, fields), string(got))
	return id
}

// say sends a message to the explorer, with an id if it is an answer.
func (f *far) say(fn, id, fields string) {
	f.t.Helper()
	route := fmt.Sprintf(`"view":%q`, f.view)
	if id != "" {
		route += fmt.Sprintf(`,"id":%q`, id)
	}
	f.send(`{"func":%q,"type":"list","name":%q,%s%s}`, fn, explored, route, fields)
}

// setAll answers a get by the flights of the numbers.
func (f *far) setAll(id, rev string, total int, flights ...int) {
	f.t.Helper()
	items := make([]string, len(flights))
	for i, n := range flights {
		items[i] = flightNumber(n, "")
	}
	f.say("set_all", id, fmt.Sprintf(`,"rev":%q,"after":null,"page_size":100,"total_item_count":%d,"key":["id"],"items":[%s]`,
		rev, total, strings.Join(items, ",")))
}

// flightNumber is a flight as JSON.
func flightNumber(id int, note string) string {
	return fmt.Sprintf(`{"id":%d,"departs_at":"2001-01-01T00:00:00Z","origin":"AAA","destination":"BBB",
		"delay_minutes":%d,"distance_miles":100,"note":%q}`, id, id, note)
}

// begin answers the explorer's first get, by three flights.
func (f *far) begin() {
	f.t.Helper()
	f.hear("subscribe", "")
	f.setAll(f.hear("get", `,"after":null,"page_size":100`), "7.1", 3, 1, 2, 3)
	f.shows("1", "2", "3")
}

// shows waits until the explorer shows the flights, each by its number and, if it has one, its note.
func (f *far) shows(flights ...string) {
	f.t.Helper()
	f.page.await(fmt.Sprintf(`JSON.stringify([...document.querySelectorAll("#rows tbody tr")].map(tr => (tr.cells[0].textContent + " " + tr.cells[8].textContent).trim())) ===
		JSON.stringify(%s)`, quote(append([]string{}, flights...))))
}

// settled waits until the page has acted on all that it was sent: it answers in order.
func (f *far) settled() {
	f.t.Helper()
	f.send(`{"func":"subscribe","type":"var","name":"presence","view":"settled","id":"settled"}`)
	for m := f.any(); m["id"] != "settled"; m = f.any() {
		require.NotEqual(f.t, explored, m["name"], "%v", m)
	}
}
