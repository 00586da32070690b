package main

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// How a visitor treats calls of its function notice.
const (
	refuses = iota // it answers error 3
	returns
	ignores // it never answers
)

// visitor is a connected peer that provides things. A goroutine of its own answers
// the server.
type visitor struct {
	presence string // the value of the var; "" if it has none
	notice   int

	*wire
	told chan string // the arguments of notice
}

// visit connects a visitor and waits until the server has asked for all it wants.
func (d *demo) visit(t *testing.T, v visitor) *visitor {
	t.Helper()
	v.wire, v.told = d.dial(t), make(chan string, 10)
	asked, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		v.serve(sync.OnceFunc(func() { close(asked) }))
	}()
	t.Cleanup(func() {
		_ = v.conn.CloseNow()
		<-ended
	})
	<-asked
	return &v
}

func (v *visitor) serve(asked func()) {
	for {
		m, err := v.read()
		if err != nil {
			return // the test is over, or the program
		}
		v.answer(m)
		if m.Func == "subscribe" && m.Name == "notice" {
			asked() // and again with a call, if it was refused
		}
	}
}

func (v *visitor) answer(m message) {
	switch {
	case m.Name == "presence" && v.presence == "", m.Name == "notice" && v.notice == refuses:
		v.send(`{"func":"error","error_code":3,"message":"there is nothing of that name"}`)
	case m.Func == "get":
		v.say(v.presence)
	case m.Func == "call":
		v.told <- string(m.Args)
		if v.notice == returns {
			v.send(`{"func":"return","type":"function","name":"notice","id":%q}`, m.ID)
		}
	}
}

// say changes the presence.
func (v *visitor) say(presence string) {
	v.send(`{"func":"set","type":"var","name":"presence","value":%s}`, presence)
}

// leave ends the connection.
func (v *visitor) leave() { _ = v.conn.CloseNow() }

// viewers waits until the list is as wanted.
func (w *wire) viewers(held pages, want ...string) {
	w.t.Helper()
	for {
		if held["viewers"] != nil {
			items, err := json.Marshal(held["viewers"].Items)
			require.NoError(w.t, err)
			if string(items) == "["+strings.Join(want, ",")+"]" {
				require.Equal(w.t, len(want), held["viewers"].Total)
				return
			}
		}
		held.apply(w.t, w.next())
	}
}

func TestViewers(t *testing.T) {
	t.Parallel()
	d := serveDemo(t, small(t))
	w, held := d.dial(t), pages{}
	w.follow("list", "viewers")
	w.viewers(held)

	ada := d.visit(t, visitor{presence: `{"name":"Ada"}`})
	w.viewers(held, `{"name":"Ada"}`)
	d.visit(t, visitor{}) // has no presence
	grace := d.visit(t, visitor{presence: `{"name":"Grace"}`, notice: returns})
	w.viewers(held, `{"name":"Ada"}`, `{"name":"Grace"}`)
	later := d.visit(t, visitor{presence: `null`}) // has not set it yet
	d.visit(t, visitor{presence: `{"name":"Ada"}`})
	w.viewers(held, `{"name":"Ada"}`, `{"name":"Grace"}`, `{"name":"Ada"}`)

	ada.say(`{"name":"Ada L."}`)
	w.viewers(held, `{"name":"Ada L."}`, `{"name":"Grace"}`, `{"name":"Ada"}`)
	later.say(`{"name":"Edsger"}`)
	w.viewers(held, `{"name":"Ada L."}`, `{"name":"Grace"}`, `{"name":"Ada"}`, `{"name":"Edsger"}`)
	grace.leave()
	w.viewers(held, `{"name":"Ada L."}`, `{"name":"Ada"}`, `{"name":"Edsger"}`)
	for _, nonsense := range []string{`null`, `"Ada"`, `{"name":5}`, `{"name":"` + strings.Repeat("x", maxName+1) + `"}`} {
		ada.say(nonsense)
		w.viewers(held, `{"name":"Ada"}`, `{"name":"Edsger"}`)
		ada.say(`{"name":"Back"}`)
		w.viewers(held, `{"name":"Ada"}`, `{"name":"Edsger"}`, `{"name":"Back"}`)
	}
}

// A connection that comes and goes at once leaves nothing behind.
func TestViewersOfAMoment(t *testing.T) {
	t.Parallel()
	d := serveDemo(t, small(t))
	w, held := d.dial(t), pages{}
	w.follow("list", "viewers")
	w.viewers(held)
	for range 20 {
		moment := d.dial(t)
		moment.send(`{"func":"set","type":"var","name":"presence","value":{"name":"nobody asked"}}`)
		_ = moment.conn.CloseNow()
	}
	last := d.visit(t, visitor{presence: `{"name":"last"}`})
	w.viewers(held, `{"name":"last"}`)
	last.leave()
	w.viewers(held)
}
