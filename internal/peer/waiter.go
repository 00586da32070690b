package peer

import (
	"context"
	"errors"

	"github.com/socksync/socksync/protocol"
)

// ErrSuperseded says that another Get has taken the place of the one that
// waited.
var ErrSuperseded = errors.New("superseded by another get")

// result is what a Get waits for.
type result[T any] struct {
	value T
	err   error
}

// waiter is the Get that waits for an answer, if one does. It is guarded by the
// lock of whoever has it.
type waiter[T any] struct {
	done   chan result[T]
	closed error // no answer is to come
}

// begin takes the place of the one that waits.
func (w *waiter[T]) begin() <-chan result[T] {
	var none T
	w.end(none, ErrSuperseded)
	done := make(chan result[T], 1)
	if w.done = done; w.closed != nil {
		w.end(none, w.closed)
	}
	return done
}

// open says that answers may come.
func (w *waiter[T]) open() { w.closed = nil }

// close gives the one that waits, and all that follow, an error.
func (w *waiter[T]) close(err error) {
	var none T
	w.end(none, err)
	w.closed = err
}

// end gives the one that waits what it waits for.
func (w *waiter[T]) end(value T, err error) {
	if w.done != nil {
		w.done <- result[T]{value, err}
		w.done = nil
	}
}

// isAbsent reports whether an error says that the other end does not provide an
// item, at least not to us.
func isAbsent(err error) bool {
	var e *protocol.Error
	return errors.As(err, &e) && (e.Code == protocol.InvalidName || e.Code == protocol.Forbidden)
}

func await[T any](ctx context.Context, done <-chan result[T]) (T, error) {
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// notify leaves a word in a channel that holds one.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
