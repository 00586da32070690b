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
	"github.com/socksync/socksync/internal/sortkey"
)

// plan is a list definition held against the table as it is: the statements that
// read it, and how its rows are placed and encoded. It is immutable; a view gets
// a new one whenever the table's definition changed.
type plan struct {
	def     *binding.ListDef
	encoded bool             // rows are placed by encoded keys, not by Postgres
	order   []sortkey.Column // only if encoded
	keyOIDs []uint32
	keyJSON []string         // JSON names of the key columns, "" if hidden
	fields  []binding.Column // empty if Postgres makes the JSON

	loadSQL    string // every row in list order: key, place
	changedSQL string // the members among some keys: key, place
	fullSQL    string // the members among some keys: key, place, row
	rowsSQL    string // rows by key: key, row
	placeSQL   string // some keys in list order
}

// newPlan reads the catalog and makes the plan, or says what is wrong with the
// definition.
func newPlan(ctx context.Context, tx pgx.Tx, def *binding.ListDef, probed, encode bool) (*plan, error) {
	columns, err := readColumns(ctx, tx, tableName(def).SQL(), probed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", def, err)
	}
	if err := errors.Join(known(def, columns), publishable(def)); err != nil {
		return nil, err
	}
	p := &plan{def: def, encoded: encode}
	for _, t := range def.Order {
		c := columns[t.Column]
		p.encoded = p.encoded && c.encodable()
		p.order = append(p.order, sortkey.Column{
			OID: c.oid, Desc: t.Desc, NullsFirst: t.NullsFirst(), ByteOrdered: c.byteOrder,
		})
	}
	for _, k := range def.Key {
		p.keyOIDs = append(p.keyOIDs, columns[k].oid)
		p.keyJSON = append(p.keyJSON, jsonName(def, k))
	}
	if def.Row != nil {
		p.fields = def.Columns
	}
	p.writeSQL(columns)
	if err := p.check(ctx, tx); err != nil {
		return nil, err
	}
	return p, nil
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

// writeSQL writes the statements. Columns are qualified and outputs have names of
// their own, because ORDER BY prefers an output's name to a column's.
func (p *plan) writeSQL(columns map[string]column) {
	table := tableName(p.def).SQL()
	keys, conditions := p.keySQL(columns)
	places := p.placeColumns()
	from := " FROM " + table
	among := from + conditions
	where, and := "", ""
	if p.def.Where != "" {
		where, and = " WHERE ("+p.def.Where+"\n)", " AND ("+p.def.Where+"\n)"
	}
	order := " ORDER BY " + p.orderSQL()
	row := p.rowSQL()
	p.loadSQL = "SELECT " + keys + places + from + where + order
	p.changedSQL = "SELECT " + keys + places + among + and
	p.fullSQL = "SELECT " + keys + places + row + among + and
	p.rowsSQL = "SELECT " + keys + row + among
	p.placeSQL = "SELECT " + keys + among + order
}

// keySQL returns the select list of the key columns' texts, and the condition
// that a row's key is among the parameters, one array for each key column.
func (p *plan) keySQL(columns map[string]column) (list, condition string) {
	var texts, names, arrays, values, casts []string
	for i, k := range p.def.Key {
		name := p.column(k)
		texts = append(texts, fmt.Sprintf("%s AS socksync_key_%d", columns[k].textSQL(name), i+1))
		names = append(names, columns[k].base(name))
		arrays = append(arrays, fmt.Sprintf("$%d::%s", i+1, columns[k].arrayName()))
		values = append(values, fmt.Sprintf("socksync_k%d", i+1))
		casts = append(casts, fmt.Sprintf("socksync_k%d::%s", i+1, columns[k].typeName))
	}
	list = strings.Join(texts, ", ")
	if len(names) == 1 && !columns[p.def.Key[0]].isArray() {
		return list, fmt.Sprintf(" WHERE %s = ANY(%s)", names[0], arrays[0])
	}
	return list, fmt.Sprintf(" WHERE (%s) IN (SELECT %s FROM unnest(%s) AS socksync_keys(%s))",
		strings.Join(names, ", "), strings.Join(casts, ", "), strings.Join(arrays, ", "), strings.Join(values, ", "))
}

// placeColumns returns the select list of what a row's place depends on: the raw
// values to encode, or texts that tell whether the place may have changed.
func (p *plan) placeColumns() string {
	var b strings.Builder
	for i, t := range p.def.Order {
		cast := ""
		if !p.encoded {
			cast = "::text"
		}
		fmt.Fprintf(&b, ", %s%s AS socksync_order_%d", p.column(t.Column), cast, i+1)
	}
	return b.String()
}

func (p *plan) orderSQL() string {
	terms := make([]string, len(p.def.Order))
	for i, t := range p.def.Order {
		terms[i] = p.column(t.Column) + direction(t)
	}
	return strings.Join(terms, ", ")
}

func direction(t binding.OrderTerm) string {
	s := ""
	if t.Desc {
		s = " DESC"
	}
	if t.NullsFirst() {
		return s + " NULLS FIRST"
	}
	return s + " NULLS LAST"
}

// rowSQL returns the select list of a row's published values: its columns for a
// struct, otherwise one JSON object that Postgres makes.
func (p *plan) rowSQL() string {
	var b strings.Builder
	if p.def.Row != nil {
		for i, f := range p.fields {
			fmt.Fprintf(&b, ", %s AS socksync_column_%d", p.column(f.Name), i+1)
		}
		return b.String()
	}
	b.WriteString(", (SELECT pg_catalog.row_to_json(socksync_row.*) FROM (SELECT ")
	first := true
	for _, c := range p.def.Columns {
		if c.JSON == "" {
			continue
		}
		if !first {
			b.WriteString(", ")
		}
		first = false
		b.WriteString(p.column(c.Name) + " AS " + binding.QuoteIdent(c.JSON))
	}
	b.WriteString(") AS socksync_row)::text AS socksync_row")
	return b.String()
}

// column returns the qualified name of a column of the list's table.
func (p *plan) column(name string) string {
	return binding.QuoteIdent(tableName(p.def).Name) + "." + binding.QuoteIdent(name)
}

// check has Postgres parse every part of the definition, and holds the columns'
// types against the struct's.
func (p *plan) check(ctx context.Context, tx pgx.Tx) error {
	load, err := tx.Conn().Prepare(ctx, "", p.loadSQL)
	if err != nil {
		return fmt.Errorf("%s: %w", p.def, err)
	}
	if len(load.ParamOIDs) > 0 {
		return fmt.Errorf("%s: the condition has parameters, which nobody gives", p.def)
	}
	full, err := tx.Conn().Prepare(ctx, "", p.fullSQL)
	if err != nil {
		return fmt.Errorf("%s: %w", p.def, err)
	}
	return p.checkTypes(tx.Conn().TypeMap(), full.Fields[len(p.def.Key)+len(p.def.Order):])
}

func (p *plan) checkTypes(m *pgtype.Map, descriptions []pgconn.FieldDescription) error {
	var errs []error
	for i, f := range p.fields {
		d := descriptions[i]
		d.Format = m.FormatCodeForOID(d.DataTypeOID)
		if !scannable(m, d, f.Type) {
			errs = append(errs, fmt.Errorf("%s: column %q of type %s cannot be scanned into field %s.%s of type %s",
				p.def, f.Name, typeName(m, d.DataTypeOID), p.def.Row, p.def.Row.FieldByIndex(f.Field).Name, f.Type))
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
func (p *plan) rowType() reflect.Type { return p.def.Row }

// tableName returns the list's table. The definition has been validated.
func tableName(def *binding.ListDef) binding.TableName {
	name, _ := binding.ParseTable(def.Table) // Validate has parsed it
	return name
}
