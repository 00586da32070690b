package view

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/internal/ranktree"
	"github.com/socksync/socksync/listen"
)

// loaded is a load, its result, and the feed's token for it.
type loaded struct {
	list *list
	plan *plan
	tree *ranktree.Tree
	stop context.CancelFunc
}

// Drain implements [listen.Drainer].
func (e *Engine) Drain(ctx context.Context, tx pgx.Tx, d *listen.Drain) error {
	e.down = false
	e.join(d)
	for _, l := range e.lists {
		l.begin(d.Tables[l.table], d.Skipped[l.table])
	}
	if err := e.readChanged(ctx, tx); err != nil {
		return err
	}
	for _, l := range e.lists {
		if err := l.failOn(l.place(ctx, tx)); err != nil {
			return err
		}
	}
	if err := e.readMissing(ctx, tx); err != nil {
		return err
	}
	for _, v := range e.vars {
		v.drained(d)
	}
	return nil
}

// join stages the loads that are complete.
func (e *Engine) join(d *listen.Drain) {
	for _, j := range d.Joined {
		load, ok := j.Token.(*loaded)
		if !ok || load != load.list.load {
			continue // given up since
		}
		l := load.list
		c := j.Tables[l.table]
		if j.Stale || c != nil && (c.All || c.Missing != nil) {
			l.restart()
			continue
		}
		l.stage = newStage(load.plan, load.tree)
		l.stage.joined = true
		if c != nil {
			l.stage.keys = joinKeys(c.Keys)
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

// begin opens a stage if the drain has something for the list.
func (l *list) begin(c *listen.Change, skipped error) {
	switch {
	case skipped != nil:
		l.failWaiting()
	case c != nil && c.Missing != nil:
		l.fail(c.Missing)
		if l.stage != nil {
			l.restart()
		}
		l.reload()
	case l.stage != nil: // a load joins, with the changes since
	case c != nil && c.All:
		l.restart() // what a load has read by now may be worthless
	case l.tree == nil || l.load != nil || l.err != nil: // a load will bring everything
	case c != nil && len(c.Keys) > 0:
		l.stage = newStage(l.plan, l.tree)
		l.stage.keys = joinKeys(c.Keys)
		if l.tooMany(len(c.Keys)) {
			l.restart()
		}
	case l.waiting > 0:
		l.stage = newStage(l.plan, l.tree)
	}
}

// tooMany reports whether so many rows changed that loading the list again, beside the
// feed, is cheaper than holding the feed up to read them.
func (l *list) tooMany(changed int) bool { return changed > max(20_000, l.tree.Len()/5) }

// errMoved says that loading the list again is cheaper than having Postgres place all
// the rows that moved.
var errMoved = errors.New("many rows moved")

// tooManyMoved is tooMany for rows that Postgres has to place. A load that joins has them
// placed, however many: the next might take as long and miss as many.
func (s *stage) tooManyMoved(moved int) bool {
	return !s.plan.encoded && !s.joined && moved > max(2_000, s.tree.Len()/50)
}

// place puts the changed rows where they belong, and finds what windows show.
func (l *list) place(ctx context.Context, tx pgx.Tx) error {
	s := l.stage
	if s == nil {
		return nil
	}
	if len(s.keys) > 0 {
		inserts := s.split(s.keys)
		switch {
		case s.plan.encoded:
			s.placeEncoded(inserts)
		case s.tooManyMoved(len(inserts)):
			s.giveUp(errMoved)
			return nil
		default:
			if err := s.placeByPostgres(l.reader(tx, s.plan).inOrder(ctx, tx), inserts); err != nil {
				return s.diverged(err)
			}
		}
	}
	s.show(l.pages)
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

func (l *list) reader(tx pgx.Tx, p *plan) *reader {
	return &reader{plan: p, types: tx.Conn().TypeMap(), report: l.unreadableRow}
}

func (l *list) unreadableRow(key []string, err error) {
	l.engine.unreadable.Add(1)
	l.log.Error("row cannot be published; only its key is", "key", key, "error", err)
}

// Commit implements [listen.Drainer]: what was staged is the present now.
func (e *Engine) Commit() {
	for _, l := range e.lists {
		if l.stage != nil {
			l.commit()
		}
	}
	for _, v := range e.vars {
		v.commit()
	}
}

// Abort implements [listen.Drainer]: nothing of the drain has happened. A load
// that was joining comes again with the next one.
func (e *Engine) Abort(error) {
	for _, l := range e.lists {
		if l.stage != nil {
			l.stage.undo()
			l.stage = nil
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
		l.failWaiting()
	}
}
