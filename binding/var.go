package binding

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/socksync/socksync/internal/sqltext"
)

// VarDef defines a var: one value, published whenever it changes. It is plain
// data: [Var] makes one, a program without a struct writes it out. It is not to
// be changed once it is in use.
type VarDef struct {
	// Name is the name to subscribe to, 1 to 128 bytes.
	Name string
	// Query is the whole statement. It gives at most one row; a second one is
	// an error of the var. No row is the value null.
	Query string
	// Params are the parameters of the query that a subscriber chooses. The
	// query names each at least once, with an @ in front: @airport. Each is a
	// value as Postgres takes the place where it stands to be, NULL where the
	// subscriber gives none. A name is made of lower-case letters a to z,
	// digits and underscores, and does not start with a digit. Names that the
	// query has and Params has not are values of the subscriber's identity.
	Params []string
	// Tables are the tables whose changes may change the value, as in SQL.
	Tables []string
	// Role and Settings are those of a [ListDef].
	Role     string
	Settings []Setting
	// Key holds the primary key of the one table that the var is bound to, by
	// exact name, as far as the struct says it. A var works without.
	Key []string
	// Columns are the columns of the row when it is published as an object.
	// None means that the value is that of the row's one column.
	Columns []Column
	// Type is what the row, with Columns, or else its column is scanned into.
	// Nil means whatever Go type suits the column's type. See [Publishable].
	Type reflect.Type

	src *source
	// made is set when a constructor was to write Query and Tables: what is
	// missing there has been reported by then.
	made bool
}

// Var defines a var. It is one of three:
//
//   - one row as an object: T is a struct with db tags. Table and condition are
//     in the tag, beside var, or in [Table] and [Where];
//   - one column of one row: T is the type of the column; [Table], [Select] and
//     [Where] say which;
//   - the result of a [Query]: T is a struct with db tags or the type of the
//     one column. It may have [Params], in the tag or the option.
//
// T is a pointer or a [database/sql.Null] where the column can be NULL, which
// is published as null. Where a row is missing the value is null as well, for
// any T. Options override the tag; where and the name of a tag with list are
// not the var's. Mistakes are found by Validate.
func Var[T any](opts ...Option) *VarDef { return varOf(reflect.TypeFor[T](), opts) }

func varOf(t reflect.Type, opts []Option) *VarDef {
	p, isRow := varPlan(t)
	p.take(keyVar, keyList)
	p.apply(opts, "var", keyName, keyTable, keyPK, keyWhere, keySelect, keyQuery, keyParams, keyRole)
	d := &VarDef{Name: p.settings[keyName].text, Type: t, src: p.src, made: true}
	d.Role, d.Settings = p.role()
	if isRow {
		d.Type, d.Columns = p.row, p.columns
		if len(p.columns) == 0 && !p.src.failed[keyColumns] {
			p.src.fail(keyColumns, p.src.place(keyColumns), "missing columns")
		}
	}
	_, isQuery := p.settings[keyQuery]
	_, isSelect := p.settings[keySelect]
	d.takeParams(p, isQuery)
	switch {
	case isQuery:
		d.fromQuery(p)
	case isSelect:
		d.fromColumn(p, isRow)
	case p.src.failed[keyQuery] || p.src.failed[keySelect]:
	case isRow:
		d.fromRow(p)
	default:
		p.src.fail(keyQuery, p.src.place(keyQuery), "%v is one value: missing Query, or Table, Select and Where", t)
	}
	return d
}

// varPlan makes a plan of T if it is a struct with tags, or points to one. Any
// other type, such as [time.Time], is a single value.
func varPlan(t reflect.Type) (p *plan, isRow bool) {
	if base := structBelow(t); base != nil {
		p = planOf(base)
		if len(p.columns) > 0 || len(p.settings) > 0 || len(p.src.problems) > 0 {
			return p, true
		}
	}
	p = &plan{settings: settings{}, src: newSource(t.String())}
	if problem := cannotHold(t); problem != "" {
		p.src.fail(keyColumns, p.src.place(keyColumns), "%s", problem)
	}
	return p, false
}

