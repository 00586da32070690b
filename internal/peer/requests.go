package peer

import (
	"cmp"
	"maps"
	"slices"

	"github.com/socksync/socksync/protocol"
)

// requests is what we asked of the other end. It exists because only what was
// followed on this connection may be dropped silently, and because of errors. It
// is guarded by Peer.mu.
//
// In version 2 an error repeats the id of what it answers: see [query]. In
// version 1 it does not say what it answers. Two rules tell, and neither guesses:
//
//   - Error 3 answers a message about an item that the other end does not
//     provide, so about one of which nothing has come since it was subscribed.
//     If there is one such item, it is that; if there are as many errors 3 as
//     messages about such items, it is all of them.
//   - Any other error answers the get or call that is outstanding, if there is
//     exactly one. Gets that errors 3 have very likely answered do not count.
type requests struct {
	records map[key]*record
	calls   map[string]*call
	gaveUp  []string // ids in calls that nobody waits for, oldest first
	turn    int      // of the last subscribe

	missing int             // errors 3 that are not yet explained
	reason  *protocol.Error // the last of them

	// The following are of version 2.

	queries map[string]*query // by id: what is not answered yet, but for calls
	tag     string            // the beginning of every view and id
	given   int               // views and ids
}

// gaveUpLimit is how many ids are remembered of calls that ended by their
// timeout. The return of one that was forgotten is answered by error 6.
const gaveUpLimit = 1024

// record is what is known of an item that was followed on this connection. Where
// it does not say otherwise, it is for version 1 only.
type record struct {
	key    key  // of both versions
	called bool // a function is subscribed; of both versions
	// refused says that the other end does not provide it, as far as is known. In
	// version 2 it is so for functions; vars and lists have link.refused.
	refused bool
	// views are who follows a var or list in version 2.
	views map[string]*link

	turn  int   // of its last subscribe
	link  *link // who follows a var or list; nil: nobody anymore
	asked bool  // a get has not been answered
	// unsure counts the messages about the item from its subscribe to the first
	// sign that the other end provides it.
	unsure int
}

// verdict is what an error has put an end to.
type verdict struct {
	err   *protocol.Error
	links []*link
	calls []*call
}

// record returns the record of an item and makes one if there is none.
func (r *requests) record(k key) *record {
	rec := r.records[k]
	if rec == nil {
		rec = &record{key: k}
		r.records[k] = rec
	}
	return rec
}

// subscribed counts a subscribe.
func (r *requests) subscribed(rec *record) {
	r.turn++
	rec.turn, rec.refused, rec.asked = r.turn, false, false
	rec.unsure++
}

// sent counts a message about an item that follows its subscribe.
func (r *requests) sent(rec *record) {
	if rec.unsure > 0 {
		rec.unsure++
	}
}

// confirmed takes note that something came about an item.
func (r *requests) confirmed(rec *record) verdict {
	if rec.unsure == 0 && !rec.refused {
		return verdict{}
	}
	rec.unsure, rec.refused = 0, false
	return r.explain()
}

// failed finds out what an error message answers.
func (r *requests) failed(e *protocol.Error) verdict {
	if e.Code == protocol.InvalidName && len(r.unsure()) > 0 {
		r.missing++
		r.reason = e
		return r.explain()
	}
	v := verdict{err: e}
	if gets, calls := r.outstanding(); len(gets)+len(calls) == 1 {
		v.calls = calls
		for _, rec := range gets {
			rec.asked = false
			rec.refused = e.Code == protocol.InvalidFunc // there was no subscription
			v.add(rec)
		}
		for _, c := range calls {
			delete(r.calls, c.id)
		}
	}
	return v
}

func (v *verdict) add(rec *record) {
	if rec.link != nil {
		v.links = append(v.links, rec.link)
	}
}

// unsure returns the items that may not be provided, in the order in which they
// were subscribed.
func (r *requests) unsure() []*record {
	var items []*record
	for _, rec := range r.records {
		if rec.unsure > 0 {
			items = append(items, rec)
		}
	}
	slices.SortFunc(items, func(a, b *record) int { return cmp.Compare(a.turn, b.turn) })
	return items
}

// explain finds the items that the errors 3 so far were about, if that is
// certain.
func (r *requests) explain() verdict {
	v := verdict{err: r.reason}
	items, messages := r.unsure(), 0
	for _, rec := range items {
		messages += rec.unsure
	}
	if r.missing == 0 || len(items) > 1 && r.missing < messages {
		return v
	}
	for _, rec := range items {
		rec.unsure -= min(r.missing, rec.unsure) // what is left comes later
		r.refuse(rec, &v)
	}
	r.missing = 0
	return v
}

// refuse ends what waits for an item that is not provided.
func (r *requests) refuse(rec *record, v *verdict) {
	if !rec.refused {
		v.add(rec)
	}
	rec.refused, rec.asked = true, false
	v.calls = append(v.calls, r.callsOf(rec)...)
}

// callsOf takes the calls of a function that are waited for.
func (r *requests) callsOf(rec *record) []*call {
	var calls []*call
	for id, c := range r.calls {
		if c.record == rec && !c.gone {
			calls = append(calls, c)
			delete(r.calls, id)
		}
	}
	return calls
}

// outstanding returns the gets and calls that may still be answered.
func (r *requests) outstanding() (gets []*record, calls []*call) {
	likely := r.missing
	for _, rec := range r.unsure() {
		if likely -= rec.unsure; likely < 0 && rec.asked {
			gets = append(gets, rec)
		}
	}
	for _, rec := range r.records {
		if rec.asked && rec.unsure == 0 {
			gets = append(gets, rec)
		}
	}
	for _, c := range r.calls {
		if !c.gone {
			calls = append(calls, c)
		}
	}
	return gets, calls
}

// giveUp remembers that nobody waits for a call anymore. It is false if the call
// has ended.
func (r *requests) giveUp(c *call) bool {
	if r.calls[c.id] != c {
		return false
	}
	c.gone = true
	r.gaveUp = append(r.gaveUp, c.id)
	if len(r.gaveUp) > gaveUpLimit {
		delete(r.calls, r.gaveUp[0])
		r.gaveUp = r.gaveUp[1:]
	}
	return true
}

// returned takes the call of a function with an id; nil if there is none.
func (r *requests) returned(rec *record, id string) *call {
	if c := r.calls[id]; c == nil || c.record != rec {
		return nil
	}
	return r.takeCall(id)
}

// takeCall takes the call with an id; nil if there is none.
func (r *requests) takeCall(id string) *call {
	c := r.calls[id]
	if c == nil {
		return nil
	}
	delete(r.calls, id)
	if c.gone {
		i := slices.Index(r.gaveUp, id)
		r.gaveUp = slices.Delete(r.gaveUp, i, i+1)
	}
	return c
}

// end forgets everything and returns what was followed and what waited.
func (r *requests) end() verdict {
	var v verdict
	for _, rec := range r.records {
		v.add(rec)
		v.links = slices.AppendSeq(v.links, maps.Values(rec.views))
		rec.link, rec.views = nil, nil
	}
	for _, q := range r.queries {
		q.finish(ErrClosed)
	}
	_, v.calls = r.outstanding()
	r.calls, r.gaveUp, r.queries = make(map[string]*call), nil, nil
	return v
}
