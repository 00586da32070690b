package wsconn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

func TestCloseByThisEnd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code, sent int
		reason     string
		sentReason string
		ok         bool
	}{
		{1000, 1000, "", "", true},
		{4001, 4001, "credentials refused", "credentials refused", true},
		{4999, 4999, strings.Repeat("x", 123), strings.Repeat("x", 123), true},
		{4002, 4002, strings.Repeat("x", 124), strings.Repeat("x", 123), true},
		{4002, 4002, strings.Repeat("x", 122) + "é", strings.Repeat("x", 122), true},
		{4002, 4002, "bad \xff byte", "bad  byte", true},
		{1005, 1011, "", "", false},
		{1006, 1011, "", "", false},
		{5000, 1011, "", "", false},
		{0, 1011, "", "", false},
	} {
		t.Run(fmt.Sprint(tt.code, len(tt.reason)), func(t *testing.T) {
			t.Parallel()
			c, ws := pair(t, nil)
			end := readAll(c)
			require.Equal(t, tt.ok, c.Close(tt.code, tt.reason) == nil)
			_, _, err := ws.Read(t.Context())
			var theirs websocket.CloseError
			require.ErrorAs(t, err, &theirs)
			require.Equal(t, tt.sent, int(theirs.Code))
			require.Equal(t, tt.sentReason, theirs.Reason)
			require.True(t, utf8.ValidString(theirs.Reason))
			err = <-end
			var ours *CloseError
			require.ErrorAs(t, err, &ours)
			require.Equal(t, CloseError{Code: tt.sent, Reason: tt.sentReason}, *ours)
		})
	}
}

func TestCloseByPeer(t *testing.T) {
	t.Parallel()
	c, ws := pair(t, nil)
	end := readAll(c)
	require.NoError(t, ws.Close(4123, "bye"), "the close frame is answered")
	err := <-end
	var ce *CloseError
	require.ErrorAs(t, err, &ce)
	require.Equal(t, CloseError{Code: 4123, Reason: "bye", Remote: true}, *ce)
	require.NoError(t, c.Close(1000, "too late"))
	c.Flush()
	_, again := c.Read()
	require.Equal(t, err, again)
}

// A peer that closes and does not take what is being written to it does not hold
// the connection.
func TestCloseByPeerDuringWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out outbox
		c, far := pipe(t, &Config{Next: out.next}, nil)
		end := readAll(c)
		out.put([]byte("never read"))
		c.Flush()
		synctest.Wait()
		start := time.Now()
		_, err := far.Write(frame{closing, closePayload(1001, "tab closed")}.client())
		require.NoError(t, err)
		err = <-end
		var ce *CloseError
		require.ErrorAs(t, err, &ce)
		require.Equal(t, CloseError{Code: 1001, Reason: "tab closed", Remote: true}, *ce)
		require.Equal(t, DefaultCloseTimeout, time.Since(start))
	})
}

func TestCloseByPeerWithoutCode(t *testing.T) {
	t.Parallel()
	u, conns := serve(t, nil)
	nc := rawDial(t, u)
	end := readAll(<-conns)
	_, err := nc.Write(frame{closing, nil}.client())
	require.NoError(t, err)
	f, err := readFrame(nc)
	require.NoError(t, err)
	require.Equal(t, frame{closing, []byte{}}, f)
	_, err = nc.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "the server closes the socket")
	require.Equal(t, StatusNoCode, CloseStatus(<-end))
}

// Many goroutines of both ends close at once: both ends see one and the same
// code each, and it is one that somebody closed with.
func TestCloseRace(t *testing.T) {
	t.Parallel()
	for range 50 {
		var out outbox
		url, conns := serve(t, &Config{Next: out.next})
		client, err := Dial(t.Context(), url, nil)
		require.NoError(t, err)
		server := <-conns
		ends := []<-chan error{readAll(server), readAll(client)}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { _ = server.Close(4000+i, "server") })
			wg.Go(func() { _ = client.Close(4100+i, "client") })
			wg.Go(func() {
				out.put([]byte("x"))
				server.Flush()
			})
		}
		wg.Wait()
		for _, end := range ends {
			code := CloseStatus(<-end)
			require.True(t, code >= 4000 && code < 4008 || code >= 4100 && code < 4108, code)
		}
	}
}

