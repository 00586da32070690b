package peer

import (
	"errors"

	"github.com/socksync/socksync/protocol"
)

// link is one subscription of ours. A new one is made for each.
type link struct {
	peer   *Peer
	remote Remote
	record *record
	view   string // of version 2: never that of another link
	// refused says that the other end has no such subscription, in version 2. It
	// is guarded by Peer.mu.
	refused bool
	// unanswered counts the queries, in version 2. It is guarded by Peer.mu.
	unanswered int
}

// open begins the subscription: subscribe, then a get, whose query it returns.
// In version 1 a get has none.
func (l *link) open(w Want) (*query, error) {
	p := l.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.why != nil {
		return nil, ErrClosed
	}
	l.record = p.asked.record(key{l.remote.Kind(), l.remote.Name()})
	if err := l.enter(); err != nil {
		return nil, err
	}
	l.subscribe()
	return l.ask(w), nil
}

// enter makes it known who follows. It needs mu.
func (l *link) enter() error {
	rec, p := l.record, l.peer
	if p.version == protocol.V1 {
		if rec.link != nil {
			return ErrFollowed
		}
		rec.link = l
		return nil
	}
	if rec.views == nil {
		rec.views = make(map[string]*link)
	}
	l.view = p.asked.fresh()
	rec.views[l.view] = l
	return nil
}

// leave is the opposite of enter. It is false if the link has ended. It needs mu.
func (l *link) leave() bool {
	if !l.lives() {
		return false
	}
	if l.peer.version == protocol.V1 {
		l.record.link, l.record.asked = nil, false
		return true
	}
	delete(l.record.views, l.view)
	l.peer.asked.forget(l)
	return true
}

// lives reports whether the subscription has not ended. It needs mu.
func (l *link) lives() bool {
	if l.peer.version == protocol.V1 {
		return l.record.link == l
	}
	return l.record.views[l.view] == l
}

// subscribe sends a subscribe. It needs mu.
func (l *link) subscribe() {
	if l.peer.version == protocol.V1 {
		l.peer.subscribeTo(l.record)
		return
	}
	l.refused = false
	l.peer.simple(protocol.FuncSubscribe, l.record, l)
}

// ask sends a get. It needs mu.
func (l *link) ask(w Want) *query {
	p := l.peer
	if p.version == protocol.V1 {
		p.out.reply(l.remote.message(p.version, protocol.Route{}, w))
		p.asked.sent(l.record)
		l.record.asked = true
		return nil
	}
	q := p.asked.begin(protocol.FuncGet, l.record, l)
	q.want = w
	p.out.reply(l.remote.message(p.version, protocol.Route{View: l.view, ID: q.id}, w))
	return q
}

// get sends another get. If the other end did not take the subscription, it is
// asked once more for that. It returns nil also if the subscription has ended.
func (l *link) get(w Want) *query {
	p := l.peer
	defer p.flush()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !l.lives() {
		return nil
	}
	if l.refused || l.record.refused {
		l.subscribe()
	}
	return l.ask(w)
}

// isFull reports whether nothing more is to be asked before something is answered.
func (l *link) isFull() bool {
	l.peer.mu.Lock()
	defer l.peer.mu.Unlock()
	return l.unanswered >= unansweredLimit
}

// tell sends a pause or resume, of which the query will say when it is done.
func (l *link) tell(do protocol.Func) (*query, error) {
	p := l.peer
	if p.version == protocol.V1 {
		return nil, ErrVersion
	}
	defer p.flush()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !l.lives():
		return nil, ErrClosed
	case l.unanswered >= unansweredLimit:
		return nil, errUnanswered
	}
	q := p.simple(do, l.record, l)
	q.done = make(chan error, 1)
	return q, nil
}

// end ends the subscription.
func (l *link) end() {
	p := l.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !l.leave():
	case p.version == protocol.V1:
		p.unsubscribeFrom(l.record)
	case !l.refused:
		p.simple(protocol.FuncUnsubscribe, l.record, l)
	}
}

// receive hands a message to the item, and what it answers. A page that was lost
// is asked for again, after the error is answered.
func (l *link) receive(f *protocol.Frame, q *query) error {
	err := l.remote.receive(l, f, q)
	var e *protocol.Error
	switch {
	case err == nil && answers(f):
		l.peer.answered(l.record)
	case errors.As(err, &e) && e.Code == protocol.BadIndex:
		l.peer.reply(errorAbout(f, err))
		l.remote.renew(l)
		return nil
	}
	return err
}

// answers reports whether a message may be the answer to a get.
func answers(f *protocol.Frame) bool {
	return f.Func == protocol.FuncSetAll || f.Func == protocol.FuncStep || f.Type == protocol.TypeVar
}
