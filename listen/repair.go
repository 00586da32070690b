package listen

import (
	"context"
	"slices"
	"strings"
	"time"
)

// repair is the state of repairing triggers. The feed goroutine owns it.
type repair struct {
	running  bool
	next     time.Time // not before
	wait     time.Duration
	reported string // what was logged last
}

// checkTriggers reports tables that lack triggers, and has them repaired. Of a table that was altered the triggers are
// seen to as well, since what it needs may have changed with it.
func (f *Feed) checkTriggers() {
	var lacking []*table
	var relations []string
	for _, t := range f.tables.list {
		relations = append(relations, t.print.uncovered...)
		if t.missing == nil && (t.altered || len(t.print.uncovered) > 0 || t.misfit()) {
			lacking = append(lacking, t)
		}
		f.reportMisfit(t)
	}
	slices.Sort(relations)
	if all := strings.Join(relations, ", "); all != f.repair.reported {
		f.repair.reported = all
		f.status.setUntracked(relations)
		f.reportTriggers(all)
	}
	if len(lacking) > 0 {
		f.startRepair(lacking)
	}
}

// misfit reports whether the triggers are there and do not log all columns that they should.
func (t *table) misfit() bool {
	return t.known && t.missing == nil && len(t.print.uncovered) == 0 && !t.layout.ok
}

// reportMisfit says it once. The feed is ready all the same, since nothing goes unnoticed.
func (f *Feed) reportMisfit(t *table) {
	misfit := t.misfit()
	if misfit && !t.misfits {
		f.config.Log.Warn("the triggers of a table do not log all columns that are wanted: it is read again at each change",
			"table", t.Name, "wanted", t.Logged, "logged", t.print.logged, "repair", f.config.Repair != nil)
	}
	t.misfits = misfit
}

func (f *Feed) reportTriggers(relations string) {
	if relations == "" {
		f.config.Log.Info("all triggers are in place again")
		return
	}
	f.config.Log.Error("triggers are missing: changes of these tables go unnoticed",
		"tables", relations, "repair", f.config.Repair != nil)
}

// startRepair calls Repair in the background, one call at a time and with growing pauses between calls.
func (f *Feed) startRepair(lacking []*table) {
	now := time.Now()
	r := &f.repair
	if f.config.Repair == nil || r.running || now.Before(r.next) {
		return
	}
	if now.Sub(r.next) > longestRepairWait {
		r.wait = 0
	}
	r.running = true
	r.wait = min(max(2*r.wait, f.config.tuning.second), longestRepairWait)
	r.next = now.Add(r.wait)
	tables := make([]Table, len(lacking))
	for i, t := range lacking {
		tables[i] = t.repaired()
		t.altered = false
	}
	f.work.Go(func() {
		ctx, cancel := f.status.during(context.Background())
		defer cancel()
		err := f.config.Repair(ctx, tables)
		f.Do(func() { f.repaired(err) })
	})
}

// longestRepairWait is the longest pause between two calls of Repair.
const longestRepairWait = time.Minute

// repaired looks at the triggers again. That they are there shows by the fingerprint, and the table is read again.
func (f *Feed) repaired(err error) {
	f.repair.running = false
	f.tables.fresh = true
	if err != nil {
		f.config.Log.Error("triggers could not be installed", "error", err)
	}
}
