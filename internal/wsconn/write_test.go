package wsconn

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// choppy is a transport that takes a write apart.
type choppy struct{ net.Conn }

func (c choppy) Write(p []byte) (n int, err error) {
	for err == nil && n < len(p) {
		var m int
		m, err = c.Conn.Write(p[n:min(len(p), n+1+rand.IntN(3000))])
		n += m
	}
	return n, err
}

// transports are the ways in which two ends are joined; sender is ours, receiver
// is the library's.
var transports = map[string]func(testing.TB, *Config) (sender *Conn, receiver *websocket.Conn){
	"server on TCP": pair,
	"server on TLS": func(t testing.TB, cfg *Config) (*Conn, *websocket.Conn) {
		var s *httptest.Server
		url, conns := serve(t, cfg, func(ts *httptest.Server) {
			ts.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
			s = ts
		})
		ws := dial(t, url, &websocket.DialOptions{HTTPClient: s.Client()})
		c := <-conns
		t.Cleanup(c.CloseNow)
		return c, ws
	},
	"server on a choppy pipe": func(t testing.TB, cfg *Config) (*Conn, *websocket.Conn) {
		return pipePair(t, cfg, func(nc net.Conn) net.Conn { return choppy{nc} }, nil)
	},
	"client on TCP": func(t testing.TB, cfg *Config) (*Conn, *websocket.Conn) {
		conns := make(chan *websocket.Conn, 1)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if ws, err := websocket.Accept(w, r, nil); err == nil {
				ws.SetReadLimit(-1)
				conns <- ws
			}
		}))
		t.Cleanup(s.Close)
		c, err := Dial(t.Context(), s.URL, cfg)
		require.NoError(t, err)
		t.Cleanup(c.CloseNow)
		return c, <-conns
	},
}

// content is a message that says who sent it and how long it is, so that any
// byte out of place shows.
func content(sender, seq, size int) []byte {
	head := fmt.Sprintf("%d %d %d ", sender, seq, size)
	return append([]byte(head), bytes.Repeat([]byte{byte('a' + (sender+seq)%26)}, size)...)
}

// ping has a ping written, without watching for the pong as the wheel does.
func ping(c *Conn) {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	c.link.ping = true
	c.link.start()
}

// Many goroutines flush while pings fly in both directions and pongs are
// answered: every message arrives whole and in order. The receiver is a real
// client that refuses any malformed frame.
func TestFramesNeverInterleave(t *testing.T) {
	t.Parallel()
	for name, join := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const senders, each = 6, 60
			var out outbox
			sender, receiver := join(t, &Config{Next: out.next})
			end := readAll(sender)
			ctx, cancel := context.WithCancel(t.Context())
			var noise, work sync.WaitGroup
			for range 2 {
				noise.Go(func() {
					for ctx.Err() == nil {
						_ = receiver.Ping(ctx)
					}
				})
			}
			noise.Go(func() {
				for ctx.Err() == nil {
					ping(sender)
				}
			})
			for i := range senders {
				work.Go(func() {
					for seq := range each {
						out.put(content(i, seq, rand.IntN(300)), content(i+senders, seq, 1<<rand.IntN(19)))
						sender.Flush()
					}
				})
			}
			next := make([]int, 2*senders)
			for range 2 * senders * each {
				_, msg, err := receiver.Read(t.Context())
				require.NoError(t, err)
				var who, seq, size int
				_, err = fmt.Sscanf(string(msg[:min(len(msg), 40)]), "%d %d %d ", &who, &seq, &size)
				require.NoError(t, err)
				require.True(t, bytes.Equal(content(who, next[who], size), msg), "message %d of %d", seq, who)
				next[who]++
			}
			work.Wait()
			require.NoError(t, sender.Close(4000, "done"))
			_, _, err := receiver.Read(t.Context())
			require.Equal(t, websocket.StatusCode(4000), websocket.CloseStatus(err))
			cancel()
			noise.Wait()
			require.Equal(t, 4000, CloseStatus(<-end))
		})
	}
}

// The peer gets each message before the next is put: every round catches the
// writer at its end. A lost wake-up would leave the reader waiting.
func TestNoWakeUpIsLost(t *testing.T) {
	t.Parallel()
	var out outbox
	c, ws := pair(t, &Config{Next: out.next})
	for i := range 5000 {
		out.put(strconv.AppendInt(nil, int64(i), 10))
		c.Flush()
		_, msg, err := ws.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(i), string(msg))
	}
}

