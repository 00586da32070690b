package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/protocol"
)

// ListOptions say how a list is followed. Its functions are called one after the
// other, in order, by the goroutine that reads the connection: they must not
// block, so they must not call Get or [Call].
type ListOptions[T any] struct {
	// Page and PageSize, Sort, Filter, Search, Anchored and After are the [Window]
	// to begin with.
	Page, PageSize int
	Sort           []string
	Filter         []Condition
	Search         string
	Anchored       bool
	After          []any
	// OnChange is told the page after every message that had an effect. The page
	// is the callback's to keep.
	OnChange func(Page[T])
	// OnError is told of an error with which the other end answers, of a page that
	// stands still because the other end cannot follow the list just now, of a
	// message that cannot be applied, and of items that do not fit T.
	OnError func(error)
}

func (o *ListOptions[T]) window() *Window {
	return &Window{
		Page: o.Page, PageSize: o.PageSize, Sort: o.Sort, Filter: o.Filter, Search: o.Search, Anchored: o.Anchored, After: o.After,
	}
}

// Page is a page of a list.
type Page[T any] struct {
	// Held reports whether there is a page: not before the first one has arrived.
	// In version 1 nor between a connection that was made again and the page that
	// follows; in version 2 it is the page from before until then.
	Held bool
	// Page and PageSize are those in force. After [List.Grow], PageSize is what was
	// asked for.
	Page, PageSize int
	// Total is the number of items in the whole list, as far as it is chosen.
	Total int
	// Items are the items on the page. One that does not fit T is as far as it was
	// decoded. What items refer to is shared with later pages and must not be
	// modified.
	Items []T

	// The following are of version 2.

	// Anchored says that the window begins behind the row with the key After, which
	// changes if that row moves or leaves; nil is the start. It has no Page.
	Anchored bool
	After    []json.RawMessage
	// Key are the JSON names of the columns that identify a row; nil if the other
	// end has none to tell.
	Key []string
	// Rev names the state of the list that the page is of: of two pages of one
	// window, it says whether they are the same.
	Rev string
	// Pending is how many items of the present page a paused page lacks or has with
	// another value, and PendingTotal the present Total. Both are 0 as long as
	// nothing has changed.
	Pending, PendingTotal int
}

// List is a page of a list of the other end that is followed. Its methods may be
// called by any goroutine.
type List[T any] struct {
	peer Peer
	raw  *peer.RemoteList

	mu    sync.Mutex
	known map[*byte]decoded[T] // by the first byte of its JSON, which is never reused
}

// decoded is an item that is on the page, so that it is decoded only once.
type decoded[T any] struct {
	value T
	err   error
}

// FollowList follows a page of a list. It does not wait for the page, nor find
// out whether the other end provides the list. Nil options are the zero ones.
//
// Over one connection of version 1 a list can be followed once: a second time is
// ErrFollowed. A window that version 1 cannot express is ErrVersion there.
func FollowList[T any](p Peer, name string, opts *ListOptions[T]) (*List[T], error) {
	var o ListOptions[T]
	if opts != nil {
		o = *opts
	}
	want, err := o.window().want()
	if err != nil {
		return nil, err
	}
	l := &List[T]{peer: p}
	l.raw = peer.NewRemoteList(name, &peer.ListOptions{
		Want: want, OnError: o.OnError,
		OnChange: func(_ protocol.Func, raw protocol.Page) {
			page, err := l.decode(raw)
			if err != nil && o.OnError != nil {
				o.OnError(err)
			}
			if o.OnChange != nil {
				o.OnChange(page)
			}
		},
	})
	if err := p.Follow(l.raw); err != nil {
		return nil, err
	}
	return l, nil
}

// Snapshot returns the page as it is now. The error says which items do not fit
// T. Without a connection it is the page as it was last.
func (l *List[T]) Snapshot() (Page[T], error) { return l.decode(l.raw.Snapshot()) }

// Get goes to a page of what is chosen, and waits for it. size 0 means as many
// items as the other end gives unasked. Without a connection it waits for one. A
// later Get takes the place of one that waits, which then fails with
// ErrSuperseded. What the other end refuses is a [*protocol.Error]; in version 2
// the page then stays what it was.
func (l *List[T]) Get(ctx context.Context, page, size int) (Page[T], error) {
	return l.decoded(l.raw.Get(ctx, page, size))
}

// Choose goes to another window, and waits for it, as Get does. What the Window
// leaves out is not chosen anymore.
func (l *List[T]) Choose(ctx context.Context, w Window) (Page[T], error) {
	want, err := w.want()
	if err != nil {
		return Page[T]{}, err
	}
	return l.decoded(l.raw.Choose(ctx, want))
}

// Grow makes the window larger, to a number of items, and waits for them, as Get
// does. Only what is new is sent. It is how to scroll without end; if there are
// not more items afterwards than before, these were all, or as many as the other
// end allows.
func (l *List[T]) Grow(ctx context.Context, size int) (Page[T], error) {
	return l.decoded(l.raw.Grow(ctx, size))
}

// Pause holds the page as it is, and waits until it is held; from then on
// [Page.Pending] says what it is missing. Resume, Get, Choose and Grow end it, and
// so does a connection that is made again. It takes a page that was held before,
// and version 2, otherwise it is ErrVersion; without a connection, or if that is
// lost, it is ErrClosed.
func (l *List[T]) Pause(ctx context.Context) error {
	if err := l.raw.Pause(ctx); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	return nil
}

// Resume has the page move again, in one step, and waits until it has. It does no
// harm if the page is not paused. Its errors are those of Pause.
func (l *List[T]) Resume(ctx context.Context) (Page[T], error) {
	return l.decoded(l.raw.Resume(ctx))
}

// Paused reports whether the page is held.
func (l *List[T]) Paused() bool { return l.raw.Paused() }

// Changed receives after the page has changed, once for any number of changes.
// It is never closed.
func (l *List[T]) Changed() <-chan struct{} { return l.raw.Changed() }

// Close stops following.
func (l *List[T]) Close() { l.peer.Unfollow(l.raw) }

// decoded is what came of a request.
func (l *List[T]) decoded(raw protocol.Page, err error) (Page[T], error) {
	if err != nil {
		return Page[T]{}, fmt.Errorf("client: %w", err)
	}
	return l.decode(raw)
}

// decode decodes the items that were not on the page before.
func (l *List[T]) decode(raw protocol.Page) (Page[T], error) {
	page := Page[T]{
		Held: raw.Held, Page: raw.Page, PageSize: raw.PageSize, Total: raw.Total, Items: make([]T, len(raw.Items)),
		Anchored: raw.Anchored, After: raw.After, Key: raw.Key, Rev: raw.Rev,
		Pending: raw.Pending, PendingTotal: raw.PendingTotal,
	}
	now := make(map[*byte]decoded[T], len(raw.Items))
	var errs []error
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, item := range raw.Items {
		d, ok := l.known[&item[0]]
		if !ok {
			d.err = json.Unmarshal(item, &d.value)
		}
		now[&item[0]], page.Items[i] = d, d.value
		if d.err != nil {
			errs = append(errs, fmt.Errorf("client: list %q: item %d: %w", l.raw.Name(), i, d.err))
		}
	}
	l.known = now
	return page, errors.Join(errs...)
}
