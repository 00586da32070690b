package view

import (
	"slices"

	"github.com/socksync/socksync/listen"
)

// delta is what is known of the changes of one table, of several drains and loads together. Keys may come twice.
type delta = listen.Change

// mostOwed is how many keys of a table a list that cannot be read is owed at most; with more it is read again.
const mostOwed = 250_000

// size is how much is known.
func size(c *delta) int {
	if c == nil {
		return 0
	}
	return len(c.Keys) + len(c.Logged)
}

// collectChange adds a change of a table to others.
func collectChange(changes map[string]*delta, table string, c *listen.Change) {
	if c == nil {
		return
	}
	have := changes[table]
	if have == nil { // mostly the only one; the clipped slices are copied before anything is added
		changes[table] = &delta{All: c.All, Keys: slices.Clip(c.Keys), Logged: slices.Clip(c.Logged)}
		return
	}
	have.All = have.All || c.All
	have.Keys = append(have.Keys, c.Keys...)
	have.Logged = append(have.Logged, c.Logged...)
	if size(have) > mostOwed {
		have.All = true
	}
	if have.All {
		have.Keys, have.Logged = nil, nil
	}
}

// keysIn is how many keys a change has; it may be nil.
func keysIn(c *delta) int {
	if c == nil {
		return 0
	}
	return len(c.Keys) + len(c.Logged)
}

// take notes what the drain says of the tables, together with what the list is owed.
func (l *list) take(d *listen.Drain) {
	l.drain = drainOf{changes: map[string]*delta{}, since: map[string]*delta{}}
	l.joining, l.staged = nil, nil
	for _, t := range l.tables {
		if err := d.Skipped[t]; err != nil {
			l.drain.skipped = err
		}
		collectChange(l.drain.changes, t, l.owed[t])
		collectChange(l.drain.changes, t, d.Tables[t])
	}
}

// isAll reports whether any row may have changed.
func (l *list) isAll() bool {
	for _, c := range l.drain.changes {
		if c.All {
			return true
		}
	}
	return false
}

// owe keeps, when a drain is committed, what a list that was skipped has not taken.
func (l *list) owe() {
	l.owed = nil
	if l.drain.skipped != nil && len(l.drain.changes) > 0 {
		l.owed = l.drain.changes
		l.engine.catchUp()
	}
}

// catchUp has a drain come after a while although nothing may change: the table that was skipped may have no changes of its
// own that would bring one when it can be read again.
func (e *Engine) catchUp() {
	if e.catches {
		return
	}
	e.catches = true
	e.later(e.config.Retry, func() {
		e.catches = false
		e.feed.Kick()
	})
}
