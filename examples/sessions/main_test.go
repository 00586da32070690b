package main

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/socksync/socksync/client"
	"github.com/socksync/socksync/internal/example"
	"github.com/socksync/socksync/internal/headless"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/protocol"
)

// patience bounds what must come; it is never waited out when all is well.
const patience = time.Minute

func TestMain(m *testing.M) {
	// The library's sessions in memory have a goroutine that cannot be ended without a data race.
	pgtest.Main(m, goleak.IgnoreTopFunction("github.com/alexedwards/scs/v2/memstore.(*MemStore).startCleanup"))
}

// start runs the program until the test ends, and returns its address.
func start(t *testing.T, pool *pgxpool.Pool, recheck time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		o := example.Options{Addr: "127.0.0.1:0", Database: pool.Config().ConnString()}
		ended <- program(recheck).Run(ctx, o, func(addr string) { ready <- addr })
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	select {
	case addr := <-ready:
		return addr
	case err := <-ended:
		ended <- nil
		require.NoError(t, err)
		return ""
	}
}

// within is a context for what must not take long.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// visitor is a browser with its cookies.
type visitor struct {
	t    *testing.T
	addr string
	http *http.Client
}

func visit(t *testing.T, addr string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &visitor{t, addr, &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}}
}

func (v *visitor) post(path string, form url.Values) (status int) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(within(v.t), http.MethodPost, "http://"+v.addr+path, strings.NewReader(form.Encode()))
	require.NoError(v.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := v.http.Do(r)
	require.NoError(v.t, err)
	require.NoError(v.t, response.Body.Close())
	return response.StatusCode
}

func (v *visitor) signIn(name string) {
	v.t.Helper()
	require.Equal(v.t, http.StatusOK, v.post("/sign-in", url.Values{"name": {name}, "password": {name + "'s"}}))
}

// closeCode opens a WebSocket and returns how it is closed.
func (v *visitor) closeCode() websocket.StatusCode {
	v.t.Helper()
	conn, _, err := websocket.Dial(within(v.t), "ws://"+v.addr+"/ws/socksync/", &websocket.DialOptions{
		HTTPClient: v.http, Subprotocols: []string{protocol.SubprotocolV2},
	})
	require.NoError(v.t, err)
	defer func() { _ = conn.CloseNow() }()
	_, _, err = conn.Read(within(v.t))
	return websocket.CloseStatus(err)
}

// notes follows the visitor's notes over a connection of its own.
func (v *visitor) notes() (*client.Client, *client.List[note]) {
	v.t.Helper()
	c, err := client.Dial(within(v.t), "ws://"+v.addr+"/ws/socksync/", &client.Config{HTTPClient: v.http})
	require.NoError(v.t, err)
	v.t.Cleanup(func() { _ = c.Close(context.Background()) }) // it may have been closed for its session
	list, err := client.FollowList[note](c, "notes", nil)
	require.NoError(v.t, err)
	return c, list
}

func requireTexts(t *testing.T, list *client.List[note], want ...string) {
	t.Helper()
	ctx := within(t)
	for {
		page, err := list.Snapshot()
		require.NoError(t, err)
		var texts []string
		for _, n := range page.Items {
			texts = append(texts, n.Text)
		}
		if page.Held && strings.Join(texts, "\n") == strings.Join(want, "\n") && page.Total == len(want) {
			return
		}
		select {
		case <-list.Changed():
		case <-ctx.Done():
			require.FailNow(t, "the page stays what it is", "%+v", page)
		}
	}
}

// TestEverybodySeesTheirOwn checks that the session decides what is seen.
func TestEverybodySeesTheirOwn(t *testing.T) {
	t.Parallel()
	addr := start(t, pgtest.New(t), recheck)
	ann, bob := visit(t, addr), visit(t, addr)
	require.Equal(t, websocket.StatusCode(protocol.CloseRefused), ann.closeCode())
	for _, form := range []url.Values{nil, {"name": {"ann"}, "password": {"bob's"}}, {"name": {"eve"}, "password": {""}}} {
		require.Equal(t, http.StatusUnauthorized, ann.post("/sign-in", form), form)
	}
	require.Equal(t, websocket.StatusCode(protocol.CloseRefused), ann.closeCode())
	ann.signIn("ann")
	bob.signIn("bob")
	c, anns := ann.notes()
	_, bobs := bob.notes()
	requireTexts(t, anns)
	for _, text := range []string{"one", "two"} {
		_, err := client.Call[newNote, int64](within(t), c, "add_note", newNote{text})
		require.NoError(t, err)
	}
	requireTexts(t, anns, "two", "one")
	requireTexts(t, bobs)
	require.Equal(t, http.StatusOK, ann.post("/sign-out", nil))
	require.Equal(t, websocket.StatusCode(protocol.CloseRefused), ann.closeCode())
}

// TestPage signs in, writes a note and signs out, in a browser with two windows: the
// one where nobody has clicked goes back to the form by itself.
func TestPage(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	addr := start(t, pool, 100*time.Millisecond)
	browser, err := headless.Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, browser.Close()) })
	page, err := browser.Open("http://" + addr + "/")
	require.NoError(t, err)
	shows := func(page *headless.Page, want string) {
		t.Helper()
		require.NoError(t, page.Await(within(t), `[...document.querySelectorAll("#notes li")].map((n) => n.textContent).join() === "`+want+`"`))
	}
	signedIn := func(page *headless.Page, yes string) {
		t.Helper()
		require.NoError(t, page.Await(within(t), `document.getElementById("sign-in").hidden === `+yes+` && document.getElementById("add").hidden !== `+yes))
	}
	signedIn(page, "false")
	require.NoError(t, page.Enter(within(t), "[name=name]", "ann"))
	require.NoError(t, page.Enter(within(t), "[name=password]", "ann's"))
	require.NoError(t, page.Click(within(t), "#sign-in button"))
	signedIn(page, "true")
	other, err := page.Open("http://" + addr + "/")
	require.NoError(t, err)
	signedIn(other, "true")
	require.NoError(t, page.Enter(within(t), "[name=text]", "first"))
	require.NoError(t, page.Click(within(t), "#add button"))
	_, err = pool.Exec(within(t), "INSERT INTO notes (owner, text) VALUES ('bob', 'no'), ('ann', 'yes')")
	require.NoError(t, err)
	for _, p := range []*headless.Page{page, other} {
		require.NoError(t, p.Await(within(t), `document.querySelectorAll("#notes li").length === 2`))
	}
	_, err = pool.Exec(within(t), "UPDATE notes SET owner = 'bob' WHERE text = 'first'")
	require.NoError(t, err)
	shows(page, "yes")
	shows(other, "yes")
	require.NoError(t, page.Click(within(t), "#sign-out"))
	for _, p := range []*headless.Page{page, other} {
		signedIn(p, "false")
		shows(p, "")
		require.Empty(t, p.Complaints())
	}
}
