package view

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/binding"
)

// lookup is how rows of a table are found: by columns that are equal to values of some types.
type lookup struct {
	table   string // in SQL
	columns []column
	values  []column // of which only the type counts
}

// condition returns the lookup for values that the planner does not know.
func (l *lookup) condition() string {
	equal := make([]string, len(l.columns))
	for i, c := range l.columns {
		equal[i] = c.base(binding.QuoteIdent(c.name)) + " = " + unknownValue + "::" + l.values[i].typeName
	}
	return strings.Join(equal, " AND ")
}

// advice returns "" if an index finds the rows, else the statement that makes one, which has them in an order.
func (l *lookup) advice(ctx context.Context, tx pgx.Tx, order []binding.OrderTerm) (string, error) {
	found, err := explain(ctx, tx, "SELECT FROM "+l.table+" WHERE "+l.condition(), "enable_seqscan")
	if err != nil {
		return "", fmt.Errorf("look for an index of %s: %w", l.table, err)
	}
	if found.indexed() {
		return "", nil
	}
	table, err := binding.ParseTable(l.table)
	if err != nil {
		return "", err
	}
	names := make([]string, len(l.columns))
	for i, c := range l.columns {
		names[i] = c.name
	}
	return createIndexOn(ctx, tx, table, names, order)
}

// ownerAdvice returns "" if an index finds the rows of which some columns have the values of a subscriber's identity, else
// the statement that makes one.
func (r *relation) ownerAdvice(ctx context.Context, tx pgx.Tx, pinned []string, order []binding.OrderTerm) (string, error) {
	columns, err := r.ownColumns(ctx, tx, pinned)
	if err != nil || len(columns) == 0 {
		return "", err
	}
	if own, err := r.ownColumns(ctx, tx, columnsOf(order)); err != nil || own == nil {
		order = nil
	}
	l := lookup{tableName(r.def).SQL(), columns, columns}
	return l.advice(ctx, tx, order)
}

// dependsAdvice returns "" if indexes find the rows that refer to changed rows of other tables, else the statements that
// make them.
func (r *relation) dependsAdvice(ctx context.Context, tx pgx.Tx) (string, error) {
	var missing []string
	for _, c := range r.concerns {
		for _, l := range c.lookups {
			advice, err := l.advice(ctx, tx, nil)
			if err != nil {
				return "", err
			}
			if advice != "" && !slices.Contains(missing, advice) {
				missing = append(missing, advice)
			}
		}
	}
	return strings.Join(missing, "; "), nil
}
