package memory_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/internal/wsconn"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// patient is how long a test waits for what must come, on however slow a machine.
const patient = 60 * time.Second

// provide serves the items over WebSockets and returns the URL.
func provide(t *testing.T, items ...peer.Item) string {
	t.Helper()
	registry := new(peer.Registry)
	require.NoError(t, registry.Add(items...))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Done()
		p := peer.New(&peer.Config{Registry: registry})
		conn, err := wsconn.Accept(w, r, &wsconn.Config{Next: p.Next, Subprotocols: protocol.Subprotocols()})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		p.Speak(protocol.VersionOf(conn.Subprotocol()))
		_ = p.Run(ctx, conn)
	}))
	t.Cleanup(func() {
		cancel()
		running.Wait()
		server.Close()
	})
	return server.URL
}

// connect dials and returns a peer of a version that runs until the test ends.
func connect(t *testing.T, url string, version protocol.Version) *peer.Peer {
	t.Helper()
	p := peer.New(&peer.Config{OnError: func(e *protocol.Error, _ bool) {
		if e.Message != "superseded" || version == protocol.V1 {
			t.Errorf("error from the provider: %v", e)
		}
	}})
	offer := []string{protocol.SubprotocolV1}
	if version == protocol.V2 {
		offer = protocol.Subprotocols()
	}
	conn, err := wsconn.Dial(t.Context(), url, &wsconn.Config{Next: p.Next, Subprotocols: offer})
	require.NoError(t, err)
	require.Equal(t, version, protocol.VersionOf(conn.Subprotocol()))
	p.Speak(version)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx, conn) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return p
}

// watched is a page that somebody follows strictly: a message that does not apply
// fails the test, and so does a page that overgrows.
func watched(t *testing.T, p *peer.Peer, name string, page, size int) *peer.RemoteList {
	t.Helper()
	r := peer.NewRemoteList(name, &peer.ListOptions{
		Page: page, PageSize: size,
		OnError: func(err error) { t.Errorf("%s: %v", name, err) },
		OnChange: func(_ protocol.Func, p protocol.Page) {
			if len(p.Items) > p.PageSize {
				t.Errorf("%d items on a page of %d", len(p.Items), p.PageSize)
			}
		},
	})
	require.NoError(t, p.Follow(r))
	return r
}

// converges waits until the page is that of the list.
func converges(t *testing.T, r *peer.RemoteList, list []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	for {
		p := r.Snapshot()
		var want []string
		for i := range p.PageSize {
			if at := p.Page*p.PageSize + i; at < len(list) {
				want = append(want, list[at])
			}
		}
		if p.Held && p.Total == len(list) && slices.Equal(want, texts(p.Items)) {
			return
		}
		select {
		case <-r.Changed():
		case <-ctx.Done():
			require.Failf(t, "does not converge", "page %d of %d: have %v of %d, want %v of %d",
				p.Page, p.PageSize, texts(p.Items), p.Total, want, len(list))
		}
	}
}

func texts(items []json.RawMessage) []string {
	var out []string
	for _, raw := range items {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			s = err.Error()
		}
		out = append(out, s)
	}
	return out
}

// TestDifferential does random operations on lists while many subscribers follow
// random pages and change them, in both versions; at rest each has what a slice
// says.
func TestDifferential(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	lists := []*memory.List[string]{
		memory.NewList[string]("short", &memory.ListOptions{MaxPageSize: 4}),
		memory.NewList[string]("long", nil),
	}
	url := provide(t, lists[0], lists[1])
	var subscribers []*peer.RemoteList
	for i := range 16 {
		p := connect(t, url, protocol.Version(1+i%2))
		for _, l := range lists {
			subscribers = append(subscribers, watched(t, p, l.Name(), random.IntN(4), random.IntN(8)))
		}
	}
	want := make(map[string][]string)
	var gets sync.WaitGroup
	for n := range 2000 {
		l := lists[random.IntN(len(lists))]
		want[l.Name()] = operate(t, random, l, want[l.Name()], n)
		if n%10 == 0 {
			r, page, size := subscribers[random.IntN(len(subscribers))], random.IntN(4), random.IntN(8)
			gets.Go(func() { choose(t, r, page, size) })
		}
		switch {
		case n%500 == 499:
			gets.Wait()
			for _, r := range subscribers {
				converges(t, r, want[r.Name()])
			}
		case n%8 == 0: // without a pause everything would be folded
			r := subscribers[random.IntN(len(subscribers))]
			converges(t, r, want[r.Name()])
		}
	}
}

// choose takes a subscriber to another page. Another goroutine may do so at the
// same time.
func choose(t *testing.T, r *peer.RemoteList, page, size int) {
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	if _, err := r.Get(ctx, page, size); err != nil && !errors.Is(err, peer.ErrSuperseded) {
		t.Errorf("get: %v", err)
	}
}

// operate does one random operation on the list and on the slice.
func operate(t *testing.T, random *rand.Rand, l *memory.List[string], list []string, n int) []string {
	t.Helper()
	value := fmt.Sprint(n % 7)
	op := random.IntN(10)
	if len(list) == 0 {
		op = 0
	}
	if len(list) > 40 {
		op = 9
	}
	i, to := random.IntN(len(list)+1), 0
	if op >= 3 && op < 9 {
		i, to = random.IntN(len(list)), random.IntN(len(list))
	}
	switch op {
	case 0, 1, 2:
		require.NoError(t, l.Insert(i, value))
		return slices.Insert(list, i, value)
	case 3, 4:
		require.NoError(t, l.Set(i, value))
		list[i] = value
	case 5:
		require.NoError(t, l.Delete(i))
		return slices.Delete(list, i, i+1)
	case 6, 7, 8:
		require.NoError(t, l.Move(i, to))
		moved := list[i]
		return slices.Insert(slices.Delete(list, i, i+1), to, moved)
	default:
		list = slices.Clone(list[:random.IntN(len(list)+1)/2])
		require.NoError(t, l.Replace(list))
	}
	return list
}
