package view

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/window"
)

// relation is a list definition held against the table as it is: what all views of the list have in common. It is
// immutable; a list gets a new one whenever the table's definition changed.
type relation struct {
	def     *binding.ListDef
	columns map[string]column
	rules   *choice.Rules
	keyOIDs []uint32
	keyJSON []string         // JSON names of the key columns
	fields  []binding.Column // empty if Postgres makes the JSON

	keys    string // select list of the key's texts
	among   string // FROM and the condition that the key is among the parameters
	row     string // select list of a row's published values, with a comma in front
	rowsSQL string // rows by key: key, row
}

// newRelation reads the catalog, or says what is wrong with the definition.
func newRelation(ctx context.Context, tx pgx.Tx, def *binding.ListDef, probed bool) (*relation, error) {
	columns, err := readColumns(ctx, tx, tableName(def).SQL(), probed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", def, err)
	}
	if err := errors.Join(known(def, columns), publishable(def)); err != nil {
		return nil, err
	}
	r := &relation{def: def, columns: columns}
	if r.rules, err = choice.NewRules(def, choosable(def, columns)); err != nil {
		return nil, err
	}
	for _, k := range def.Key {
		r.keyOIDs = append(r.keyOIDs, columns[k].oid)
		r.keyJSON = append(r.keyJSON, jsonName(def, k))
	}
	if def.Row != nil {
		r.fields = def.Columns
	}
	var condition string
	r.keys, condition = r.keySQL()
	r.among = r.from() + condition
	r.row = r.rowSQL()
	r.rowsSQL = "SELECT " + r.keys + r.row + r.among
	if err := r.check(ctx, tx); err != nil {
		return nil, err
	}
	return r, nil
}

// known reports every column of the definition that the table does not have.
func known(def *binding.ListDef, columns map[string]column) error {
	var errs []error
	missing := func(what, name string) {
		if _, ok := columns[name]; !ok {
			errs = append(errs, fmt.Errorf("%s: table %s has no column %q (%s)", def, def.Table, name, what))
		}
	}
	for _, c := range def.Columns {
		missing("column", c.Name)
	}
	for _, k := range def.Key {
		missing("key", k)
	}
	for _, t := range def.Order {
		missing("order", t.Column)
	}
	return errors.Join(errs...)
}

// maxName is the length in bytes at which Postgres cuts off the name of an output.
const maxName = 63

// publishable reports JSON names that Postgres, where it makes the JSON, would not
// publish as they are.
func publishable(def *binding.ListDef) error {
	var errs []error
	for _, c := range def.Columns {
		if def.Row == nil && (len(c.JSON) > maxName || strings.ContainsRune(c.JSON, 0)) {
			errs = append(errs, fmt.Errorf("%s: the JSON name %q is longer than %d bytes or has a zero byte", def, c.JSON, maxName))
		}
	}
	return errors.Join(errs...)
}

func jsonName(def *binding.ListDef, name string) string {
	for _, c := range def.Columns {
		if c.Name == name {
			return c.JSON
		}
	}
	return ""
}

func (r *relation) from() string { return " FROM " + tableName(r.def).SQL() }

// keySQL returns the select list of the key columns' texts, and the condition
// that a row's key is among the parameters, one array for each key column.
func (r *relation) keySQL() (list, condition string) {
	var texts, names, arrays, values, casts []string
	for i, k := range r.def.Key {
		c := r.columns[k]
		name := r.column(k)
		texts = append(texts, fmt.Sprintf("%s AS socksync_key_%d", c.textSQL(name), i+1))
		names = append(names, c.base(name))
		arrays = append(arrays, fmt.Sprintf("$%d::%s", i+1, c.arrayName()))
		values = append(values, fmt.Sprintf("socksync_k%d", i+1))
		casts = append(casts, fmt.Sprintf("socksync_k%d::%s", i+1, c.typeName))
	}
	list = strings.Join(texts, ", ")
	if len(names) == 1 && !r.columns[r.def.Key[0]].isArray() {
		return list, fmt.Sprintf(" WHERE %s = ANY(%s)", names[0], arrays[0])
	}
	return list, fmt.Sprintf(" WHERE (%s) IN (SELECT %s FROM unnest(%s) AS socksync_keys(%s))",
		strings.Join(names, ", "), strings.Join(casts, ", "), strings.Join(arrays, ", "), strings.Join(values, ", "))
}

