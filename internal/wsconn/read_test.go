package wsconn

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

func TestReadLimit(t *testing.T) {
	t.Parallel()
	const limit = 1000
	for _, tt := range []struct {
		name   string
		frames []int // payload sizes of the fragments of one message
		ok     bool
	}{
		{"empty", []int{0}, true},
		{"below", []int{limit - 1}, true},
		{"exact", []int{limit}, true},
		{"over", []int{limit + 1}, false},
		{"far over", []int{1 << 20}, false},
		{"exact in fragments", []int{limit / 2, 0, limit / 2}, true},
		{"over in fragments", []int{limit / 2, limit / 2, 1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, conns := serve(t, &Config{ReadLimit: limit})
			nc := rawDial(t, u)
			c := <-conns
			var want []byte
			for i, n := range tt.frames {
				part := bytes.Repeat([]byte{byte('a' + i)}, n)
				want = append(want, part...)
				f := frame{0, part}
				if i == 0 {
					f.first |= 0x01
				}
				if i == len(tt.frames)-1 {
					f.first |= 0x80
				}
				_, err := nc.Write(f.client())
				require.NoError(t, err)
			}
			if tt.ok {
				msg, err := c.Read()
				require.NoError(t, err)
				require.Equal(t, string(want), string(msg))
				finish(c)
				return
			}
			end := readAll(c)
			f, err := readFrame(nc)
			require.NoError(t, err)
			require.Equal(t, byte(closing), f.first)
			require.Equal(t, closePayload(1009, ""), f.payload[:2])
			_, err = nc.Write(frame{closing, f.payload}.client())
			require.NoError(t, err)
			err = <-end
			require.Equal(t, StatusTooBig, CloseStatus(err))
			var ce *CloseError
			require.ErrorAs(t, err, &ce)
			require.False(t, ce.Remote)
		})
	}
}

func TestReadLimitDefaultAndNone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		limit int64
		size  int
		ok    bool
	}{{0, DefaultReadLimit, true}, {0, DefaultReadLimit + 1, false}, {-1, DefaultReadLimit + 1, true}} {
		c, ws := pair(t, &Config{ReadLimit: tt.limit})
		go func() { _ = ws.Write(t.Context(), websocket.MessageText, make([]byte, tt.size)) }()
		ws.CloseRead(t.Context())
		msg, err := c.Read()
		if tt.ok {
			require.NoError(t, err)
			require.Len(t, msg, tt.size)
		} else {
			require.Equal(t, StatusTooBig, CloseStatus(err))
		}
	}
}

func TestBinaryMessage(t *testing.T) {
	t.Parallel()
	c, ws := pair(t, nil)
	require.NoError(t, ws.Write(t.Context(), websocket.MessageBinary, make([]byte, 100_000)))
	end := readAll(c)
	_, _, err := ws.Read(t.Context())
	require.Equal(t, websocket.StatusUnsupportedData, websocket.CloseStatus(err))
	require.Equal(t, StatusUnsupported, CloseStatus(<-end))
}

// Control frames may come between the fragments of a message.
func TestFragmentsAndControlFrames(t *testing.T) {
	t.Parallel()
	u, conns := serve(t, nil)
	nc := rawDial(t, u)
	c := <-conns
	defer finish(c)
	for _, f := range []frame{
		{0x01, []byte("one ")},
		{pinging, []byte("p1")},
		{0x00, []byte("message")},
		{ponging, []byte("unasked")},
		{0x80, nil},
		{text, []byte("another")},
	} {
		_, err := nc.Write(f.client())
		require.NoError(t, err)
	}
	for _, want := range []string{"one message", "another"} {
		msg, err := c.Read()
		require.NoError(t, err)
		require.Equal(t, want, string(msg))
	}
	f, err := readFrame(nc)
	require.NoError(t, err)
	require.Equal(t, frame{ponging, []byte("p1")}, f)
}

