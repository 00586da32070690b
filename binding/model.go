package binding

import (
	"fmt"
	"reflect"
)

// ModelDef is a struct and the table that it is a row of, for typed reads and
// writes. It is no [Definition]: nothing of it is published.
type ModelDef struct {
	// Table is the table, as in SQL; [ParseTable] gives the exact name.
	Table string
	// Key holds the columns of the primary key, by exact name.
	Key []string
	// Columns are the columns that the struct has fields for.
	Columns []Column
	// Row is the struct.
	Row reflect.Type

	src *source
}

// Model reads the tags of T: its table, key and columns. What the tag says
// about a list or var is not used.
func Model[T any]() *ModelDef { return ModelOf(reflect.TypeFor[T]()) }

// ModelOf is [Model] for a type that is known at run time only.
func ModelOf(t reflect.Type) *ModelDef {
	if t == nil {
		return &ModelDef{}
	}
	p := planOf(t)
	return &ModelDef{
		Table:   p.settings[keyTable].text,
		Key:     p.key,
		Columns: p.columns,
		Row:     p.row,
		src:     p.src,
	}
}

// NewRow returns a new zero row to scan into, addressable; see [Column.In].
func (d *ModelDef) NewRow() reflect.Value { return reflect.New(d.Row).Elem() }

// Column returns the column with that exact name.
func (d *ModelDef) Column(name string) (c Column, ok bool) { return columnNamed(d.Columns, name) }

// String is the kind and the struct.
func (d *ModelDef) String() string {
	switch {
	case d == nil:
		return "model (nil)"
	case d.Row != nil:
		return fmt.Sprintf("model %v", d.Row)
	case d.src != nil:
		return "model " + d.src.structName
	}
	return "model"
}

// Validate returns every mistake, each a *[DefinitionError], joined.
func (d *ModelDef) Validate() error {
	r := newReport(d.String(), nil)
	if d == nil {
		r.add(place{}, "nil")
		return r.err()
	}
	r = newReport(d.String(), d.src)
	if d.src.isUnusable() {
		return r.err()
	}
	checkTable(r, d.src, d.Table)
	if d.Row == nil {
		r.add(place{}, "missing struct")
	}
	checkRow(r, d.src, d.Row)
	checkColumns(r, d.src, d.Columns, d.Row)
	checkKey(r, d.src, d.Key, d.Columns)
	return r.err()
}
