package listen

import (
	"slices"
	"time"
)

// tables is what the feed knows of the watched tables. The feed goroutine owns it.
type tables struct {
	list       []*table
	byName     map[string]*table
	byRelation map[int64][]*table // two names may resolve to one relation
	fresh      bool               // a table was added or asked for anew, of which the print is not known
}

// table is a watched table.
type table struct {
	Table
	print   fingerprint
	known   bool // print was read
	layout  layout
	pending delta // what the Drainer has not been told yet
	// floor is the snapshot of the last drain that had everything read again, for a reason that may not show in the log.
	// A load that began before it is worthless.
	floor   Snapshot
	missing error // what lacks now
	told    bool  // the Drainer knows of missing
	altered bool  // since its triggers were last seen to
	misfits bool  // it was said that the triggers do not log what is wanted
	blocked *blocked
}

// blocked says that a table could not be read.
type blocked struct {
	err     error
	retry   time.Time     // try again then
	early   time.Time     // try again from then on if it has changed
	spacing time.Duration // between two tries
}

// reset forgets everything but which tables there are.
func (ts *tables) reset() {
	for i, t := range ts.list {
		ts.list[i] = &table{Table: t.Table}
		ts.byName[t.Name] = ts.list[i]
	}
	ts.byRelation = nil
	ts.fresh = true
}

// watch adds a table, or columns to one.
func (ts *tables) watch(w Table) {
	ts.fresh = true
	if t := ts.byName[w.Name]; t != nil {
		t.extend(&w)
		return
	}
	if ts.byName == nil {
		ts.byName = make(map[string]*table)
	}
	t := &table{Table: w}
	ts.list = append(ts.list, t)
	ts.byName[w.Name] = t
}

// extend adds what another definition of the table needs. The changes known so far lack it, so that the table is read
// again.
func (t *table) extend(w *Table) {
	if len(t.Key) == 0 {
		t.Key = w.Key
	}
	t.Columns = append(t.Columns, w.Columns...)
	for _, column := range w.Logged {
		if !slices.Contains(t.Logged, column) {
			t.Logged = append(t.Logged, column)
		}
	}
	t.known = false
}

func (ts *tables) listNames() []string {
	names := make([]string, len(ts.list))
	for i, t := range ts.list {
		names[i] = t.Name
	}
	return names
}

// update takes new prints, in the order of the list, and returns the tables that differ from what was known. Those are
// to be read again.
func (ts *tables) update(prints []fingerprint) (changed []*table) {
	for i, t := range ts.list {
		if t.known && t.print.hash == prints[i].hash {
			continue
		}
		t.altered = t.altered || t.print.hash != ""
		t.print, t.known = prints[i], true
		t.layout = layoutOf(&t.Table, &t.print)
		t.missing, t.told = t.print.lacks(&t.Table), false
		t.pending.addAll()
		changed = append(changed, t)
	}
	ts.fresh = false
	if changed != nil {
		ts.index()
	}
	return changed
}

// index maps the relations to their tables.
func (ts *tables) index() {
	ts.byRelation = make(map[int64][]*table)
	for _, t := range ts.list {
		for _, rel := range t.print.relations {
			ts.byRelation[rel] = append(ts.byRelation[rel], t)
		}
	}
}

// names returns the names of the tables that some relations belong to.
func (ts *tables) names(relations []int64) []string {
	var names []string
	for _, rel := range relations {
		for _, t := range ts.byRelation[rel] {
			if !slices.Contains(names, t.Name) {
				names = append(names, t.Name)
			}
		}
	}
	return names
}

// markAll has a table, if it is watched, read again.
func (ts *tables) markAll(name string) {
	if t := ts.byName[name]; t != nil {
		t.pending.addAll()
		t.told = false
	}
}

// markEverything has all tables read again.
func (ts *tables) markEverything() {
	for _, t := range ts.list {
		ts.markAll(t.Name)
	}
}

// collect sorts rows of the log by table.
type collect struct {
	tables *tables
	limit  int
	rows   int
	deltas map[*table]*delta
}

// add takes one row of the log. Relations that no table has are someone else's, or belong to a partition that was
// attached a moment ago: then the fingerprint at the end of the drain differs, and the table is read again.
func (c *collect) add(relation int64, keys []string, width int) {
	c.rows++
	for _, t := range c.tables.byRelation[relation] {
		d := c.deltas[t]
		if d == nil {
			d = &delta{}
			if c.deltas == nil {
				c.deltas = make(map[*table]*delta)
			}
			c.deltas[t] = d
		}
		d.addRow(keys, width, &t.layout, c.limit)
	}
}
