package peer

import (
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

var errSubscriptions = &protocol.Error{Code: protocol.Other, Message: "too many subscriptions"}

// provide handles a message to the provider of an item.
func (p *Peer) provide(k key, item Item, f *protocol.Frame) error {
	sub := p.subscribed[k]
	if f.Func == protocol.FuncSubscribe {
		if sub == nil {
			return p.subscribe(k, item)
		}
		return nil
	}
	if sub == nil {
		return errNoSubscribed
	}
	if f.Func == protocol.FuncUnsubscribe {
		p.drop(k)
		p.flush()
		return nil
	}
	return sub.get(f) // get or call, whichever the type has
}

func (p *Peer) subscribe(k key, item Item) error {
	if len(p.subscribed) >= p.cfg.Limits.Subscriptions {
		return errSubscriptions
	}
	switch item := item.(type) {
	case window.Source:
		p.subscribed[k] = newListFeed(p, item)
	case window.ValueSource:
		p.subscribed[k] = newVarFeed(p, item)
	case Function:
		p.subscribed[k] = &functionFeed{peer: p, function: item}
	}
	return nil
}

func (p *Peer) unsubscribeAll() {
	for k := range p.subscribed {
		p.drop(k)
	}
	p.flush()
}

// drop ends a subscription of the other end, with everything of it that has not
// been sent.
func (p *Peer) drop(k key) {
	p.subscribed[k].close()
	delete(p.subscribed, k)
}
