package main

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// tunnel passes connections on to a program. It can be closed for a while.
type tunnel struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu     sync.Mutex // guards all below
	closed bool
	conns  map[net.Conn]bool
}

// dig opens a tunnel that ends with the test.
func dig(t *testing.T, target string) *tunnel {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	u := &tunnel{listener: listener, target: target, conns: map[net.Conn]bool{}}
	u.running.Go(u.run)
	t.Cleanup(func() {
		_ = listener.Close()
		u.close()
		u.running.Wait()
	})
	return u
}

func (u *tunnel) url() string { return "http://" + u.listener.Addr().String() + "/" }

func (u *tunnel) run() {
	for {
		from, err := u.listener.Accept()
		if err != nil {
			return // it was closed
		}
		u.running.Go(func() { u.pass(from) })
	}
}

// pass passes one connection on, until an end of it is closed.
func (u *tunnel) pass(from net.Conn) {
	defer func() { _ = from.Close() }()
	to, err := net.Dial("tcp", u.target) //nolint:noctx // closing it ends it
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	if !u.keep(from, to) {
		return
	}
	u.running.Go(func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	})
	_, _ = io.Copy(from, to)
}

// keep remembers connections, to close them, unless the tunnel is closed.
func (u *tunnel) keep(conns ...net.Conn) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range conns {
		u.conns[c] = true
	}
	return !u.closed
}

// close cuts all connections, and takes no others.
func (u *tunnel) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for c := range u.conns {
		_ = c.Close()
	}
	clear(u.conns)
}

// open takes connections again.
func (u *tunnel) open() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = false
}
