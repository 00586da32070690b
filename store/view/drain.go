package view

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/internal/ranktree"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// fullRows is up to how many changed rows are read with all their columns at
// once; beyond, only those that a window shows are read.
const fullRows = 64

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
		l.reload()
	case l.tree == nil || l.load != nil || l.err != nil: // a load will bring everything
	case c != nil && len(c.Keys) > 0:
		l.stage = newStage(l.plan, l.tree)
		l.stage.keys = joinKeys(c.Keys)
		if l.tooMany(len(c.Keys)) {
			l.restart()
		}
	case l.awaited():
		l.stage = newStage(l.plan, l.tree)
	}
}

// awaited reports whether someone waits for rows.
func (l *list) awaited() bool {
	for _, p := range l.pages {
		if len(p.waiting) > 0 {
			return true
		}
	}
	return false
}

// tooMany reports whether a change is so large that loading the list again, beside
// the feed, is cheaper than holding the feed up.
func (l *list) tooMany(n int) bool {
	if l.plan.encoded {
		return n > max(20_000, l.tree.Len()/5)
	}
	return n > max(2_000, l.tree.Len()/50)
}

// place puts the changed rows where they belong, and finds what windows show.
func (l *list) place(ctx context.Context, tx pgx.Tx) error {
	s := l.stage
	if s == nil {
		return nil
	}
	if len(s.keys) > 0 {
		inserts := s.split(s.keys)
		if s.plan.encoded {
			s.placeEncoded(inserts)
		} else if err := s.placeByPostgres(ctx, tx, l.reader(tx, s.plan), inserts); err != nil {
			return l.diverged(err)
		}
	}
	s.show(l.pages)
	return nil
}

// diverged has the list loaded again once the transaction has ended well. Until
// then it may be that a table was rewritten under the snapshot, which then shows no
// rows; the feed finds that out and repeats the drain.
func (l *list) diverged(err error) error {
	if errors.Is(err, errDiverged) {
		l.stage.diverged = true
		l.stage.pages = nil
		return nil
	}
	return err
}

func (l *list) reader(tx pgx.Tx, p *plan) *reader {
	return &reader{plan: p, types: tx.Conn().TypeMap(), report: l.unreadableRow}
}

func (l *list) unreadableRow(key []string, err error) {
	l.engine.unreadable.Add(1)
	l.log.Error("row cannot be published; only its key is", "key", key, "error", err)
}

// question is one statement of a batch, and who takes its answer.
type question struct {
	list *list
	sql  string
	keys []string
	take func(*reader, pgx.Rows) error
}

// ask sends the statements in one round trip.
func (e *Engine) ask(ctx context.Context, tx pgx.Tx, questions []question) error {
	if len(questions) == 0 {
		return nil
	}
	var batch pgx.Batch
	for _, q := range questions {
		batch.Queue(q.sql, keyArrays(q.keys, len(q.list.def.Key))...)
	}
	results := tx.SendBatch(ctx, &batch)
	defer func() { _ = results.Close() }() // a second Close; errors have been returned
	for _, q := range questions {
		rows, err := results.Query()
		if err == nil {
			r := q.list.reader(tx, q.list.stage.plan)
			err = collect(rows, func(rows pgx.Rows) error { return q.take(r, rows) })
		}
		if err != nil {
			return q.list.failOn(err)
		}
	}
	return results.Close()
}

// readChanged reads which of the changed rows are in the lists now.
func (e *Engine) readChanged(ctx context.Context, tx pgx.Tx) error {
	var questions []question
	for _, l := range e.lists {
		s := l.stage
		if s == nil || len(s.keys) == 0 {
			continue
		}
		sql := s.plan.changedSQL
		if len(s.keys) <= fullRows && len(l.pages) > 0 {
			sql = s.plan.fullSQL
		}
		questions = append(questions, question{l, sql, s.keys, func(r *reader, rows pgx.Rows) error {
			m, err := r.member(rows)
			s.members[m.key] = &m
			return err
		}})
	}
	return e.ask(ctx, tx, questions)
}

// readMissing reads the rows that windows show and nobody has read yet.
func (e *Engine) readMissing(ctx context.Context, tx pgx.Tx) error {
	var questions []question
	for _, l := range e.lists {
		if l.stage == nil {
			continue
		}
		if keys := l.stage.missing(); len(keys) > 0 {
			l.stage.found = make(map[string]json.RawMessage, len(keys))
			questions = append(questions, question{l, l.stage.plan.rowsSQL, keys, l.stage.take})
		}
	}
	if err := e.ask(ctx, tx, questions); err != nil {
		return err
	}
	for _, q := range questions {
		if !q.list.stage.fill() {
			_ = q.list.diverged(errDiverged) // loads the list again
		}
	}
	return nil
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

func (l *list) commit() {
	s := l.stage
	if s.diverged {
		l.log.Error("list is loaded again", "error", errDiverged)
		s.undo()
		l.restart()
		return
	}
	l.stage = nil
	if s.joined {
		l.plan, l.tree = s.plan, s.tree
		l.load, l.err = nil, nil
	}
	for _, ps := range s.pages {
		l.publish(ps, s)
	}
	for _, ps := range s.pages {
		ps.page.admit()
	}
	if s.joined {
		for sub := range l.homeless {
			l.serve(sub)
		}
	}
}

// publish moves a window on and tells its subscribers, if anything differs.
func (l *list) publish(ps *pageStage, s *stage) {
	p := ps.page
	from := p.state
	if from != nil && from.Total == l.tree.Len() && same(from.Rows, ps.rows) {
		return
	}
	p.state = l.state(p.at, l.tree.Len(), ps.rows)
	if from == nil {
		return
	}
	if from = l.recall(from, ps.rows, s.changed); from.Total == p.state.Total && same(from.Rows, ps.rows) {
		return // only that the rows are known now
	}
	step := window.NewStep(from, p.state, s.single)
	for sub := range p.subs {
		sub.sink.Step(step)
	}
}

// recall fills a state that held keys only with the rows that have been read since
// and did not change, so that reading them is no change of the window.
func (l *list) recall(from *window.State, rows []window.Row, changed map[string]struct{}) *window.State {
	if from.Filled() {
		return from
	}
	known := make(map[string]json.RawMessage, len(rows))
	for _, r := range rows {
		if _, ok := changed[r.Key]; !ok {
			known[r.Key] = r.JSON
		}
	}
	filled := slices.Clone(from.Rows)
	for i, r := range filled {
		if r.JSON == nil {
			filled[i].JSON = known[r.Key]
		}
	}
	return l.state(pageOf{from.Page, from.Size}, from.Total, filled)
}

// admit lets those in who waited for the window's rows.
func (p *page) admit() {
	if len(p.waiting) == 0 || !p.state.Filled() {
		return
	}
	for sub := range p.waiting {
		sub.arrive(p)
	}
}
