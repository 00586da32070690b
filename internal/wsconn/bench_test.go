package wsconn

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// A change as the benchmarks send it: three messages of a size to
// each of 200 connections.
const (
	benchPeers    = 200
	benchMessages = 3
)

// receiver is a client that counts whole messages of a known size off.
func receiver(nc net.Conn, size int, got *sync.WaitGroup) {
	buf := make([]byte, headerSize(size)+size)
	r := bufio.NewReaderSize(nc, 8<<10)
	for {
		if _, err := io.ReadFull(r, buf); err != nil {
			return
		}
		got.Done()
	}
}

// BenchmarkBroadcast is a change, until all connections have it.
func BenchmarkBroadcast(b *testing.B) {
	for _, size := range []int{200, 2000, 20_000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) { broadcast(b, make([]byte, size)) })
	}
}

func broadcast(b *testing.B, payload []byte) {
	var got sync.WaitGroup
	conns, boxes := make([]*Conn, benchPeers), make([]outbox, benchPeers)
	for i := range conns {
		url, accepted := serve(b, &Config{Next: boxes[i].next})
		go receiver(rawDial(b, url), len(payload), &got)
		conns[i] = <-accepted
		b.Cleanup(conns[i].CloseNow)
	}
	b.SetBytes(int64(benchPeers * benchMessages * len(payload)))
	b.ReportAllocs()
	defer cpu(b)()
	for b.Loop() {
		got.Add(benchPeers * benchMessages)
		for i, c := range conns {
			boxes[i].put(payload, payload, payload)
			c.Flush()
		}
		got.Wait()
	}
}

// BenchmarkBroadcastByLibrary is the same written by the library alone, to
// compare with.
func BenchmarkBroadcastByLibrary(b *testing.B) {
	for _, size := range []int{200, 2000, 20_000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) { broadcastByLibrary(b, make([]byte, size)) })
	}
}

func broadcastByLibrary(b *testing.B, payload []byte) {
	var got sync.WaitGroup
	accepted := make(chan *websocket.Conn, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ws, err := websocket.Accept(w, r, nil); err == nil {
			accepted <- ws
		}
	}))
	b.Cleanup(s.Close)
	conns := make([]*websocket.Conn, benchPeers)
	for i := range conns {
		go receiver(rawDial(b, s.URL), len(payload), &got)
		conns[i] = <-accepted
		b.Cleanup(func() { _ = conns[i].CloseNow() })
	}
	b.SetBytes(int64(benchPeers * benchMessages * len(payload)))
	b.ReportAllocs()
	defer cpu(b)()
	for b.Loop() {
		got.Add(benchPeers * benchMessages)
		for _, c := range conns {
			go func() {
				for range benchMessages {
					_ = c.Write(context.Background(), websocket.MessageText, payload)
				}
			}()
		}
		got.Wait()
	}
}

// cpu reports the processor time of each operation, of both ends, which other
// work on the machine does not change.
func cpu(b *testing.B) (report func()) {
	begin := processorTime()
	return func() { b.ReportMetric(float64(processorTime()-begin)/float64(b.N), "cpu-ns/op") }
}

func processorTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// memory is what the heap and the stacks hold.
func memory() uint64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// BenchmarkIdle measures the bytes that an idle accepted connection costs, with
// its socket and the goroutine that reads, without the client at its other end.
// In "handler" the handler of net/http reads, in "detached" it has returned.
func BenchmarkIdle(b *testing.B) {
	const conns = 1000
	for _, detached := range []bool{false, true} {
		name := map[bool]string{false: "handler", true: "detached"}[detached]
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				perSocket := rawPairs(b, conns) / 2
				b.ReportMetric(float64(idle(b, conns, detached)-perSocket)/conns, "bytes/conn")
			}
		})
	}
}

// rawPairs measures so many pairs of bare sockets.
func rawPairs(b *testing.B, n int) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer func() { _ = l.Close() }()
	socks := make([]net.Conn, 0, 2*n)
	before := memory()
	for range n {
		out, err := net.Dial("tcp", l.Addr().String())
		require.NoError(b, err)
		in, err := l.Accept()
		require.NoError(b, err)
		socks = append(socks, out, in)
	}
	after := memory()
	for _, c := range socks {
		_ = c.Close()
	}
	return int(after) - int(before)
}

// idle measures so many accepted connections with bare sockets as clients.
func idle(b *testing.B, n int, detached bool) int {
	wheel := NewWheel(0)
	wheel.Start()
	defer wheel.Stop()
	accepted := make(chan *Conn, n)
	var reading sync.WaitGroup
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, &Config{Wheel: wheel})
		if err != nil {
			return
		}
		read := func() {
			for {
				if _, err := c.Read(); err != nil {
					return
				}
			}
		}
		if detached {
			reading.Go(read)
		} else {
			reading.Add(1)
			defer reading.Done()
			defer read()
		}
		accepted <- c
	}))
	defer s.Close()
	open, all := make([]net.Conn, n), make([]*Conn, n)
	before := memory()
	for i := range open {
		open[i] = rawDial(b, s.URL)
		all[i] = <-accepted
	}
	for _, c := range all { // each has written and read once
		ping(c)
	}
	for _, nc := range open {
		_, err := nc.Write(frame{text, make([]byte, 200)}.client())
		require.NoError(b, err)
		_, err = readFrame(nc)
		require.NoError(b, err)
	}
	after := memory()
	for _, c := range all {
		c.CloseNow()
	}
	reading.Wait()
	return int(after) - int(before)
}
