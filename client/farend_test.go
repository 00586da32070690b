package client_test

import (
	"context"
	"encoding/json"
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

	mu sync.Mutex
	// sent is all that it wrote, over whichever connection.
	sent    []string
	refuses func(w http.ResponseWriter, r *http.Request) bool // nil: it accepts
	prepare func(*peer.Config, *http.Request)                 // nil for nothing
}

// newFarEnd serves items, in every version.
func newFarEnd(t *testing.T, items ...peer.Item) *farEnd {
	t.Helper()
	return newFarEndOf(t, protocol.Subprotocols, items...)
}

// version1 are the subprotocols of a server that knows version 1 only.
func version1() []string { return []string{protocol.SubprotocolV1} }

// newFarEndOf serves items, in the versions that the function allows for each connection.
func newFarEndOf(t *testing.T, subprotocols func() []string, items ...peer.Item) *farEnd {
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
		config := &peer.Config{Registry: registry, Log: slog.New(slog.DiscardHandler)}
		s.preparation()(config, r)
		p := peer.New(config)
		conn, err := wsconn.Accept(w, r, &wsconn.Config{Next: s.recorded(p.Next), Subprotocols: subprotocols()})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		p.Speak(protocol.VersionOf(conn.Subprotocol()))
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

// recorded is next, and keeps what it gives.
func (s *farEnd) recorded(next func([][]byte) [][]byte) func([][]byte) [][]byte {
	return func(buf [][]byte) [][]byte {
		n := len(buf)
		buf = next(buf)
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, message := range buf[n:] {
			s.sent = append(s.sent, string(message))
		}
		return buf
	}
}

// said returns the messages with a func that it wrote since the last time.
func (s *farEnd) said(t *testing.T, name string) []string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var some []string
	for _, message := range s.sent {
		var head struct{ Func string }
		require.NoError(t, json.Unmarshal([]byte(message), &head))
		if head.Func == name {
			some = append(some, message)
		}
	}
	s.sent = nil
	return some
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

func (s *farEnd) preparation() func(*peer.Config, *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.prepare == nil {
		return func(*peer.Config, *http.Request) {}
	}
	return s.prepare
}

// configure has the function change what connections are made of.
func (s *farEnd) configure(how func(*peer.Config, *http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prepare = how
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
