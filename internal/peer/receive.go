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
	frame, err := protocol.Parse(data)
	if errors.Is(err, protocol.ErrInvalidUTF8) {
		return err
	}
	if err == nil {
		err = p.dispatch(&frame)
	}
	if err != nil {
		p.reply(errorMessage(err))
	}
	return nil
}

// errorMessage encodes an error that is to be answered.
func errorMessage(err error) []byte {
	var e *protocol.Error
	if !errors.As(err, &e) {
		e = &protocol.Error{Code: protocol.Other, Message: "request failed"}
	}
	return protocol.AppendError(nil, e)
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
		p.failed(f.PeerError())
		return nil
	case protocol.FuncUnsubscribeAll:
		p.unsubscribeAll()
		return nil
	}
	k, role := key{f.Type, f.Name}, protocol.RoleOf(f.Type, f.Func)
	followed := p.everFollowed(k)
	if followed && role == protocol.RoleSubscriber {
		return p.follow(k, f)
	}
	item := p.offered(f, k)
	switch {
	case item == nil && !followed:
		return errNoItem
	case role == protocol.RoleNone:
		return errNoFunc
	case role == protocol.RoleProvider && item != nil:
		return p.provide(k, item, f)
	}
	return errRole
}

// offered returns the item that a message is about, or nil if the other end may
// not know of it.
func (p *Peer) offered(f *protocol.Frame, k key) Item {
	if !f.HasName {
		return nil
	}
	item := p.cfg.Registry.lookup(k)
	if item == nil || p.subscribed[k] != nil || p.cfg.Authorize == nil {
		return item
	}
	if err := p.cfg.Authorize(p.ctx, k.kind, k.name); err != nil {
		p.cfg.Log.Debug("socksync: refused", "type", k.kind, "name", k.name, "error", err)
		return nil
	}
	return item
}
