package view

import (
	"errors"
	"log/slog"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/ranktree"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// list is one live list: a view of a table and its watched windows. Everything
// below the line is owned by the feed goroutine; subscriptions reach it through
// [listen.Feed.Do].
type list struct {
	engine *Engine
	def    *binding.ListDef
	table  string // as the feed names it
	log    *slog.Logger

	// ------------------------------------------------
	plan     *plan
	tree     *ranktree.Tree // nil until the first load has joined
	err      error          // why the list cannot be read now
	load     *loaded        // the load that is under way; changes wait for it
	encode   bool           // false once Go's order was seen to differ from Postgres's
	pages    map[pageOf]*page
	waiting  int                        // gets that wait for rows of a page
	homeless map[*subscription]struct{} // gets that wait for the first load
	stage    *stage                     // between Drain and Commit or Abort
}

// pageOf names a window of a list.
type pageOf struct{ page, size int }

// page is one watched window.
type page struct {
	at    pageOf
	state *window.State // nil until the list is loaded
	// filled says that a subscriber has asked for the rows: from then on the JSON
	// of every row is kept. Before that the window holds keys.
	filled  bool
	subs    map[*subscription]struct{}
	waiting map[*subscription]struct{} // they move here once the state is filled
}

func newList(e *Engine, def *binding.ListDef) *list {
	return &list{engine: e, def: def, table: feedName(def.Table), log: e.log.With("list", def.Name)}
}

// reset forgets all that an earlier run of the feed has left.
func (l *list) reset() {
	l.plan, l.tree, l.err, l.load, l.stage = nil, nil, nil, nil, nil
	l.encode, l.waiting = true, 0
	l.pages, l.homeless = map[pageOf]*page{}, map[*subscription]struct{}{}
}

// page returns the window, which it makes from the tree if nobody watches it yet.
func (l *list) page(at pageOf) *page {
	p, ok := l.pages[at]
	if !ok {
		p = &page{at: at, subs: map[*subscription]struct{}{}, waiting: map[*subscription]struct{}{}}
		if l.tree != nil {
			p.state = l.keysOnly(at)
		}
		l.pages[at] = p
	}
	return p
}

// keysOnly is the present state of a window without any JSON.
func (l *list) keysOnly(at pageOf) *window.State {
	keys := pageKeys(l.tree, at)
	rows := make([]window.Row, len(keys))
	for i, k := range keys {
		rows[i].Key = k
	}
	return l.state(at, l.tree.Len(), rows)
}

func (l *list) state(at pageOf, total int, rows []window.Row) *window.State {
	return &window.State{Name: l.def.Name, Page: at.page, Size: at.size, Total: total, Rows: rows}
}

// pageKeys returns the keys on a page; page numbers may be absurd.
func pageKeys(t *ranktree.Tree, at pageOf) []string {
	if at.page > t.Len()/at.size {
		return nil
	}
	return t.Keys(at.page*at.size, at.size)
}

// release forgets a window that nobody watches.
func (l *list) release(p *page) {
	if len(p.subs) == 0 && len(p.waiting) == 0 && l.pages[p.at] == p {
		delete(l.pages, p.at)
	}
}

// serve answers a subscription's get as soon as it can: at once from a filled
// window, otherwise after the next drain or load.
func (l *list) serve(s *subscription) {
	switch {
	case l.err != nil:
		s.fail(l.unreadable())
	case l.tree == nil && l.engine.away():
		s.fail(l.unreadable())
	case l.tree == nil:
		l.homeless[s] = struct{}{}
	default:
		p := l.page(s.want)
		p.filled = true
		if p.state.Filled() {
			s.arrive(p)
			return
		}
		if l.engine.away() {
			s.fail(l.unreadable())
			l.release(p)
			return
		}
		p.waiting[s] = struct{}{}
		s.next = p
		l.waiting++
		l.engine.feed.Kick()
	}
}

// unreadable is what a subscriber is told while the list cannot be read.
func (l *list) unreadable() error {
	return window.Refusal("the list cannot be read now")
}

// fail marks the list as one that cannot be read; gets that wait are answered by
// an error, windows stand still.
func (l *list) fail(err error) {
	if l.err == nil {
		l.log.Error("list cannot be read; it is tried again", "error", err)
	}
	l.err = err
	l.failWaiting()
}

func (l *list) failWaiting() {
	for s := range l.homeless {
		delete(l.homeless, s)
		s.fail(l.unreadable())
	}
	if l.waiting == 0 {
		return
	}
	for _, p := range l.pages {
		for s := range p.waiting {
			s.fail(l.unreadable())
		}
	}
}

// failOn marks the list if the error is of the list itself. A lock that is held only
// keeps the table's keys for later, a lost connection keeps everything.
func (l *list) failOn(err error) error {
	if err == nil {
		return nil
	}
	if listen.IsLockTimeout(err) {
		return &listen.TableError{Table: l.table, Err: err}
	}
	if isOfList(err) {
		l.encode = l.encode && !errors.Is(err, errTextFormat)
		l.fail(err)
		if l.stage != nil {
			l.stage.undo()
		}
		l.restart()
	}
	return err
}

// isOfList reports whether an error would come again with every drain that reads the
// list: the database refuses the statement, or the rows are not what the plan knows, as
// after ALTER TABLE.
func isOfList(err error) bool {
	return refused(err) || isUnencodable(err) || errors.Is(err, errDuplicate)
}
