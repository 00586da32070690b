package view

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"

	"github.com/socksync/socksync/internal/ranktree"
	"github.com/socksync/socksync/internal/window"
)

// stage is what one drain does to one list, kept until the drain's transaction
// has ended. The tree is changed in place, with a journal to put it back.
type stage struct {
	plan    *plan
	tree    *ranktree.Tree
	joined  bool                       // plan and tree are a new load's
	again   error                      // why the list is to be loaded again instead
	rows    map[string]json.RawMessage // all rows, if the load that joins has read them
	keys    []string                   // the keys that the log names
	members map[string]*member
	journal []edit
	// changed holds the rows whose place or values may differ, by key.
	changed map[string]struct{}
	single  string // the key of the one changed row that kept its key
	low     int    // the ranks outside low..high hold what they held
	high    int
	pages   []*pageStage
	before  map[*page]anchor // the row before an anchor that leaves its place
	anchors map[*page]anchor // anchors that are other rows now
}

// edit is one change of the tree; place is what a deleted row needs to come back.
type edit struct {
	insert bool
	rank   int
	key    string
	place  []byte
}

// pageStage is a window's next state while its rows are being found.
type pageStage struct {
	page  *page
	at    place // where the window is now
	first int   // rank of its first row
	rows  []window.Row
	need  []int // rows whose JSON must be read
}

func newStage(p *plan, t *ranktree.Tree) *stage {
	return &stage{
		plan: p, tree: t, members: map[string]*member{}, changed: map[string]struct{}{},
		low: math.MaxInt, high: -1, before: map[*page]anchor{}, anchors: map[*page]anchor{},
	}
}

func (s *stage) insert(rank int, m *member) {
	s.tree.Insert(rank, m.key, m.place)
	s.journal = append(s.journal, edit{insert: true, rank: rank, key: m.key})
	s.touch(rank)
}

func (s *stage) delete(key string) {
	rank, place, ok := s.tree.Delete(key)
	if ok {
		s.journal = append(s.journal, edit{rank: rank, key: key, place: place})
	}
}

// touch widens the range of ranks that may hold something else now.
func (s *stage) touch(rank int) {
	s.low, s.high = min(s.low, rank), max(s.high, rank)
}

// undo puts the tree back.
func (s *stage) undo() {
	for i := len(s.journal) - 1; i >= 0; i-- {
		e := s.journal[i]
		if e.insert {
			s.tree.Delete(e.key)
		} else {
			s.tree.Insert(e.rank, e.key, e.place)
		}
	}
}

// split sorts the changed keys into rows that stay at their place, rows to delete
// and rows to insert, and deletes. Ranks are taken before anything moves.
func (s *stage) split(logged []string, pages *few[*page]) (inserts []*member) {
	var deletes []string
	for _, key := range s.union(logged) {
		rank, held := s.tree.Rank(key)
		m := s.members[key]
		if !held && m == nil {
			continue
		}
		s.changed[key] = struct{}{}
		if held {
			s.touch(rank)
		}
		if held && m != nil && bytes.Equal(s.tree.Place(rank), m.place) {
			continue
		}
		if held {
			deletes = append(deletes, key)
		}
		if m != nil {
			inserts = append(inserts, m)
		}
	}
	s.unmoor(pages, deletes)
	for _, key := range deletes {
		s.delete(key)
	}
	if len(inserts) != len(deletes) {
		s.high = math.MaxInt // every row behind them moves
	}
	s.name()
	return inserts
}

// union returns the logged keys and those of the rows that were found: a key may
// come back with another text, as 1.0 for 1.00.
func (s *stage) union(logged []string) []string {
	keys := make([]string, 0, len(logged))
	seen := make(map[string]struct{}, len(logged))
	add := func(key string) {
		if _, ok := seen[key]; !ok {
			seen[key] = struct{}{}
			keys = append(keys, key)
		}
	}
	for _, key := range logged {
		add(key)
	}
	for key := range s.members {
		add(key)
	}
	return keys
}

// name sets single if one row changed. What a load brings may differ in others too.
func (s *stage) name() {
	if len(s.changed) == 1 && !s.joined {
		for key := range s.changed {
			s.single = key
		}
	}
}

