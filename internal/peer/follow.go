package peer

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/socksync/socksync/protocol"
)

// ErrFollowed says that an item is followed already: version 1 has one window
// for each list and connection. In version 2 it is about the same [Remote] only.
var ErrFollowed = errors.New("already followed")

// Remote is a var or list of the other end: a [*RemoteVar] or a [*RemoteList].
// It may be followed over one connection after the other.
type Remote interface {
	// Name is the item's name on the wire.
	Name() string
	// Kind is the item's type.
	Kind() protocol.ItemType
	// Retry asks again for what was asked for and has not come, unless the other
	// end has said that it does not provide the item. It does not wait.
	Retry()
	// Abandon gives whoever waits for the item an error, and who comes until it is
	// followed again. It is called when there will be no other connection.
	Abandon(error)
	// Fail is Abandon for an item that cannot be followed over the connection that
	// there is: it also tells OnError.
	Fail(error)

	// attach begins a subscription through the link.
	attach(*link) error
	// release ends the subscription from this end.
	release(*Peer)
	// message encodes a get.
	message(protocol.Version, protocol.Route, Want) []byte

	// The following are called by the goroutine of Run, and ignored if the link
	// is not the one that the item is attached to: what comes late for an old
	// subscription does not touch a newer one. The query is the one that is
	// answered, nil if it is none that is known, as always in version 1.

	// receive takes a message for the subscriber.
	receive(*link, *protocol.Frame, *query) error
	// renew asks again for what was lost.
	renew(*link)
	// acknowledge says that a query was done.
	acknowledge(*link, *query)
	// refuse says that the subscription or a get was answered by an error.
	refuse(*link, *query, error)
	// halt says that the window stands still or, if the error is Forbidden, is no
	// more.
	halt(*link, *protocol.Error)
	// detach says that the connection has ended; err is for those who wait, nil
	// if they are to wait for the next connection.
	detach(l *link, err error)
}

// Follow subscribes to an item and asks for its value or page. It does not wait.
// It is an error if the item is followed already, here or over another
// connection, if the connection has ended, or if its version cannot express what
// is wanted.
func (p *Peer) Follow(r Remote) error {
	if !protocol.ValidName(r.Name()) {
		return fmt.Errorf("follow %s %q: not a name", r.Kind(), r.Name())
	}
	err := r.attach(&link{peer: p, remote: r})
	if err != nil {
		return fmt.Errorf("follow %s %q: %w", r.Kind(), r.Name(), err)
	}
	p.flush()
	return nil
}

// Unfollow ends the subscription to an item. It does nothing if the item is not
// followed over this connection. A callback that is under way may end after it.
func (p *Peer) Unfollow(r Remote) {
	r.release(p)
	p.flush()
}

// subscribeTo sends a subscribe: of version 1, or for a function. It needs mu.
func (p *Peer) subscribeTo(rec *record) {
	if p.version == protocol.V2 {
		p.simple(protocol.FuncSubscribe, rec, nil)
		rec.refused = false
		return
	}
	p.out.reply(protocol.AppendSubscribe(nil, rec.key.kind, rec.key.name))
	p.asked.subscribed(rec)
}

// unsubscribeFrom sends an unsubscribe, unless there was no subscription: of
// version 1, or for a function. It needs mu.
func (p *Peer) unsubscribeFrom(rec *record) {
	switch {
	case rec.refused:
	case p.version == protocol.V2:
		p.simple(protocol.FuncUnsubscribe, rec, nil)
	default:
		p.out.reply(protocol.AppendUnsubscribe(nil, rec.key.kind, rec.key.name))
		p.asked.sent(rec)
	}
}

// simple sends a message of version 2 that has no fields of its own. It needs mu.
func (p *Peer) simple(do protocol.Func, rec *record, l *link) *query {
	q := p.asked.begin(do, rec, l)
	route := protocol.Route{ID: q.id}
	if l != nil {
		route.View = l.view
	}
	if do == protocol.FuncUnsubscribe {
		q.link = nil // nobody waits for what comes of it
	}
	p.out.reply(protocol.AppendSimpleV2(nil, do, rec.key.kind, rec.key.name, route))
	return q
}

// everFollowed reports whether an item was ever followed on this connection.
func (p *Peer) everFollowed(k key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked.records[k] != nil
}

// follow handles a message to the subscriber of an item that was followed. If it
// is not followed anymore, the message crossed our unsubscribe.
func (p *Peer) follow(k key, f *protocol.Frame) error {
	if p.version == protocol.V2 && k.kind != protocol.TypeFunction {
		return p.followView(k, f)
	}
	p.mu.Lock()
	rec := p.asked.records[k]
	l, called := rec.link, rec.called
	var v verdict
	if l != nil || called {
		v = p.asked.confirmed(rec)
	}
	p.mu.Unlock()
	p.announce(v)
	switch {
	case called:
		return p.takeReturn(rec, f)
	case l != nil:
		return l.receive(f, nil)
	}
	return nil
}

// followView is follow for version 2, where the view says who follows.
func (p *Peer) followView(k key, f *protocol.Frame) error {
	route, err := f.Route()
	var e *protocol.Error
	if errors.As(err, &e) && e.Code != protocol.BadID { // that is for later, when the fields are read
		return err
	}
	p.mu.Lock()
	l := p.asked.linkOf(k, route.View)
	q := p.asked.answered(l, f, route.ID)
	p.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.receive(f, q)
}

func (p *Peer) answered(rec *record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rec.asked = false
}

// maxSeconds is how many fit into a duration.
const maxSeconds = math.MaxInt64 / int(time.Second)

// confirmedBy takes an ok of the other end, which is never answered.
func (p *Peer) confirmedBy(f *protocol.Frame) {
	route, _ := f.Route()
	p.mu.Lock()
	q := p.asked.done(route.ID)
	p.mu.Unlock()
	switch {
	case q == nil:
	case q.do == protocol.FuncAuthenticate:
		q.lasts = time.Duration(min(f.ExpiresIn(), maxSeconds)) * time.Second
	case q.link != nil:
		q.link.remote.acknowledge(q.link, q)
	}
	q.finish(nil)
}

// failedBy takes an error message of the other end.
func (p *Peer) failedBy(f *protocol.Frame) {
	e := f.PeerError()
	if p.version == protocol.V2 {
		p.mu.Lock()
		b := p.asked.blamed(f, e)
		p.mu.Unlock()
		p.cfg.OnError(e, b.announce(e))
		return
	}
	p.mu.Lock()
	v := p.asked.failed(e)
	p.mu.Unlock()
	p.announce(v)
	p.cfg.OnError(e, len(v.links)+len(v.calls) > 0)
}

// announce tells everyone who waited that there will be nothing but an error.
func (p *Peer) announce(v verdict) {
	for _, l := range v.links {
		l.remote.refuse(l, nil, v.err)
	}
	for _, c := range v.calls {
		c.finish(nil, v.err)
	}
}
