package wsconn

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

const (
	// farewellTime is how long a stalled socket gets to take a close frame.
	farewellTime = 100 * time.Millisecond

	// farewellRoom is by how much the kernel's buffer of a stalled socket is
	// enlarged, beyond what is left of the frame, so that it can take one.
	farewellRoom = 1 << 20
)

// write is the writer goroutine: it writes what is due until nothing is.
func (l *link) write() {
	defer l.running.Done()
	b, _ := batches.Get().(*batch)
	for next, ok := l.take(b); ok; next, ok = l.take(b) {
		b.msgs = b.msgs[:0]
		if next != nil {
			b.msgs = next(b.msgs)
		}
		b.again = len(b.msgs) > 0
		if err := l.send(b); err != nil {
			l.writeFailed(b, err)
		}
	}
	b.free()
	l.mu.Lock()
	released := l.released
	l.mu.Unlock()
	if released {
		l.close(false)
	}
}

// take moves what is due into the batch and returns Next if it is to be called.
// If nothing is due it returns false, and the writer must end: from then on
// another one may run.
func (l *link) take(b *batch) (next func([][]byte) [][]byte, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.again {
		l.wanted = true
	}
	due := l.wanted || l.ping || len(l.pong) > 0 || l.closeFrame != nil
	if l.mute || !due {
		l.writing = false
		return nil, false
	}
	b.control = append(b.control[:0], l.pong...)
	if l.ping {
		b.control = appendControl(b.control, opPing, nil, l.client)
	}
	if l.wanted {
		next = l.next
	}
	b.last = l.closeFrame
	l.mute = b.last != nil // nothing may follow a close frame
	l.pong, l.ping, l.wanted = nil, false, false
	return next, true
}

// send writes the batch.
func (l *link) send(b *batch) error {
	if l.client || !l.resumable {
		return l.sendCopied(b)
	}
	b.lay()
	return l.push(b)
}

// sendCopied writes the batch through a buffer: masking must not touch the
// payloads, and without writev each part would be a write, for TLS a record.
func (l *link) sendCopied(b *batch) error {
	b.chunk = append(b.chunk[:0], b.control...)
	for _, m := range b.msgs {
		if err := l.copyFrame(b, m); err != nil {
			return err
		}
	}
	b.chunk = append(b.chunk, b.last...)
	return l.pushChunk(b)
}

// copyFrame adds a message to the chunk and writes the chunk whenever it is full.
func (l *link) copyFrame(b *batch, m []byte) error {
	if len(b.chunk)+maxHeader > chunkSize {
		if err := l.pushChunk(b); err != nil {
			return err
		}
	}
	key := newMaskKey(l.client)
	b.chunk = appendHeader(b.chunk, opText, len(m), key)
	for done := 0; done < len(m); {
		if len(b.chunk) >= chunkSize {
			if err := l.pushChunk(b); err != nil {
				return err
			}
		}
		n := min(chunkSize-len(b.chunk), len(m)-done)
		b.chunk = append(b.chunk, m[done:done+n]...)
		if key != nil {
			mask(b.chunk[len(b.chunk)-n:], key, done)
		}
		done += n
	}
	return nil
}

// pushChunk writes the chunk and empties it.
func (l *link) pushChunk(b *batch) error {
	if len(b.chunk) == 0 {
		return nil
	}
	b.parts = append(b.parts[:0], b.chunk)
	b.rest, b.written = b.parts, 0
	err := l.push(b)
	b.chunk = b.chunk[:0]
	return err
}

// push writes the rest of the batch. A slow write is not a stalled one: only
// when no byte was taken for StallTimeout does it fail with errStalled.
//
// A resumable socket is tried again several times within StallTimeout, because
// the kernel reports a full socket as writable only when a good part of its
// buffer is free, but takes bytes as soon as there is any room. Others, such as
// TLS, are broken once a write has timed out, so one write gets all the time; it
// is never longer than a chunk.
func (l *link) push(b *batch) error {
	step := l.stall
	if l.resumable {
		step /= 4
	}
	last := time.Now()
	for len(b.rest) > 0 {
		if err := l.nc.SetWriteDeadline(time.Now().Add(step)); err != nil {
			return fmt.Errorf("wsconn: write: %w", err)
		}
		n, err := b.rest.WriteTo(l.nc)
		b.written += int(n)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("wsconn: write: %w", err)
		case n > 0:
			last = time.Now()
		case !l.resumable || time.Since(last) >= l.stall:
			return errStalled
		}
	}
	return nil
}

// writeFailed ends the writing. The peer's close frame may still be there to be
// read, so the socket stays open for a while.
func (l *link) writeFailed(b *batch, err error) {
	if errors.Is(err, errStalled) {
		l.stalled(b)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mute, l.writeErr = true, err
	l.startTimer()
}

// stalled closes a connection whose peer does not take what is written.
func (l *link) stalled(b *batch) {
	e := &CloseError{Code: StatusTooSlow, Reason: "too slow"}
	l.mu.Lock()
	l.setCause(e)
	l.closing, l.mute = true, true
	if l.closeFrame == nil {
		l.closeFrame = closeFrame(e.Code, e.Reason, l.client)
	}
	frame := l.closeFrame
	l.startTimer()
	l.mu.Unlock()
	if !l.farewell(b, frame) {
		l.reset()
		l.fail(e)
	}
}

// farewell tries to make a stalled socket take the remainder of the frame and
// the close frame, so that a peer that wakes up learns why it was closed. It
// reports whether the kernel has them.
func (l *link) farewell(b *batch, frame []byte) bool {
	s, ok := l.nc.(interface{ SetWriteBuffer(bytes int) error })
	if !ok || l.client || !l.resumable {
		return false
	}
	closing := b.cut()
	rest := slices.Clone(b.rest)
	if !closing {
		rest = append(rest, frame)
	}
	room := farewellRoom
	for _, p := range rest {
		room += len(p)
	}
	if s.SetWriteBuffer(room) != nil || l.nc.SetWriteDeadline(time.Now().Add(farewellTime)) != nil {
		return false
	}
	_, err := rest.WriteTo(l.nc)
	return err == nil
}
