package view

import (
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/ranktree"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// view is one choice of a list: its rows in their order, and its watched windows. It is owned by the feed goroutine.
type view struct {
	list   *list
	engine *Engine
	log    *slog.Logger
	choice *choice.Choice // what was asked for; plan has it settled
	asked  window.Choice  // as it came, to be held against the table again when that has changed

	plan     *plan
	tree     *ranktree.Tree // nil until the first load has joined
	err      error          // why the view cannot be read now
	load     *loaded        // the load that is under way; changes wait for it
	encode   bool           // false once Go's order was seen to differ from Postgres's
	frozen   uint64         // sequence at which the view stands while it is loaded again; 0 otherwise
	pages    map[*page]struct{}
	places   map[place]*page            // the page for a place, for those who ask for one
	waiting  int                        // gets that wait for rows of a page
	homeless map[*subscription]struct{} // gets that wait for the first load
	stage    *stage                     // between Drain and Commit or Abort
	kept     map[keptAt]*keptState      // earlier states of pages
	past     *past                      // of the engine's run
	stands   bool                       // some subscribers know that their windows stand still
	idle     time.Time                  // since when nobody is here
}

func newView(l *list, c *choice.Choice, asked window.Choice) *view {
	v := &view{
		list: l, engine: l.engine, log: l.log, choice: c, asked: asked, encode: true,
		pages: map[*page]struct{}{}, places: map[place]*page{}, homeless: map[*subscription]struct{}{},
		kept: map[keptAt]*keptState{}, past: l.engine.past, idle: time.Now(),
	}
	if !c.IsDefault() {
		v.log = l.log.With("choice", c.Key())
	}
	return v
}

// standard reports whether the view shows the list as it is defined.
func (v *view) standard() bool { return v.list.standard == v }

// sequence is that of the drain whose snapshot the view's rows are from.
func (v *view) sequence() uint64 {
	if v.frozen != 0 {
		return v.frozen
	}
	return v.list.sequence
}

// rev names the state in which the view's rows are now.
func (v *view) rev() string { return v.engine.epoch + "." + strconv.FormatUint(v.sequence(), 10) }

// freeze notes that the view stands still at a sequence while the others go on.
func (v *view) freeze(sequence uint64) {
	if v.tree != nil && v.frozen == 0 {
		v.frozen = sequence
	}
}

// serve answers a subscription's get as soon as it can: at once from a filled
// window, otherwise after the next drain or load.
func (v *view) serve(s *subscription) {
	switch {
	case v.err != nil, v.isBefore(s) && v.engine.away():
		s.fail(v.unreadable())
	case v.isBefore(s):
		v.homeless[s] = struct{}{}
	default:
		v.open(s)
	}
}

// isBefore reports whether the view has still to be brought up to what a subscriber has seen.
func (v *view) isBefore(s *subscription) bool { return v.tree == nil || s.seen > v.sequence() }

// open takes a subscription to the window that it wants.
func (v *view) open(s *subscription) {
	at, err := v.place(s)
	if err != nil {
		s.fail(err)
		return
	}
	if s.resume(v, at) {
		return
	}
	at, found := v.locate(s, at)
	if !found {
		return // it has been answered, or will be
	}
	p := v.page(at)
	p.filled = true
	if p.state.Filled() {
		s.arrive(p)
		return
	}
	if v.engine.away() {
		s.fail(v.unreadable())
		v.release(p)
		return
	}
	p.waiting[s] = struct{}{}
	s.next = p
	v.waiting++
	v.engine.feed.Kick()
}

// unreadable is what a subscriber is told while the list cannot be read.
func (v *view) unreadable() error {
	return window.Refusal("the list cannot be read now")
}

// fail marks the view as one that cannot be read; gets that wait are answered by
// an error, windows stand still.
func (v *view) fail(err error) {
	if v.err == nil {
		v.log.Error("list cannot be read; it is tried again", "error", err)
	}
	v.err = err
	v.failWaiting()
	v.still()
}

func (v *view) failWaiting() { v.refuse(v.unreadable()) }

// refuse answers the gets that wait by an error.
func (v *view) refuse(err error) {
	for s := range v.homeless {
		delete(v.homeless, s)
		s.fail(err)
	}
	if v.waiting == 0 {
		return
	}
	for p := range v.pages {
		for s := range p.waiting {
			s.fail(err)
		}
	}
}

// failOn marks the view if the error is of the view itself. A lock that is held only
// keeps the table's keys for later, a lost connection keeps everything.
func (v *view) failOn(err error) error {
	if err == nil {
		return nil
	}
	if listen.IsLockTimeout(err) {
		return &listen.TableError{Table: v.list.table, Err: err}
	}
	if isOfList(err) {
		v.encode = v.encode && !errors.Is(err, errTextFormat)
		v.fail(err)
		if v.stage != nil {
			v.stage.undo()
		}
		v.restart()
	}
	return err
}

// isOfList reports whether an error would come again with every drain that reads the
// list: the database refuses the statement, or the rows are not what the plan knows, as
// after ALTER TABLE.
func isOfList(err error) bool {
	return refused(err) || isUnencodable(err) || errors.Is(err, errDuplicate)
}