// What Flush asked for before Close is sent before the close frame; nothing is
// sent after it.
func TestCloseAfterFlush(t *testing.T) {
	t.Parallel()
	for range 50 {
		var out outbox
		url, conns := serve(t, &Config{Next: out.next})
		nc := rawDial(t, url)
		c := <-conns
		end := readAll(c)
		out.put([]byte("last words"), make([]byte, 10_000))
		c.Flush()
		require.NoError(t, c.Close(4009, "enough"))
		out.put([]byte("too late"))
		c.Flush()
		var got []string
		var f frame
		for f.first != closing {
			var err error
			f, err = readFrame(nc)
			require.NoError(t, err)
			got = append(got, string(f.payload))
		}
		require.Equal(t, "last words", got[0])
		require.Len(t, got[1], 10_000)
		require.Equal(t, string(closePayload(4009, "enough")), got[len(got)-1])
		_, err := nc.Write(frame{closing, f.payload}.client())
		require.NoError(t, err)
		_, err = nc.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 4009, CloseStatus(<-end))
	}
}

// A close frame ends a stream of messages that would never end by itself.
func TestNothingAfterCloseFrame(t *testing.T) {
	t.Parallel()
	url, conns := serve(t, &Config{Next: func(buf [][]byte) [][]byte {
		return append(buf, []byte("more"))
	}})
	nc := rawDial(t, url)
	c := <-conns
	end := readAll(c)
	c.Flush()
	f, err := readFrame(nc)
	require.NoError(t, err)
	require.NoError(t, c.Close(4010, ""))
	for f.first != closing {
		f, err = readFrame(nc)
		require.NoError(t, err)
	}
	_, err = nc.Write(frame{closing, f.payload}.client())
	require.NoError(t, err)
	_, err = readFrame(nc)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 4010, CloseStatus(<-end))
}

// Close lets a message that is being written end, and does not wait for it.
func TestCloseDuringWrite(t *testing.T) {
	t.Parallel()
	var out outbox
	c, far := pipe(t, &Config{Next: out.next}, nil)
	end := readOne(c) // not what crosses the close frame
	big := []byte(strings.Repeat("0123456789abcdef", 4096))
	out.put(big)
	c.Flush()
	half := make([]byte, 1000)
	_, err := io.ReadFull(far, half)
	require.NoError(t, err)
	require.NoError(t, c.Close(1001, "going"))
	require.NoError(t, c.Close(1000, "second"))
	rest := io.MultiReader(strings.NewReader(string(half)), far)
	f, err := readFrame(rest)
	require.NoError(t, err)
	require.Equal(t, string(big), string(f.payload))
	f, err = readFrame(rest)
	require.NoError(t, err)
	require.Equal(t, frame{closing, closePayload(1001, "going")}, f)
	_, err = far.Write(frame{text, []byte("crossing")}.client())
	require.NoError(t, err)
	_, err = far.Write(frame{closing, f.payload}.client())
	require.NoError(t, err)
	require.Equal(t, StatusGoingAway, CloseStatus(<-end))
}

// A peer that does not answer the close frame does not hold the connection.
func TestCloseUnanswered(t *testing.T) {
	t.Parallel()
	for _, reading := range []bool{true, false} {
		for _, timeout := range []time.Duration{0, time.Second, time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				c, far := pipe(t, &Config{CloseTimeout: timeout}, nil)
				var end <-chan error
				if reading {
					end = readAll(c)
				}
				start := time.Now()
				require.NoError(t, c.Close(4010, "restart"))
				f, err := readFrame(far)
				require.NoError(t, err)
				require.Equal(t, closePayload(4010, "restart"), f.payload)
				require.Zero(t, time.Since(start))
				_, err = far.Read(make([]byte, 1))
				require.ErrorIs(t, err, io.EOF)
				want := timeout
				if timeout == 0 {
					want = DefaultCloseTimeout
				}
				require.Equal(t, want, time.Since(start))
				if !reading {
					_, err = c.Read()
				} else {
					err = <-end
				}
				require.Equal(t, 4010, CloseStatus(err))
			})
		}
	}
}