// rowSQL returns the select list of a row's published values: its columns for a
// struct, otherwise one JSON object that Postgres makes.
func (r *relation) rowSQL() string {
	var b strings.Builder
	if r.def.Row != nil {
		for i, f := range r.fields {
			fmt.Fprintf(&b, ", %s AS socksync_column_%d", r.column(f.Name), i+1)
		}
		return b.String()
	}
	b.WriteString(", (SELECT pg_catalog.row_to_json(socksync_row.*) FROM (SELECT ")
	first := true
	for _, c := range r.def.Columns {
		if c.JSON == "" {
			continue
		}
		if !first {
			b.WriteString(", ")
		}
		first = false
		b.WriteString(r.column(c.Name) + " AS " + binding.QuoteIdent(c.JSON))
	}
	b.WriteString(") AS socksync_row)::text AS socksync_row")
	return b.String()
}

// column returns the qualified name of a column of the list's table.
func (r *relation) column(name string) string {
	return binding.QuoteIdent(tableName(r.def).Name) + "." + binding.QuoteIdent(name)
}

// conditions returns a WHERE clause of the list's own condition and another; "" if there is neither. A line comment in
// the definition ends with its line.
func (r *relation) conditions(first, other string) string {
	var all []string
	if r.def.Where != "" {
		all = append(all, "("+r.def.Where+"\n)")
	}
	if other != "" {
		all = append(all, other)
	}
	if len(all) == 0 {
		return ""
	}
	return first + strings.Join(all, " AND ")
}

// check has Postgres parse every part of the definition, and holds the columns'
// types against the struct's.
func (r *relation) check(ctx context.Context, tx pgx.Tx) error {
	base := newPlan(r, r.standard(), true)
	load, err := tx.Conn().Prepare(ctx, "", base.loadSQL)
	if err != nil {
		return fmt.Errorf("%s: %w", r.def, err)
	}
	if len(load.ParamOIDs) > 0 {
		return fmt.Errorf("%s: the condition has parameters, which nobody gives", r.def)
	}
	rows, err := tx.Conn().Prepare(ctx, "", r.rowsSQL)
	if err != nil {
		return fmt.Errorf("%s: %w", r.def, err)
	}
	return r.checkTypes(tx.Conn().TypeMap(), rows.Fields[len(r.def.Key):])
}

func (r *relation) checkTypes(m *pgtype.Map, descriptions []pgconn.FieldDescription) error {
	var errs []error
	for i, f := range r.fields {
		d := descriptions[i]
		d.Format = m.FormatCodeForOID(d.DataTypeOID)
		if !scannable(m, d, f.Type) {
			errs = append(errs, fmt.Errorf("%s: column %q of type %s cannot be scanned into field %s.%s of type %s",
				r.def, f.Name, typeName(m, d.DataTypeOID), r.def.Row, r.def.Row.FieldByIndex(f.Field).Name, f.Type))
		}
	}
	return errors.Join(errs...)
}

func typeName(m *pgtype.Map, oid uint32) string {
	if t, ok := m.TypeForOID(oid); ok {
		return t.Name
	}
	return fmt.Sprintf("with OID %d", oid)
}

// rowType is the struct that rows are scanned into, nil if Postgres makes the JSON.
func (r *relation) rowType() reflect.Type { return r.def.Row }

// standard is the choice of one who chooses nothing.
func (r *relation) standard() *choice.Choice {
	c, err := r.rules.Resolve(window.Choice{})
	if err != nil {
		panic(err) // choosing nothing is allowed
	}
	return c
}

// tableName returns the list's table. The definition has been validated.
func tableName(def *binding.ListDef) binding.TableName {
	name, _ := binding.ParseTable(def.Table) // Validate has parsed it
	return name
}
