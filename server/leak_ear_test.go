package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// ear is a connection that holds every byte that it hears against what its identity may see. It understands no more of the
// protocol than it has to.
type ear struct {
	t       testing.TB
	secrets *secrets
	limit   func(w *who, item string) int // the greatest number of rows that an identity may see of an item
	version int
	number  string
	conn    *websocket.Conn
	done    chan struct{}

	mu      sync.Mutex // guards all below
	wake    chan struct{}
	may     []*who // whose it may be, the last one is the newest
	expired bool
	tokens  map[string]*who // that are not answered yet; nil is nobody's
	spoken  map[string]bool
	revs    []string
	waits   map[string]int // what is not answered yet: the numbers of the ids
	answers map[string]int // of version 1, by list; those to refusals are of ""
	heard   []string       // all messages
	ids     int
	leaked  []string
	closed  error
}

func newEar(t testing.TB, address string, version int, w *who, number string) *ear {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), longPatience)
	defer cancel()
	options := &websocket.DialOptions{}
	if version == 2 {
		options.Subprotocols = []string{"socksync.v2"}
	}
	conn, response, err := websocket.Dial(ctx, address, options)
	require.NoError(t, err)
	if response.Body != nil {
		_ = response.Body.Close()
	}
	conn.SetReadLimit(1 << 26)
	e := &ear{
		t: t, version: version, number: number, conn: conn, done: make(chan struct{}), wake: make(chan struct{}), may: []*who{w},
		tokens: map[string]*who{}, spoken: map[string]bool{}, waits: map[string]int{}, answers: map[string]int{},
	}
	t.Cleanup(e.hangUp)
	return e
}

func (e *ear) hangUp() {
	_ = e.conn.CloseNow()
	<-e.done
}

// listen begins to read.
func (e *ear) listen(s *secrets, limit func(*who, string) int) {
	e.secrets, e.limit = s, limit
	go func() {
		defer close(e.done)
		for {
			_, data, err := e.conn.Read(context.Background())
			e.mu.Lock()
			if err == nil {
				e.hear(data)
			}
			e.closed = err
			close(e.wake)
			e.wake = make(chan struct{})
			e.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
}

// word is what an ear understands.
type word struct {
	Func  string `json:"func"`
	Type  string `json:"type"`
	Name  string `json:"name"`
	ID    string `json:"id"`
	Rev   string `json:"rev"`
	Code  int    `json:"error_code"`
	Total *int   `json:"total_item_count"`
	More  *int   `json:"pending"`
	// Changes of a step.
	Changes []struct {
		Total *int `json:"total_item_count"`
	} `json:"changes"`
}

func (e *ear) hear(data []byte) {
	var m word
	if err := json.Unmarshal(data, &m); err != nil {
		e.leaked = append(e.leaked, fmt.Sprintf("%v: %s", err, data))
	}
	e.heard = append(e.heard, string(data))
	if m.Rev != "" {
		e.revs = append(e.revs, m.Rev)
	}
	e.credentials(m)
	delete(e.waits, m.ID)
	switch {
	case m.Func == "error":
		e.answers[""]++
	case m.Func == "set_all" || m.Type != "list":
		e.answers[m.Name]++
	}
	if e.expired && !e.renewing() && m.Func != "error" && m.Func != "ok" {
		e.leaked = append(e.leaked, fmt.Sprintf("after the end of the credentials: %s", data))
	}
	for _, text := range e.secrets.leaks(data, m.Name, e.may, e.spoken) {
		e.leaked = append(e.leaked, fmt.Sprintf("%s\nto %v: %s", text, e.may, data))
	}
	e.count(m, data)
}

// renewing reports whether a token that is somebody's is under way.
func (e *ear) renewing() bool {
	for _, w := range e.tokens {
		if w != nil {
			return true
		}
	}
	return false
}

// credentials takes what is said about whose connection it is.
func (e *ear) credentials(m word) {
	w, ok := e.tokens[m.ID]
	if ok {
		delete(e.tokens, m.ID)
	}
	switch {
	case ok && m.Func == "ok" && w != nil:
		e.may, e.expired = []*who{w}, false
	case ok && m.Func == "ok":
		e.leaked = append(e.leaked, "a token of nobody is taken")
	case m.Code == 11 && m.ID == "":
		e.expired = true
	}
}

// count holds the numbers of a message against how many rows the identity can see.
func (e *ear) count(m word, data []byte) {
	numbers := []*int{m.Total, m.More}
	for _, c := range m.Changes {
		numbers = append(numbers, c.Total)
	}
	most := 0
	for _, w := range e.may {
		most = max(most, e.limit(w, m.Name))
	}
	for _, n := range numbers {
		if n != nil && *n > most {
			e.leaked = append(e.leaked, fmt.Sprintf("%d rows, where %v sees at most %d: %s", *n, e.may, most, data))
		}
	}
}

// say sends a message; %s of the format is its id.
func (e *ear) say(format string, args ...any) (id string) {
	e.t.Helper()
	e.mu.Lock()
	e.ids++
	id = "i" + strconv.Itoa(e.ids)
	text := fmt.Sprintf(format, args...)
	text = strings.ReplaceAll(text, `"ID"`, `"`+id+`"`)
	speak(text, e.spoken)
	e.waits[id] = e.ids
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), longPatience)
	defer cancel()
	err := e.conn.Write(ctx, websocket.MessageText, []byte(text))
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed == nil {
		require.NoError(e.t, err)
	}
	return id
}

