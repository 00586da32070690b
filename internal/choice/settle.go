package choice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Settle has Postgres read the values of which Go cannot know how their type takes them, in one batch, and returns the
// choice with the texts that the type gives them: 'now' is a fixed time from then on. If there are no such values, it
// does no I/O. The key stays the same.
//
// The settings on which the text of values depends must be those under which rows are read. The error of a value that
// its type refuses is fit for the peer and names the column. After any error the transaction is of no use and must be
// rolled back.
func (c *Choice) Settle(ctx context.Context, tx pgx.Tx) (*Choice, error) {
	s := *c
	s.conditions = slices.Clone(c.conditions)
	var questions []question
	for i := range s.conditions {
		if !s.conditions[i].sure {
			questions = append(questions, s.conditions[i].question())
		}
	}
	if !s.sureWords() {
		questions = append(questions, question{what: "search", sql: readTexts, values: &s.words})
	}
	if len(questions) == 0 {
		return c, nil
	}
	if err := ask(ctx, tx, questions); err != nil {
		return nil, err
	}
	for i := range s.conditions {
		s.conditions[i].sure = true
	}
	return &s, nil
}

// question is a statement that reads values and returns them as they are written.
type question struct {
	what   string // the values are
	sql    string
	values *[]string
	names  bool // the type looks its values up
	owned  bool // the values are of the identity
}

const readTexts = "SELECT $1::pg_catalog.text[]"

func (d *condition) question() question {
	c := d.column
	q := question{what: "filter: " + c.JSON, sql: readTexts, values: &d.values, names: c.isRegistered(), owned: d.owned}
	if d.kind != startsWith && d.kind != contains {
		q.sql = "SELECT ARRAY(SELECT " + c.written(c.element("socksync_v")) + " FROM pg_catalog.unnest($1::" + c.array() +
			") WITH ORDINALITY AS socksync_u(socksync_v, socksync_i) ORDER BY socksync_i)"
	}
	return q
}

// sureWords reports whether the database can hold the words.
func (c *Choice) sureWords() bool {
	return !slices.ContainsFunc(c.words, func(word string) bool {
		return !isASCII(word) && !slices.ContainsFunc(c.rules.search, func(c *Column) bool { return c.Unicode })
	})
}

// ask has the questions answered in their order, so that an error is that of the first one without an answer.
func ask(ctx context.Context, tx pgx.Tx, questions []question) (err error) {
	batch := &pgx.Batch{}
	for _, q := range questions {
		batch.Queue(q.sql, arrayLiteral(*q.values))
	}
	results := tx.SendBatch(ctx, batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	for _, q := range questions {
		var answer []string
		err := results.QueryRow().Scan(&answer)
		switch {
		case q.refused(err) && q.owned:
			return ErrIdentity
		case q.refused(err):
			return refuse("%s: not a value of the column's type", q.what)
		case err != nil:
			return fmt.Errorf("settle a choice: %s: %w", q.what, err)
		case len(answer) != len(*q.values):
			return fmt.Errorf("settle a choice: %s: %d values for %d", q.what, len(answer), len(*q.values))
		}
		*q.values = answer
	}
	return nil
}

// refusals are the classes of errors by which a type refuses a value: data exceptions, checks of domains, limits, what
// is not supported, and what functions of somebody's own raise.
var refusals = []string{"22", "23", "54", "0A", "P0"}

func (q question) refused(err error) bool {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return false
	}
	is := func(class string) bool { return strings.HasPrefix(e.Code, class) }
	return slices.ContainsFunc(refusals, is) || q.names && (is("42") || is("3F"))
}
