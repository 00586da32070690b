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
	mu     sync.Mutex
	sink   window.Sink
	gets   [][2]int // page and size
	closed bool
}

func (m *manual) Name() string            { return "l" }
func (m *manual) Sizes() (page, most int) { return 2, 5 }
func (m *manual) lock(do func())          { m.mu.Lock(); defer m.mu.Unlock(); do() }
func (m *manual) Get(page, size int)      { m.lock(func() { m.gets = append(m.gets, [2]int{page, size}) }) }
func (m *manual) Close()                  { m.lock(func() { m.closed = true }) }
func (m *manual) asked() (gets [][2]int)  { m.lock(func() { gets = m.gets }); return gets }
func (m *manual) isClosed() (yes bool)    { m.lock(func() { yes = m.closed }); return yes }
func (m *manual) Subscribe(s window.Sink) window.Subscription {
	m.lock(func() { m.sink = s })
	return m
}

// manualVar is a var whose answers the test gives.
type manualVar struct {
	sink window.ValueSink
	gets int
}

func (m *manualVar) Name() string { return "v" }
func (m *manualVar) Get()         { m.gets++ }
func (m *manualVar) Close()       {}
func (m *manualVar) Subscribe(s window.ValueSink) window.ValueSubscription {
	m.sink = s
	return m
}

func value(n int) *window.Value {
	return &window.Value{Name: "v", JSON: json.RawMessage(fmt.Sprint(n))}
}

func set(n int) string { return fmt.Sprintf(`{"func":"set","type":"var","name":"v","value":%d}`, n) }