func (d *VarDef) fromQuery(p *plan) {
	for _, k := range []key{keySelect, keyTable, keyWhere} {
		if s, ok := p.settings[k]; ok && s.at.option != "" {
			p.src.fail(k, s.at, "misplaced option: a var with Query does not take it")
		}
	}
	s := p.settings[keyQuery]
	d.Query, d.Tables = s.text, s.texts
	if len(s.texts) == 0 {
		p.src.fail(keyQuery, s.at, "no tables: the var would never change")
	}
}

func (d *VarDef) fromColumn(p *plan, isRow bool) {
	s := p.settings[keySelect]
	if isRow {
		p.src.fail(keySelect, s.at, "misplaced option: %s is a row, not the type of a column", p.src.structName)
	}
	column, err := parseIdent(s.text)
	if err != nil {
		p.src.fail(keySelect, s.at, "column: %v", err)
	}
	d.selectRow(p, []string{column})
}

func (d *VarDef) fromRow(p *plan) {
	var columns []string
	for _, c := range p.columns {
		columns = append(columns, c.Name)
	}
	d.selectRow(p, columns)
}

// selectRow makes the statement that reads the one row. It asks for two, so
// that a condition that does not choose one row cannot go unseen.
func (d *VarDef) selectRow(p *plan, columns []string) {
	table, where := p.settings[keyTable].text, p.settings[keyWhere].text
	if sqltext.IsBlank(where) && !p.src.failed[keyWhere] {
		p.src.fail(keyWhere, p.src.place(keyWhere), "missing where: it chooses the row")
	}
	if err := sqltext.Closed(where); err != nil {
		p.src.fail(keyWhere, p.src.place(keyWhere), "where: %v", err)
	}
	if table == "" && !p.src.failed[keyTable] {
		p.src.fail(keyTable, p.src.place(keyTable), "missing table")
	}
	name, err := ParseTable(table)
	if table == "" || err != nil {
		d.Tables = append(d.Tables, table) // for Validate to refuse
		return
	}
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = QuoteIdent(c)
	}
	d.Key = p.primaryKey()
	d.Tables = []string{table}
	// The line break ends a comment that the condition may end with.
	d.Query = fmt.Sprintf("SELECT %s FROM %s WHERE (%s\n) LIMIT 2", strings.Join(quoted, ", "), name.SQL(), where)
}

// String is the kind and the name.
func (d *VarDef) String() string {
	if d == nil {
		return "var (nil)"
	}
	return fmt.Sprintf("var %q", d.Name)
}

// Validate returns every mistake in the definition; see [Definition].
func (d *VarDef) Validate() error {
	r := newReport(d.String(), nil)
	if d == nil {
		r.add(place{}, "nil")
		return r.err()
	}
	r = newReport(d.String(), d.src)
	checkName(r, d.src, d.Name)
	if d.src.isUnusable() {
		return r.err()
	}
	d.checkQuery(r)
	d.checkParams(r)
	checkRole(r, d.src, d.Role, d.Settings)
	if len(d.Columns) > 0 {
		checkRow(r, d.src, d.Type)
		checkColumns(r, d.src, d.Columns, d.Type)
	}
	return r.err()
}

func (d *VarDef) checkQuery(r *report) {
	if !d.made && strings.TrimSpace(d.Query) == "" {
		r.add(place{}, "missing query")
	}
	if !d.made && len(d.Tables) == 0 {
		r.add(place{}, "missing tables: the var would never change")
	}
	at := d.src.place(keyQuery)
	if at.option == "" {
		at = d.src.place(keyWhere)
	}
	checkValues(r, at, "query", d.Query, d.Params)
	if at.option == "" {
		at = d.src.place(keyTable)
	}
	seen := map[string]bool{}
	for _, table := range d.Tables {
		if table == "" && d.src.hasFailed(keyTable) {
			continue
		}
		if _, err := ParseTable(table); err != nil {
			r.add(at, "%v", err)
		}
		if seen[table] {
			r.add(at, "repeated table %q", table)
		}
		seen[table] = true
	}
}
