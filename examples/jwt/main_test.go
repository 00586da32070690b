package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/example"
	"github.com/socksync/socksync/internal/headless"
	"github.com/socksync/socksync/internal/pgtest"
)

// patience bounds what must come; it is never waited out when all is well.
const patience = time.Minute

func TestMain(m *testing.M) { pgtest.Main(m) }

// start runs the program until the test ends, and returns its address.
func start(t *testing.T, pool *pgxpool.Pool, lifetime time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		o := example.Options{Addr: "127.0.0.1:0", Database: pool.Config().ConnString()}
		ended <- program(lifetime).Run(ctx, o, func(addr string) { ready <- addr })
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

// token asks for a token and returns it with the answer's status.
func token(t *testing.T, addr, old string, form url.Values) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t), http.MethodPost, "http://"+addr+"/token", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if old != "" {
		r.Header.Set("Authorization", "Bearer "+old)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	require.NoError(t, err)
	var answer struct{ Token string }
	_ = json.NewDecoder(response.Body).Decode(&answer) // a refusal is no JSON
	require.NoError(t, response.Body.Close())
	return response.StatusCode, answer.Token
}

func signIn(t *testing.T, addr, name string) string {
	t.Helper()
	status, text := token(t, addr, "", url.Values{"name": {name}, "password": {name + "'s"}})
	require.Equal(t, http.StatusOK, status)
	return text
}

// socket is a WebSocket of a page.
type socket struct {
	t    *testing.T
	conn *websocket.Conn
}

func dial(t *testing.T, addr string) *socket {
	t.Helper()
	conn, _, err := websocket.Dial(within(t), "ws://"+addr+"/ws/socksync/", &websocket.DialOptions{Subprotocols: []string{"socksync.v2"}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &socket{t, conn}
}

// message is what is looked at here of one.
type message struct {
	Func      string
	Items     []note
	Value     json.RawMessage
	Changes   []struct{ Value note }
	ErrorCode int `json:"error_code"`
	ExpiresIn int `json:"expires_in"`
}

func (s *socket) send(text string) {
	s.t.Helper()
	require.NoError(s.t, s.conn.Write(within(s.t), websocket.MessageText, []byte(text)))
}

func (s *socket) take() (m message) {
	s.t.Helper()
	_, data, err := s.conn.Read(within(s.t))
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(data, &m), "%s", data)
	return m
}

// texts are those of the notes of an answer.
func (s *socket) texts() (texts []string) {
	s.t.Helper()
	s.send(`{"func":"get","type":"list","name":"notes"}`)
	m := s.take()
	require.Equal(s.t, "set_all", m.Func, "%+v", m)
	for _, n := range m.Items {
		texts = append(texts, n.Text)
	}
	return texts
}

// TestEverybodySeesTheirOwn checks tokens, and that they decide what is seen.
func TestEverybodySeesTheirOwn(t *testing.T) {
	t.Parallel()
	addr := start(t, pgtest.New(t), lifetime)
	for _, form := range []url.Values{nil, {"name": {"ann"}}, {"name": {"ann"}, "password": {"bob's"}}, {"name": {"eve"}, "password": {""}}} {
		status, text := token(t, addr, "", form)
		require.Equal(t, http.StatusUnauthorized, status, form)
		require.Empty(t, text)
	}
	ann := signIn(t, addr, "ann")
	status, next := token(t, addr, ann, nil)
	require.Equal(t, http.StatusOK, status)
	status, _ = token(t, addr, ann+"x", url.Values{"name": {"ann"}, "password": {"ann's"}})
	require.Equal(t, http.StatusUnauthorized, status)

	s := dial(t, addr)
	s.send(`{"func":"subscribe","type":"list","name":"notes"}`)
	require.Equal(t, 9, s.take().ErrorCode, "nobody has no notes")
	s.send(`{"func":"subscribe","type":"function","name":"add_note"}`)
	s.send(`{"func":"call","type":"function","name":"add_note","id":"1","args":{"text":"x"}}`)
	require.Equal(t, 8, s.take().ErrorCode)

	s.send(`{"func":"authenticate","id":"t","token":"` + next + `"}`)
	require.InDelta(t, lifetime.Seconds(), s.take().ExpiresIn, patience.Seconds())
	s.send(`{"func":"subscribe","type":"list","name":"notes"}`)
	require.Empty(t, s.texts())
	s.send(`{"func":"call","type":"function","name":"add_note","id":"2","args":{"text":"ann's first"}}`)
	seen := map[string]message{}
	for len(seen) < 2 {
		m := s.take()
		seen[m.Func] = m
	}
	require.Equal(t, "1", string(seen["return"].Value))
	require.Equal(t, "ann's first", seen["step"].Changes[len(seen["step"].Changes)-1].Value.Text)

	s.send(`{"func":"authenticate","id":"t","token":"` + signIn(t, addr, "bob") + `"}`)
	m := s.take()
	for m.Func == "step" || m.Func == "set_all" { // ann's note goes
		m = s.take()
	}
	require.Equal(t, "ok", m.Func)
	require.Empty(t, s.texts())
}

// TestPage signs in, writes a note, outlives some tokens and signs out, in a browser.
func TestPage(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	addr := start(t, pool, 20*time.Second)
	browser, err := headless.Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, browser.Close()) })
	open := func(name string) *headless.Page {
		page, err := browser.Open("http://" + addr + "/")
		require.NoError(t, err)
		require.NoError(t, page.Enter(within(t), "[name=name]", name))
		require.NoError(t, page.Enter(within(t), "[name=password]", name+"'s"))
		require.NoError(t, page.Click(within(t), "#sign-in button"))
		require.NoError(t, page.Await(within(t), "document.body.dataset.tokens >= 1"))
		return page
	}
	shows := func(page *headless.Page, want string) {
		t.Helper()
		require.NoError(t, page.Await(within(t), `[...document.querySelectorAll("#notes li")].map((n) => n.textContent).join() === "`+want+`"`))
	}
	ann, bob := open("ann"), open("bob")
	require.NoError(t, ann.Enter(within(t), "[name=text]", "first"))
	require.NoError(t, ann.Click(within(t), "#add button"))
	shows(ann, "first")
	require.NoError(t, ann.Await(within(t), "document.body.dataset.tokens >= 2"))
	for _, owner := range []string{"ann", "bob"} {
		_, err := pool.Exec(within(t), "INSERT INTO notes (owner, text) VALUES ($1, 'for ' || $1)", owner)
		require.NoError(t, err)
	}
	shows(ann, "for ann,first")
	shows(bob, "for bob")
	_, err = pool.Exec(within(t), "UPDATE notes SET owner = 'bob' WHERE text = 'first'")
	require.NoError(t, err)
	shows(ann, "for ann")
	shows(bob, "for bob,first")
	require.NoError(t, ann.Click(within(t), "#sign-out"))
	shows(ann, "")
	require.NoError(t, ann.Await(within(t), `!document.getElementById("sign-in").hidden`))
	for _, page := range []*headless.Page{ann, bob} {
		require.Empty(t, page.Complaints())
	}
}
