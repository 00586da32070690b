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
	sql  string
	args []any
	take func(pgx.Rows) error // each row
	fail func(error) error    // what an error means for those who asked
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
		batch.Queue(q.sql, q.args...)
	}
	results := tx.SendBatch(ctx, &batch)
	defer func() { _ = results.Close() }() // a second Close; errors have been returned
	if _, err := results.Exec(); err != nil {
		return blamed(questions, questions[0], err).fail(err)
	}
	for _, q := range questions {
		rows, err := results.Query()
		if err == nil {
			err = collect(rows, q.take)
		}
		if err != nil {
			return blamed(questions, q, err).fail(err)
		}
	}
	return results.Close()
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

// readChanged reads the changed rows that exist now, once for all views of a list, which then decide which of them they
// have.
func (e *Engine) readChanged(ctx context.Context, tx pgx.Tx) error {
	var questions []question
	var after []func() error
	for _, l := range e.lists {
		keys := l.changed()
		if len(keys) == 0 || len(l.taking) == 0 {
			continue
		}
		r := l.read()
		read := &reader{relation: r.relation, types: tx.Conn().TypeMap(), report: l.unreadableRow}
		sql := r.sql
		if len(keys) <= fullRows && l.watched() {
			sql = r.fullSQL
		}
		var found []*changedRow
		questions = append(questions, question{
			sql: sql, args: append(keyArrays(keys, len(l.def.Key)), r.args...), fail: l.failOn,
			take: func(rows pgx.Rows) error {
				row, err := r.changedRow(read, rows)
				found = append(found, row)
				return err
			},
		})
		after = append(after, func() error { return l.found(keys, found) })
	}
	if err := e.ask(ctx, tx, questions); err != nil {
		return err
	}
	for _, fn := range after {
		if err := fn(); err != nil {
			return err
		}
	}
	return nil
}

// readMissing reads the rows that windows show and nobody has read yet, once for all views of a list.
func (e *Engine) readMissing(ctx context.Context, tx pgx.Tx) error {
	var questions []question
	for _, l := range e.lists {
		if q, ok := l.missing(tx); ok {
			questions = append(questions, q)
		}
	}
	if err := e.ask(ctx, tx, questions); err != nil {
		return err
	}
	return e.each(func(v *view) error {
		if v.stage != nil && !v.stage.fill(v.list.rows) {
			v.stage.giveUp(errDiverged)
		}
		return nil
	})
}

// missing returns the question for the rows that the views of a list miss.
func (l *list) missing(tx pgx.Tx) (question, bool) {
	l.rows = nil
	wanted := map[string]struct{}{}
	var asking []*view
	for _, v := range l.views {
		if v.stage != nil && v.stage.missing(wanted) {
			asking = append(asking, v)
		}
	}
	if len(wanted) == 0 {
		return question{}, false
	}
	keys := make([]string, 0, len(wanted))
	for key := range wanted {
		keys = append(keys, key)
	}
	l.rows = make(map[string]json.RawMessage, len(keys))
	read := asking[0].reader(tx, asking[0].stage.plan)
	return question{
		sql: read.rowsSQL, args: keyArrays(keys, len(l.def.Key)),
		take: func(rows pgx.Rows) error {
			key, row := read.row(rows)
			l.rows[key] = row
			return nil
		},
		fail: func(err error) error {
			result := err
			for _, v := range asking {
				result = v.failOn(err)
			}
			return result
		},
	}, true
}
