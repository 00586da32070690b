package view

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// relation is a list definition held against the tables as they are: what all views of the list have in common. It is
// immutable; a list gets a new one whenever the table's definition changed.
type relation struct {
	def     *binding.ListDef
	table   string // by which columns are qualified, quoted
	columns map[string]column
	rules   *choice.Rules
	keyOIDs []uint32
	keyJSON []string         // JSON names of the key columns; "" for one that is not published
	fields  []binding.Column // empty if Postgres makes the JSON
	// published are the names of keyJSON that are.
	published []string

	keys    string // select list of the key's texts
	among   string // FROM and the condition that the key is among the parameters
	row     string // select list of a row's published values, with a comma in front
	rowsSQL string // rows by key: key, row
	forms   *forms

	concerns []concern
	watched  func(table string) *listen.Table
}

// newRelation reads the catalog, or says what is wrong with the definition.
func newRelation(ctx context.Context, tx pgx.Tx, e *Engine, def *binding.ListDef) (*relation, error) {
	r := &relation{def: def, table: qualifier(def), watched: e.table, forms: &forms{}}
	var err error
	if r.columns, err = readSource(ctx, tx, def, e.probed); err != nil {
		return nil, fmt.Errorf("%s: %w", def, err)
	}
	if err := errors.Join(known(def, r.columns), publishable(def), tellable(def, r.columns)); err != nil {
		return nil, err
	}
	if r.rules, err = choice.NewRules(def, r.table, choosable(def, r.columns)); err != nil {
		return nil, err
	}
	if err := r.typeIdentity(ctx, tx); err != nil {
		return nil, fmt.Errorf("%s: %w", def, err)
	}
	if r.concerns, err = newConcerns(ctx, tx, r, e.probed); err != nil {
		return nil, fmt.Errorf("%s: %w", def, err)
	}
	r.describeKey()
	if def.Row != nil {
		r.fields = def.Columns
	}
	r.keys = r.keyList()
	r.among = r.amongKeys()
	r.row = r.rowSQL()
	r.rowsSQL = "SELECT " + r.keys + r.row + r.among
	if err := r.check(ctx, tx); err != nil {
		return nil, err
	}
	if err := checkReads(ctx, tx, def); err != nil {
		return nil, fmt.Errorf("%s: %w", def, err)
	}
	noted, err := remarks(ctx, tx, def)
	for _, remark := range noted {
		e.log.Warn("a list may stay behind: "+remark, "list", def.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", def, err)
	}
	return r, nil
}

// describeKey finds out how the key is published. What the subscriber's identity says of it is not.
func (r *relation) describeKey() {
	bound := r.def.BoundKey()
	for _, k := range r.def.Key {
		name := jsonName(r.def, k)
		if slices.Contains(bound, k) {
			name = ""
		}
		r.keyOIDs = append(r.keyOIDs, r.columns[k].oid)
		r.keyJSON = append(r.keyJSON, name)
		if name != "" {
			r.published = append(r.published, name)
		}
	}
}

// known reports every column of the definition that the table does not have.
func known(def *binding.ListDef, columns map[string]column) error {
	var errs []error
	missing := func(what, name string) {
		if _, ok := columns[name]; !ok {
			errs = append(errs, fmt.Errorf("%s: %s no column %q (%s)", def, hasOrGives(def), name, what))
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

func hasOrGives(def *binding.ListDef) string {
	if def.Query != "" {
		return "the query gives"
	}
	return "table " + def.Table + " has"
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

// keyList returns the select list of the key columns' texts.
func (r *relation) keyList() string {
	texts := make([]string, len(r.def.Key))
	for i, k := range r.def.Key {
		texts[i] = fmt.Sprintf("%s AS socksync_key_%d", r.columns[k].textSQL(r.column(k)), i+1)
	}
	return strings.Join(texts, ", ")
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

// column returns the qualified name of a column of the list.
func (r *relation) column(name string) string { return r.table + "." + binding.QuoteIdent(name) }

// conditions returns a WHERE clause of the list's own condition and another; "" if there is neither. A line comment in
// the definition ends with its line.
func (r *relation) conditions(first, other string) string {
	var all []string
	if static := r.rules.Static(); static != "" {
		all = append(all, static)
	}
	if other != "" {
		all = append(all, other)
	}
	if len(all) == 0 {
		return ""
	}
	return first + strings.Join(all, " AND ")
}

// typeIdentity has Postgres tell the types of the identity's values in the list's condition.
func (r *relation) typeIdentity(ctx context.Context, tx pgx.Tx) error {
	general := r.rules.General()
	if general == "" {
		return nil
	}
	prepared, err := tx.Conn().Prepare(ctx, "", "SELECT"+r.from()+" WHERE "+general)
	if err != nil {
		return err
	}
	const names = `select array(select pg_catalog.format_type(u.oid, -1)
		from pg_catalog.unnest($1::pg_catalog.oid[]) with ordinality u (oid, i) order by u.i)`
	var types []string
	if err := tx.QueryRow(ctx, names, prepared.ParamOIDs).Scan(&types); err != nil {
		return err
	}
	r.rules, err = r.rules.WithTypes(types)
	return err
}

// rowOfLoad is what a load reads of a row besides its place: of a list that is recomputed everything.
func (r *relation) rowOfLoad() string {
	if r.def.Recompute > 0 {
		return r.row
	}
	return ""
}

// check has Postgres parse every part of the definition, and holds the columns'
// types against the struct's.
func (r *relation) check(ctx context.Context, tx pgx.Tx) error {
	base := newPlan(r, r.standard(), true)
	load, err := tx.Conn().Prepare(ctx, "", base.loadSQL)
	if err != nil {
		return fmt.Errorf("%s: %w", r.def, err)
	}
	if len(load.ParamOIDs) != len(base.loadArgs) {
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

// standard is the choice of one who chooses nothing, whoever that is.
func (r *relation) standard() *choice.Choice {
	c, err := r.rules.Resolve(window.Choice{}, r.rules.Anybody())
	if err != nil {
		panic(err) // choosing nothing is allowed
	}
	return c
}
