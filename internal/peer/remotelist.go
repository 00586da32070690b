package peer

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/socksync/socksync/protocol"
)

// ListOptions say how a list of the other end is followed.
type ListOptions struct {
	// Page is the page to begin with, counted from 0.
	Page int
	// PageSize is the greatest number of items on it; 0 means as many as the
	// provider allows.
	PageSize int
	// OnChange is told the page after every message that had an effect, in order,
	// and the func of the message. A change of version 1 may be several messages,
	// so not every page is one that the provider's list ever had. The items are
	// the callback's to keep, but not to modify. It is called by the goroutine of
	// Run and must not block.
	OnChange func(protocol.Func, protocol.Page)
	// OnError is told what is wrong: the other end answered with an error, or
	// sent what cannot be. It is called as OnChange is.
	OnError func(error)
}

// RemoteList is a page of a list of the other end. Its methods may be called by
// any goroutine.
type RemoteList struct {
	name    string
	opts    ListOptions
	changed chan struct{}

	mu     sync.Mutex
	link   *link // nil while it is not followed
	number int   // of the page that was chosen last
	size   int   // that was chosen last; 0: as many as the provider allows
	wanted bool  // asked for, not come, and not known to be absent
	page   protocol.Page
	waiter waiter[protocol.Page]
}

// NewRemoteList returns a list to be given to [Peer.Follow]. Nil options are the
// zero ones.
func NewRemoteList(name string, opts *ListOptions) *RemoteList {
	r := &RemoteList{name: name, changed: make(chan struct{}, 1)}
	if opts != nil {
		r.opts = *opts
	}
	r.number, r.size = r.opts.Page, r.opts.PageSize
	return r
}

// Name is the list's name on the wire.
func (r *RemoteList) Name() string { return r.name }

// Kind is [protocol.TypeList].
func (r *RemoteList) Kind() protocol.ItemType { return protocol.TypeList }

// Snapshot returns the page that is held, if its Held is true. The caller must
// not modify the items. Without a connection it is the last one that was held.
func (r *RemoteList) Snapshot() protocol.Page {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.snapshot()
}

func (r *RemoteList) snapshot() protocol.Page {
	page := r.page
	page.Items = slices.Clone(page.Items)
	return page
}

// Changed receives after the page has changed, once for any number of changes.
// It is never closed.
func (r *RemoteList) Changed() <-chan struct{} { return r.changed }

// Get chooses a page and waits for it. size 0 means as many items as the provider
// allows. Without a connection it waits for one. A later Get takes the place of
// one that waits, which then fails with ErrSuperseded. A callback must not call
// it.
func (r *RemoteList) Get(ctx context.Context, page, size int) (protocol.Page, error) {
	r.mu.Lock()
	r.number, r.size = page, size
	done := r.waiter.begin()
	r.ask()
	r.mu.Unlock()
	held, err := await(ctx, done)
	if err != nil {
		return protocol.Page{}, fmt.Errorf("get page %d of list %q: %w", page, r.name, err)
	}
	return held, nil
}

// ask sends a get if there is a connection. It needs mu.
func (r *RemoteList) ask() {
	r.wanted = true
	if r.link != nil {
		r.link.get(r.message())
	}
}

// Retry asks again for a page that was asked for and has not come.
func (r *RemoteList) Retry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wanted {
		r.ask()
	}
}

// Abandon gives the Get that waits an error, and every later one, until the list
// is followed again.
func (r *RemoteList) Abandon(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiter.close(err)
}

// message is the get for the page that was chosen.
func (r *RemoteList) message() []byte {
	g := protocol.GetList{Page: &r.number}
	if r.size > 0 {
		g.PageSize = &r.size
	}
	return protocol.AppendGetList(nil, r.name, g)
}

func (r *RemoteList) attach(l *link) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link != nil {
		return ErrFollowed
	}
	if err := l.open(r.message()); err != nil {
		return err
	}
	r.link, r.wanted = l, true
	r.page.Reset()
	r.waiter.open()
	return nil
}

func (r *RemoteList) release(p *Peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link != nil && r.link.peer == p {
		r.link.end()
		r.link, r.wanted = nil, false
		r.waiter.close(ErrClosed)
	}
}

func (r *RemoteList) receive(l *link, f *protocol.Frame) error {
	applied, page, err := r.apply(l, f)
	if err != nil {
		r.report(err)
	}
	if applied || err != nil {
		notify(r.changed)
	}
	if applied && r.opts.OnChange != nil {
		r.opts.OnChange(f.Func, page)
	}
	return err
}

// apply applies a message strictly.
func (r *RemoteList) apply(l *link, f *protocol.Frame) (bool, protocol.Page, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link != l {
		return false, protocol.Page{}, nil
	}
	applied, err := r.page.Apply(f)
	if err != nil || !applied {
		return false, protocol.Page{}, err
	}
	page := r.snapshot()
	if f.Func == protocol.FuncSetAll && page.Page == r.number && (r.size == 0 || page.PageSize <= r.size) {
		r.wanted = false
		r.waiter.end(page, nil)
	}
	return true, page, nil
}

func (r *RemoteList) renew(l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link == l {
		r.ask()
	}
}

func (r *RemoteList) refuse(l *link, err error) {
	r.mu.Lock()
	if r.link != l {
		r.mu.Unlock()
		return
	}
	r.wanted = r.wanted && !isAbsent(err)
	r.waiter.end(protocol.Page{}, err)
	r.mu.Unlock()
	r.report(err)
}

func (r *RemoteList) detach(l *link, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link != l {
		return
	}
	r.link = nil
	if err != nil {
		r.waiter.close(err)
	}
}

func (r *RemoteList) report(err error) {
	if r.opts.OnError != nil {
		r.opts.OnError(err)
	}
}
