package listen

import (
	"context"
	"errors"
	"time"
)

const pruneSQL = "select socksync.prune($1::pg_catalog.pg_snapshot)"

// history has the positions of the last seconds, about one for each, so that pruning can stay behind: other feeds on the
// database read later or earlier than this one, and one that finds the log pruned beyond its position has to read
// everything again. The feed goroutine owns it.
type history struct {
	entries []entry
	started bool
	dirty   bool // rows were read that have not been pruned
}

type entry struct {
	snapshot Snapshot
	at       time.Time
	rows     int // read to get there from the entry before
}

// add notes a position and how many rows were read to get there. Spacing is the time between two entries.
func (h *history) add(s Snapshot, rows int, now time.Time, spacing time.Duration) {
	if !h.started {
		h.started, rows = true, rows+1 // what was in the log before
	}
	n := len(h.entries)
	if n > 0 && now.Sub(h.entries[n-1].at) < spacing {
		h.entries[n-1].snapshot = s
		h.entries[n-1].rows += rows
		return
	}
	h.entries = append(h.entries, entry{s, now, rows})
}

// mark returns the last position that is old enough to prune up to, if that is worth while. An entry has positions of up
// to a spacing after its time.
func (h *history) mark(now time.Time, lag, spacing time.Duration) (mark Snapshot, ok bool) {
	for len(h.entries) > 0 && now.Sub(h.entries[0].at) >= lag+spacing {
		h.dirty = h.dirty || h.entries[0].rows > 0
		mark = h.entries[0].snapshot
		h.entries = h.entries[1:]
	}
	return mark, h.dirty && !mark.IsZero()
}

// offerMark has the pruner prune, if it is not busy.
func (f *Feed) offerMark(now time.Time) {
	mark, ok := f.history.mark(now, f.config.tuning.pruneLag, f.config.tuning.second)
	if !ok {
		return
	}
	select {
	case f.marks <- mark:
		f.history.dirty = false
	default:
	}
}

// prune is the pruner's goroutine. It uses the pool, so that deleting many rows does not hold the feed up.
func (f *Feed) prune(ctx context.Context) {
	for {
		select {
		case mark := <-f.marks:
			f.pruneTo(ctx, mark)
		case <-ctx.Done():
			return
		}
	}
}

// pruneTo deletes what every reader at the mark has read. If a load is in progress somewhere, a later mark will do it.
func (f *Feed) pruneTo(ctx context.Context, mark Snapshot) {
	ctx, cancel := context.WithTimeout(ctx, f.config.StatementTimeout)
	defer cancel()
	var deleted *int64
	err := f.config.Pool.QueryRow(ctx, pruneSQL, mark.String()).Scan(&deleted)
	if err != nil && !errors.Is(err, context.Canceled) {
		f.config.Log.Warn("the change log could not be pruned", "error", err)
	}
	if err != nil || deleted == nil {
		f.Do(func() { f.history.dirty = true })
		return
	}
	if hook := f.config.tuning.hooks.pruned; hook != nil {
		hook(*deleted)
	}
}
