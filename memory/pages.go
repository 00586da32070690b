package memory

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/socksync/socksync/internal/window"
)

// pages is the part of a List that does not depend on its type: the rows, and
// the windows that subscribers look through.
type pages struct {
	name       string
	most       int   // the maximum page size
	mostWindow int   // the maximum size of an anchored window
	epoch      int64 // of the revisions: when the list was made, in microseconds

	// mu guards all below and is held while sinks are told, so that they are
	// told in the order of the states. Sinks do not block.
	mu       sync.Mutex
	rows     []window.Row
	windows  map[place]*shared // those that somebody looks through
	left     []*shared         // some that nobody looks through any more, oldest first
	sequence uint64            // of the revisions
}

func newPages(name string, most, mostWindow int) *pages {
	return &pages{
		name: name, most: most, mostWindow: mostWindow,
		epoch: time.Now().UnixMicro(), windows: make(map[place]*shared),
	}
}

// place is a page of a list, or as many rows from its start on.
type place struct {
	page, size int
	anchored   bool // page is 0
}

// extends reports whether the place is another one but for its size, which is not less.
func (p place) extends(other place) bool {
	return p.page == other.page && p.anchored == other.anchored && p.size >= other.size
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
		w.moveTo(p.state(at, rows))
		step := window.NewStep(old, w.state, changed)
		for s := range w.subs {
			s.sink.Step(step)
		}
	}
}

// state returns a new state of a window. No two states of a list have the same
// revision. It needs mu.
func (p *pages) state(at place, rows []window.Row) *window.State {
	p.sequence++
	return &window.State{
		Name: p.name, Page: at.page, Size: at.size, Anchored: at.anchored, Total: len(p.rows), Rows: rows,
		Rev: strconv.FormatInt(p.epoch, 10) + "." + strconv.FormatUint(p.sequence, 10),
	}
}
