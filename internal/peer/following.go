package peer

import (
	"context"
	"fmt"
	"sync"

	"github.com/socksync/socksync/protocol"
)

// following is what following a var and following a list have in common.
type following[T any] struct {
	name    string
	changed chan struct{}
	onError func(error) // nil for nobody

	mu     sync.Mutex // guards all below
	link   *link      // nil while it is not followed
	want   Want       // what was chosen last
	wanted bool       // asked for, not come, and not known to be absent
	waiter waiter[T]

	// The following are of version 2.

	latest *query // the last get, until its answer; nil if there is none
	begun  bool   // a get was answered over this connection: there is a window
	have   Want   // by what get the window came that is held, or was before the connection was lost
}

func newFollowing[T any](name string, want Want, onError func(error)) following[T] {
	return following[T]{name: name, changed: make(chan struct{}, 1), onError: onError, want: want}
}

// Name is the item's name on the wire.
func (f *following[T]) Name() string { return f.name }

// Changed receives after something has changed, once for any number of changes.
// It is never closed.
func (f *following[T]) Changed() <-chan struct{} { return f.changed }

// Abandon gives the Get that waits an error, and every later one, until the item
// is followed again.
func (f *following[T]) Abandon(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiter.close(err)
}

// Fail is Abandon, and tells OnError.
func (f *following[T]) Fail(err error) {
	f.Abandon(err)
	f.report(err)
}

// choose makes something else wanted and returns what a Get waits for. It needs
// mu; the caller asks.
func (f *following[T]) choose(want Want) (<-chan result[T], error) {
	want, err := checked(want)
	if err != nil {
		return nil, err
	}
	if err := f.askable(want); err != nil {
		return nil, err
	}
	f.want = want
	return f.waiter.begin(), nil
}

// askable returns an error if the version of the connection, if there is one,
// cannot express what is wanted, or there is no room to ask for it. It needs mu.
func (f *following[T]) askable(want Want) error {
	switch {
	case f.link == nil:
		return nil
	case f.link.peer.version == protocol.V1 && !plain(want):
		return ErrVersion
	case f.link.isFull():
		return errUnanswered
	}
	return nil
}

// ask sends a get if there is a connection. It needs mu.
func (f *following[T]) ask(want Want) {
	f.wanted = true
	if f.link != nil {
		f.latest = f.link.get(want)
	}
}

// attached begins a subscription. It needs mu.
func (f *following[T]) attached(l *link, want Want) error {
	if f.link != nil {
		return ErrFollowed
	}
	f.link = l
	err := f.askable(want)
	if err == nil {
		f.latest, err = l.open(want)
	}
	if err != nil {
		f.link = nil
		return err
	}
	f.begun, f.wanted = false, true
	f.waiter.open()
	return nil
}

func (f *following[T]) release(p *Peer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.link != nil && f.link.peer == p {
		f.link.end()
		f.leave()
		f.wanted = false
		f.waiter.close(ErrClosed)
	}
}

func (f *following[T]) detach(l *link, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.link != l {
		return
	}
	f.leave()
	if err != nil {
		f.waiter.close(err)
	}
}

// leave forgets what was of the connection. It needs mu.
func (f *following[T]) leave() { f.link, f.latest, f.begun = nil, nil, false }

// settle takes the answer of version 2 to a get: from now on this is the window.
// It needs mu.
func (f *following[T]) settle(q *query, value T) {
	f.begun, f.have = true, q.want
	f.have.Rev = ""
	if q == f.latest {
		f.latest, f.wanted = nil, false
		f.waiter.end(value, nil)
	}
}

// concerns reports whether an error is about what is wanted now, and is not the
// answer to a get in whose place another one has come. It needs mu.
func (f *following[T]) concerns(l *link, q *query) bool {
	return f.link == l && (q == nil || q.do != protocol.FuncGet || q == f.latest)
}

// refused takes an error that is the answer to what is wanted. If there is a
// window it stays, and is what is wanted again. It needs mu.
func (f *following[T]) refused(err error, stays bool) {
	var none T
	f.latest = nil
	if stays {
		f.want, f.wanted = f.have, false
	} else {
		f.wanted = f.wanted && !isAbsent(err)
	}
	f.waiter.end(none, err)
}

// wait waits for the outcome of a Get.
func (f *following[T]) wait(ctx context.Context, done <-chan result[T], err error) (T, error) {
	var value T
	if err == nil {
		value, err = await(ctx, done)
	}
	if err != nil {
		var none T
		return none, fmt.Errorf("get %q: %w", f.name, err)
	}
	return value, nil
}

func (f *following[T]) report(err error) {
	if f.onError != nil {
		f.onError(err)
	}
}
