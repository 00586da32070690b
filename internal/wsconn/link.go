package wsconn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// link stands between the library and the socket, and owns the writing.
//
// Writing has an owner, not a lock: the goroutine that runs write, of which
// there is at most one (writing). No lock is held while it writes. Everybody
// else leaves a note under mu and makes sure that a writer runs.
//
// No wake-up is lost. Whoever has something to be written sets its note (wanted,
// pong, ping, closeFrame) and looks at writing in one critical section (start).
// The writer looks at the notes and clears writing in one critical section too
// (take). Of two critical sections one is first: if it is the note's, the writer
// sees the note; if it is the writer's, the other one sees that no writer runs
// and starts one. A note is cleared before it is acted upon (wanted before Next
// is called), so a Flush that comes while Next runs makes it be called again.
type link struct {
	// Set before the connection is used, then only read.
	nc        net.Conn  // the socket
	in        io.Reader // what the socket brings, with what was read ahead
	closer    io.Closer // closes the socket and what its owner keeps about it
	ws        *websocket.Conn
	wheel     *Wheel
	client    bool // our frames are masked
	resumable bool // a write may be taken up again after its deadline, writev
	stall     time.Duration
	linger    time.Duration

	// Owned by the goroutine that reads.
	readErr error // the socket's

	reading atomic.Bool // a read waits for the socket
	heard   atomic.Bool // a read began since the last ping, so the one before ended

	// Goroutines of this connection. Counted up only under mu and before shut or
	// released, waited for only after.
	running sync.WaitGroup

	slot, index int // guarded by the wheel

	mu         sync.Mutex // guards what follows; never held across I/O
	next       func([][]byte) [][]byte
	writing    bool        // a writer runs
	wanted     bool        // Next is to be called
	ping       bool        // a ping is to be written
	pinged     bool        // a ping was written at the last turn of the wheel
	pong       []byte      // the answer to the newest ping
	closeFrame []byte      // the only close frame that is ever written
	closing    bool        // a close frame is to be written or was
	mute       bool        // nothing is written after what is being written
	released   bool        // the library is done: the socket closes when the writer ends
	shut       bool        // the socket is closed
	timer      *time.Timer // ends the closing
	cause      error       // why the connection ended, the first reason
	byLibrary  *CloseError // the close frame of the library, unless we had closed
	writeErr   error       // the socket's
}

// longAgo as a deadline makes a read fail at once.
var longAgo = time.Unix(1, 0)

// Read reads from the socket for the library.
func (l *link) Read(p []byte) (int, error) {
	l.heard.Store(true)
	l.reading.Store(true)
	n, err := l.in.Read(p)
	l.reading.Store(false)
	if err != nil {
		l.readErr = err
	}
	return n, err
}

// Write takes a control frame of the library, which writes each frame whole. It
// never blocks, so a reader is never held up by a slow peer. A pong replaces the
// one before (RFC 6455, 5.5.3), so a flood of pings costs no memory.
func (l *link) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch p[0] & opMask {
	case opPong:
		l.pong = append(l.pong[:0], p...)
		l.start()
	case opClose:
		if !l.closing {
			l.byLibrary = parseClose(p)
			l.beginClose(append([]byte(nil), p...))
		}
	default:
		return 0, fmt.Errorf("wsconn: unexpected frame %#x from the library", p[0])
	}
	return len(p), nil
}

// Close is the library's last word. What is still to be written is written
// first: the library answers a close frame and closes in one go.
func (l *link) Close() error {
	l.mu.Lock()
	l.released = true
	writing := l.writing
	l.mu.Unlock()
	if !writing {
		l.close(false)
		return nil
	}
	if err := l.nc.SetReadDeadline(longAgo); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("wsconn: end reading: %w", err)
	}
	return nil
}

// LocalAddr implements net.Conn.
func (l *link) LocalAddr() net.Addr { return l.nc.LocalAddr() }

// RemoteAddr implements net.Conn.
func (l *link) RemoteAddr() net.Addr { return l.nc.RemoteAddr() }

