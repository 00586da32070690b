package peer

import (
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

var errSubscriptions = &protocol.Error{Code: protocol.Other, Message: "too many subscriptions"}

// provide handles a message to the provider of an item.
func (p *Peer) provide(at place, item Item, r *request) error {
	sub := p.subscribed[at]
	switch {
	case sub == nil && r.Func != protocol.FuncSubscribe:
		return errNoSubscribed
	case r.Func == protocol.FuncSubscribe, r.Func == protocol.FuncUnsubscribe:
		if r.bad != nil {
			return r.bad
		}
	default:
		return sub.get(r) // get, call or whatever else the type has
	}
	if r.Func == protocol.FuncUnsubscribe {
		p.drop(at, false)
		p.flush()
	} else if err := p.subscribe(at, item); err != nil {
		return err
	}
	p.confirm(r.route.ID)
	return nil
}

// confirm tells the other end that what it asked for is done, if it wants to be told.
func (p *Peer) confirm(id string) {
	if id != "" {
		p.reply(protocol.AppendOK(nil, id))
	}
}

// subscribe begins a subscription, if there is none.
func (p *Peer) subscribe(at place, item Item) error {
	if p.subscribed[at] != nil {
		return nil
	}
	if len(p.subscribed) >= p.cfg.Limits.Subscriptions {
		return errSubscriptions
	}
	switch item := item.(type) {
	case window.Source:
		p.subscribed[at] = p.newWindow(at.view, item)
	case window.ValueSource:
		p.subscribed[at] = p.newValue(at.view, item)
	case Function:
		p.subscribed[at] = &functionFeed{peer: p, function: item}
	}
	return nil
}

func (p *Peer) newWindow(view string, item window.Source) feed {
	if p.version == protocol.V2 {
		return newWindowFeed(p, view, item)
	}
	return newListFeed(p, item)
}

func (p *Peer) newValue(view string, item window.ValueSource) feed {
	if p.version == protocol.V2 {
		return newValueFeed(p, view, item)
	}
	return newVarFeed(p, item)
}

// forbidden is the message that ends a subscription which the other end may not have any more.
func (p *Peer) forbidden(kind protocol.ItemType, name string, route protocol.Route) []byte {
	if p.version == protocol.V1 {
		return errorMessage(errNoItem)
	}
	return protocol.AppendErrorV2(nil, errForbidden, kind, name, route)
}

func (p *Peer) unsubscribeAll(f *protocol.Frame) error {
	route, err := f.Route()
	if err != nil {
		return err
	}
	for at := range p.subscribed {
		p.drop(at, false)
	}
	p.flush()
	p.confirm(route.ID)
	return nil
}

// drop ends a subscription of the other end, with everything of it that has not
// been sent. gone says that it is because the connection has ended.
func (p *Peer) drop(at place, gone bool) {
	p.subscribed[at].close(gone)
	delete(p.subscribed, at)
}
