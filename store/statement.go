package store

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/socksync/socksync/binding"
)

// statement is a statement while it is being written, with its arguments. What is
// wrong with it is collected, and said when it would run.
type statement struct {
	table *table
	sql   strings.Builder
	args  []any
	errs  []error
}

func (t *table) statement() *statement { return &statement{table: t} }

func (s *statement) write(parts ...string) {
	for _, p := range parts {
		s.sql.WriteString(p)
	}
}

func (s *statement) fail(err error) { s.errs = append(s.errs, err) }

func (s *statement) err() error { return errors.Join(s.errs...) }

// bind adds an argument and returns its placeholder.
func (s *statement) bind(v any) string {
	s.args = append(s.args, v)
	return "$" + strconv.Itoa(len(s.args))
}

// column returns the quoted name of a column of the model.
func (s *statement) column(name string) string {
	if _, ok := s.table.def.Column(name); !ok {
		s.fail(fmt.Errorf("unknown column %q", name))
	}
	return binding.QuoteIdent(name)
}

// named returns the columns of the model with these names.
func (s *statement) named(names []string) []binding.Column {
	columns := make([]binding.Column, 0, len(names))
	for _, name := range names {
		c, ok := s.table.def.Column(name)
		if !ok {
			s.fail(fmt.Errorf("unknown column %q", name))
		}
		columns = append(columns, c)
	}
	return columns
}

func (s *statement) where(f Filter) {
	if f != nil {
		s.write(" WHERE ", f.condition(s))
	}
}

// key adds the condition that a row has the key.
func (s *statement) key(values []any) {
	names := s.table.def.Key
	if len(values) != len(names) {
		s.fail(fmt.Errorf("%d key values for the key %q", len(values), names))
		return
	}
	word := " WHERE "
	for i, name := range names {
		// Not Eq: no row of a table has NULL in its key.
		s.write(word, binding.QuoteIdent(name), " = ", s.bind(values[i]))
		word = " AND "
	}
}

// order adds an order that ends with the key, and so is total.
func (s *statement) order(text string) {
	var terms []binding.OrderTerm
	if strings.TrimSpace(text) != "" {
		var err error
		if terms, err = binding.ParseOrder(text); err != nil {
			s.fail(err)
		}
	}
	full := (&binding.ListDef{Order: terms, Key: s.table.def.Key}).WithDefaults().Order
	word := " ORDER BY "
	for _, t := range full {
		s.column(t.Column)
		s.write(word, t.SQL())
		word = ", "
	}
}

// slice adds limit and offset, where 0 means none.
func (s *statement) slice(limit, offset int) {
	if limit < 0 || offset < 0 {
		s.fail(fmt.Errorf("limit %d, offset %d: less than 0", limit, offset))
	}
	if limit > 0 {
		s.write(" LIMIT ", s.bind(limit))
	}
	if offset > 0 {
		s.write(" OFFSET ", s.bind(offset))
	}
}

// insert writes an INSERT of the columns of row.
func (s *statement) insert(row reflect.Value, columns []binding.Column) {
	s.write("INSERT INTO ", s.table.name)
	if len(columns) == 0 {
		s.write(" DEFAULT VALUES")
		return
	}
	names, marks := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		names[i], marks[i] = binding.QuoteIdent(c.Name), s.bind(valueIn(row, c))
	}
	s.write(" (", strings.Join(names, ", "), ") VALUES (", strings.Join(marks, ", "), ")")
}

// orUpdate makes an INSERT of the columns update them where the key is taken.
func (s *statement) orUpdate(columns []binding.Column) {
	key := s.table.def.Key
	quoted := make([]string, len(key))
	for i, name := range key {
		quoted[i] = binding.QuoteIdent(name)
	}
	s.write(" ON CONFLICT (", strings.Join(quoted, ", "), ") DO UPDATE SET ")
	var sets []string
	for _, c := range columns {
		if !slices.Contains(key, c.Name) {
			sets = append(sets, binding.QuoteIdent(c.Name)+" = EXCLUDED."+binding.QuoteIdent(c.Name))
		}
	}
	if len(sets) == 0 { // DO NOTHING would not return the row
		sets = append(sets, quoted[0]+" = EXCLUDED."+quoted[0])
	}
	s.write(strings.Join(sets, ", "))
}

// update writes an UPDATE of the columns, but for its WHERE.
func (s *statement) update(row reflect.Value, columns []binding.Column) {
	if len(columns) == 0 {
		s.fail(errNoColumns)
	}
	sets := make([]string, len(columns))
	for i, c := range columns {
		if slices.Contains(s.table.def.Key, c.Name) {
			s.fail(fmt.Errorf("column %q belongs to the key, which Update does not change", c.Name))
		}
		sets[i] = binding.QuoteIdent(c.Name) + " = " + s.bind(valueIn(row, c))
	}
	s.write("UPDATE ", s.table.name, " SET ", strings.Join(sets, ", "))
}

// returning lets a write return the row as it stands now.
func (s *statement) returning() { s.write(" RETURNING ", s.table.columns) }

// valueIn returns what the row holds for the column: NULL below an embedded
// pointer that is nil.
func valueIn(row reflect.Value, c binding.Column) any {
	v, err := row.FieldByIndexErr(c.Field)
	if err != nil {
		return nil
	}
	return v.Interface()
}
