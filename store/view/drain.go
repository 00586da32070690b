package view

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/listen"
)

// Drain implements [listen.Drainer].
func (e *Engine) Drain(ctx context.Context, tx pgx.Tx, d *listen.Drain) error {
	e.down = false
	e.join(d)
	for _, l := range e.lists {
		l.begin(d)
	}
	if err := e.readChanged(ctx, tx); err != nil {
		return err
	}
	if err := e.each(func(v *view) error { return v.failOn(v.putInPlace(ctx, tx)) }); err != nil {
		return err
	}
	if err := e.readMissing(ctx, tx); err != nil {
		return err
	}
	for _, v := range e.vars {
		v.drained(d)
	}
	if e.look != nil {
		return e.look(ctx, tx, e.sequence+1)
	}
	return nil
}

// each calls fn for every view until one has an error.
func (e *Engine) each(fn func(*view) error) error {
	for _, l := range e.lists {
		for _, v := range l.views {
			if err := fn(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// join stages the loads that are complete.
func (e *Engine) join(d *listen.Drain) {
	for _, j := range d.Joined {
		load, ok := j.Token.(*loaded)
		if !ok || load != load.view.load {
			continue // given up since
		}
		v := load.view
		c := j.Tables[v.list.table]
		if j.Stale || c != nil && (c.All || c.Missing != nil) {
			v.restart()
			continue
		}
		if load.tree.Len() > e.most(v) { // others were opened meanwhile
			v.refuse(errTooManyRows)
			v.list.drop(v)
			continue
		}
		if !v.standard() {
			e.makeRoom(v, load.tree.Len())
		}
		v.stage = newStage(load.plan, load.tree)
		v.stage.joined = true
		if c != nil {
			v.stage.keys = joinKeys(c.Keys)
		}
	}
}

func joinKeys(keys [][]string) []string {
	joined := make([]string, len(keys))
	for i, k := range keys {
		joined[i] = joinKey(k)
	}
	return joined
}

// begin finds out what a drain means for the view.
func (v *view) begin(c *listen.Change, skipped error) {
	switch {
	case skipped != nil:
		v.failWaiting()
	case c != nil && c.Missing != nil:
		v.fail(c.Missing)
		if v.stage != nil {
			v.restart()
		}
		v.reload()
	case v.stage != nil: // a load joins, with the changes since
	case c != nil && c.All:
		v.restart() // what a load has read by now may be worthless
	case v.isBehind(): // a load will bring everything
	case c != nil && v.tooMany(len(c.Keys)):
		v.restart()
	case v.waiting > 0:
		v.stage = newStage(v.plan, v.tree)
	}
}

// isBehind reports whether the view waits for a load.
func (v *view) isBehind() bool { return v.tree == nil || v.load != nil || v.err != nil }

// joins reports whether a load of the view joins in the drain under way.
func (v *view) joins() bool { return v.stage != nil && v.stage.joined }

// takes reports whether the view takes part in reading what changed.
func (v *view) takes() bool {
	if v.joins() {
		return true
	}
	return !v.list.skipped && !v.isBehind() && len(v.list.keys) > 0
}

// taking is the plan by which a view that takes part has its rows read.
func (v *view) taking() *plan {
	if v.stage != nil {
		return v.stage.plan
	}
	return v.plan
}

// named are the keys that the log names for a view that takes part.
func (v *view) named() []string {
	if v.joins() {
		return v.stage.keys
	}
	return v.list.keys
}

// found takes the changed rows that exist, of the keys that the log names. A view that they do not concern does nothing
// more.
func (v *view) found(keys []string, rows []*changedRow) error {
	plan := v.taking()
	var members map[string]*member
	for _, row := range rows {
		m, err := row.member(plan)
		if err != nil {
			return err
		}
		if m != nil && members[m.key] != nil {
			return errDuplicate
		}
		if m != nil && members == nil {
			members = map[string]*member{}
		}
		if m != nil {
			members[m.key] = m
		}
	}
	if v.stage == nil {
		if len(members) == 0 && !slices.ContainsFunc(keys, v.tree.Has) {
			return nil
		}
		v.stage = newStage(v.plan, v.tree)
	}
	v.stage.keys, v.stage.members = keys, members
	return nil
}

// tooMany reports whether so many rows changed that loading the view again, beside the
// feed, is cheaper than holding the feed up to read them.
func (v *view) tooMany(changed int) bool { return changed > max(20_000, v.tree.Len()/5) }

// errMoved says that loading the list again is cheaper than having Postgres place all
// the rows that moved.
var errMoved = errors.New("many rows moved")

// tooManyMoved is tooMany for rows that Postgres has to place. A load that joins has them
// placed, however many: the next might take as long and miss as many.
func (s *stage) tooManyMoved(moved int) bool {
	return !s.plan.encoded && !s.joined && moved > max(2_000, s.tree.Len()/50)
}

// putInPlace puts the changed rows where they belong, and finds what windows show.
func (v *view) putInPlace(ctx context.Context, tx pgx.Tx) error {
	s := v.stage
	if s == nil {
		return nil
	}
	if len(s.keys) > 0 {
		inserts := s.split(s.keys, v.pages)
		switch {
		case s.plan.encoded:
			s.placeEncoded(inserts)
		case s.tooManyMoved(len(inserts)):
			s.giveUp(errMoved)
			return nil
		default:
			if err := s.placeByPostgres(v.reader(tx, s.plan).inOrder(ctx, tx), inserts); err != nil {
				return s.diverged(err)
			}
		}
		s.moor(inserts)
	}
	if s.joined && v.tree != nil {
		s.remoor(v)
	}
	s.show(v.pages)
	return nil
}

// diverged has the list loaded again once the transaction has ended well. Until
// then it may be that a table was rewritten under the snapshot, which then shows no
// rows; the feed finds that out and repeats the drain.
func (s *stage) diverged(err error) error {
	if errors.Is(err, errDiverged) {
		s.giveUp(err)
		return nil
	}
	return err
}

// giveUp has the list loaded again; windows stand still until then.
func (s *stage) giveUp(why error) { s.again, s.pages = why, nil }

func (v *view) reader(tx pgx.Tx, p *plan) *reader {
	return &reader{relation: p.relation, plan: p, types: tx.Conn().TypeMap(), report: v.list.unreadableRow}
}

func (l *list) unreadableRow(key []string, err error) {
	l.engine.unreadable.Add(1)
	l.log.Error("row cannot be published; only its key is", "key", key, "error", err)
}

// Commit implements [listen.Drainer]: what was staged is the present now.
func (e *Engine) Commit() {
	e.sequence++
	for _, l := range e.lists {
		l.commit()
	}
	for _, v := range e.vars {
		v.commit()
	}
}

// commit moves the views of a list on. Those that wait for a load stay where they are.
func (l *list) commit() {
	if !l.skipped {
		for _, v := range l.views {
			if v.isBehind() || v.stage != nil && v.stage.again != nil {
				v.freeze(l.sequence)
			}
		}
		l.sequence = l.engine.sequence
	}
	for _, v := range l.views {
		if v.stage != nil {
			v.commit()
		}
		v.resume()
	}
}

// resume tells subscribers whose windows stood still that they move again, if the view is well.
func (v *view) resume() {
	if !v.stands || v.isBehind() || v.list.skipped {
		return
	}
	v.stands = false
	for p := range v.pages {
		p.moves()
	}
}

// Abort implements [listen.Drainer]: nothing of the drain has happened. A load
// that was joining comes again with the next one.
func (e *Engine) Abort(error) {
	for _, l := range e.lists {
		for _, v := range l.views {
			if v.stage != nil {
				if v.joins() {
					l.reading = nil // it may know of those only that join
				}
				v.stage.undo()
				v.stage = nil
			}
		}
	}
	for _, v := range e.vars {
		v.abort()
	}
}

// Down implements [listen.Drainer]: windows stand still, and gets that need the
// database are answered by an error.
func (e *Engine) Down(error) {
	e.down = true
	for _, l := range e.lists {
		for _, v := range l.views {
			v.failWaiting()
			v.still()
		}
	}
}
