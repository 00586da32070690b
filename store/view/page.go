package view

import (
	chain "container/list"
	"encoding/json"
	"time"

	"github.com/socksync/socksync/internal/ranktree"
	"github.com/socksync/socksync/internal/window"
)

// place names a window of a view: a page, or the rows after an anchor.
type place struct {
	page, size int
	anchored   bool
	after      anchor // only if anchored
}

// anchor is the row that a window comes after, or the start of the list.
type anchor struct {
	row bool   // false: the start
	key string // of the row
}

// page is one watched window.
type page struct {
	view  *view
	at    place
	first int           // rank of its first row
	state *window.State // nil until the view is loaded
	since uint64        // sequence of the state
	// filled says that a subscriber has asked for the rows: from then on the JSON
	// of every row is kept. Before that the window holds keys.
	filled  bool
	subs    few[*subscription]
	waiting few[*subscription] // they move here once the state is filled
	keeps   bool               // its states are kept for those who come back
	left    time.Duration      // when the last subscriber left that may come back, by the engine's clock; zero if none did
	leaving *chain.Element     // in past.left
	// leavingRows is what it counts there.
	leavingRows int
	told        bool         // the subscribers know that it stands still
	history     []*keptState // its earlier states, oldest first
}

// page returns the window, which it makes from the tree if nobody watches it yet.
func (v *view) page(at place) *page {
	p := v.pageAt(at)
	if p == nil {
		p = &page{view: v, at: at}
		if v.tree != nil {
			p.first = first(v.tree, at)
			p.state, p.since = v.keysOnly(p), v.sequence()
		}
		v.register(p)
	}
	return p
}

// pageAt returns the window for who asks for a place; nil if there is none.
func (v *view) pageAt(at place) *page {
	if v.places != nil {
		return v.places[at]
	}
	if v.pages.has1 && v.pages.one.at == at {
		return v.pages.one
	}
	return nil
}

// register takes a new window.
func (v *view) register(p *page) {
	if v.pages.len() == 1 && v.places == nil {
		v.places = map[place]*page{}
		for other := range v.pages.all() {
			v.putAt(other)
		}
	}
	v.pages.add(p)
	v.putAt(p)
	v.list.shown++
}

// putAt has a window be the one for its place, unless there is one: then both are windows of that place.
func (v *view) putAt(p *page) {
	if v.places != nil && v.places[p.at] == nil {
		v.places[p.at] = p
	}
}

func (v *view) unplace(p *page) {
	if v.places[p.at] == p {
		delete(v.places, p.at)
	}
}

// enter notes that a subscription is here.
func (p *page) enter(s *subscription) {
	if p.subs.add(s) {
		p.view.join()
	}
}

// exit notes that a subscription has left.
func (p *page) exit(s *subscription) {
	if p.subs.remove(s) {
		p.view.part()
	}
}

// await has a subscription wait until the window's rows are known.
func (p *page) await(s *subscription) {
	p.waiting.add(s)
	s.next = p
	v := p.view
	v.waiting++
	v.list.waiters[v] = struct{}{}
	v.join()
}

// giveUp has a subscription wait no longer.
func (p *page) giveUp(s *subscription) {
	p.waiting.remove(s)
	s.next = nil
	p.view.waiting--
	p.view.part()
}

// keysOnly is the present state of a window without any JSON.
func (v *view) keysOnly(p *page) *window.State {
	keys := v.tree.Keys(p.first, p.at.size)
	rows := make([]window.Row, len(keys))
	for i, k := range keys {
		rows[i].Key = k
	}
	return v.state(p.at, v.tree.Len(), rows)
}

func (v *view) state(at place, total int, rows []window.Row) *window.State {
	s := &window.State{
		Name: v.list.def.Name, Page: at.page, Size: at.size, Total: total, Rows: rows,
		Rev: v.rev(), Anchored: at.anchored,
	}
	if v.plan != nil {
		s.Key = v.plan.published
		s.After = v.plan.keyValues(at.after)
	}
	return s
}

// first returns the rank of the first row of a place; page numbers may be absurd. The anchor is a row of the tree.
func first(t *ranktree.Tree, at place) int {
	switch {
	case at.anchored && at.after.row:
		rank, _ := t.Rank(at.after.key)
		return rank + 1
	case at.anchored:
		return 0
	case at.page > t.Len()/at.size:
		return t.Len()
	}
	return at.page * at.size
}

// keyValues is the anchor as JSON, nil for the start.
func (r *relation) keyValues(a anchor) []json.RawMessage {
	if !a.row {
		return nil
	}
	parts := splitKey(a.key, len(r.def.Key))
	var values []json.RawMessage
	for i, text := range parts {
		if r.keyJSON[i] != "" {
			values = append(values, keyValue(r.keyOIDs[i], text))
		}
	}
	return values
}

// stateFor returns the state of the window, and its sequence, for a subscriber that has seen a sequence. It is not to be
// told an older revision than that: then it gets the state, which is what it was, under the present one.
func (p *page) stateFor(seen uint64) (*window.State, uint64) {
	if seen <= p.since {
		return p.state, p.since
	}
	state := p.view.state(p.at, p.state.Total, p.state.Rows)
	p.view.past.remember(p, p.at, state)
	return state, p.view.sequence()
}

// move gives a window another anchor.
func (p *page) move(to place) {
	if p.at == to {
		return
	}
	v := p.view
	v.unplace(p)
	p.at = to
	v.putAt(p)
}

// release forgets a window that nobody watches, unless a subscriber may come back.
func (v *view) release(p *page) {
	if p.subs.len() > 0 || p.waiting.len() > 0 || p.left != 0 {
		return
	}
	v.forget(p)
}

func (v *view) forget(p *page) {
	if !v.pages.remove(p) {
		return
	}
	v.past.forgetPage(p)
	v.list.shown--
	v.unplace(p)
	if len(v.pages.more) == 0 {
		v.places = nil
	}
}

// still tells the subscribers that their windows stand still.
func (v *view) still() {
	for p := range v.pages.all() {
		if p.told || p.state == nil {
			continue
		}
		p.told = true
		v.list.stands[v] = struct{}{}
		for s := range p.subs.all() {
			s.sink.Still(v.unreadable())
		}
	}
}
