package view

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// list is one list definition with its views: the standard one, which shows the list as it is defined and lives as long
// as the list, and those that subscribers have chosen. Everything below the line is owned by the feed goroutine;
// subscriptions reach it through [listen.Feed.Do].
type list struct {
	engine *Engine
	def    *binding.ListDef
	table  string // as the feed names it
	log    *slog.Logger
	rules  atomic.Pointer[choice.Rules] // what is allowed, by the table as it was last seen
	// relation is the table as it is, for the loads to use; nil if it is not known. The feed goroutine forgets it when the
	// table has changed, and then gives up each load that may have used it.
	relation atomic.Pointer[relation]

	// ------------------------------------------------
	views    map[string]*view
	standard *view
	reading  *reading                   // of the changed rows for the views that take part; nil if that has changed
	keys     []string                   // that the log names in the drain under way
	taking   []*view                    // the views that take part in the drain under way
	rows     map[string]json.RawMessage // read for windows in the drain under way
	skipped  bool                       // in the drain under way
	sequence uint64                     // of the last drain whose changes the views have
	advised  map[string]struct{}        // orders that an index was looked for
	searched bool                       // an index for the search was looked for
}

func newList(e *Engine, def *binding.ListDef) *list {
	return &list{engine: e, def: def, table: feedName(def.Table), log: e.log.With("list", def.Name)}
}

// reset forgets all that an earlier run of the feed has left.
func (l *list) reset() {
	l.relation.Store(nil)
	l.reading, l.keys, l.taking = nil, nil, nil
	l.sequence, l.skipped = 0, false
	l.advised, l.searched = map[string]struct{}{}, false
	c, err := l.rules.Load().Resolve(window.Choice{})
	if err != nil {
		panic(err) // choosing nothing is allowed
	}
	l.standard = newView(l, c, window.Choice{})
	l.views = map[string]*view{c.Key(): l.standard}
}

// sequenceOf is the sequence in a revision that the list has given; 0 if it has not.
func (l *list) sequenceOf(rev string) uint64 {
	epoch, text, _ := strings.Cut(rev, ".")
	sequence, err := strconv.ParseUint(text, 10, 64)
	if err != nil || epoch != l.engine.epoch || sequence > l.sequence {
		return 0
	}
	return sequence
}

// serve answers a subscription's get as soon as it can.
func (l *list) serve(s *subscription) {
	c, err := l.rules.Load().Resolve(s.want.Choice)
	if err != nil {
		s.fail(err)
		return
	}
	known := l.views[c.Key()] != nil
	v, err := l.view(c, s.want.Choice)
	if err == nil {
		err = s.hold(v)
		if err != nil && !known {
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

// view returns the view of a choice, which it makes if there is none.
func (l *list) view(c *choice.Choice, asked window.Choice) (*view, error) {
	if v := l.views[c.Key()]; v != nil {
		return v, nil
	}
	if l.engine.chosen() >= l.engine.config.Views && !l.engine.evict() {
		return nil, errTooManyViews
	}
	v := newView(l, c, asked)
	l.views[c.Key()] = v
	v.reload()
	return v, nil
}

// drop lets a view go.
func (l *list) drop(v *view) {
	if v.load != nil {
		v.load.stop()
		v.load = nil
	}
	delete(l.views, v.choice.Key())
	v.stage, l.reading = nil, nil
	for p := range v.pages {
		v.forget(p)
	}
}

// begin finds out which views take part in a drain.
func (l *list) begin(d *listen.Drain) {
	c, skipped := d.Tables[l.table], d.Skipped[l.table]
	l.keys, l.taking, l.skipped = nil, nil, skipped != nil
	if c != nil && (c.All || c.Missing != nil) {
		l.relation.Store(nil)
		l.reading = nil
	}
	if c != nil && skipped == nil {
		l.keys = joinKeys(c.Keys)
	}
	if c != nil && c.All {
		l.thin()
	}
	for _, v := range l.views {
		v.begin(c, skipped)
		if !v.takes() {
			continue
		}
		l.taking = append(l.taking, v)
		if v.joins() {
			l.reading = nil // it does not know of the view
		}
	}
}

// thin lets the views go that nobody watches, when all would have to be loaded again.
func (l *list) thin() {
	for _, v := range l.views {
		if !v.standard() && !v.watched() {
			l.drop(v)
		}
	}
}

// changed returns the keys of rows that may differ for some view that takes part.
func (l *list) changed() []string {
	keys := map[string]struct{}{}
	for _, v := range l.taking {
		if v.joins() {
			for _, k := range v.stage.keys {
				keys[k] = struct{}{}
			}
		}
	}
	if len(keys) == 0 {
		return l.keys
	}
	for _, k := range l.keys {
		keys[k] = struct{}{}
	}
	return slices.Collect(maps.Keys(keys))
}

// read returns how to read the changed rows.
func (l *list) read() *reading {
	if l.reading == nil {
		plans := make([]*plan, len(l.taking))
		for i, v := range l.taking {
			plans[i] = v.taking()
		}
		l.reading = newReading(plans)
	}
	return l.reading
}

// found hands the changed rows that exist to the views.
func (l *list) found(keys []string, rows []*changedRow) error {
	joins := slices.ContainsFunc(l.taking, (*view).joins)
	var all map[string]struct{}
	if joins {
		all = setOf(keys)
	}
	var errs []error
	for _, v := range l.taking {
		named, concerned := v.named(), rows
		if joins { // each has keys of its own
			concerned = concerning(rows, all, setOf(named))
		}
		errs = append(errs, v.failOn(v.found(named, concerned)))
	}
	return errors.Join(errs...)
}

func setOf(keys []string) map[string]struct{} {
	set := make(map[string]struct{}, len(keys))
	for _, k := range keys {
		set[k] = struct{}{}
	}
	return set
}

// concerning returns the rows, of all that were read, that are among the keys of one view: a row whose key is one of
// them, or is another spelling of one, since it is none of those that were asked for.
func concerning(rows []*changedRow, all, keys map[string]struct{}) (concerned []*changedRow) {
	for _, row := range rows {
		_, asked := all[row.key]
		if _, own := keys[row.key]; own || !asked {
			concerned = append(concerned, row)
		}
	}
	return concerned
}

// watched reports whether somebody looks at one of the views that take part.
func (l *list) watched() bool {
	return slices.ContainsFunc(l.taking, func(v *view) bool { return len(v.pages) > 0 })
}

// failOn marks the views that take part as ones that cannot be read, if the error is of the list itself.
func (l *list) failOn(err error) error {
	result := err
	for _, v := range slices.Clone(l.taking) {
		result = v.failOn(err)
	}
	return result
}