// Next is called by one goroutine at a time, again until it has nothing, and then
// not before the next Flush.
func TestNextUntilNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		left, calls := 5, 0
		c, ws := pipePair(t, &Config{Next: func(buf [][]byte) [][]byte {
			if !mu.TryLock() {
				panic("two calls at once")
			}
			defer mu.Unlock()
			calls++
			if left == 0 {
				return buf
			}
			left--
			return append(buf, []byte(strconv.Itoa(left)))
		}}, nil, nil)
		end := readAll(c)
		c.Flush()
		for want := 4; want >= 0; want-- {
			_, msg, err := ws.Read(t.Context())
			require.NoError(t, err)
			require.Equal(t, strconv.Itoa(want), string(msg))
		}
		synctest.Wait()
		require.Equal(t, 6, calls)
		c.Flush()
		synctest.Wait()
		require.Equal(t, 7, calls)
		c.CloseNow()
		<-end
	})
}

// Sizes around every change of the header's form, of the inline copy and of the
// chunk, alone and behind another message.
func TestMessageSizes(t *testing.T) {
	t.Parallel()
	sizes := []int{
		0, 1, 125, 126, inlineSize, inlineSize + 1, chunkSize - maxHeader, chunkSize - 4, chunkSize,
		chunkSize + 1, 65535, 65536, 1 << 20,
	}
	for name, join := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out outbox
			c, ws := join(t, &Config{Next: out.next})
			for _, first := range sizes {
				shared := content(1, first, first)
				before := bytes.Clone(shared)
				out.put(shared, shared[:first])
				c.Flush()
				for _, want := range [][]byte{before, before[:first]} {
					_, msg, err := ws.Read(t.Context())
					require.NoError(t, err)
					require.True(t, bytes.Equal(want, msg), "size %d", len(want))
				}
				require.Equal(t, before, shared, "a payload is not modified")
			}
		})
	}
}

// Many connections write the same bytes.
func TestSharedPayload(t *testing.T) {
	t.Parallel()
	payload := content(1, 2, 100_000)
	want := bytes.Clone(payload)
	var wg sync.WaitGroup
	for range 10 {
		for _, join := range transports {
			var out outbox
			c, ws := join(t, &Config{Next: out.next})
			out.put(payload, payload)
			c.Flush()
			wg.Go(func() {
				for range 2 {
					_, msg, err := ws.Read(t.Context())
					if err != nil || !bytes.Equal(want, msg) {
						t.Errorf("read: %v", err)
					}
				}
			})
		}
	}
	wg.Wait()
	require.Equal(t, want, payload)
}

// A peer that takes nothing is closed after StallTimeout, not before.
func TestStall(t *testing.T) {
	t.Parallel()
	for _, resumable := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var out outbox
			c, far := pipe(t, &Config{Next: out.next}, nil)
			c.link.resumable = resumable
			end := readAll(c)
			start := time.Now()
			out.put(make([]byte, 1000))
			c.Flush()
			_, err := io.ReadFull(far, make([]byte, 100)) // then no more
			require.NoError(t, err)
			err = <-end
			require.Equal(t, StatusTooSlow, CloseStatus(err))
			// The bytes that were taken may count as late as when the first try ends.
			require.GreaterOrEqual(t, time.Since(start), DefaultStallTimeout)
			require.LessOrEqual(t, time.Since(start), 2*DefaultStallTimeout)
		})
	}
}

// A peer that is slow, but takes some bytes within each StallTimeout, is not
// closed, however long one message takes.
func TestSlowIsNotStalled(t *testing.T) {
	t.Parallel()
	for _, resumable := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var out outbox
			c, far := pipe(t, &Config{Next: out.next}, nil)
			c.link.resumable = resumable
			end := readAll(c)
			want := content(1, 2, 50_000)
			out.put(want)
			c.Flush()
			var got bytes.Buffer
			for got.Len() < 4+len(want) {
				<-time.After(DefaultStallTimeout * 9 / 10)
				_, err := io.CopyN(&got, far, int64(min(1000, 4+len(want)-got.Len())))
				require.NoError(t, err)
			}
			f, err := readFrame(&got)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, f.payload))
			c.CloseNow()
			require.ErrorIs(t, <-end, net.ErrClosed)
		})
	}
}

// narrow makes the kernel's buffers small, so that a peer that does not read is
// soon noticed.
func narrow(ts *httptest.Server) { ts.Listener = narrowListener{ts.Listener} }

type narrowListener struct{ net.Listener }

func (l narrowListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if tcp, ok := nc.(*net.TCPConn); ok {
		err = tcp.SetWriteBuffer(4096)
	}
	return nc, err
}

// stall returns a connection whose peer has stopped reading, after the stall was
// noticed, and the peer. The peer's frames are content(0, n, size).
func stall(t *testing.T, cfg Config, size int) (c *Conn, nc *net.TCPConn, end <-chan error) {
	t.Helper()
	seq := 0
	cfg.StallTimeout = 100 * time.Millisecond
	cfg.Next = func(buf [][]byte) [][]byte {
		seq++
		return append(buf, content(0, 2*seq, 10), content(0, 2*seq+1, size))
	}
	url, conns := serve(t, &cfg, narrow)
	nc = rawDial(t, url)
	require.NoError(t, nc.SetReadBuffer(4096))
	c = <-conns
	end = readAll(c)
	c.Flush()
	require.Eventually(t, func() bool {
		c.link.mu.Lock()
		defer c.link.mu.Unlock()
		return c.link.mute && !c.link.writing // the writer has given up and ended
	}, time.Minute, time.Millisecond)
	return c, nc, end
}

