package view

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/binding"
)

// queryName is the name that the rows of a query have in statements.
const queryName = `"socksync_list"`

// tableName returns the list's table. The definition has been validated.
func tableName(def *binding.ListDef) binding.TableName {
	name, _ := binding.ParseTable(def.Table) // Validate has parsed it
	return name
}

// qualifier is the name by which columns are qualified.
func qualifier(def *binding.ListDef) string {
	if def.Query != "" {
		return queryName
	}
	return binding.QuoteIdent(tableName(def).Name)
}

// rowsOf returns what the rows are read from. A line comment in a query ends with its line.
func rowsOf(def *binding.ListDef) string {
	if def.Query != "" {
		return "(" + def.Query + "\n) AS " + queryName
	}
	return tableName(def).SQL()
}

// readSource returns the columns of the list's rows by name.
func readSource(ctx context.Context, tx pgx.Tx, def *binding.ListDef, probed bool) (map[string]column, error) {
	if def.Query != "" {
		return readOutputs(ctx, tx, def, probed)
	}
	return readColumns(ctx, tx, tableName(def).SQL(), probed)
}

// from returns the FROM clause of all rows.
func (r *relation) from() string { return " FROM " + rowsOf(r.def) }

// amongKeys returns the FROM clause of the rows whose key is among the parameters, one array for each key column.
//
// Postgres hands such a condition down into a query that groups or joins only if it is about one column and constants.
// For more columns the rows are therefore read for one key after the other, which OFFSET 0 keeps it from undoing.
func (r *relation) amongKeys() string {
	key := r.keyColumns()
	names := make([]string, len(key))
	for i, k := range r.def.Key {
		names[i] = key[i].base(r.column(k))
	}
	if r.def.Query == "" || isOneScalar(key) {
		return r.from() + " WHERE " + amongSQL(names, key)
	}
	arrays, values, typed := keyParameters(key)
	equal := make([]string, len(key))
	for i := range key {
		typed[i] += " AS " + values[i]
		equal[i] = names[i] + " = socksync_keys." + values[i]
	}
	return fmt.Sprintf(" FROM (SELECT DISTINCT %s FROM unnest(%s) AS socksync_keys(%s)) AS socksync_keys"+
		" CROSS JOIN LATERAL (SELECT * FROM %s WHERE %s OFFSET 0) AS %s",
		strings.Join(typed, ", "), strings.Join(arrays, ", "), strings.Join(values, ", "),
		rowsOf(r.def), strings.Join(equal, " AND "), queryName)
}

func (r *relation) keyColumns() []column {
	key := make([]column, len(r.def.Key))
	for i, k := range r.def.Key {
		key[i] = r.columns[k]
	}
	return key
}

func isOneScalar(columns []column) bool { return len(columns) == 1 && !columns[0].isArray() }

// amongSQL returns the condition that values are among the parameters, which are one array for each column, of its type.
func amongSQL(names []string, columns []column) string {
	arrays, values, typed := keyParameters(columns)
	if isOneScalar(columns) {
		return fmt.Sprintf("%s = ANY(%s)", names[0], arrays[0])
	}
	return fmt.Sprintf("(%s) IN (SELECT %s FROM unnest(%s) AS socksync_keys(%s))",
		strings.Join(names, ", "), strings.Join(typed, ", "), strings.Join(arrays, ", "), strings.Join(values, ", "))
}

// keyParameters returns the parameters with their types, names for their elements, and these with the types of the
// columns.
func keyParameters(columns []column) (arrays, values, typed []string) {
	for i, c := range columns {
		value := fmt.Sprintf("socksync_k%d", i+1)
		arrays = append(arrays, fmt.Sprintf("$%d::%s", i+1, c.arrayName()))
		values = append(values, value)
		typed = append(typed, value+"::"+c.typeName)
	}
	return arrays, values, typed
}

// errNullKey says that a row of a query cannot be told apart from others. The list waits until it is gone.
var errNullKey = errors.New("a row's key has a NULL: leave such rows out in the query")

// checkKey refuses a row, whose values begin with the key's, that has none. Those of a table have one.
func (r *relation) checkKey(values [][]byte) error {
	for i := range r.def.Key {
		if values[i] == nil {
			return errNullKey
		}
	}
	return nil
}

// tellable reports columns of a query by which rows cannot be told apart or ordered. Postgres would find out only when
// there are some. The columns of a table's primary key can.
func tellable(def *binding.ListDef, columns map[string]column) error {
	if def.Query == "" {
		return nil
	}
	var errs []error
	for _, k := range def.Key {
		if c, ok := columns[k]; ok && !c.equal {
			errs = append(errs, fmt.Errorf("%s: key: column %q of type %s cannot be compared%s", def, k, c.typeName, c.advice()))
		}
	}
	for _, t := range def.Order {
		if c, ok := columns[t.Column]; ok && !c.ordered {
			errs = append(errs, fmt.Errorf("%s: order: column %q of type %s has no order%s", def, t.Column, c.typeName, c.advice()))
		}
	}
	return errors.Join(errs...)
}

// advice tells what to do about text of which Postgres cannot tell how it compares.
func (c column) advice() string {
	if c.unclear {
		return ": its parts have several collations; add COLLATE in the query"
	}
	return ""
}
