package view

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/binding"
)

// output is a column of a query's rows.
type output struct {
	name      string
	oid       uint32 // of a domain the type that it is over
	collation bool   // the type has one
}

// readOutputs returns the columns of the rows of a list's query, by name: those that the definition names, as far as they
// are there.
func readOutputs(ctx context.Context, tx pgx.Tx, def *binding.ListDef, probed bool) (map[string]column, error) {
	outputs, err := describe(ctx, tx, def)
	if err != nil {
		return nil, err
	}
	if err := collatable(ctx, tx, outputs); err != nil {
		return nil, err
	}
	names, types, collations, err := outputTypes(ctx, tx, def, outputs)
	if err != nil {
		return nil, fmt.Errorf("the query cannot be read: %w", err)
	}
	columns, err := readFacts(ctx, tx, givenColumns, probed, names, types, collations)
	if err != nil {
		return nil, fmt.Errorf("read the columns of the query: %w", err)
	}
	for i, o := range outputs {
		c := columns[o.name]
		c.unclear = o.collation && collations[i] == 0
		columns[o.name] = c
	}
	return columns, nil
}

// describe has Postgres parse the query.
func describe(ctx context.Context, tx pgx.Tx, def *binding.ListDef) ([]output, error) {
	prepared, err := tx.Conn().Prepare(ctx, "", "SELECT * FROM "+rowsOf(def))
	if err != nil {
		return nil, fmt.Errorf("the query is not a SELECT that Postgres understands: %w", err)
	}
	if len(prepared.ParamOIDs) > 0 {
		return nil, errors.New("the query has parameters, which nobody gives; what depends on the subscriber goes into where")
	}
	var outputs []output
	var errs []error
	for _, name := range namedColumns(def) {
		found := 0
		for _, f := range prepared.Fields {
			if f.Name != name {
				continue
			}
			found++
			if found == 1 {
				outputs = append(outputs, output{name: name, oid: f.DataTypeOID})
			}
		}
		if found > 1 {
			errs = append(errs, fmt.Errorf("the query gives %d columns of the name %q: name them apart by AS", found, name))
		}
	}
	return outputs, errors.Join(errs...)
}

// namedColumns are the columns that a definition names, each once.
func namedColumns(def *binding.ListDef) []string {
	names := slices.Clone(def.Key)
	for _, c := range def.Columns {
		names = append(names, c.Name)
	}
	for _, t := range def.Order {
		names = append(names, t.Column)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// collatable finds out which columns have a collation.
func collatable(ctx context.Context, tx pgx.Tx, outputs []output) error {
	types := make([]uint32, len(outputs))
	for i, o := range outputs {
		types[i] = o.oid
	}
	const find = `
select coalesce(array_agg(oid), '{}') from pg_catalog.pg_type where oid = any($1::oid[]) and typcollation <> 0`
	var with []uint32
	if err := tx.QueryRow(ctx, find, types).Scan(&with); err != nil {
		return fmt.Errorf("read the types of the query: %w", err)
	}
	for i, o := range outputs {
		outputs[i].collation = slices.Contains(with, o.oid)
	}
	return nil
}

// outputTypes returns the types, of domains these, and the collations, 0 for none. The query is run, though without
// rows, which shows that it does not write.
func outputTypes(ctx context.Context, tx pgx.Tx, def *binding.ListDef, outputs []output) (names []string, types, collations []uint32, err error) {
	var typeOf, collationOf []string
	for _, o := range outputs {
		name := "socksync_outputs." + binding.QuoteIdent(o.name)
		names = append(names, o.name)
		typeOf = append(typeOf, "pg_catalog.pg_typeof("+name+")::oid")
		collation := "0"
		if o.collation {
			collation = "coalesce(pg_catalog.pg_collation_for(" + name + ")::regcollation::oid, 0)"
		}
		collationOf = append(collationOf, collation)
	}
	sql := fmt.Sprintf("SELECT array[%s]::oid[], array[%s]::oid[] FROM (SELECT) AS socksync_one"+
		" LEFT JOIN (SELECT * FROM %s LIMIT 0) AS socksync_outputs ON true",
		strings.Join(typeOf, ", "), strings.Join(collationOf, ", "), rowsOf(def))
	// Not prepared for good: it is asked at the start, and when a table was altered.
	err = tx.QueryRow(ctx, sql, pgx.QueryExecModeDescribeExec).Scan(&types, &collations)
	return names, types, collations, err
}
