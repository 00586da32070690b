package client_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/socksync/socksync/client"
	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/internal/wsconn"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// patient is how long a test waits for what must come, on however slow a machine.
const patient = 60 * time.Second

// connection is one that a test's server has accepted.
type connection struct {
	*peer.Peer
	socket *wsconn.Conn
	header http.Header
}

// farEnd is the other end of a client.
type farEnd struct {
	url      string
	accepted chan *connection

	mu      sync.Mutex
	refuses func(w http.ResponseWriter, r *http.Request) bool // nil: it accepts
}

// newFarEnd serves items.
func newFarEnd(t *testing.T, items ...peer.Item) *farEnd {
	t.Helper()
	s := &farEnd{accepted: make(chan *connection, 100)}
	registry := new(peer.Registry)
	require.NoError(t, registry.Add(items...))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Done()
		if refuses := s.refusal(); refuses != nil && refuses(w, r) {
			return
		}
		p := peer.New(&peer.Config{Registry: registry, Log: slog.New(slog.DiscardHandler)})
		conn, err := wsconn.Accept(w, r, &wsconn.Config{Next: p.Next, Subprotocols: []string{protocol.SubprotocolV1}})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		s.accepted <- &connection{p, conn, r.Header}
		_ = p.Run(ctx, conn)
	}))
	t.Cleanup(func() {
		cancel()
		running.Wait()
		h.Close()
	})
	s.url = h.URL
	return s
}

func (s *farEnd) refusal() func(http.ResponseWriter, *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refuses
}

func (s *farEnd) refuse(how func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuses = how
}

// next waits for a connection.
func (s *farEnd) next(t *testing.T) *connection {
	t.Helper()
	return receive(t, s.accepted)
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patient):
		require.Fail(t, "nothing came")
		panic("not reached")
	}
}

// dial connects a client that tries again quickly, until the test ends.
func dial(t *testing.T, s *farEnd, cfg *client.Config) *client.Client {
	t.Helper()
	if cfg == nil {
		cfg = new(client.Config)
	}
	cfg.MinBackOff, cfg.MaxBackOff = time.Millisecond, 20*time.Millisecond
	cfg.Log = slog.New(slog.DiscardHandler)
	c, err := client.Dial(t.Context(), s.url, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close(context.Background())) })
	return c
}

// soon is a context for what must not take long.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	t.Cleanup(cancel)
	return ctx
}
