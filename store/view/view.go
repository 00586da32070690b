package view

import (
	chain "container/list"
	"encoding/json"
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
	key    string         // of the choice
	choice *choice.Choice // what was asked for; settled since the first load
	asked  *window.Choice // as it came, to be held against the table again when that has changed; nil for none
	owner  window.Identity

	plan     *plan
	tree     *ranktree.Tree             // nil until the first load has joined
	rows     map[string]json.RawMessage // all of them, of a view that is recomputed
	outdated bool                       // it is to be recomputed
	due      bool                       // it will be, when its time has come
	asleep   bool                       // it was outdated while nobody watched: who comes waits until it has been recomputed
	begun    time.Duration              // when the last load began, by the engine's clock
	err      error                      // why the view cannot be read now
	load     *loaded                    // the load that is under way; changes wait for it
	encode   bool                       // false once Go's order was seen to differ from Postgres's
	frozen   uint64                     // sequence at which the view stands while it is loaded again; 0 otherwise
	pages    few[*page]
	places   map[place]*page       // the page for a place, for those who ask for one; nil while there is one page at most
	waiting  int                   // gets that wait for rows of a page
	homeless few[*subscription]    // gets that wait for the first load
	stage    *stage                // between Drain and Commit or Abort
	kept     map[keptAt]*keptState // earlier states of pages
	past     *past                 // of the engine's run

	// How the changed rows are read, while the view follows them.
	group   *group // nil while it does not
	read    *plan
	bucket  *bucket
	indexed bool // the bucket's family knows its rows

	// For the keeper.
	users   int            // who look at it or wait for it
	counted int            // rows
	resting *chain.Element // among those that nobody watches
	idle    time.Duration  // since when, by the engine's clock
}

func newView(l *list, c *choice.Choice, asked window.Choice, owner window.Identity) *view {
	var chosen *window.Choice
	if !c.IsDefault() {
		chosen = &asked
	}
	return &view{
		list: l, engine: l.engine, key: c.Key(), choice: c, asked: chosen, owner: owner, encode: true,
		past: l.engine.past,
	}
}

// log is where to tell of the view.
func (v *view) log() *slog.Logger {
	if v.key == "" {
		return v.list.log
	}
	return v.list.log.With("choice", v.key)
}

// permanent reports whether the view is there also if nobody watches it: it shows everybody the list as it is defined.
func (v *view) permanent() bool { return v.list.standard == v }

// sequence is that of the drain whose snapshot the view's rows are from.
func (v *view) sequence() uint64 {
	if v.frozen != 0 {
		return v.frozen
	}
	return v.list.sequence
}

// rev names the state in which the view's rows are now. What depends on the identity has an epoch for each: who comes back as
// somebody else is not to be told how to go on.
func (v *view) rev() string {
	return v.engine.epoch + v.choice.Owner() + "." + strconv.FormatUint(v.sequence(), 10)
}

// freeze notes that the view stands still at a sequence while the others go on.
func (v *view) freeze(sequence uint64) {
	if v.tree != nil && v.frozen == 0 {
		v.frozen = sequence
	}
}

// serve answers a subscription's get as soon as it can: at once from a filled
// window, otherwise after the next drain or load.
func (v *view) serve(s *subscription) {
	if v.outdated && !v.watched() && v.load == nil {
		v.asleep = true
		v.restart()
	}
	switch {
	case v.err != nil, v.isBefore(s) && v.engine.away():
		s.fail(v.unreadable())
	case v.isBefore(s):
		v.await(s)
	default:
		v.open(s)
	}
}

// await has a subscription wait for the load.
func (v *view) await(s *subscription) {
	s.homeless = v
	v.list.waiters[v] = struct{}{}
	if v.homeless.add(s) {
		v.join()
	}
}

// isBefore reports whether the view has still to be brought up to what a subscriber has seen.
func (v *view) isBefore(s *subscription) bool {
	return v.tree == nil || v.asleep || s.seen > v.sequence()
}

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
	p.await(s)
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
		v.log().Error("list cannot be read; it is tried again", "error", err)
	}
	v.err = err
	v.failWaiting()
	v.still()
}

func (v *view) failWaiting() { v.refuse(v.unreadable()) }

// refuse answers the gets that wait by an error.
func (v *view) refuse(err error) {
	for s := range v.homeless.all() {
		v.unqueue(s)
		s.fail(err)
	}
	if v.waiting == 0 {
		return
	}
	for p := range v.pages.all() {
		for s := range p.waiting.all() {
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
		return &listen.TableError{Table: v.list.tables[0], Err: err}
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
