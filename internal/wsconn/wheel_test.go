package wsconn

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// startWheel starts a wheel for the length of a test.
func startWheel(t testing.TB, interval time.Duration) *Wheel {
	t.Helper()
	w := NewWheel(interval)
	w.Start()
	t.Cleanup(w.Stop)
	return w
}

// size is how many connections are on the wheel.
func (w *Wheel) size() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.slots {
		n += len(w.slots[i])
	}
	return n
}

// A peer that answers is pinged once per interval and lives.
func TestWheelPings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var pings atomic.Int32
		c, ws := pipePair(t, &Config{Wheel: startWheel(t, 0)}, nil, &websocket.DialOptions{
			OnPingReceived: func(context.Context, []byte) bool {
				pings.Add(1)
				return true
			},
		})
		ws.CloseRead(t.Context())
		end := readAll(c)
		<-time.After(100*DefaultPingInterval + time.Second)
		require.InDelta(t, 100, pings.Load(), 1)
		require.Empty(t, end)
		c.CloseNow()
		<-end
	})
}

// A client pings its server too.
func TestWheelPingsServer(t *testing.T) {
	t.Parallel()
	wheel := startWheel(t, 10*time.Second)
	url, conns := serve(t, nil)
	client, err := Dial(t.Context(), url, &Config{Wheel: wheel})
	require.NoError(t, err)
	server := <-conns
	ends := []<-chan error{readAll(server), readAll(client)}
	client.link.heard.Store(false)
	client.link.beat()
	require.Eventually(t, client.link.heard.Load, time.Minute, time.Millisecond)
	require.NoError(t, client.Close(StatusNormal, ""))
	for _, end := range ends {
		require.Equal(t, StatusNormal, CloseStatus(<-end))
	}
	require.Zero(t, wheel.size())
}

// A peer that has gone without a word is noticed in less than two intervals.
func TestWheelNoticesSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t, &Config{Wheel: startWheel(t, time.Minute)}, nil)
		end := readAll(c)
		start := time.Now()
		f, err := readFrame(far)
		require.NoError(t, err)
		require.Equal(t, frame{pinging, []byte{}}, f)
		pinged := time.Now()
		require.LessOrEqual(t, pinged.Sub(start), time.Minute)
		err = <-end
		require.ErrorIs(t, err, ErrNoPong)
		require.Equal(t, StatusAbnormal, CloseStatus(err))
		require.Equal(t, time.Minute, time.Since(pinged))
	})
}

// Anything that a peer sends shows that it is there, not only a pong.
func TestWheelAnyFrameCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t, &Config{Wheel: startWheel(t, time.Minute)}, nil)
		end := readAll(c)
		for range 10 {
			f, err := readFrame(far)
			require.NoError(t, err)
			require.Equal(t, byte(pinging), f.first)
			_, err = far.Write(frame{text, []byte("busy")}.client())
			require.NoError(t, err)
		}
		require.Empty(t, end)
		c.CloseNow()
		<-end
	})
}

// Silence does not count while nobody listens, nor while a write goes on.
func TestWheelIsFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out outbox
		cfg := &Config{Wheel: startWheel(t, time.Second), Next: out.next}
		c, far := pipe(t, cfg, nil)
		_, err := readFrame(far) // a ping; nobody reads the answer
		require.NoError(t, err)
		go func() {
			for { // more pings
				if _, err := readFrame(far); err != nil {
					return
				}
			}
		}()
		<-time.After(time.Minute)
		require.False(t, c.link.shut)
		c.CloseNow()
	})
	synctest.Test(t, func(t *testing.T) {
		var out outbox
		cfg := &Config{Wheel: startWheel(t, time.Second), Next: out.next}
		c, far := pipe(t, cfg, nil)
		end := readAll(c)
		out.put(make([]byte, 1000))
		c.Flush()
		for range 50 { // takes much longer than two intervals
			<-time.After(time.Second)
			_, err := far.Read(make([]byte, 1))
			require.NoError(t, err)
		}
		require.Empty(t, end)
		c.CloseNow()
		<-end
	})
}

func TestWheelSpreadsAndForgets(t *testing.T) {
	t.Parallel()
	w := NewWheel(0)
	links := make([]*link, 10*wheelSlots+5)
	for i := range links {
		links[i] = &link{}
		w.add(links[i])
	}
	for i := range w.slots {
		require.LessOrEqual(t, len(w.slots[i]), 11)
	}
	for i, l := range links {
		if i%3 != 0 {
			w.remove(l)
		}
	}
	seen := make(map[*link]int)
	for range wheelSlots {
		for _, l := range w.advance(nil) {
			seen[l]++
		}
	}
	for i, l := range links {
		want := 0
		if i%3 == 0 {
			want = 1
		}
		require.Equal(t, want, seen[l], "each has one turn")
	}
}

func TestWheelStartStop(t *testing.T) {
	t.Parallel()
	w := NewWheel(time.Millisecond)
	w.Stop()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 50 {
				w.Start()
				w.Stop()
			}
		})
	}
	wg.Wait()
	w.Start()
	w.Start()
	w.Stop()
	w.Stop()
	require.Nil(t, w.stop)
}