// A peer that goes on sending after the close frame is not listened to forever.
func TestCloseUnderFire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t, nil, nil)
		end := readAll(c)
		require.NoError(t, c.Close(4009, ""))
		_, err := readFrame(far)
		require.NoError(t, err)
		for err == nil {
			<-time.After(time.Second / 10)
			_, err = far.Write(frame{text, make([]byte, 100)}.client())
		}
		require.Equal(t, 4009, CloseStatus(<-end))
	})
}

func TestCloseNow(t *testing.T) {
	t.Parallel()
	c, ws := pair(t, nil)
	end := readAll(c)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(c.CloseNow)
	}
	wg.Wait()
	err := <-end
	require.ErrorIs(t, err, net.ErrClosed)
	require.Equal(t, StatusAbnormal, CloseStatus(err))
	_, _, err = ws.Read(t.Context())
	require.Equal(t, websocket.StatusCode(-1), websocket.CloseStatus(err))
}

// Close and CloseNow may be called by Next.
func TestCloseFromNext(t *testing.T) {
	t.Parallel()
	for _, closing := range []func(*Conn){
		func(c *Conn) { _ = c.Close(4000, "from Next") },
		(*Conn).CloseNow,
	} {
		var c *Conn
		cfg := &Config{Next: func(buf [][]byte) [][]byte {
			closing(c)
			return buf
		}}
		var ws *websocket.Conn
		c, ws = pair(t, cfg)
		ws.CloseRead(t.Context())
		end := readAll(c)
		c.Flush()
		require.Error(t, <-end)
	}
}

// When Read has failed, Next is not called any more, whatever was going on.
func TestNothingAfterTheEnd(t *testing.T) {
	t.Parallel()
	for range 50 {
		var over atomic.Bool
		cfg := &Config{Next: func(buf [][]byte) [][]byte {
			if over.Load() {
				panic("Next after the end")
			}
			return append(buf, []byte("again"))
		}}
		c, ws := pair(t, cfg)
		end := readAll(c)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			<-end
			over.Store(true)
		}()
		c.Flush()
		_, _, err := ws.Read(t.Context())
		require.NoError(t, err)
		require.NoError(t, ws.CloseNow())
		<-ended
		c.Flush()
		c.link.running.Wait()
	}
}

// muted is a socket whose writes fail from some point on.
type muted struct {
	net.Conn
	broken atomic.Bool
}

var errMuted = errors.New("broken pipe")

func (m *muted) Write(p []byte) (int, error) {
	if m.broken.Load() {
		return 0, errMuted
	}
	return m.Conn.Write(p)
}

// A peer may close and go while we write. Its close frame still counts.
func TestCloseFrameBehindFailedWrite(t *testing.T) {
	t.Parallel()
	for _, answered := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var out outbox
			m := &muted{}
			c, far := pipe(t, &Config{Next: out.next}, func(nc net.Conn) net.Conn {
				m.Conn = nc
				return m
			})
			end := readAll(c)
			m.broken.Store(true)
			out.put([]byte("x"))
			c.Flush()
			synctest.Wait()
			if !answered {
				require.ErrorIs(t, <-end, errMuted)
				return
			}
			_, err := far.Write(frame{closing, closePayload(4010, "restart")}.client())
			require.NoError(t, err)
			err = <-end
			require.Equal(t, 4010, CloseStatus(err))
		})
	}
}

func TestCloseErrorText(t *testing.T) {
	t.Parallel()
	require.Zero(t, CloseStatus(nil))
	err := fmt.Errorf("follow: %w", &CloseError{Code: 4008, Reason: "too slow", Remote: true})
	require.Equal(t, StatusTooSlow, CloseStatus(err))
	require.EqualError(t, err, `follow: wsconn: closed by the peer: code 4008, reason "too slow"`)
	require.ErrorContains(t, &CloseError{Code: 1000}, "by this end")
}
