package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/socksync/socksync/internal/window"
	"github.com/stretchr/testify/require"
)

// offline is a peer without a connection: the test is its reader and its writer,
// so that it decides what is written when.
type offline struct {
	*Peer
	t *testing.T
}

func newOffline(t *testing.T, cfg *Config, items ...Item) *offline {
	t.Helper()
	if cfg == nil {
		cfg = new(Config)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Registry = new(Registry)
	require.NoError(t, cfg.Registry.Add(items...))
	p := New(cfg)
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), testKey{}, "carried"))
	p.ctx = ctx
	t.Cleanup(func() {
		cancel()
		select {
		case <-p.done: // the test has ended it
		default:
			p.end(ErrClosed)
		}
		p.runs.Wait()
	})
	return &offline{p, t}
}

// takes gives the peer messages.
func (p *offline) takes(messages ...string) {
	p.t.Helper()
	for _, m := range messages {
		require.NoError(p.t, p.receive([]byte(m)))
	}
}

// says returns everything that is to be written.
func (p *offline) says() []string {
	var out []string
	for {
		messages := p.Next(nil)
		if len(messages) == 0 {
			return out
		}
		for _, m := range messages {
			out = append(out, string(m))
		}
	}
}

// Messages of the list "l".
const (
	subscribeList = `{"func":"subscribe","type":"list","name":"l"}`
	badGet        = `{"func":"get","type":"list","name":"l","page":-1}`
	errorBadPage  = `{"func":"error","error_code":5,"message":"page is not an integer or out of range"}`
)

func getPage(page int) string {
	return fmt.Sprintf(`{"func":"get","type":"list","name":"l","page":%d,"page_size":2}`, page)
}

// listState is page of the list "l" in some version, told apart by its total.
func listState(page, total int) *window.State {
	return &window.State{
		Name: "l", Page: page, Size: 2, Total: total,
		Rows: []window.Row{{Key: "a", JSON: json.RawMessage(`1`)}},
	}
}

func stepTo(from, to *window.State) *window.Step { return window.NewStep(from, to, "") }

func count(total int) string {
	return fmt.Sprintf(`{"func":"set_count","type":"list","name":"l","total_item_count":%d}`, total)
}

// manual is a list whose answers the test gives.
type manual struct {
	mu       sync.Mutex
	sink     window.Sink
	options  window.Options
	wants    []window.Want
	closed   bool
	departed bool // with Leave
}

func (m *manual) Name() string            { return "l" }
func (m *manual) lock(do func())          { m.mu.Lock(); defer m.mu.Unlock(); do() }
func (m *manual) Get(want window.Want)    { m.lock(func() { m.wants = append(m.wants, want) }) }
func (m *manual) Close()                  { m.lock(func() { m.closed = true }) }
func (m *manual) Leave()                  { m.lock(func() { m.closed, m.departed = true, true }) }
func (m *manual) isClosed() (yes bool)    { m.lock(func() { yes = m.closed }); return yes }
func (m *manual) hasDeparted() (yes bool) { m.lock(func() { yes = m.departed }); return yes }
func (m *manual) Subscribe(s window.Sink, o window.Options) window.Subscription {
	m.lock(func() { m.sink, m.options = s, o })
	return m
}

// asked returns page and size of every get.
func (m *manual) asked() (gets [][2]int) {
	m.lock(func() {
		for _, want := range m.wants {
			gets = append(gets, [2]int{want.Page, want.Size})
		}
	})
	return gets
}

// manualVar is a var whose answers the test gives.
type manualVar struct {
	sink    window.ValueSink
	options window.Options
	closed  int

	mu      sync.Mutex // guards the following if a timer may ask
	gets    int
	filters [][]window.Condition // of the gets
}

func (m *manualVar) Name() string { return "v" }
func (m *manualVar) Get(filter []window.Condition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gets++
	m.filters = append(m.filters, filter)
}
func (m *manualVar) Close() { m.closed++ }

func (m *manualVar) asked() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gets
}

func (m *manualVar) Subscribe(s window.ValueSink, o window.Options) window.ValueSubscription {
	m.sink, m.options = s, o
	return m
}

func value(n int) *window.Value {
	return &window.Value{Name: "v", JSON: json.RawMessage(fmt.Sprint(n))}
}

func set(n int) string { return fmt.Sprintf(`{"func":"set","type":"var","name":"v","value":%d}`, n) }