func TestProtocolViolations(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string][]byte{
		"unmasked":            frame{text, []byte("x")}.server(),
		"reserved bit":        frame{text | 0x40, []byte("x")}.client(),
		"unknown opcode":      frame{0x83, nil}.client(),
		"lone continuation":   frame{0x80, []byte("x")}.client(),
		"fragmented ping":     frame{0x09, nil}.client(),
		"long ping":           frame{pinging, make([]byte, 126)}.client(),
		"message in message":  append(frame{0x01, []byte("x")}.client(), frame{text, []byte("y")}.client()...),
		"impossible length":   {text, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0},
		"close without code":  frame{closing, []byte{3}}.client(),
		"close with bad code": frame{closing, closePayload(1005, "")}.client(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, conns := serve(t, nil)
			nc := rawDial(t, u)
			_, err := nc.Write(sent)
			require.NoError(t, err)
			end := readAll(<-conns)
			f, err := readFrame(nc)
			require.NoError(t, err)
			require.Equal(t, byte(closing), f.first)
			require.Equal(t, closePayload(1002, ""), f.payload[:2])
			require.NoError(t, nc.Close())
			require.Equal(t, StatusProtocolError, CloseStatus(<-end))
		})
	}
}

// The buffer is lent out until the next Read, and not longer held on to.
func TestReadReusesBuffer(t *testing.T) {
	t.Parallel()
	c, ws := pair(t, nil)
	for _, size := range []int{0, 1, 5000, 200_000, 3} {
		want := strings.Repeat("z", size)
		go func() { _ = ws.Write(t.Context(), websocket.MessageText, []byte(want)) }()
		msg, err := c.Read()
		require.NoError(t, err)
		require.Equal(t, want, string(msg))
		clear(msg) // allowed
	}
}

func TestPeerVanishes(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*net.TCPConn) error{
		"reset":                    abort,
		"end without close frame":  func(nc *net.TCPConn) error { return nc.Close() },
		"in the middle of a frame": halfFrame,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, conns := serve(t, nil)
			nc := rawDial(t, u)
			c := <-conns
			end := readAll(c)
			require.NoError(t, leave(nc))
			err := <-end
			require.Equal(t, StatusAbnormal, CloseStatus(err))
			require.NotErrorAs(t, err, new(*CloseError))
			_, again := c.Read()
			require.Equal(t, err, again, "the error stays")
		})
	}
}

func abort(nc *net.TCPConn) error {
	if err := nc.SetLinger(0); err != nil {
		return err
	}
	return nc.Close()
}

func halfFrame(nc *net.TCPConn) error {
	if _, err := nc.Write(frame{text, make([]byte, 500)}.client()[:300]); err != nil {
		return err
	}
	return nc.Close()
}

// A control frame that never ends is not waited for, with or without a wheel.
func TestUnfinishedControlFrame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t, nil, nil)
		end := readAll(c)
		_, err := far.Write(frame{pinging, []byte("x")}.client()[:6])
		require.NoError(t, err)
		require.Equal(t, StatusAbnormal, CloseStatus(<-end))
	})
}

// A peer that sends pings and reads nothing neither blocks the reader nor costs
// memory: only the newest ping is answered.
func TestPingFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t, nil, nil)
		end := readAll(c)
		for i := range 1000 {
			_, err := far.Write(frame{pinging, []byte{byte(i >> 8), byte(i)}}.client())
			require.NoError(t, err)
		}
		synctest.Wait()
		require.LessOrEqual(t, cap(c.link.pong), 2*(2+maxControl))
		var got []frame
		for last := []byte{999 >> 8, 999 & 0xff}; len(got) == 0 || !bytes.Equal(got[len(got)-1].payload, last); {
			f, err := readFrame(far)
			require.NoError(t, err)
			got = append(got, f)
		}
		require.LessOrEqual(t, len(got), 2, "one was being written, and the newest")
		c.CloseNow()
		require.ErrorIs(t, <-end, net.ErrClosed)
	})
}