// until waits until the condition holds, with the ear locked, or the connection has ended.
func (e *ear) until(what string, condition func() bool) {
	e.t.Helper()
	limit := time.NewTimer(longPatience)
	defer limit.Stop()
	for {
		e.mu.Lock()
		ok, wake := condition() || e.closed != nil, e.wake
		e.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-wake:
		case <-limit.C:
			require.FailNow(e.t, "did not come: "+what)
		}
	}
}

// token sends a token, which is somebody's or nobody's.
func (e *ear) token(w *who) {
	e.t.Helper()
	text := "no such token"
	e.mu.Lock()
	if w != nil {
		text = w.name
		e.may = append(e.may, w)
	}
	e.tokens["i"+strconv.Itoa(e.ids+1)] = w
	e.mu.Unlock()
	e.say(`{"func":"authenticate","token":%s,"id":"ID"}`, jsonOf(text))
}

// mark waits until everything has come that was sent before.
func (e *ear) mark() {
	e.t.Helper()
	if e.version == 2 {
		e.token(nil)
		e.until("the answers to tokens", func() bool { return len(e.tokens) == 0 })
		return
	}
	e.mu.Lock()
	heard := len(e.heard)
	e.mu.Unlock()
	e.say(`{"func":1}`)
	e.until("the answer to what is no message", func() bool {
		return slices.ContainsFunc(e.heard[heard:], func(text string) bool { return strings.Contains(text, `"error_code":1,`) })
	})
}

// become has the server give the connection another identity.
func (e *ear) become(d *desk, w *who) {
	e.t.Helper()
	e.mu.Lock()
	e.may = append(e.may, w)
	e.mu.Unlock()
	d.become(e.t, e.number, w)
	e.mark()
	e.mu.Lock()
	e.may = e.may[len(e.may)-1:]
	e.mu.Unlock()
}

// query asks for all that there is, and waits for the answers.
func (e *ear) query(names []string) {
	e.t.Helper()
	e.mu.Lock()
	begun := e.ids
	e.mu.Unlock()
	for _, name := range names {
		what, fields := "get", ""
		if typeOf(name) == "function" {
			what, fields = "call", `,"args":{}`
		}
		e.mu.Lock()
		before := e.answers[""] + e.answers[name]
		e.mu.Unlock()
		e.say(`{"func":%q,"type":%q,"name":%q,"id":"ID"%s}`, what, typeOf(name), name, fields)
		if e.version == 1 { // which cannot tell which answer is which
			e.until("the answer of "+name, func() bool { return e.answers[""]+e.answers[name] > before })
		}
	}
	e.until("answers", func() bool {
		for _, number := range e.waits {
			if number > begun && e.version == 2 {
				return false
			}
		}
		return true
	})
}

// silent fails if anything has been heard that must not.
func (e *ear) silent() {
	e.t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.leaked) > 0 {
		tail := e.heard[max(0, len(e.heard)-20):]
		require.FailNow(e.t, "leaked", "%s\n\nthe last messages:\n%s", strings.Join(e.leaked, "\n"), strings.Join(tail, "\n"))
	}
}

// someRev draws a rev that this connection was told.
func (e *ear) someRev(r *rand.Rand) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.revs) == 0 {
		return ""
	}
	return e.revs[r.IntN(len(e.revs))]
}
