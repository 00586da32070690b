package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// message is a message of the protocol, with those fields that tests look at.
type message struct {
	Func     string            `json:"func"`
	Type     string            `json:"type"`
	Name     string            `json:"name"`
	Page     int               `json:"page"`
	PageSize int               `json:"page_size"`
	Total    int               `json:"total_item_count"`
	Items    []json.RawMessage `json:"items"`
	Index    int               `json:"index"`
	Value    json.RawMessage   `json:"value"`
	ID       string            `json:"id"`
	Rev      string            `json:"rev"`
	Args     json.RawMessage   `json:"args"`
	Code     int               `json:"error_code"`
	Message  string            `json:"message"`
}

// wire is a plain WebSocket to the program. One goroutine uses it.
type wire struct {
	t    *testing.T
	conn *websocket.Conn
}

// dial opens a connection that speaks version 1.
func (d *demo) dial(t *testing.T) *wire { t.Helper(); return d.dialAs(t, "") }

// dialTwo opens one that speaks version 2.
func (d *demo) dialTwo(t *testing.T) *wire { t.Helper(); return d.dialAs(t, "", versionTwo) }

const versionTwo = "socksync.v2"

// dialAs opens a connection of a user; "" is nobody.
func (d *demo) dialAs(t *testing.T, user string, subprotocols ...string) *wire {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	address := "ws://" + d.addr + "/ws/socksync/"
	if user != "" {
		address += "?user=" + url.QueryEscape(user)
	}
	conn, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{Subprotocols: append(subprotocols, "socksync.v1")})
	require.NoError(t, err)
	if len(subprotocols) > 0 {
		require.Equal(t, subprotocols[0], conn.Subprotocol())
	}
	conn.SetReadLimit(1 << 24)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &wire{t: t, conn: conn}
}

func (w *wire) send(format string, args ...any) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	require.NoError(w.t, w.conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, format, args...)))
}

// read returns the next message.
func (w *wire) read() (message, error) {
	var m message
	data, err := w.data()
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

// data returns the next message as it is.
func (w *wire) data() ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, data, err := w.conn.Read(ctx)
	return data, err
}

// next returns the next message that is not about what the server follows here.
func (w *wire) next() message {
	w.t.Helper()
	for {
		m, err := w.read()
		require.NoError(w.t, err)
		if m.Name != "presence" && m.Name != "notice" {
			return m
		}
	}
}

// follow subscribes to an item and asks for it.
func (w *wire) follow(kind, name string) {
	w.t.Helper()
	w.send(`{"func":"subscribe","type":%q,"name":%q}`, kind, name)
	w.send(`{"func":"get","type":%q,"name":%q}`, kind, name)
}

// value waits for the next value of a var.
func (w *wire) value(name string) string {
	w.t.Helper()
	m := w.next()
	require.Equal(w.t, []string{"set", "var", name}, []string{m.Func, m.Type, m.Name}, "%+v", m)
	return string(m.Value)
}

// page asks for a page and returns the answer.
func (w *wire) page(name, choice string) message {
	w.t.Helper()
	w.send(`{"func":"get","type":"list","name":%q%s}`, name, choice)
	m := w.next()
	require.Equal(w.t, []string{"set_all", "list", name}, []string{m.Func, m.Type, m.Name}, "%+v", m)
	return m
}

// call calls a function and returns the answer, a return or an error.
func (w *wire) call(name, args string) message {
	w.t.Helper()
	w.send(`{"func":"subscribe","type":"function","name":%q}`, name)
	w.send(`{"func":"call","type":"function","name":%q,"id":"only one at a time","args":%s}`, name, args)
	m := w.next()
	if m.Func == "return" {
		require.Equal(w.t, []string{"function", name, "only one at a time"}, []string{m.Type, m.Name, m.ID})
	}
	return m
}

// pages are the pages of lists that a connection follows, by name.
type pages map[string]*message

// apply applies a message about a list as a subscriber does.
func (p pages) apply(t *testing.T, m message) {
	t.Helper()
	held := p[m.Name]
	require.Equal(t, "list", m.Type, "%+v", m)
	switch {
	case m.Func == "set_all":
		p[m.Name] = &m
	case m.Func == "set_count":
		held.Total = m.Total
	case m.Func == "insert" && m.Index <= len(held.Items):
		held.Items = slices.Insert(held.Items, m.Index, m.Value)
	case m.Func == "set" && m.Index < len(held.Items):
		held.Items[m.Index] = m.Value
	case m.Func == "delete" && m.Index < len(held.Items):
		held.Items = slices.Delete(held.Items, m.Index, m.Index+1)
	default:
		require.FailNow(t, "message that does not fit", "%+v to %d items", m, len(held.Items))
	}
}

// texts returns the items of a page as text.
func texts(items []json.RawMessage) []string {
	list := make([]string, len(items))
	for i, item := range items {
		list[i] = string(item)
	}
	return list
}
