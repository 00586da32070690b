package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what must come; it is never waited out
// when all is well.
const patience = 6 * time.Second

// message is a message of version 1, as a browser would see it.
type message struct {
	Func      string            `json:"func"`
	Type      string            `json:"type"`
	Name      string            `json:"name"`
	Page      *int              `json:"page"`
	PageSize  *int              `json:"page_size"`
	Total     *int              `json:"total_item_count"`
	Items     []json.RawMessage `json:"items"`
	Index     *int              `json:"index"`
	Value     json.RawMessage   `json:"value"`
	ID        string            `json:"id"`
	ErrorCode int               `json:"error_code"`
	Message   string            `json:"message"`
	ExpiresIn *int              `json:"expires_in"`
}

// browser is a plain WebSocket that keeps what it receives. It knows nothing of
// the engine.
type browser struct {
	t    testing.TB
	conn *websocket.Conn
	done chan struct{}

	mu     sync.Mutex
	wake   chan struct{} // closed and replaced at every message
	inbox  []message
	closed error
}

func dial(t testing.TB, url string) *browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, url, nil)
	require.NoError(t, err)
	if response.Body != nil {
		_ = response.Body.Close()
	}
	conn.SetReadLimit(1 << 26)
	b := &browser{t: t, conn: conn, done: make(chan struct{}), wake: make(chan struct{})}
	go b.read()
	t.Cleanup(func() {
		_ = conn.CloseNow()
		<-b.done
	})
	return b
}

func url(s *httptest.Server) string {
	return "ws" + strings.TrimPrefix(s.URL, "http") + "/ws/socksync/"
}

func (b *browser) read() {
	defer close(b.done)
	for {
		_, data, err := b.conn.Read(context.Background())
		var m message
		if err == nil {
			err = json.Unmarshal(data, &m)
		}
		b.mu.Lock()
		if err == nil {
			b.inbox = append(b.inbox, m)
		}
		b.closed = err
		close(b.wake)
		b.wake = make(chan struct{})
		b.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (b *browser) send(format string, args ...any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(b.t, b.conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, format, args...)))
}

// take returns the next message, which must come.
func (b *browser) take() message {
	b.t.Helper()
	var m message
	b.until(func() string { return "a message" }, func(inbox []message) bool {
		if len(inbox) == 0 {
			return false
		}
		m = inbox[0]
		b.inbox = inbox[1:]
		return true
	})
	return m
}

// until waits until the condition holds; it is tried at every message, with the
// inbox locked.
func (b *browser) until(what func() string, condition func([]message) bool) {
	b.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		b.mu.Lock()
		ok, wake, closed := condition(b.inbox), b.wake, b.closed
		b.mu.Unlock()
		if ok {
			return
		}
		require.NoError(b.t, closed, "connection ended while waiting for %s", what())
		select {
		case <-wake:
		case <-limit.C:
			require.FailNow(b.t, "did not come: "+what())
		}
	}
}

// pageOf is a subscriber's page, applied strictly.
type pageOf struct {
	held  bool
	page  int
	size  int
	total int
	items []string
}

// apply applies one message, or says why it must not have been sent.
func (p *pageOf) apply(m message) error {
	switch m.Func {
	case "set_all":
		*p = pageOf{held: true, page: *m.Page, size: *m.PageSize, total: *m.Total}
		for _, item := range m.Items {
			p.items = append(p.items, string(item))
		}
		return p.fits()
	case "set_count":
		p.total = *m.Total
		return nil
	case "error":
		return fmt.Errorf("error %d: %s", m.ErrorCode, m.Message)
	}
	if !p.held {
		return nil
	}
	return p.edit(m)
}

func (p *pageOf) edit(m message) error {
	i, n := *m.Index, len(p.items)
	switch {
	case m.Func == "insert" && i >= 0 && i <= n:
		p.items = append(p.items[:i], append([]string{string(m.Value)}, p.items[i:]...)...)
	case m.Func == "set" && i >= 0 && i < n:
		p.items[i] = string(m.Value)
	case m.Func == "delete" && i >= 0 && i < n:
		p.items = append(p.items[:i], p.items[i+1:]...)
	default:
		return fmt.Errorf("%s at %d of a page of %d", m.Func, i, n)
	}
	return p.fits()
}

func (p *pageOf) fits() error {
	if len(p.items) > p.size {
		return fmt.Errorf("%d items on a page of %d", len(p.items), p.size)
	}
	return nil
}

func (p *pageOf) equal(q pageOf) bool {
	return p.held == q.held && p.page == q.page && p.size == q.size && p.total == q.total && slices.Equal(p.items, q.items)
}
