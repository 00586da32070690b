package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// subscribeAll is the process of the subscribers. It hears the address of the WebSocket, tells an empty result when all
// have page 0, hears how many commits there will be, and tells when each arrived, in ns, by subscriber and commit.
func subscribeAll(hear *gob.Decoder, tell *gob.Encoder) error {
	var address string
	if err := hear.Decode(&address); err != nil {
		return err
	}
	all := make([]*subscriber, watchers)
	for i := range all {
		var err error
		if all[i], err = subscribe(context.Background(), address); err != nil {
			return err
		}
	}
	if err := tell.Encode([][]int64{}); err != nil {
		return err
	}
	var commits int
	if err := hear.Decode(&commits); err != nil {
		return err
	}
	arrivals := make([][]int64, len(all))
	var group errgroup.Group
	for i, s := range all {
		group.Go(func() (err error) {
			arrivals[i], err = s.watch(commits)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return tell.Encode(arrivals)
}

// subscriber is one connection. It takes the messages out of their frames and does no more, since it stands for a client
// that has a machine of its own.
type subscriber struct {
	tcp     *stampedConn
	frames  *bufio.Reader
	message []byte
}

// stampedConn knows when it was read from last.
type stampedConn struct {
	net.Conn
	read int64 // in ns
}

func (c *stampedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read = time.Now().UnixNano()
	return n, err
}

// subscribe connects and waits for page 0.
func subscribe(ctx context.Context, address string) (*subscriber, error) {
	s := &subscriber{}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http"+strings.TrimPrefix(address, "ws"), http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	response, err := s.transport().RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, errors.Join(fmt.Errorf("handshake: %s", response.Status), response.Body.Close())
	}
	stream, _ := response.Body.(io.ReadWriter)
	s.frames = bufio.NewReader(stream)
	_, err = stream.Write(slices.Concat(
		frame(`{"func":"subscribe","type":"list","name":"departures"}`),
		frame(fmt.Sprintf(`{"func":"get","type":"list","name":"departures","page":0,"page_size":%d}`, pageSize)),
	))
	if err == nil {
		err = s.next()
	}
	return s, err
}

// transport dials one connection, and keeps it.
func (s *subscriber) transport() *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, network, address)
		s.tcp = &stampedConn{Conn: conn}
		return s.tcp, err
	}}
}

// frame returns a short text message as a client sends it, with a mask of zeros.
func frame(message string) []byte {
	const final, text, masked = 0x80, 1, 0x80
	return append([]byte{final | text, masked | byte(len(message)), 0, 0, 0, 0}, message...)
}

// next reads the next message.
func (s *subscriber) next() error {
	var header [2]byte
	if _, err := io.ReadFull(s.frames, header[:]); err != nil {
		return err
	}
	size := int(header[1])
	if size > 125 { // then the size follows, in 2 bytes; no message here needs the 8 of 127
		var extended [2]byte
		if _, err := io.ReadFull(s.frames, extended[:]); err != nil {
			return err
		}
		size = int(binary.BigEndian.Uint16(extended[:]))
	}
	s.message = slices.Grow(s.message[:0], size)[:size]
	_, err := io.ReadFull(s.frames, s.message)
	return err
}

// watch returns when each commit arrived. A message that shows a commit shows all before it too, whose own messages may
// have been folded into it.
func (s *subscriber) watch(commits int) ([]int64, error) {
	arrivals := make([]int64, 0, commits)
	for len(arrivals) < commits {
		if err := s.next(); err != nil {
			return nil, err
		}
		for last := s.lastCommit(); len(arrivals) <= last; {
			arrivals = append(arrivals, s.tcp.read)
		}
	}
	return arrivals, nil
}

// lastCommit returns the number of the last commit that the message shows, -1 if it shows none.
func (s *subscriber) lastCommit() int {
	last := -1
	rest := s.message
	for {
		var found bool
		if _, rest, found = bytes.Cut(rest, []byte(`"delay_minutes":`)); !found {
			return last
		}
		digits := rest[:max(0, bytes.IndexAny(rest, ",}"))]
		if n, err := strconv.Atoi(string(digits)); err == nil {
			last = max(last, n-firstMark)
		}
	}
}
