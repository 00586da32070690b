package view

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
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

// question is one statement of a batch, and who takes its answer.
type question struct {
	list *list
	sql  string
	keys []string
	take func(*reader, pgx.Rows) error
}

// indexesSQL keeps the plans of the statements, which all look rows up by key, off
// sequential scans: one that was made while a table was small would otherwise stay
// when it has grown.
const indexesSQL = "SET LOCAL enable_seqscan = off"

// ask sends the statements in one round trip.
func (e *Engine) ask(ctx context.Context, tx pgx.Tx, questions []question) error {
	if len(questions) == 0 {
		return nil
	}
	var batch pgx.Batch
	batch.Queue(indexesSQL)
	for _, q := range questions {
		batch.Queue(q.sql, keyArrays(q.keys, len(q.list.def.Key))...)
	}
	results := tx.SendBatch(ctx, &batch)
	defer func() { _ = results.Close() }() // a second Close; errors have been returned
	if _, err := results.Exec(); err != nil {
		return blamed(questions, questions[0].list, err).failOn(err)
	}
	for _, q := range questions {
		rows, err := results.Query()
		if err == nil {
			r := q.list.reader(tx, q.list.stage.plan)
			err = collect(rows, func(rows pgx.Rows) error { return q.take(r, rows) })
		}
		if err != nil {
			return blamed(questions, q.list, err).failOn(err)
		}
	}
	return results.Close()
}

// blamed returns the list that an error is about: the one whose answer was read, but
// a statement that cannot be prepared fails the whole batch at its beginning.
func blamed(questions []question, asked *list, err error) *list {
	var preparing pgx.ErrPreprocessingBatch
	if errors.As(err, &preparing) {
		for _, q := range questions {
			if q.sql == preparing.SQL() {
				return q.list
			}
		}
	}
	return asked
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
			if err == nil && s.members[m.key] != nil {
				err = errDuplicate
			}
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
			q.list.stage.giveUp(errDiverged)
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
	if s.again != nil {
		l.log.Log(l.engine.ctx, level(s.again), "list is loaded again", "reason", s.again)
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
			delete(l.homeless, sub)
			l.serve(sub)
		}
	}
}

// level is that of a list's being loaded again: large changes are nothing unusual.
func level(why error) slog.Level {
	if errors.Is(why, errMoved) {
		return slog.LevelDebug
	}
	return slog.LevelError
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
