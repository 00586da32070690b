package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/socksync/socksync/binding"
)

// table is a model without its Go type, with what the database knows of it. It
// does not change.
type table struct {
	def     *binding.ModelDef
	name    string // in SQL
	columns string // of the model, in SQL
	facts   map[string]fact
}

// fact is what the catalog says of a column.
type fact struct {
	computed bool // generated from other columns: cannot be written
	always   bool // an identity that takes no value of the program's
	filled   bool // has a default, of whatever kind
}

// factsSQL asks the catalog for the columns of a table.
const factsSQL = `
SELECT a.attname::text, a.attgenerated <> '', a.attidentity = 'a', a.atthasdef OR a.attidentity <> ''
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped`

// newTable checks the model, in itself and against the database.
func newTable(ctx context.Context, db sqlx.QueryerContext, def *binding.ModelDef) (*table, error) {
	if err := def.Validate(); err != nil {
		return nil, err
	}
	name, err := binding.ParseTable(def.Table)
	if err != nil {
		return nil, err
	}
	t := &table{def: def, name: name.SQL(), facts: map[string]fact{}}
	quoted := make([]string, len(def.Columns))
	for i, c := range def.Columns {
		quoted[i] = binding.QuoteIdent(c.Name)
	}
	t.columns = strings.Join(quoted, ", ")
	if err := t.look(ctx, db); err != nil {
		return nil, err
	}
	if err := t.checkTypes(ctx, db); err != nil {
		return nil, err
	}
	return t, nil
}

// look reads the facts and finds columns that the table does not have.
func (t *table) look(ctx context.Context, db sqlx.QueryerContext) error {
	if err := t.readFacts(ctx, db); err != nil {
		return fmt.Errorf("store: look at table %s: %w", t.name, err)
	}
	if len(t.facts) == 0 {
		return t.mistake("_", "", "the database has no table %s", t.name)
	}
	var errs []error
	for _, c := range t.def.Columns {
		if _, ok := t.facts[c.Name]; !ok {
			errs = append(errs, t.mistakeIn(c, "table %s has no column %q", t.name, c.Name))
		}
	}
	return errors.Join(errs...)
}

func (t *table) readFacts(ctx context.Context, db sqlx.QueryerContext) error {
	rows, err := db.QueryxContext(ctx, factsSQL, t.name)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err says it
	for rows.Next() {
		var name string
		var f fact
		if err := rows.Scan(&name, &f.computed, &f.always, &f.filled); err != nil {
			return err
		}
		t.facts[name] = f
	}
	return rows.Err()
}

// checkTypes finds columns whose type the struct's fields cannot hold. It also
// finds out whether the table may be read.
func (t *table) checkTypes(ctx context.Context, db sqlx.QueryerContext) error {
	rows, err := db.QueryxContext(ctx, "SELECT "+t.columns+" FROM "+t.name+" LIMIT 0")
	if err != nil {
		return fmt.Errorf("store: look at table %s: %w", t.name, err)
	}
	defer func() { _ = rows.Close() }() // Err says it
	d, err := newDecoder(rows, t.def)
	if err != nil {
		return fmt.Errorf("store: look at table %s: %w", t.name, err)
	}
	var errs []error
	for i, c := range t.def.Columns {
		if !d.fits(i) {
			errs = append(errs, t.mistakeIn(c, "column %q of type %s cannot be read into %v", c.Name, d.names[i], c.Type))
		}
	}
	return errors.Join(append(errs, rows.Err())...)
}

// mistakeIn is a mistake about a column.
func (t *table) mistakeIn(c binding.Column, format string, args ...any) error {
	f := t.def.Row.FieldByIndex(c.Field)
	return t.mistake(f.Name, string(f.Tag), format, args...)
}

func (t *table) mistake(field, tag, format string, args ...any) error {
	return &binding.DefinitionError{
		Definition: t.def.String(),
		Struct:     t.def.Row.String(),
		Field:      field,
		Tag:        tag,
		Problem:    fmt.Sprintf(format, args...),
	}
}

// failed says which operation on which table failed.
func (t *table) failed(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %s %s: %w", operation, t.name, conceal(err))
}

// inserted returns the columns that an INSERT of row writes: all but those that
// only the database fills, and those of the key that are zero and that it can
// fill.
func (t *table) inserted(row reflect.Value) []binding.Column {
	var columns []binding.Column
	for _, c := range t.def.Columns {
		f := t.facts[c.Name]
		v, err := row.FieldByIndexErr(c.Field)
		unset := err != nil || v.IsZero()
		switch isKey := slices.Contains(t.def.Key, c.Name); {
		case f.computed, isKey && f.filled && unset, !isKey && f.always:
		default:
			columns = append(columns, c)
		}
	}
	return columns
}

// updated returns the columns that an UPDATE writes: all but the key and those
// that only the database fills.
func (t *table) updated() []binding.Column {
	var columns []binding.Column
	for _, c := range t.def.Columns {
		f := t.facts[c.Name]
		if !f.computed && !f.always && !slices.Contains(t.def.Key, c.Name) {
			columns = append(columns, c)
		}
	}
	return columns
}

// key returns the columns of the key, in its order.
func (t *table) key() []binding.Column {
	columns := make([]binding.Column, len(t.def.Key))
	for i, name := range t.def.Key {
		columns[i], _ = t.def.Column(name)
	}
	return columns
}
