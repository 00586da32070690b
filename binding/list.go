package binding

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/socksync/socksync/internal/sqltext"
)

// DefaultMaxPageSize is the most rows on a page of a list that says nothing.
const DefaultMaxPageSize = 100

// DefaultMaxWindow is the most rows to which a window of a list that says
// nothing can grow, if its pages are not larger already.
const DefaultMaxWindow = 1000

// ListDef defines a list: rows of a table in an order, published in pages. It
// is plain data: [List] makes one from a struct's tags, a program without a
// struct writes it out. It is not to be changed once it is in use.
type ListDef struct {
	// Name is the name to subscribe to, 1 to 128 bytes.
	Name string
	// Table is the table, as in SQL: flights, public.flights, "Odd Name".
	// [ParseTable] gives the exact name.
	Table string
	// Key holds the columns of the primary key, by exact name. They are among
	// Columns.
	Key []string
	// Columns are the columns that are read. Subscribers know them by their
	// JSON names; those without are not for them to choose by.
	Columns []Column
	// Where is a condition in SQL over the columns of the row; empty is all
	// rows. It must not hold text that comes from a peer. @name in it stands for
	// a value of the subscriber's identity; see the package's documentation.
	Where string
	// Query is a SELECT whose rows are the list's, in place of the rows of
	// Table: a join, a grouping, or all of a database view. It has all Columns,
	// by name, and the rows that it yields are told apart by Key. Empty means
	// the rows of Table.
	Query string
	// Depends says, for each table that Query reads, which rows a change of the
	// table concerns. Table, if it is not empty, is one of them by itself: its
	// Key is that of the list's row.
	Depends []Dependency
	// Recompute has the list read anew as a whole after a change of one of
	// Tables, and then not again for this long. It is for a Query of which
	// Depends cannot be told. 0 means that Depends is told.
	Recompute time.Duration
	// Tables are the tables that Query reads when Recompute is set, as in SQL.
	Tables []string
	// Role is a role of the database, by exact name, under which the list is
	// read, with Settings, so that its policies of row-level security decide
	// which rows a subscriber has. Empty means the server's own, for which there
	// are mostly none.
	Role string
	// Settings are made from the subscriber's identity for Role's policies.
	Settings []Setting
	// Order is the order of the list. Key columns that it does not name follow
	// it, ascending; see WithDefaults.
	Order []OrderTerm
	// PageSize is the number of rows on a page when none is asked for; 0 means
	// MaxPageSize.
	PageSize int
	// MaxPageSize is the most rows that a page may have; 0 means
	// [DefaultMaxPageSize].
	MaxPageSize int
	// MaxWindow is the most rows that a window has that starts behind a row
	// and grows while it is scrolled; 0 means the greater of
	// [DefaultMaxWindow] and MaxPageSize.
	MaxWindow int
	// Filter are the columns that subscribers may filter by, each at most
	// once. None means that they cannot filter.
	Filter []FilterRule
	// Sort are the columns that subscribers may sort by, by exact name, or
	// [AllColumns] alone. None means that they cannot sort.
	Sort []string
	// Search are the columns of text that a subscriber's search looks into, by
	// exact name. None means that they cannot search.
	Search []string
	// Row is the struct that a row is scanned into and published from. Nil
	// means no struct: the columns are published under their JSON names.
	Row reflect.Type

	src *source
}

// List defines a list of rows of T, a struct with tags; see the package's
// documentation. Options override the tag, so that one struct may have several
// lists. where and the name of a struct's tag with var are not the list's.
// Mistakes are found by Validate.
func List[T any](opts ...Option) *ListDef { return listOf(reflect.TypeFor[T](), opts) }

func listOf(t reflect.Type, opts []Option) *ListDef {
	p := planOf(t)
	p.take(keyList, keyVar)
	p.apply(opts, "list", keyName, keyTable, keyPK, keyWhere, keyOrder, keyPageSize, keyMaxPageSize,
		keyMaxWindow, keyFilter, keySort, keySearch, keyQuery, keyView, keyDepends, keyRecompute, keyRole)
	d := &ListDef{
		Name:        p.settings[keyName].text,
		Table:       p.settings[keyTable].text,
		Key:         p.primaryKey(),
		Columns:     p.columns,
		Where:       p.settings[keyWhere].text,
		Order:       p.order(),
		PageSize:    p.settings[keyPageSize].number,
		MaxPageSize: p.settings[keyMaxPageSize].number,
		MaxWindow:   p.settings[keyMaxWindow].number,
		Filter:      p.filter(),
		Sort:        p.sort(),
		Search:      p.search(),
		Row:         p.row,
		src:         p.src,
	}
	d.fromQuery(p)
	d.Role, d.Settings = p.role()
	return d.WithDefaults()
}

