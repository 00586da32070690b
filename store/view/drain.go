package view

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/socksync/socksync/internal/ranktree"
	"github.com/socksync/socksync/listen"
)

// Drain implements [listen.Drainer].
func (e *Engine) Drain(ctx context.Context, tx pgx.Tx, d *listen.Drain) error {
	e.down = false
	for _, l := range e.lists {
		l.take(d)
	}
	e.join(d)
	for _, l := range e.lists {
		l.begin(d)
	}
	if err := e.findKeys(ctx, tx); err != nil {
		return err
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

// each calls fn for every view that is staged until one has an error.
func (e *Engine) each(fn func(*view) error) error {
	for _, l := range e.lists {
		for _, v := range l.staged {
			if v.stage == nil {
				continue
			}
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
		switch token := j.Token.(type) {
		case *loaded:
			e.joinLoad(j, token)
		case *batchLoad:
			for _, load := range token.loads {
				e.joinLoad(j, load)
			}
		}
	}
}

func (e *Engine) joinLoad(j listen.Joined, load *loaded) {
	v := load.view
	switch {
	case load != v.load: // given up since
		return
	case j.Stale || load.tree == nil || !v.list.since(j):
		v.restart()
		return
	case load.tree.Len() > e.most(v): // others were opened meanwhile
		v.refuse(errTooManyRows)
		v.list.drop(v)
		return
	}
	e.keeper.makeRoom(v, load.tree.Len(), e.config.Rows)
	s := newStage(load.plan, load.tree)
	s.joined, s.rows = true, load.rows
	v.stand(s)
	v.list.enter(v, load.plan)
	v.list.joining = append(v.list.joining, v)
}

// since notes what has changed since a load; it is false if the load is worthless.
func (l *list) since(j listen.Joined) bool {
	if l.drain.noted == j.Token {
		return true // it came with others
	}
	for _, t := range l.tables {
		c := j.Tables[t]
		if c != nil && (c.All || c.Missing != nil || keysIn(c)+keysIn(l.drain.since[t]) > mostOwed) {
			return false // what is noted stays: other loads have joined with it
		}
	}
	if l.def.Recompute > 0 {
		return true // it is read again if something has changed
	}
	for _, t := range l.tables {
		collectChange(l.drain.since, t, j.Tables[t])
	}
	l.drain.noted = j.Token
	return true
}

func joinKeys(keys [][]string) []string {
	joined := make([]string, len(keys))
	for i, k := range keys {
		joined[i] = joinKey(k)
	}
	return joined
}

// stand makes the view one that the drain under way changes.
func (v *view) stand(s *stage) {
	v.stage = s
	v.list.staged = append(v.list.staged, v)
}

// show has a view take part in the drain under way because gets wait for its rows.
func (v *view) show() {
	if v.waiting > 0 && v.stage == nil && !v.isBehind() {
		v.stand(newStage(v.plan, v.tree))
	}
	if v.waiting == 0 && v.homeless.len() == 0 {
		delete(v.list.waiters, v)
	}
}

// isBehind reports whether the view waits for a load.
func (v *view) isBehind() bool { return v.tree == nil || v.load != nil || v.err != nil }

// joins reports whether a load of the view joins in the drain under way.
func (v *view) joins() bool { return v.stage != nil && v.stage.joined }

// takenTree is the tree that the drain under way changes, if it changes the view.
func (v *view) takenTree() *ranktree.Tree {
	if v.stage != nil {
		return v.stage.tree
	}
	return v.tree
}

// findKeys finds out which rows of the lists may differ. A list of several tables asks for some in the database.
func (e *Engine) findKeys(ctx context.Context, tx pgx.Tx) error {
	var questions []question
	for _, l := range e.lists {
		if !l.follows() || l.drain.skipped != nil {
			continue // a table that is locked is asked for nothing
		}
		if len(l.tables) > 1 {
			questions = append(questions, l.locks()...)
		}
		questions = append(questions, l.findKeys()...)
	}
	if err := e.ask(ctx, tx, questions); err != nil {
		return err
	}
	for _, l := range e.lists {
		l.settleKeys()
	}
	return nil
}

// findKeys takes the keys that are known, and returns the questions for the others.
func (l *list) findKeys() []question {
	changes := l.drain.changes
	if l.drain.all {
		changes = nil
	}
	return append(l.keysOf(changes, &l.drain.keys), l.keysOf(l.drain.since, &l.drain.late)...)
}

// keysOf adds the keys of rows that changes of the tables concern.
func (l *list) keysOf(changes map[string]*delta, keys *[]string) []question {
	if len(changes) == 0 {
		return nil
	}
	known, mappings := l.anyGroup().relation.concerned(changes)
	*keys = append(*keys, known...)
	var questions []question
	for _, m := range mappings {
		questions = append(questions, question{
			sql: m.sql, args: m.args, fail: l.failOn,
			take: func(rows pgx.Rows) error {
				*keys = append(*keys, m.take(rows.RawValues()))
				return nil
			},
		})
	}
	return questions
}

// locks returns questions that take the locks of a list's tables one by one, so that it is known which of them cannot be
// had. Locks are kept to the end of the drain.
func (l *list) locks() []question {
	if len(l.drain.changes)+len(l.drain.since)+len(l.waiters)+len(l.joining) == 0 {
		return nil
	}
	questions := make([]question, len(l.tables))
	for i, t := range l.tables {
		questions[i] = question{
			sql: "SELECT FROM " + t + " LIMIT 0", take: func(pgx.Rows) error { return nil },
			fail: func(err error) error {
				if listen.IsLockTimeout(err) {
					return &listen.TableError{Table: t, Err: err}
				}
				return l.failOn(err)
			},
		}
	}
	return questions
}

func (l *list) anyGroup() *group {
	for _, g := range l.groups {
		return g
	}
	return nil
}

// failOn marks the views that follow the changes as ones that cannot be read, if the error is of the list itself.
func (l *list) failOn(err error) error {
	result := err
	for _, g := range l.groups {
		result = g.failOn(err)
	}
	return result
}

// settleKeys has each key once, and has views read again for which there are too many.
func (l *list) settleKeys() {
	if len(l.tables) > 1 {
		l.drain.keys = distinct(l.drain.keys)
	}
	if len(l.drain.late) > 0 {
		asked := setOf(l.drain.keys)
		l.drain.late = slices.DeleteFunc(distinct(l.drain.late), func(k string) bool { _, is := asked[k]; return is })
	}
	n := len(l.drain.keys)
	if n <= manyKeys {
		return
	}
	for _, g := range l.groups {
		for _, v := range g.all() {
			if v.stage == nil && v.tooMany(n) {
				v.restart()
			}
		}
	}
}

func distinct(keys []string) []string {
	seen := make(map[string]struct{}, len(keys))
	return slices.DeleteFunc(keys, func(k string) bool {
		_, known := seen[k]
		seen[k] = struct{}{}
		return known
	})
}

// manyKeys is how many changed rows are never too many.
const manyKeys = 20_000

// tooMany reports whether so many rows changed that loading the view again, beside the
// feed, is cheaper than holding the feed up to read them.
func (v *view) tooMany(changed int) bool {
	rows := v.tree.Len()
	if has := v.bucket.family.has; has != nil {
		rows = len(has) // they are read once for all views of the family
	}
	return changed > max(manyKeys, rows/5)
}

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
	if len(s.keys)+len(s.members) > 0 {
		inserts := s.split(s.keys, &v.pages)
		switch {
		case s.plan.encoded:
			s.placeEncoded(inserts)
		case s.tooManyMoved(len(inserts)):
			s.giveUp(errMoved)
			return nil
		default:
			if err := s.placeByPostgres(v.reader(tx.Conn().TypeMap(), s.plan).inOrder(ctx, tx, v.group.session), inserts); err != nil {
				return s.diverged(err)
			}
		}
		s.moor(inserts)
	}
	if s.joined && v.tree != nil {
		s.remoor(v)
	}
	s.show(&v.pages)
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

func (v *view) reader(types *pgtype.Map, p *plan) *reader {
	return &reader{relation: p.relation, plan: p, types: types, report: v.list.unreadableRow}
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
	l.owe()
	if l.drain.skipped == nil {
		for _, v := range l.staged {
			if v.stage != nil && v.stage.again != nil {
				v.freeze(l.sequence)
			}
		}
		l.sequence = l.engine.sequence
	}
	for _, v := range l.staged {
		if v.stage != nil {
			v.commit()
		}
	}
	for v := range l.stands {
		v.resume()
	}
	l.joining, l.staged = nil, nil
	l.drain.changes, l.drain.since, l.drain.keys, l.drain.late = nil, nil, nil, nil
}

// resume tells subscribers whose windows stood still that they move again, if the view is well.
func (v *view) resume() {
	if v.isBehind() || v.list.drain.skipped != nil {
		return
	}
	delete(v.list.stands, v)
	for p := range v.pages.all() {
		p.moves()
	}
}

// Abort implements [listen.Drainer]: nothing of the drain has happened. A load
// that was joining comes again with the next one.
func (e *Engine) Abort(error) {
	for _, l := range e.lists {
		for _, v := range l.staged {
			if v.stage == nil {
				continue
			}
			if v.joins() {
				v.exit()
			}
			v.stage.undo()
			v.stage = nil
		}
		l.joining, l.staged = nil, nil
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
