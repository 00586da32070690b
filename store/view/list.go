package view

import (
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// list is one list definition with its views: one for each choice that somebody watches, and of a list that shows
// everybody the same also the standard one, which shows it as it is defined and lives as long as the list. Everything below
// the line is owned by the feed goroutine; subscriptions reach it through [listen.Feed.Do].
type list struct {
	engine *Engine
	def    *binding.ListDef
	role   *role    // under which it is read; nil is the server's own
	tables []string // that it depends on, as the feed names them; the first is blamed for what is none's
	log    *slog.Logger
	rules  atomic.Pointer[choice.Rules] // what is allowed, by the table as it was last seen
	// relation is the table as it is, for the loads to use; nil if it is not known. The feed goroutine forgets it when the
	// table has changed, and then gives up each load that may have used it.
	relation atomic.Pointer[relation]

	// ------------------------------------------------
	views    map[string]*view
	standard *view             // nil if what subscribers see depends on their identity
	groups   map[string]*group // of the views that follow the changes, by session
	batch    loadQueue
	shown    int                 // windows of all views
	waiters  map[*view]struct{}  // views where gets may wait
	stands   map[*view]struct{}  // views of which some subscribers know that they stand still
	sequence uint64              // of the last drain whose changes the views have
	owed     map[string]*delta   // changes that were handed over while the list was skipped, by table
	advised  map[string]struct{} // what an index was looked for

	drain   drainOf // what the drain under way means for the list
	joining []*view // in the drain under way
	staged  []*view // in the drain under way
}

// drainOf is what one drain means for a list.
type drainOf struct {
	skipped error             // a table cannot be read
	all     bool              // any row may have changed
	changes map[string]*delta // by table
	since   map[string]*delta // what has changed since the loads that join
	noted   any               // the token of the last of them for which that is noted
	keys    []string          // of rows that may differ
	late    []string          // of rows that may differ for those that join, and are not among keys
}

func newList(e *Engine, def *binding.ListDef) *list {
	return &list{engine: e, def: def, role: newRole(def.Role, def.Settings), tables: feedNames(def.ReadTables()), log: e.log.With("list", def.Name)}
}

// reset forgets all that an earlier run of the feed has left.
func (l *list) reset() {
	l.relation.Store(nil)
	l.views, l.groups = map[string]*view{}, map[string]*group{}
	l.waiters, l.stands = map[*view]struct{}{}, map[*view]struct{}{}
	l.batch, l.shown, l.sequence, l.owed = loadQueue{}, 0, 0, nil
	l.drain, l.joining, l.staged = drainOf{}, nil, nil
	l.advised = map[string]struct{}{}
	l.standard = nil
	rules := l.rules.Load()
	if rules.Owned() {
		return
	}
	c, err := rules.Resolve(window.Choice{}, nil)
	if err != nil {
		panic(err) // choosing nothing is allowed
	}
	l.standard = newView(l, c, window.Choice{}, nil)
	l.views[c.Key()] = l.standard
}

// sequenceOf is the sequence in a revision that the list has given; 0 if it has not.
func (l *list) sequenceOf(rev string) uint64 {
	epoch, text, _ := strings.Cut(rev, ".")
	sequence, err := strconv.ParseUint(text, 10, 64)
	if err != nil || !strings.HasPrefix(epoch, l.engine.epoch) || sequence > l.sequence {
		return 0
	}
	return sequence
}

// serve answers a subscription's get as soon as it can.
func (l *list) serve(s *subscription) {
	v, isNew, err := l.find(s.want.Choice, s.options.Identity)
	if err == nil {
		if err = s.hold(v); err != nil && isNew {
			l.drop(v)
		}
	}
	if err != nil {
		s.fail(err)
		return
	}
	v.serve(s)
}

var errTooManyViews = window.Refusal("too many choices are open on this server; try again later")

// find returns the view of a choice, which it makes if there is none.
func (l *list) find(asked window.Choice, id window.Identity) (v *view, isNew bool, err error) {
	c, err := l.rules.Load().Resolve(asked, id)
	if err != nil {
		return nil, false, err
	}
	if v := l.views[c.Key()]; v != nil {
		return v, false, nil
	}
	k := &l.engine.keeper
	if !c.IsDefault() && k.chosen >= l.engine.config.Views && !k.evict(func(v *view) bool { return !v.choice.IsDefault() }) {
		return nil, false, errTooManyViews
	}
	v = newView(l, c, asked, id)
	l.views[c.Key()] = v
	k.add(v)
	v.reload()
	return v, true, nil
}

// drop lets a view go.
func (l *list) drop(v *view) {
	if v.load != nil {
		v.load.stop()
		v.load = nil
	}
	v.exit()
	delete(l.views, v.key)
	v.stage = nil
	for p := range v.pages.all() {
		v.forget(p)
	}
	delete(l.waiters, v)
	delete(l.stands, v)
	l.engine.keeper.remove(v)
}

// begin finds out what a drain means for the list, of which the loads that are complete have joined.
func (l *list) begin(d *listen.Drain) {
	if err := l.lacking(d); err != nil {
		l.lack(err)
		return
	}
	if l.drain.skipped != nil {
		l.doubt(d)
		for v := range l.waiters {
			v.failWaiting()
		}
		return
	}
	if l.drain.all = l.isAll(); l.drain.all {
		l.readAgain()
		return
	}
	if l.def.Recompute > 0 {
		l.outdate()
	}
	for v := range l.waiters {
		v.show()
	}
}

// readAgain has all views loaded again, but for those whose load joins, which knows what has changed since.
func (l *list) readAgain() {
	l.relation.Store(nil)
	l.thin()
	for _, v := range l.views {
		if v.stage == nil {
			v.restart() // what a load has read by now may be worthless
		}
	}
	for _, v := range l.joining {
		if v.stage != nil { // its group may have known the tables as they were
			v.exit()
			l.enter(v, v.stage.plan)
		}
	}
}

// doubt gives up what is known of a table that may have been altered while another one is skipped, and the loads that may
// have used it. The views are read again when all tables can be read.
func (l *list) doubt(d *listen.Drain) {
	for _, t := range l.tables {
		if c := d.Tables[t]; c == nil || !c.All {
			continue
		}
		l.relation.Store(nil)
		for _, v := range l.views {
			if v.load != nil {
				v.restart()
			}
		}
		return
	}
}

// lacking returns what of the tables is not there, as the drain says for the first time.
func (l *list) lacking(d *listen.Drain) error {
	for _, t := range l.tables {
		if c := d.Tables[t]; c != nil && c.Missing != nil {
			return c.Missing
		}
	}
	return nil
}

// lack marks all views as ones that cannot be read.
func (l *list) lack(why error) {
	l.relation.Store(nil)
	l.owed = nil
	for _, v := range l.views {
		v.fail(why)
		if v.stage != nil || v.load == nil {
			v.restart()
		}
	}
}

// thin lets the views go that nobody watches, when all would have to be loaded again.
func (l *list) thin() {
	for _, v := range l.views {
		if v != l.standard && !v.watched() {
			l.drop(v)
		}
	}
}

// follows reports whether some view takes part in the drain under way.
func (l *list) follows() bool { return len(l.groups) > 0 }

// outdate has the views of a list that is recomputed read again, if a table has changed.
func (l *list) outdate() {
	if len(l.drain.changes) == 0 {
		return
	}
	l.drain.changes = nil
	for _, v := range l.views {
		v.outdate()
	}
}

// outdate notes that the view is not what the tables say any more.
func (v *view) outdate() {
	if v.tree == nil && v.load == nil {
		return
	}
	v.outdated = true
	v.recompute()
}

// recompute has a view that is outdated read again, if somebody watches it, but not before the interval since the last time
// is over, nor before a load that is under way has joined: where loads take longer than the interval none would ever.
func (v *view) recompute() {
	if !v.outdated || v.due || !v.watched() || v.load != nil {
		return
	}
	v.due = true
	v.engine.later(v.begun+v.list.def.Recompute-v.engine.clock(), func() {
		v.due = false
		if v.outdated && v.watched() && v.load == nil && v.list.views[v.key] == v {
			v.restart()
		}
	})
}
