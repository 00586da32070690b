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

// receive handles one message and answers it if it is bad. The error is not nil
// if the connection is to be closed.
func (p *Peer) receive(data []byte) error {
	frame, err := p.version.Parse(data)
	if errors.Is(err, protocol.ErrInvalidUTF8) {
		return err
	}
	if !p.enter() {
		return nil
	}
	defer p.turn.Unlock()
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
// the message on. The reader has the turn.
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
		return p.authenticate(f)
	}
	return p.dispatchItem(f)
}

// dispatchItem is dispatch for a message about an item. A bad view is decided between rows f and g.
func (p *Peer) dispatchItem(f *protocol.Frame) error {
	k, role := key{f.Type, f.Name}, f.Version.RoleOf(f.Type, f.Func)
	r := request{Frame: f}
	r.route, r.bad = f.Route()
	at := place{k, r.route.View}
	followed := p.everFollowed(k)
	switch {
	case followed && role == protocol.RoleSubscriber && !r.badView():
		return p.follow(k, f)
	case p.isLapsed() && !p.mayEnd(at, f.Func):
		return errExpired
	}
	item, err := p.offered(f, at)
	switch {
	case err != nil && (!followed || err == errForbidden && role == protocol.RoleProvider):
		return err
	case r.badView():
		return r.bad
	case role == protocol.RoleNone:
		return errNoFunc
	case role == protocol.RoleProvider && item != nil:
		return p.provide(at, item, &r)
	}
	return errRole
}

// mayEnd reports whether a message is one that ends a subscription, which is done for anybody.
func (p *Peer) mayEnd(at place, do protocol.Func) bool {
	return do == protocol.FuncUnsubscribe && p.subscribed[at] != nil
}

// offered returns the item that a message is about, or why the other end may not know of it.
func (p *Peer) offered(f *protocol.Frame, at place) (Item, *protocol.Error) {
	if !f.HasName {
		return nil, errNoItem
	}
	item := p.cfg.Registry.lookup(at.key)
	if item == nil {
		return nil, errNoItem
	}
	if p.subscribed[at] != nil {
		return item, nil
	}
	if err := p.permits(at.key, item); err != nil {
		p.cfg.Log.Debug("socksync: refused", "type", at.kind, "name", at.name, "error", err)
		return nil, p.refusalOf()
	}
	return item, nil
}

// refusalOf is what the other end is told of an item that it may not use.
func (p *Peer) refusalOf() *protocol.Error {
	if p.version == protocol.V1 {
		return errNoItem
	}
	return errForbidden
}
