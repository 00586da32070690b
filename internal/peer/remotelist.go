package peer

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/socksync/socksync/protocol"
)

// ListOptions say how a list of the other end is followed.
type ListOptions struct {
	// Page and PageSize are Want.Page and Want.Size, if these are 0.
	Page, PageSize int
	// Want is what to see of the list to begin with. If version 1 cannot express
	// it, to follow then is an error.
	Want Want
	// OnChange is told the page after every message that had an effect, in order,
	// and the func of the message. In version 2 it is always a page that the
	// provider's list had. A change of version 1 may be several messages, so not
	// every page is one. The items are the callback's to keep, but not to modify.
	// It is called by the goroutine of Run and must not block.
	OnChange func(protocol.Func, protocol.Page)
	// OnError is told what is wrong: the other end answered with an error, said
	// that the page stands still, or sent what cannot be. It is called as OnChange
	// is.
	OnError func(error)
}

// RemoteList is a page of a list of the other end. Its methods may be called by
// any goroutine.
type RemoteList struct {
	following[protocol.Page]
	onChange func(protocol.Func, protocol.Page)

	// The following are guarded by following.mu.

	page   protocol.Page
	paused bool
}

// NewRemoteList returns a list to be given to [Peer.Follow]. Nil options are the
// zero ones.
func NewRemoteList(name string, opts *ListOptions) *RemoteList {
	var o ListOptions
	if opts != nil {
		o = *opts
	}
	want := o.Want
	want.Page, want.Size = cmp.Or(want.Page, o.Page), cmp.Or(want.Size, o.PageSize)
	return &RemoteList{following: newFollowing[protocol.Page](name, want, o.OnError), onChange: o.OnChange}
}

// Kind is [protocol.TypeList].
func (r *RemoteList) Kind() protocol.ItemType { return protocol.TypeList }

// Snapshot returns the page that is held, if its Held is true. The caller must
// not modify the items. Without a connection it is the last one that was held; in
// version 2 it also is until the answer comes over the next connection.
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

// Get goes to a page of what is chosen, and waits for it. size 0 means as many
// items as the provider allows. Without a connection it waits for one. A later
// Get takes the place of one that waits, which then fails with ErrSuperseded. If
// the other end refuses, the page in version 2 stays what it was. A callback must
// not call it.
func (r *RemoteList) Get(ctx context.Context, page, size int) (protocol.Page, error) {
	return r.get(ctx, func(want Want) Want {
		return Want{Page: page, Size: size, Choice: want.Choice}
	})
}

// Choose makes something else of the list the page, and waits for it, as Get
// does. What is left out is not wanted anymore.
func (r *RemoteList) Choose(ctx context.Context, want Want) (protocol.Page, error) {
	return r.get(ctx, func(Want) Want { return want })
}

// Grow makes the page larger, and waits for it, as Get does. In version 2 only
// what is new is sent. The provider does not say then how large the page may be
// now: PageSize is what was asked for.
func (r *RemoteList) Grow(ctx context.Context, size int) (protocol.Page, error) {
	return r.get(ctx, func(want Want) Want {
		want.Size = size
		return want
	})
}

func (r *RemoteList) get(ctx context.Context, change func(Want) Want) (protocol.Page, error) {
	r.mu.Lock()
	done, err := r.choose(change(r.want))
	if err == nil {
		r.ask(r.next())
	}
	r.mu.Unlock()
	return r.wait(ctx, done, err)
}

// Pause holds the page as it is, and waits until it is held: from then on the
// page says what it is missing. Get, Choose, Grow and a connection that is made
// again end it, as Resume does. The error is ErrVersion in version 1, ErrClosed if
// there is no connection or it ends, or what the other end answers: there must
// have been a page. A callback must not call it.
func (r *RemoteList) Pause(ctx context.Context) error {
	return r.tell(ctx, protocol.FuncPause)
}

// Resume has the page move again, and waits until it is as it should be. It does
// no harm if the page is not paused. The errors are those of Pause.
func (r *RemoteList) Resume(ctx context.Context) (protocol.Page, error) {
	if err := r.tell(ctx, protocol.FuncResume); err != nil {
		return protocol.Page{}, err
	}
	return r.Snapshot(), nil
}

// Paused reports whether the page is held.
func (r *RemoteList) Paused() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paused
}

// tell sends pause or resume, and waits for the answer.
func (r *RemoteList) tell(ctx context.Context, do protocol.Func) error {
	q, err := r.send(do)
	if err == nil {
		select {
		case err = <-q.done:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("%s list %q: %w", do, r.name, err)
	}
	return nil
}

func (r *RemoteList) send(do protocol.Func) (*query, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link == nil {
		return nil, ErrClosed
	}
	return r.link.tell(do)
}

// Retry asks again for a page that was asked for and has not come.
func (r *RemoteList) Retry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wanted && r.latest == nil {
		r.ask(r.next())
	}
}

// next is what the next get says. The first one over a connection of version 2
// goes on from the page that is held. It needs mu.
func (r *RemoteList) next() Want {
	want := r.want
	if !r.page.Held || r.begun || r.latest != nil || !sameSpot(want, r.have) {
		return want
	}
	want.After = r.page.After // which may have moved
	if want.Size == r.have.Size {
		want.Rev = r.page.Rev
	}
	return want
}

func (r *RemoteList) message(v protocol.Version, route protocol.Route, want Want) []byte {
	if v == protocol.V2 {
		return appendGet(nil, r.name, route, want)
	}
	g := protocol.GetList{Page: &want.Page}
	if want.Size > 0 {
		g.PageSize = &want.Size
	}
	return protocol.AppendGetList(nil, r.name, g)
}
