package peer

import (
	"crypto/rand"
	"errors"
	"strconv"
	"time"

	"github.com/socksync/socksync/protocol"
)

// query is a message of ours that version 2 answers by its id. Whoever takes
// it out of requests.queries deals with it.
type query struct {
	id   string
	do   protocol.Func // FuncSubscribe, FuncUnsubscribe, FuncGet, FuncPause, FuncResume or FuncAuthenticate
	item *record       // nil for FuncAuthenticate
	link *link         // nil for a function, and for an unsubscribe
	want Want          // of a get
	// moot says that the subscribe before it was refused, which has been reported:
	// so will this one be. It is guarded by Peer.mu.
	moot  bool
	done  chan error    // of a pause, resume or authenticate: holds one
	lasts time.Duration // what an authenticate brings lasts so long, 0 for ever; to be read after done
}

// finish tells who waits, if somebody does, what came of it.
func (q *query) finish(err error) {
	if q != nil && q.done != nil {
		q.done <- err
	}
}

// tagLength is how much of a name is chosen at random for the connection.
const tagLength = 4

// fresh returns a view or an id that was not given before on this connection. The
// other end gives others, so that an error is about one of ours or one of its
// own, not both.
func (r *requests) fresh() string {
	if r.tag == "" {
		r.tag = rand.Text()[:tagLength]
	}
	r.given++
	return r.tag + strconv.Itoa(r.given)
}

// unansweredLimit is how many queries of a link may wait for their answers. The
// provider may answer late; what it must not do is make us remember ever more.
const unansweredLimit = 64

// errUnanswered says that there were too many.
var errUnanswered = errors.New("too many requests that have not been answered")

// begin returns a query with an id of its own.
func (r *requests) begin(do protocol.Func, item *record, l *link) *query {
	if l != nil {
		l.unanswered++
	}
	q := &query{id: r.fresh(), do: do, item: item, link: l}
	if r.queries == nil {
		r.queries = make(map[string]*query)
	}
	r.queries[q.id] = q
	return q
}

// take returns the query with an id, which has been answered; nil if there is
// none.
func (r *requests) take(id string) *query {
	q := r.queries[id]
	delete(r.queries, id)
	if q != nil && q.link != nil {
		q.link.unanswered--
	}
	return q
}

// answered takes the query of a link that a message with data answers; nil if
// it answers none.
func (r *requests) answered(l *link, f *protocol.Frame, id string) *query {
	q := r.queries[id]
	if q == nil || q.link != l || !answers(f) || q.do != protocol.FuncGet && q.do != protocol.FuncResume {
		return nil
	}
	return r.take(id)
}

// done takes the query that an ok answers; nil if it answers none.
func (r *requests) done(id string) *query {
	if q := r.queries[id]; q == nil || q.do == protocol.FuncGet || q.do == protocol.FuncResume {
		return nil
	}
	return r.take(id)
}

// forget ends the queries of a link: they will not be answered.
func (r *requests) forget(l *link) {
	for id, q := range r.queries {
		if q.link == l {
			delete(r.queries, id)
			q.finish(ErrClosed)
		}
	}
}

// blame is what an error of version 2 is about: at most one of them.
type blame struct {
	call  *call
	query *query
	link  *link // of a window that we did not ask anything
}

// blamed finds what an error is about, by the id or, if it has none, by the view.
func (r *requests) blamed(f *protocol.Frame, e *protocol.Error) blame {
	route, _ := f.Route() // of an error it is never wrong
	if route.ID == "" {
		l := r.linkOf(key{f.Type, f.Name}, route.View)
		if l != nil && e.Code == protocol.Forbidden {
			l.refused = true
		}
		return blame{link: l}
	}
	if c := r.takeCall(route.ID); c != nil {
		return blame{call: c}
	}
	q := r.take(route.ID)
	if q != nil {
		r.refusedBy(q, e)
	}
	return blame{query: q}
}

// linkOf returns who follows a window; nil if nobody does.
func (r *requests) linkOf(k key, view string) *link {
	if rec := r.records[k]; rec != nil {
		return rec.views[view]
	}
	return nil
}

// refusedBy takes note of what an error says of the subscription.
func (r *requests) refusedBy(q *query, e *protocol.Error) {
	switch {
	case q.moot:
	case q.do == protocol.FuncSubscribe && q.link == nil:
		q.item.refused = true
	case q.do == protocol.FuncSubscribe:
		q.link.refused = true
		for _, later := range r.queries {
			later.moot = later.moot || later.link == q.link
		}
	case q.do == protocol.FuncGet && e.Code == protocol.InvalidFunc:
		q.link.refused = true // there was no subscription
	}
}

// announce tells whoever waited for what an error is about. It reports whether
// there was somebody.
func (b blame) announce(e *protocol.Error) bool {
	switch q := b.query; {
	case b.call != nil:
		if !b.call.gone {
			b.call.finish(nil, e)
		}
		return !b.call.gone
	case q != nil:
		if q.link != nil && !q.moot {
			q.link.remote.refuse(q.link, q, e)
		}
		q.finish(e)
		return true
	case b.link != nil:
		b.link.remote.halt(b.link, e)
		return true
	}
	return false
}