// take makes the name under key own the definition's name. A tag for the other
// kind keeps its where to itself: a condition that picks the row of a var says
// nothing about a list, and the other way round.
func (p *plan) take(own, other key) {
	name, isOwn := p.settings[own]
	if isOwn {
		p.settings[keyName] = name
		p.src.places[keyName] = name.at
	}
	if _, isOther := p.settings[other]; isOther && !isOwn {
		delete(p.settings, keyWhere)
		delete(p.src.places, keyWhere)
	}
}

// primaryKey returns the key that the option names, else that of the tags.
func (p *plan) primaryKey() []string {
	s, ok := p.settings[keyPK]
	if !ok {
		return p.key
	}
	var key []string
	for _, text := range s.texts {
		column, err := parseIdent(text)
		if err != nil {
			p.src.fail(keyPK, s.at, "column %q: %v", text, err)
			continue
		}
		key = append(key, column)
	}
	return key
}

// order parses the order that is in force.
func (p *plan) order() []OrderTerm {
	s, ok := p.settings[keyOrder]
	if !ok {
		return nil
	}
	terms, err := ParseOrder(s.text)
	if err != nil {
		p.src.fail(keyOrder, s.at, "order: %s", oneLine(err))
	}
	return terms
}

// oneLine puts the messages of a joined error into one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// WithDefaults returns a copy in which the sizes are filled in and the order
// ends with the missing key columns. What [List] returns has them already.
func (d *ListDef) WithDefaults() *ListDef {
	c := *d
	if c.MaxPageSize == 0 {
		c.MaxPageSize = DefaultMaxPageSize
	}
	if c.PageSize == 0 {
		c.PageSize = c.MaxPageSize
	}
	if c.MaxWindow == 0 {
		c.MaxWindow = max(DefaultMaxWindow, c.MaxPageSize)
	}
	c.Order = completeOrder(c.Order, c.Key)
	return &c
}

// NewRow returns a new zero row to scan into, addressable; see [Column.In]. Row
// must not be nil.
func (d *ListDef) NewRow() reflect.Value { return reflect.New(d.Row).Elem() }

// String is the kind and the name.
func (d *ListDef) String() string {
	if d == nil {
		return "list (nil)"
	}
	return fmt.Sprintf("list %q", d.Name)
}

// Validate returns every mistake in the definition; see [Definition].
func (d *ListDef) Validate() error {
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
	d.checkRead(r)
	checkRow(r, d.src, d.Row)
	checkColumns(r, d.src, d.Columns, d.Row)
	checkKey(r, d.src, d.Key, d.Columns)
	d.checkPublishedKey(r)
	checkWhere(r, d.src, d.Where)
	checkRole(r, d.src, d.Role, d.Settings)
	checkOrder(r, d.src, d.Order, d.Columns)
	d.checkAllowed(r)
	d.checkSizes(r)
	return r.err()
}

func (d *ListDef) checkSizes(r *report) {
	full := d.WithDefaults()
	if full.PageSize < 0 {
		r.add(d.src.place(keyPageSize), "page size %d is less than 1", full.PageSize)
	}
	if full.MaxPageSize < 0 {
		r.add(d.src.place(keyMaxPageSize), "maximum page size %d is less than 1", full.MaxPageSize)
		return
	}
	if full.MaxWindow < full.MaxPageSize {
		r.add(d.src.place(keyMaxWindow), "maximum window %d is less than the maximum page size, %d", full.MaxWindow, full.MaxPageSize)
	}
	if full.PageSize > full.MaxPageSize {
		r.add(d.src.place(keyPageSize), "page size %d is greater than the maximum, %d", full.PageSize, full.MaxPageSize)
	}
}

// checkPublishedKey refuses a hidden key column: subscribers know rows by their
// key, for one to start a window behind a row. What their identity says already
// they do not need.
func (d *ListDef) checkPublishedKey(r *report) {
	bound := d.BoundKey()
	for _, name := range d.Key {
		if c, ok := columnNamed(d.Columns, name); ok && c.JSON == "" && !slices.Contains(bound, name) {
			r.add(d.src.column(name), "primary key: column %q is not published", name)
		}
	}
}

func checkRow(r *report, src *source, row reflect.Type) {
	if row != nil && row.Kind() != reflect.Struct {
		r.add(src.place(keyColumns), "%v is not a struct", row)
	}
}

// checkWhere finds what is wrong with a condition, one of white space being nothing that can be meant.
func checkWhere(r *report, src *source, where string) {
	at := src.place(keyWhere)
	switch {
	case where == "":
	case sqltext.IsBlank(where):
		r.add(at, "where is empty")
	case checkEnclosed(r, at, "where", where):
		checkValues(r, at, "where", where, nil)
	}
}

func checkOrder(r *report, src *source, order []OrderTerm, columns []Column) {
	var names []string
	for _, t := range order {
		names = append(names, t.Column)
		if t.Nulls < NullsDefault || t.Nulls > NullsLast {
			r.add(src.place(keyOrder), "order: column %q has no such place for NULLs: %d", t.Column, int(t.Nulls))
		}
	}
	checkNamed(r, src.place(keyOrder), "order", names, columns)
}
