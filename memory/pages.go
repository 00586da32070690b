package memory

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"sync"

	"github.com/socksync/socksync/internal/window"
)

// pages is the part of a List that does not depend on its type: the rows, and
// the windows that subscribers look through.
type pages struct {
	name string
	most int // the maximum page size

	// mu guards all below and is held while sinks are told, so that they are
	// told in the order of the states. Sinks do not block.
	mu      sync.Mutex
	rows    []window.Row
	windows map[place]*shared // those that somebody looks through
}

// place is a page of a list.
type place struct{ page, size int }

// shared is a window with its subscribers.
type shared struct {
	state *window.State
	subs  map[*subscription]struct{}
}

// first returns the index in the list of the first row of the page; math.MaxInt
// if no list can have that many rows.
func (p place) first() int {
	if p.page > math.MaxInt/p.size {
		return math.MaxInt
	}
	return p.page * p.size
}

// touches reports whether one of the rows from low to high is on the page.
func (p place) touches(low, high int) bool {
	first := p.first()
	return first <= high && low-first < p.size
}

// cut returns the page of a list.
func (p place) cut(rows []window.Row) []window.Row {
	first := min(p.first(), len(rows))
	return slices.Clone(rows[first : first+min(p.size, len(rows)-first)])
}

func (p *pages) set(index int, raw json.RawMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if bytes.Equal(p.rows[index].JSON, raw) {
		return
	}
	p.rows[index].JSON = raw
	p.publish(index, index, p.rows[index].Key)
}

func (p *pages) insert(index int, row window.Row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows = slices.Insert(p.rows, index, row)
	p.publish(index, math.MaxInt, row.Key)
}

func (p *pages) delete(index int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := p.rows[index].Key
	p.rows = slices.Delete(p.rows, index, index+1)
	p.publish(index, math.MaxInt, key)
}

func (p *pages) move(from, to int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if from == to {
		return
	}
	p.rows = moved(p.rows, from, to)
	p.publish(min(from, to), max(from, to), p.rows[to].Key)
}

func (p *pages) replace(rows []window.Row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows = rows
	p.publish(0, math.MaxInt, "")
}

// moved returns the slice with one element moved to another index.
func moved[S ~[]E, E any](s S, from, to int) S {
	e := s[from]
	return slices.Insert(slices.Delete(s, from, from+1), to, e)
}

// publish tells the subscribers that rows from the index low to high differ from
// what they were, because of the row with the key changed if that is not "". It
// needs mu.
func (p *pages) publish(low, high int, changed string) {
	for at, w := range p.windows {
		old := w.state
		var rows []window.Row
		switch {
		case at.touches(low, high):
			rows = at.cut(p.rows)
		case old.Total != len(p.rows):
			rows = old.Rows
		default:
			continue
		}
		w.state = p.state(at, rows)
		step := window.NewStep(old, w.state, changed)
		for s := range w.subs {
			s.sink.Step(step)
		}
	}
}

func (p *pages) state(at place, rows []window.Row) *window.State {
	return &window.State{Name: p.name, Page: at.page, Size: at.size, Total: len(p.rows), Rows: rows}
}

func (p *pages) subscribe(sink window.Sink) *subscription {
	s := &subscription{pages: p, sink: sink}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.enter(place{0, p.most})
	return s
}

// subscription implements [window.Subscription].
type subscription struct {
	pages *pages
	sink  window.Sink
	at    place // guarded by pages.mu
}

// Get implements [window.Subscription].
func (s *subscription) Get(page, size int) {
	s.pages.mu.Lock()
	defer s.pages.mu.Unlock()
	s.leave()
	s.sink.Answer(s.enter(place{page, size}), 1)
}

// Close implements [window.Subscription].
func (s *subscription) Close() {
	s.pages.mu.Lock()
	defer s.pages.mu.Unlock()
	s.leave()
}

// enter looks through a window, made if nobody does yet. It needs pages.mu.
func (s *subscription) enter(at place) *window.State {
	p := s.pages
	w := p.windows[at]
	if w == nil {
		w = &shared{state: p.state(at, at.cut(p.rows)), subs: make(map[*subscription]struct{})}
		p.windows[at] = w
	}
	w.subs[s] = struct{}{}
	s.at = at
	return w.state
}

// leave needs pages.mu.
func (s *subscription) leave() {
	w := s.pages.windows[s.at]
	if w == nil {
		return
	}
	delete(w.subs, s)
	if len(w.subs) == 0 {
		delete(s.pages.windows, s.at)
	}
}