// show finds the rows of every watched window that may differ, and which of them
// must be read.
func (s *stage) show(pages *few[*page]) {
	var touched []*page
	for p := range pages.all() {
		if s.touches(p) {
			touched = append(touched, p)
		}
	}
	known := s.known(touched)
	for _, p := range touched {
		s.pages = append(s.pages, s.showPage(p, known))
	}
}

// touches reports whether a window's rows or total may differ, or whether someone
// waits for its rows.
func (s *stage) touches(p *page) bool {
	if s.joined || p.state == nil || p.state.Total != s.tree.Len() {
		return true
	}
	return s.overlaps(p) || p.waiting.len() > 0 && !p.state.Filled()
}

// overlaps reports whether a window's rows may differ: whether one of the ranks that it had or has may hold something
// else now.
func (s *stage) overlaps(p *page) bool {
	if s.joined || p.state == nil {
		return true
	}
	if s.high < s.low {
		return false
	}
	at := s.at(p)
	now := first(s.tree, at)
	return s.high >= min(p.first, now) && s.low < max(p.first, now)+at.size || at != p.at
}

// known collects the JSON that the touched windows hold of rows that did not change.
func (s *stage) known(touched []*page) map[string]json.RawMessage {
	known := map[string]json.RawMessage{}
	if s.joined {
		return known
	}
	for _, p := range touched {
		if p.state == nil || !s.overlaps(p) && p.state.Filled() {
			continue
		}
		for _, r := range p.state.Rows {
			if _, ok := s.changed[r.Key]; !ok && r.JSON != nil {
				known[r.Key] = r.JSON
			}
		}
	}
	return known
}

func (s *stage) showPage(p *page, known map[string]json.RawMessage) *pageStage {
	ps := &pageStage{page: p, at: s.at(p)}
	ps.first = first(s.tree, ps.at)
	if !s.overlaps(p) && (!p.filled || p.state.Filled()) {
		ps.rows = p.state.Rows // only the total differs
		return ps
	}
	keys := s.tree.Keys(ps.first, ps.at.size)
	ps.rows = make([]window.Row, 0, len(keys))
	for _, key := range keys {
		ps.rows = append(ps.rows, window.Row{Key: key, JSON: s.find(key, known)})
	}
	shown := s.shown(p, ps.rows)
	for i, r := range ps.rows {
		if r.JSON == nil && (p.filled || shown[i]) {
			ps.need = append(ps.need, i)
		}
	}
	return ps
}

// shown returns which of its next rows a window whose rows nobody asked for has to
// show all the same: those that a step inserts, and those that changed.
func (s *stage) shown(p *page, rows []window.Row) []bool {
	shown := make([]bool, len(rows))
	if p.filled || p.state == nil {
		return shown
	}
	for _, c := range window.Diff(p.state.Rows, rows, s.single) {
		if c.Op == window.OpInsert {
			shown[c.Index] = true
		}
	}
	for i, r := range rows {
		if _, changed := s.changed[r.Key]; changed {
			shown[i] = true
		}
	}
	return shown
}

func (s *stage) find(key string, known map[string]json.RawMessage) json.RawMessage {
	if m, ok := s.members[key]; ok && m.json != nil {
		return m.json
	}
	return known[key]
}

// misses reports whether rows must be read.
func (s *stage) misses() bool {
	return slices.ContainsFunc(s.pages, func(ps *pageStage) bool { return len(ps.need) > 0 })
}

// missing adds the keys whose rows must be read.
func (s *stage) missing(keys map[string]struct{}) {
	for _, ps := range s.pages {
		for _, i := range ps.need {
			keys[ps.rows[i].Key] = struct{}{}
		}
	}
}

// cache returns all rows of a view that is recomputed; nil of any other.
func (s *stage) cache(v *view) map[string]json.RawMessage {
	if s.joined {
		return s.rows
	}
	return v.rows
}

// fill gives the windows the rows that were read; it reports whether none is missing.
func (s *stage) fill(found map[string]json.RawMessage) bool {
	for _, ps := range s.pages {
		for _, i := range ps.need {
			json, ok := found[ps.rows[i].Key]
			if !ok {
				return false
			}
			ps.rows[i].JSON = json
		}
	}
	return true
}

// same reports whether two windows show the same rows.
func same(a, b []window.Row) bool {
	return slices.EqualFunc(a, b, func(x, y window.Row) bool {
		return x.Key == y.Key && bytes.Equal(x.JSON, y.JSON)
	})
}
