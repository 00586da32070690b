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
	// Page is the page to begin with, counted from 0.
	Page int
	// PageSize is the greatest number of items on it. 0 means as many as the other
	// end allows; it may be fewer in any case.
	PageSize int
	// OnChange is told the page after every message that had an effect. The page
	// is the callback's to keep.
	OnChange func(Page[T])
	// OnError is told of an error with which the other end answers, of a message
	// that cannot be applied, and of items that do not fit T.
	OnError func(error)
}

// Page is a page of a list.
type Page[T any] struct {
	// Held reports whether there is a page: not before the first one has arrived,
	// nor between a connection that was made again and the page that follows.
	Held bool
	// Page and PageSize are those in force.
	Page, PageSize int
	// Total is the number of items in the whole list.
	Total int
	// Items are the items on the page. One that does not fit T is as far as it was
	// decoded. What items refer to is shared with later pages and must not be
	// modified.
	Items []T
}

// List is a page of a list of the other end that is followed. Its methods may be
// called by any goroutine.
type List[T any] struct {
	peer Peer
	raw  *peer.RemoteList

	mu      sync.Mutex
	decoded map[*byte]decoded[T] // by the first byte of its JSON, which is never reused
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
// ErrFollowed.
func FollowList[T any](p Peer, name string, opts *ListOptions[T]) (*List[T], error) {
	var o ListOptions[T]
	if opts != nil {
		o = *opts
	}
	l := &List[T]{peer: p}
	l.raw = peer.NewRemoteList(name, &peer.ListOptions{
		Page: o.Page, PageSize: o.PageSize, OnError: o.OnError,
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

// Get goes to a page, and waits for it. size 0 means as many items as the other
// end allows. Without a connection it waits for one. A later Get takes the place
// of one that waits, which then fails with ErrSuperseded.
func (l *List[T]) Get(ctx context.Context, page, size int) (Page[T], error) {
	raw, err := l.raw.Get(ctx, page, size)
	if err != nil {
		return Page[T]{}, fmt.Errorf("client: %w", err)
	}
	return l.decode(raw)
}

// Changed receives after the page has changed, once for any number of changes.
// It is never closed.
func (l *List[T]) Changed() <-chan struct{} { return l.raw.Changed() }

// Close stops following.
func (l *List[T]) Close() { l.peer.Unfollow(l.raw) }

// decode decodes the items that were not on the page before.
func (l *List[T]) decode(raw protocol.Page) (Page[T], error) {
	page := Page[T]{Held: raw.Held, Page: raw.Page, PageSize: raw.PageSize, Total: raw.Total, Items: make([]T, len(raw.Items))}
	now := make(map[*byte]decoded[T], len(raw.Items))
	var errs []error
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, item := range raw.Items {
		d, ok := l.decoded[&item[0]]
		if !ok {
			d.err = json.Unmarshal(item, &d.value)
		}
		now[&item[0]], page.Items[i] = d, d.value
		if d.err != nil {
			errs = append(errs, fmt.Errorf("client: list %q: item %d: %w", l.raw.Name(), i, d.err))
		}
	}
	l.decoded = now
	return page, errors.Join(errs...)
}
