package view

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/listen"
)

// concern is how changed rows of one table become keys of rows of the list that may differ now: by the values of some of
// their columns, those that they had and those that they have.
//
// That is exact. A row of the list differs only if one of the rows that it is made of does, those of a chain of tables in
// which each refers to the next. Take the changed row that is nearest to the list's own table: the rows between it and the
// list have not changed, so their present values lead from its values, old or new, to the key. Rows that refer by NULL
// refer to nothing, and nothing refers to a NULL: such values concern no row.
type concern struct {
	table   string   // as the feed names it
	columns []string // of the table
	sql     string   // the keys for arrays of these values; "" if they are the key
	lookups []lookup // that the statement makes
}

// mapping is the question for the keys that changed rows of another table concern.
type mapping struct {
	sql  string
	args []any
	take func(values [][]byte) (key string) // of each row of the answer
}

// concerned returns the keys of rows that may differ after some changes, by table, and the questions for more. A key may
// come from several.
func (r *relation) concerned(changes map[string]*listen.Change) (keys []string, questions []mapping) {
	for _, c := range r.concerns {
		change := changes[c.table]
		if change == nil {
			continue
		}
		values := c.values(r.watched(c.table), change)
		switch {
		case len(values) == 0:
		case c.sql == "":
			keys = append(keys, values...)
		default:
			questions = append(questions, mapping{c.sql, keyArrays(values, len(c.columns)), r.mapped})
		}
	}
	if len(r.concerns) > 1 {
		slices.Sort(keys)
		keys = slices.Compact(keys)
	}
	return keys, questions
}

// mapped returns the key in a row of the answer. It has no NULL.
func (*relation) mapped(values [][]byte) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return joinKey(texts)
}

// values returns the values of the columns in changed rows, each set once, joined like a key. They are either all of the
// table's key or all logged behind it, since the feed hands over each once and not which of them were one row's.
func (c *concern) values(t *listen.Table, change *listen.Change) []string {
	if slices.Equal(c.columns, t.Key) {
		return joinKeys(change.Keys)
	}
	set := map[string]struct{}{}
	if at, ok := positions(c.columns, t.Key); ok {
		for _, key := range change.Keys {
			set[joinKey(picked(key, at))] = struct{}{}
		}
	} else if at, ok := positions(c.columns, t.Logged); ok {
		for _, row := range change.Logged {
			if texts, ok := notNull(picked(row, at)); ok {
				set[joinKey(texts)] = struct{}{}
			}
		}
	}
	values := make([]string, 0, len(set))
	for v := range set {
		values = append(values, v)
	}
	return values
}

// positions returns where the columns are among others, if all are.
func positions(columns, among []string) (at []int, all bool) {
	for _, c := range columns {
		i := slices.Index(among, c)
		if i < 0 {
			return nil, false
		}
		at = append(at, i)
	}
	return at, true
}

func picked[T any](row []T, at []int) []T {
	values := make([]T, len(at))
	for i, n := range at {
		values[i] = row[n]
	}
	return values
}

func notNull(values []*string) (texts []string, ok bool) {
	texts = make([]string, len(values))
	for i, v := range values {
		if v == nil {
			return nil, false
		}
		texts[i] = *v
	}
	return texts, true
}

// hop is a table on the way from a dependency to the list's key: its rows that refer to values lead to those of others of
// its columns.
type hop struct {
	table   string // as the feed names it
	refers  []string
	columns []string
}

// newConcerns returns the concerns of all tables of a list. A list that is recomputed has none: no row of it is known to
// differ.
func newConcerns(ctx context.Context, tx pgx.Tx, r *relation, probed bool) ([]concern, error) {
	if r.def.Recompute > 0 {
		return nil, nil
	}
	w := &concernWriter{relation: r, tables: map[string]map[string]column{}, read: func(table string) (map[string]column, error) {
		return readColumns(ctx, tx, table, probed)
	}}
	concerns, err := w.own()
	if err != nil {
		return nil, err
	}
	for i := range r.def.Depends {
		d := &r.def.Depends[i]
		written, err := w.concerns(d)
		if err == nil {
			err = checkConcerns(ctx, tx, written)
		}
		if err != nil {
			return nil, fmt.Errorf("depends: %s: %w", d, err)
		}
		concerns = append(concerns, written...)
	}
	return concerns, nil
}

// checkConcerns has Postgres parse the statements, and refuses tables that would not show them all rows.
func checkConcerns(ctx context.Context, tx pgx.Tx, concerns []concern) error {
	for _, c := range concerns {
		if c.sql == "" {
			continue
		}
		if _, err := tx.Conn().Prepare(ctx, "", c.sql); err != nil {
			return fmt.Errorf("the columns cannot be compared: %w", err)
		}
		for _, l := range c.lookups {
			var hidden bool
			if err := tx.QueryRow(ctx, "select pg_catalog.row_security_active($1::regclass)", l.table).Scan(&hidden); err != nil {
				return fmt.Errorf("look for policies of %s: %w", l.table, err)
			}
			if hidden {
				return fmt.Errorf("row-level security hides rows of %s from the server's own role, so that changes would go unseen: "+
					"let that role own the table (without FORCE), or give it BYPASSRLS", l.table)
			}
		}
	}
	return nil
}
