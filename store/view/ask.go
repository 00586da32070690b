package view

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"
)

// fullRows is up to how many changed rows are read with all their columns at
// once; beyond, only those that a window shows are read.
const fullRows = 64

// question is one statement of a batch, and who takes its answer.
type question struct {
	sql     string
	args    []any
	take    func(pgx.Rows) error // each row
	fail    func(error) error    // what an error means for those who asked
	session *session             // under which it is asked; nil is the server's own
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
	return send(ctx, tx, questions, indexesSQL)
}

// send sends the statements, after others that have no answer.
func send(ctx context.Context, tx pgx.Tx, questions []question, first ...string) error {
	var batch pgx.Batch
	for _, sql := range first {
		batch.Queue(sql)
	}
	before := make([]int, len(questions)+1) // statements before each question that have no answer
	before[0] = len(first)
	var now *session
	for i, q := range questions {
		before[i] += q.session.follow(now, &batch)
		now = q.session
		batch.Queue(q.sql, q.args...)
	}
	var own *session
	before[len(questions)] = own.follow(now, &batch)
	results := tx.SendBatch(ctx, &batch)
	defer func() { _ = results.Close() }() // a second Close; errors have been returned
	for i, q := range questions {
		err := pass(results, before[i])
		if err == nil {
			err = q.answer(results)
		}
		if err != nil {
			return blamed(questions, q, err).fail(err)
		}
	}
	if err := pass(results, before[len(questions)]); err != nil {
		return err
	}
	return results.Close()
}

// pass takes the results of statements that have no answer.
func pass(results pgx.BatchResults, statements int) error {
	for range statements {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	return nil
}

func (q *question) answer(results pgx.BatchResults) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	return collect(rows, q.take)
}

// blamed returns the question that an error is about: the one whose answer was read, but
// a statement that cannot be prepared fails the whole batch at its beginning.
func blamed(questions []question, asked question, err error) question {
	var preparing pgx.ErrPreprocessingBatch
	if errors.As(err, &preparing) {
		for _, q := range questions {
			if q.sql == preparing.SQL() {
				return q
			}
		}
	}
	return asked
}

// readChanged reads the changed rows that exist now, once for all views of a group, and finds out which of them have them.
func (e *Engine) readChanged(ctx context.Context, tx pgx.Tx) error {
	var questions []question
	found := map[*group][]*changedRow{}
	var groups []*group
	for _, l := range e.lists {
		if len(l.drain.keys)+len(l.drain.late) == 0 {
			continue
		}
		for _, g := range l.groups {
			groups = append(groups, g)
			questions = append(questions, g.question(tx, l.drain.named(), func(r *changedRow) { found[g] = append(found[g], r) }))
		}
	}
	if err := e.ask(ctx, tx, questions); err != nil {
		return err
	}
	for _, g := range groups {
		if err := g.sort(&g.list.drain, found[g]); err != nil {
			return err
		}
		g.deal()
	}
	return nil
}

// named are all keys of rows that may differ for some view.
func (d *drainOf) named() []string { return append(d.keys[:len(d.keys):len(d.keys)], d.late...) }

// concerns returns whether a row may differ for the views that do not join: its key is one of those that were asked for
// them, or another spelling of one, since it is none of the others.
func (d *drainOf) concerns() func(key string) bool {
	if len(d.late) == 0 {
		return func(string) bool { return true }
	}
	late := setOf(d.late)
	return func(key string) bool { _, is := late[key]; return !is }
}

// readMissing reads the rows that windows show and nobody has read yet, once for all views of a group.
func (e *Engine) readMissing(ctx context.Context, tx pgx.Tx) error {
	var all []*missing
	var questions []question
	for _, l := range e.lists {
		for _, m := range l.missing() {
			all = append(all, m)
			questions = append(questions, m.question(tx))
		}
	}
	if err := e.ask(ctx, tx, questions); err != nil {
		return err
	}
	for _, m := range all {
		for _, v := range m.asking {
			if v.stage != nil && !v.stage.fill(m.rows) {
				v.stage.giveUp(errDiverged)
			}
		}
	}
	return nil
}

// missing are the rows that the views of a group miss.
type missing struct {
	group  *group
	asking []*view
	wanted map[string]struct{}
	rows   map[string]json.RawMessage
}

// missing finds out what the views of a list miss.
func (l *list) missing() (all []*missing) {
	by := map[*group]*missing{}
	for _, v := range l.staged {
		if v.stage == nil || v.group == nil || !v.stage.misses() {
			continue
		}
		if rows := v.stage.cache(v); rows != nil {
			if !v.stage.fill(rows) {
				v.stage.giveUp(errDiverged)
			}
			continue
		}
		m := by[v.group]
		if m == nil {
			m = &missing{group: v.group, wanted: map[string]struct{}{}, rows: map[string]json.RawMessage{}}
			by[v.group] = m
			all = append(all, m)
		}
		m.asking = append(m.asking, v)
		v.stage.missing(m.wanted)
	}
	return all
}

func (m *missing) question(tx pgx.Tx) question {
	l := m.group.list
	keys := make([]string, 0, len(m.wanted))
	for key := range m.wanted {
		keys = append(keys, key)
	}
	read := &reader{relation: m.group.relation, types: tx.Conn().TypeMap(), report: l.unreadableRow}
	return question{
		sql: read.rowsSQL, args: keyArrays(keys, len(l.def.Key)), session: m.group.session,
		take: func(rows pgx.Rows) error {
			key, row := read.row(rows)
			m.rows[key] = row
			return nil
		},
		fail: func(err error) error {
			result := err
			for _, v := range m.asking {
				result = v.failOn(err)
			}
			return result
		},
	}
}
