package wsconn

import (
	"net"
	"sync"
)

const (
	// inlineSize is the size up to which a payload is copied behind its header:
	// cheaper than one more element of a writev.
	inlineSize = 256

	// chunkSize is how much is copied together where a payload cannot be written
	// from where it is. It is the most that one TLS record takes.
	chunkSize = 16 << 10
)

// batch is what a writer writes at once: control frames, then messages, then a
// close frame. It belongs to one writer goroutine and is pooled between them, so
// an idle connection has none.
type batch struct {
	control []byte   // whole frames
	msgs    [][]byte // payloads
	last    []byte   // the close frame, or nil

	again bool // Next had messages, so it is asked once more

	head    []byte      // headers and small payloads; parts points into it
	parts   [][]byte    // all parts
	rest    net.Buffers // the parts that are not yet written
	written int         // bytes

	chunk []byte // frames copied together
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// free gives the batch back without the payloads.
func (b *batch) free() {
	const keep = 512
	if cap(b.msgs) > keep || cap(b.head) > chunkSize {
		return
	}
	clear(b.msgs[:cap(b.msgs)])
	clear(b.parts[:cap(b.parts)])
	*b = batch{
		control: b.control[:0], msgs: b.msgs[:0], head: b.head[:0],
		parts: b.parts[:0], chunk: b.chunk[:0],
	}
	batches.Put(b)
}

// lay lays the frames out as parts to be written, unmasked.
func (b *batch) lay() {
	b.parts, b.written = b.parts[:0], 0
	b.head = append(b.head[:0], b.control...)
	run := 0 // where in head the bytes begin that are not a part yet
	for _, m := range b.msgs {
		b.head = appendHeader(b.head, opText, len(m), nil)
		if len(m) <= inlineSize {
			b.head = append(b.head, m...)
			continue
		}
		// If head grows later, this part stays in the old array, complete.
		b.parts = append(b.parts, b.head[run:], m)
		run = len(b.head)
	}
	b.head = append(b.head, b.last...)
	if run < len(b.head) {
		b.parts = append(b.parts, b.head[run:])
	}
	b.rest = b.parts
}

// cut drops from rest all but the remainder of the frame that was being written,
// and reports whether that is the close frame.
func (b *batch) cut() (closing bool) {
	end, closing := b.frameEnd()
	left := end - b.written
	for i, p := range b.rest {
		if len(p) >= left {
			b.rest[i] = p[:left]
			b.rest = b.rest[:i+1]
			break
		}
		left -= len(p)
	}
	return closing
}

// frameEnd is where the frame ends that holds the last byte written, and whether
// that is the close frame. Control frames count as one.
func (b *batch) frameEnd() (end int, closing bool) {
	if b.written == 0 {
		return 0, false
	}
	end = len(b.control)
	for _, m := range b.msgs {
		if b.written <= end {
			return end, false
		}
		end += headerSize(len(m)) + len(m)
	}
	if b.written <= end {
		return end, false
	}
	return end + len(b.last), true
}
