package peer

import (
	"errors"
	"fmt"

	"github.com/socksync/socksync/protocol"
)

// ErrFollowed says that an item is followed already: version 1 has one window
// for each list and connection.
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
	// Abandon gives whoever waits for the item an error. It is called when there
	// will be no other connection.
	Abandon(error)

	// attach begins a subscription through the link.
	attach(*link) error
	// release ends the subscription from this end.
	release(*Peer)

	// The following are called by the goroutine of Run, and ignored if the link
	// is not the one that the item is attached to: what comes late for an old
	// subscription does not touch a newer one.

	// receive takes a message for the subscriber.
	receive(*link, *protocol.Frame) error
	// renew asks again for what was lost.
	renew(*link)
	// refuse says that the subscription or a get was answered by an error.
	refuse(*link, error)
	// detach says that the connection has ended; err is for those who wait, nil
	// if they are to wait for the next connection.
	detach(l *link, err error)
}

// link is one subscription of ours. A new one is made for each.
type link struct {
	peer   *Peer
	remote Remote
	record *record
}

// Follow subscribes to an item and asks for its value or page. It does not wait.
// It is an error if the item is followed already, here or over another
// connection, or if the connection has ended.
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

// open begins the subscription: subscribe, then the get that is given.
func (l *link) open(get []byte) error {
	p := l.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.why != nil {
		return ErrClosed
	}
	k := key{l.remote.Kind(), l.remote.Name()}
	rec := p.asked.record(k)
	if rec.link != nil {
		return ErrFollowed
	}
	l.record, rec.link = rec, l
	p.subscribeTo(rec)
	l.ask(get)
	return nil
}

// subscribeTo sends a subscribe. It needs mu.
func (p *Peer) subscribeTo(rec *record) {
	p.out.reply(protocol.AppendSubscribe(nil, rec.key.kind, rec.key.name))
	p.asked.subscribed(rec)
}

// ask sends a get. It needs mu.
func (l *link) ask(get []byte) {
	l.peer.out.reply(get)
	l.peer.asked.sent(l.record)
	l.record.asked = true
}

// get sends another get. If the other end did not take the subscription, it is
// asked once more for that.
func (l *link) get(message []byte) {
	p := l.peer
	p.mu.Lock()
	if l.record.link == l {
		if l.record.refused {
			p.subscribeTo(l.record)
		}
		l.ask(message)
	}
	p.mu.Unlock()
	p.flush()
}

// end ends the subscription.
func (l *link) end() {
	p := l.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	rec := l.record
	if rec.link != l {
		return
	}
	rec.link, rec.asked = nil, false
	p.unsubscribeFrom(rec)
}

// unsubscribeFrom sends an unsubscribe, unless there was no subscription. It
// needs mu.
func (p *Peer) unsubscribeFrom(rec *record) {
	if !rec.refused {
		p.out.reply(protocol.AppendUnsubscribe(nil, rec.key.kind, rec.key.name))
		p.asked.sent(rec)
	}
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
		return l.receive(f)
	}
	return nil
}

// receive hands a message to the item. A page that was lost is asked for again,
// after the error is answered.
func (l *link) receive(f *protocol.Frame) error {
	err := l.remote.receive(l, f)
	var e *protocol.Error
	switch {
	case err == nil && answers(f):
		l.peer.answered(l.record)
	case errors.As(err, &e) && e.Code == protocol.BadIndex:
		l.peer.reply(errorMessage(err))
		l.remote.renew(l)
		return nil
	}
	return err
}

// answers reports whether a message may be the answer to a get.
func answers(f *protocol.Frame) bool {
	return f.Func == protocol.FuncSetAll || f.Type == protocol.TypeVar
}

func (p *Peer) answered(rec *record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rec.asked = false
}

// failed takes an error message of the other end.
func (p *Peer) failed(e *protocol.Error) {
	p.mu.Lock()
	v := p.asked.failed(e)
	p.mu.Unlock()
	p.announce(v)
	p.cfg.OnError(e, len(v.links)+len(v.calls) > 0)
}

// announce tells everyone who waited that there will be nothing but an error.
func (p *Peer) announce(v verdict) {
	for _, l := range v.links {
		l.remote.refuse(l, v.err)
	}
	for _, c := range v.calls {
		c.finish(nil, v.err)
	}
}
