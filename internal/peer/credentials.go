package peer

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// Credentials say whose connection it is. The zero value is nobody, for ever.
type Credentials struct {
	// Owner is handed to Authorize and CallContext.
	Owner any
	// Identity is what the items may know of the owner.
	Identity window.Identity
	// Expires is when they end; the zero time is never.
	Expires time.Time
}

// The errors of those whose credentials do not do.
var (
	errForbidden = &protocol.Error{Code: protocol.Forbidden, Message: "forbidden"}
	errExpired   = &protocol.Error{Code: protocol.CredentialsExpired, Message: "credentials expired"}
)

// ended reports whether they have ended.
func (c *Credentials) ended() bool { return !c.Expires.IsZero() && !time.Now().Before(c.Expires) }

// sees reports whether items are to others what they are to these. What a source knows of the owner is the identity.
func (c *Credentials) sees(other *Credentials) bool {
	return maps.EqualFunc(c.Identity, other.Identity, sameText)
}

func sameText(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

// is reports whether others are of the same owner and see the same. The result of a function, which knows the owner, is
// for no other.
func (c *Credentials) is(other *Credentials) bool {
	return c.sees(other) && sameOwner(c.Owner, other.Owner)
}

// sameOwner asks the owner, if it can say: one that is renewed is the same but not equal.
func sameOwner(a, b any) bool {
	if s, ok := a.(interface{ Same(other any) bool }); ok {
		return s.Same(b)
	}
	return reflect.DeepEqual(a, b)
}

// A change of credentials (SetCredentials, a renewal, an authenticate of the other end) goes like this:
//
//  1. Under mu, the outbox is muted. From here on, until 5, Next gives out nothing that was queued for the old
//     credentials: no line of a script, and no reply that is private. So the change has its effect at once, however long
//     the rest takes.
//  2. The turn is taken: the reader is between two messages, and nobody else changes anything. (It is the reader's own
//     where it is an authenticate.)
//  3. The new credentials are those in force.
//  4. Every subscription is authorized again. One that is refused ends. The others are opened again for the new identity,
//     if that differs: the calls of the old subscription of the source are ignored from then on, what its script holds of
//     rows and values is dropped, what was asked of it and has not been sent is asked of the new subscription, in its
//     order, and a window that the other end holds is asked for (restoring), so that it goes on by one step from what the
//     other end has been sent last to what it is for the new identity.
//  5. Private replies, such as results of functions, that are not for the new credentials are replaced by errors, and
//     the outbox speaks again.
//
// Of two changes at once each is done as a whole, and the last one holds.

// lease is what is known of the credentials in force. It is guarded by Peer.mu, and changed by whoever has the turn,
// except as the methods of Peer in expiry.go say.
type lease struct {
	held     Credentials
	changes  int         // how often they were changed: what was begun for earlier ones is not for these
	owners   int         // how often that was to another owner
	renewing bool        // Renew has been asked, because they have ended
	timer    *time.Timer // of their end, or of the end of the grace after it; nil for none
}

// Credentials returns those in force.
func (p *Peer) Credentials() Credentials {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lease.held
}

// SetCredentials puts others in the place of those in force, as if the other end had authenticated. When it returns,
// nothing that the new ones may not see is given to the connection any more. It waits while a message of the other end is
// being dealt with. It must not be called by Authorize, Authenticate, Renew or a callback.
func (p *Peer) SetCredentials(c Credentials) {
	p.mute()
	defer p.unmute()
	p.turn.Lock()
	defer p.turn.Unlock()
	p.change(c)
}

func (p *Peer) mute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.muted++
}

func (p *Peer) unmute() {
	p.mu.Lock()
	p.out.muted--
	p.mu.Unlock()
	p.flush()
}

// change changes the credentials. It needs the turn, and the outbox muted.
func (p *Peer) change(c Credentials) {
	old := p.Credentials()
	owner := old.is(&c)
	p.mu.Lock()
	p.lease.held = c
	p.lease.changes++
	p.lease.cancel()
	if !owner {
		p.lease.owners++
	}
	p.mu.Unlock()
	for _, at := range p.places() {
		if err := p.permits(at.key, p.cfg.Registry.lookup(at.key)); err != nil {
			p.cfg.Log.Debug("socksync: refused", "type", at.kind, "name", at.name, "error", err)
			p.subscribed[at].forbid()
			delete(p.subscribed, at)
		} else if !old.sees(&c) {
			p.subscribed[at].reopen(c.Identity)
		}
	}
	p.mu.Lock()
	p.out.settle(owner)
	p.endRenewal()
	p.out.lapsed = false
	p.out.room.Broadcast()
	expired := p.arm()
	changes := p.lease.changes
	p.mu.Unlock()
	if expired {
		p.expire(changes)
	}
}

// places returns where the other end is subscribed, in an order.
func (p *Peer) places() []place {
	return slices.SortedFunc(maps.Keys(p.subscribed), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name), cmp.Compare(a.view, b.view))
	})
}

// permits returns why the other end may not use an item; nil if it may.
func (p *Peer) permits(k key, item Item) error {
	c := p.Credentials()
	if p.cfg.Authorize != nil {
		if err := p.cfg.Authorize(p.ctx, c.Owner, k.kind, k.name); err != nil {
			return err
		}
	}
	if r, ok := item.(window.Restricted); ok {
		return r.Permits(c.Identity)
	}
	return nil
}