// SetDeadline implements net.Conn; the library has no use for it.
func (l *link) SetDeadline(time.Time) error { return errors.ErrUnsupported }

// SetReadDeadline implements net.Conn; the library has no use for it.
func (l *link) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

// SetWriteDeadline implements net.Conn; the library has no use for it.
func (l *link) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

// flush makes sure that Next is called after this.
func (l *link) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing || l.mute {
		return
	}
	l.wanted = true
	l.start()
}

// start makes sure that a writer runs. The caller holds mu.
func (l *link) start() {
	if l.writing || l.mute || l.released || l.shut {
		return
	}
	l.writing = true
	l.running.Add(1)
	go l.write()
}

// isClosing reports whether messages of the peer do not count any more.
func (l *link) isClosing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing
}

// bye closes with a close frame, unless the connection is closing already.
func (l *link) bye(e *CloseError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing || l.shut {
		return
	}
	l.setCause(e)
	l.beginClose(closeFrame(e.Code, e.Reason, l.client))
}

// beginClose has the close frame written and gives the rest CloseTimeout. The
// caller holds mu.
func (l *link) beginClose(frame []byte) {
	l.closing = true
	l.closeFrame = frame
	l.start()
	l.startTimer()
}

// startTimer bounds the time until the connection is shut. The caller holds mu.
func (l *link) startTimer() {
	if l.timer == nil && !l.shut {
		l.timer = time.AfterFunc(l.linger, l.expire)
	}
}

// expire shuts a connection that took too long to close.
func (l *link) expire() {
	l.mu.Lock()
	err := l.writeErr
	l.mu.Unlock()
	if err == nil {
		err = ErrNoCloseFrame
	}
	l.fail(err)
}

// setCause keeps the first reason why the connection ended. The caller holds mu.
func (l *link) setCause(err error) {
	if l.cause == nil {
		l.cause = err
	}
}

// fail ends the connection at once. It waits for nothing but a Read to notice,
// so the goroutine that reads may call it only outside the library.
func (l *link) fail(cause error) {
	l.mu.Lock()
	l.setCause(cause)
	l.mu.Unlock()
	l.close(true)
	// A connection of the library that is not closed is never collected.
	_ = l.ws.CloseNow()
}

// close closes the socket, once. Hard means that nothing is waited for, not even
// for TLS to say goodbye.
func (l *link) close(hard bool) {
	l.mu.Lock()
	first := !l.shut
	l.shut, l.mute, l.next = true, true, nil
	timer := l.timer
	l.mu.Unlock()
	if !first {
		return
	}
	if timer != nil {
		timer.Stop()
	}
	l.wheel.remove(l)
	if inner, ok := l.nc.(interface{ NetConn() net.Conn }); ok && hard {
		_ = inner.NetConn().Close()
	}
	_ = l.closer.Close() // there is nobody to tell
}

// wait waits for the connection's goroutines after the library is done.
func (l *link) wait() {
	l.mu.Lock()
	l.released = true // none is started from here on
	l.mu.Unlock()
	l.running.Wait()
	l.close(false)
}

// reset makes closing the socket drop what the kernel still holds for a peer
// that does not take it, instead of keeping it for minutes.
func (l *link) reset() {
	if s, ok := l.nc.(interface{ SetLinger(sec int) error }); ok {
		_ = s.SetLinger(0) // only saves memory
	}
}

// beat is the link's turn of the wheel: it sends a ping, or ends a connection
// that has been silent since the last one. Silence counts only while somebody
// listens, and not while a write goes on: the stall timeout watches that.
func (l *link) beat() {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closing || l.mute || l.released || l.writing:
	case l.pinged && l.reading.Load() && !l.heard.Load():
		l.mute = true
		l.running.Go(func() {
			l.reset()
			l.fail(ErrNoPong)
		})
	default:
		l.heard.Store(false)
		l.pinged, l.ping = true, true
		l.start()
	}
}
