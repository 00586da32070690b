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
