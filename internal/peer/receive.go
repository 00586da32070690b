package peer

import (
	"errors"

	"github.com/socksync/socksync/protocol"
)

// The errors of rows f and g of the protocol's table. They say the same of an
// item that does not exist and of one that is refused.
var (
	errNoItem       = &protocol.Error{Code: protocol.InvalidName, Message: "no such item"}
	errNoFunc       = &protocol.Error{Code: protocol.InvalidFunc, Message: "the type has no such func"}
	errRole         = &protocol.Error{Code: protocol.InvalidFunc, Message: "not this end's part"}
	errNoSubscribed = &protocol.Error{Code: protocol.InvalidFunc, Message: "not subscribed"}
)

var errNoAuthentication = &protocol.Error{Code: protocol.Other, Message: "no authentication on this connection"}

// receive handles one message and answers it if it is bad. The error is not nil
// if the connection is to be closed.
func (p *Peer) receive(data []byte) error {
	frame, err := p.version.Parse(data)
	if errors.Is(err, protocol.ErrInvalidUTF8) {
		return err
	}
	if err == nil {
		err = p.dispatch(&frame)
	}
	if err != nil {
		p.reply(errorAbout(&frame, err))
	}
	return nil
}

// errorAbout encodes the error that answers a message. In version 2 it repeats what is known of the message.
func errorAbout(f *protocol.Frame, err error) []byte {
	if f.Version != protocol.V2 {
		return errorMessage(err)
	}
	route, _ := f.Route() // of a bad one, the parts that are valid
	return protocol.AppendErrorV2(nil, answerable(err), f.Type, f.Name, route)
}

// errorMessage encodes an error of version 1 that is to be answered.
func errorMessage(err error) []byte { return protocol.AppendError(nil, answerable(err)) }

// answerable returns the error that the peer may know.
func answerable(err error) *protocol.Error {
	var e *protocol.Error
	if errors.As(err, &e) {
		return e
	}
	return &protocol.Error{Code: protocol.Other, Message: "request failed"}
}

// reply sends a message of our own after those before it.
func (p *Peer) reply(message []byte) {
	p.mu.Lock()
	p.out.reply(message)
	p.mu.Unlock()
	p.flush()
}

// dispatch decides rows d, f and g of the error table, in this order, and hands
// the message on.
func (p *Peer) dispatch(f *protocol.Frame) error {
	switch f.Func {
	case protocol.FuncError:
		p.failedBy(f)
		return nil
	case protocol.FuncOK:
		p.confirmedBy(f)
		return nil
	case protocol.FuncUnsubscribeAll:
		return p.unsubscribeAll(f)
	case protocol.FuncAuthenticate:
		if _, err := f.Route(); err != nil {
			return err
		}
		return errNoAuthentication
	}
	return p.dispatchItem(f)
}

// dispatchItem is dispatch for a message about an item. A bad view is decided between rows f and g.
func (p *Peer) dispatchItem(f *protocol.Frame) error {
	k, role := key{f.Type, f.Name}, f.Version.RoleOf(f.Type, f.Func)
	r := request{Frame: f}
	r.route, r.bad = f.Route()
	followed := p.everFollowed(k)
	if followed && role == protocol.RoleSubscriber && !r.badView() {
		return p.follow(k, f)
	}
	item := p.offered(f, place{k, r.route.View})
	switch {
	case item == nil && !followed:
		return errNoItem
	case r.badView():
		return r.bad
	case role == protocol.RoleNone:
		return errNoFunc
	case role == protocol.RoleProvider && item != nil:
		return p.provide(place{k, r.route.View}, item, &r)
	}
	return errRole
}

// offered returns the item that a message is about, or nil if the other end may
// not know of it.
func (p *Peer) offered(f *protocol.Frame, at place) Item {
	if !f.HasName {
		return nil
	}
	item := p.cfg.Registry.lookup(at.key)
	if item == nil || p.subscribed[at] != nil || p.cfg.Authorize == nil {
		return item
	}
	if err := p.cfg.Authorize(p.ctx, p.cfg.Credentials.Owner, at.kind, at.name); err != nil {
		p.cfg.Log.Debug("socksync: refused", "type", at.kind, "name", at.name, "error", err)
		return nil
	}
	return item
}