// When a peer that stalled wakes up, it gets whole frames and then 4008, if the
// kernel could take the close frame.
func TestStalledPeerLearnsWhy(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 100, 5000, 70_000} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			t.Parallel()
			_, nc, end := stall(t, Config{CloseTimeout: time.Minute}, size)
			var f frame
			r := bufio.NewReader(nc)
			for seq := 2; ; seq++ {
				var err error
				f, err = readFrame(r)
				require.NoError(t, err)
				if f.first == closing {
					break
				}
				want := content(0, seq, 10)
				if seq%2 == 1 {
					want = content(0, seq, size)
				}
				require.Equal(t, string(want), string(f.payload))
			}
			require.Equal(t, closePayload(4008, "too slow"), f.payload)
			_, err := nc.Write(frame{closing, f.payload}.client())
			require.NoError(t, err)
			require.Equal(t, StatusTooSlow, CloseStatus(<-end))
		})
	}
}

// A frame of which too much is missing cannot be ended: the socket just closes.
func TestStalledInHugeFrame(t *testing.T) {
	t.Parallel()
	_, nc, end := stall(t, Config{}, 64<<20)
	require.Equal(t, StatusTooSlow, CloseStatus(<-end))
	_, err := io.Copy(io.Discard, nc)
	_ = err // the end or a reset
}

// Where frames are copied, by TLS and by clients, a stall ends the connection too.
func TestStallOfCopiedFrames(t *testing.T) {
	t.Parallel()
	endless := &Config{StallTimeout: 100 * time.Millisecond, Next: func(buf [][]byte) [][]byte {
		return append(buf, make([]byte, 100_000))
	}}
	t.Run("TLS", func(t *testing.T) {
		t.Parallel()
		url, conns := serve(t, endless, narrow, func(ts *httptest.Server) {
			ts.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		})
		nc, err := tls.Dial("tcp", url[len("https://"):], &tls.Config{InsecureSkipVerify: true})
		require.NoError(t, err)
		defer func() { _ = nc.Close() }()
		handshake(t, nc)
		c := <-conns
		c.Flush()
		require.Equal(t, StatusTooSlow, CloseStatus(<-readAll(c)))
	})
	t.Run("client", func(t *testing.T) {
		t.Parallel()
		url, conns := serve(t, nil)
		c, err := Dial(t.Context(), url, endless)
		require.NoError(t, err)
		server := <-conns // does not read
		c.Flush()
		require.Equal(t, StatusTooSlow, CloseStatus(<-readAll(c)))
		finish(server)
	})
}

// The kernel takes a write in pieces when its buffer is small and the reader is
// slower than the writer.
func TestPartialWrites(t *testing.T) {
	t.Parallel()
	var out outbox
	url, conns := serve(t, &Config{Next: out.next}, narrow)
	ws := dial(t, url, nil)
	c := <-conns
	defer finish(c)
	for i := range 50 {
		out.put(content(i, 0, 10), content(i, 1, 100_000))
		c.Flush()
	}
	for i := range 50 {
		for seq, size := range []int{10, 100_000} {
			_, msg, err := ws.Read(t.Context())
			require.NoError(t, err)
			require.True(t, bytes.Equal(content(i, seq, size), msg))
		}
	}
}

// A client's frames are masked, each with its own key.
func TestClientFramesAreMasked(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	frames := make(chan [][]byte, 1)
	go func() { frames <- recordMasked(l) }()
	var out outbox
	c, err := Dial(t.Context(), "ws://"+l.Addr().String(), &Config{Next: out.next})
	require.NoError(t, err)
	out.put([]byte("same"), []byte("same"))
	c.Flush()
	got := <-frames
	require.Len(t, got, 2)
	for _, f := range got {
		require.Equal(t, []byte{text, 0x84}, f[:2])
		for i := range 4 {
			f[6+i] ^= f[2+i]
		}
		require.Equal(t, "same", string(f[6:]))
	}
	require.NotEqual(t, got[0][2:6], got[1][2:6])
	finish(c)
}

// recordMasked accepts one client and records its first two frames of four
// bytes.
func recordMasked(l net.Listener) (got [][]byte) {
	nc, err := l.Accept()
	if err != nil {
		return nil
	}
	defer func() { _ = nc.Close() }()
	r := bufio.NewReader(nc)
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil
	}
	_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Accept: "+acceptKey(req.Header.Get("Sec-WebSocket-Key"))+"\r\n\r\n")
	for range 2 {
		f := make([]byte, 10)
		if _, err := io.ReadFull(r, f); err != nil {
			return nil
		}
		got = append(got, f)
	}
	return got
}
