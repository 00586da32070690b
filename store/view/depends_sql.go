package view

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/socksync/socksync/binding"
)

// concernWriter writes the statements that lead from values of a table's columns to keys of the list.
type concernWriter struct {
	*relation
	read   func(table string) (map[string]column, error)
	tables map[string]map[string]column // read already
}

// own returns the concern of the list's own table.
func (w *concernWriter) own() ([]concern, error) {
	if w.def.Table == "" {
		return nil, nil
	}
	c := concern{table: w.ownTable(), columns: w.def.Key}
	if w.def.Query != "" {
		key, err := w.columnsOf(c.table, w.def.Key)
		if err == nil {
			err = w.checkValues(c.table, key, true)
		}
		if err != nil {
			return nil, fmt.Errorf("the query's table has another key: %w", err)
		}
	}
	return []concern{c}, nil
}

// concerns returns the concerns of a dependency: one for each way to the key.
func (w *concernWriter) concerns(d *binding.Dependency) ([]concern, error) {
	ways, err := w.ways(d, nil)
	if err != nil {
		return nil, err
	}
	table := feedName(d.Table)
	values, err := w.columnsOf(table, d.Columns)
	if err != nil {
		return nil, err
	}
	var concerns []concern
	for _, way := range ways {
		c := concern{table: table, columns: d.Columns}
		if len(way) == 0 {
			err = w.checkValues(table, values, false)
		} else {
			c.sql, c.lookups, err = w.write(way, values)
		}
		if err != nil {
			return nil, err
		}
		concerns = append(concerns, c)
	}
	return concerns, nil
}

// ways returns the ways from a dependency to the key, none of which visits a dependency twice.
func (w *concernWriter) ways(d *binding.Dependency, behind []*binding.Dependency) ([][]hop, error) {
	if d.Through == "" {
		return [][]hop{nil}, nil
	}
	for _, b := range behind {
		if b == d {
			return nil, errors.New("it leads back to itself and not to the key")
		}
	}
	if len(d.Refers) != len(d.Columns) {
		return nil, fmt.Errorf("it refers by %d columns to %d", len(d.Refers), len(d.Columns))
	}
	through := feedName(d.Through)
	var ways [][]hop
	if through == w.ownTable() {
		ways = append(ways, []hop{{through, d.Refers, w.def.Key}})
	}
	for i := range w.def.Depends {
		next := &w.def.Depends[i]
		if feedName(next.Table) != through {
			continue
		}
		rest, err := w.ways(next, append(behind, d))
		if err != nil {
			return nil, err
		}
		for _, way := range rest {
			ways = append(ways, append([]hop{{through, d.Refers, next.Columns}}, way...))
		}
	}
	if len(ways) == 0 {
		return nil, fmt.Errorf("%s is neither the list's table nor one that it depends on", d.Through)
	}
	return ways, nil
}

// write returns the statement that leads from values of columns to the texts of keys, and how it finds rows.
func (w *concernWriter) write(way []hop, values []column) (sql string, lookups []lookup, err error) {
	for i, h := range way {
		alias := fmt.Sprintf("socksync_t%d", i+1)
		refers, err := w.columnsOf(h.table, h.refers)
		if err != nil {
			return "", nil, err
		}
		columns, err := w.columnsOf(h.table, h.columns)
		if err != nil {
			return "", nil, err
		}
		lookups = append(lookups, lookup{h.table, refers, values})
		condition := amongSQL(bases(alias, refers), values)
		if i > 0 {
			condition = "(" + strings.Join(bases(alias, refers), ", ") + ") IN (" + sql + ")"
		}
		values = columns
		if i < len(way)-1 {
			sql = "SELECT " + strings.Join(bases(alias, columns), ", ") + " FROM " + h.table + " AS " + alias + " WHERE " + condition
			continue
		}
		own := h.table == w.ownTable() && slices.Equal(h.columns, w.def.Key)
		if err := w.checkValues(h.table, columns, own); err != nil {
			return "", nil, err
		}
		sql = "SELECT " + texts(alias, columns) + " FROM " + h.table + " AS " + alias + " WHERE " + condition + present(alias, columns)
	}
	return sql, lookups, nil
}

// bases returns columns as values of the types that they are over.
func bases(alias string, columns []column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.base(alias + "." + binding.QuoteIdent(c.name))
	}
	return names
}

// texts returns the select list of columns' texts.
func texts(alias string, columns []column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.textSQL(alias + "." + binding.QuoteIdent(c.name))
	}
	return strings.Join(list, ", ")
}

// present leaves out rows without a key.
func present(alias string, columns []column) string {
	var b strings.Builder
	for _, c := range columns {
		b.WriteString(" AND " + alias + "." + binding.QuoteIdent(c.name) + " IS NOT NULL")
	}
	return b.String()
}

// columnsOf returns columns of a table.
func (w *concernWriter) columnsOf(table string, names []string) ([]column, error) {
	known, ok := w.tables[table]
	if !ok {
		var err error
		if known, err = w.read(table); err != nil {
			return nil, err
		}
		w.tables[table] = known
	}
	columns := make([]column, len(names))
	for i, name := range names {
		c, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("table %s has no column %q", table, name)
		}
		columns[i] = c
	}
	return columns, nil
}

// ownTable is the list's table as the feed names it, "" if it has none.
func (w *concernWriter) ownTable() string {
	if w.def.Table == "" {
		return ""
	}
	return feedName(w.def.Table)
}

// checkValues refuses columns whose values are not the list's key, as far as their types tell.
//
// Where they are not of the list's own table, the text of a value must say which it is: of a group of 1.0 and 1.00
// Postgres shows either.
func (w *concernWriter) checkValues(table string, columns []column, own bool) error {
	if len(columns) != len(w.def.Key) {
		return fmt.Errorf("it leads to %d columns of %s, the key has %d", len(columns), table, len(w.def.Key))
	}
	for i, k := range w.def.Key {
		key, c := w.columns[k], columns[i]
		if !sameTexts(key, c) {
			return fmt.Errorf("%s of %s is of type %s, and column %q of the key of type %s", c.name, table, c.typeName, k, key.typeName)
		}
		if !own && !key.spelledOnce() {
			return fmt.Errorf("column %q of the key is of type %s, of which equal values may be written in several ways: "+
				"make it text, an integer, a date or a time in the query", k, key.typeName)
		}
	}
	return nil
}

var integers = map[uint32]bool{pgtype.Int2OID: true, pgtype.Int4OID: true, pgtype.Int8OID: true}

// sameTexts reports whether equal values of two columns have equal texts, as far as their types tell.
func sameTexts(a, b column) bool {
	return a.baseOID == b.baseOID || a.isText && b.isText || integers[a.baseOID] && integers[b.baseOID]
}

// spelledOnce reports whether values of the type are equal exactly if their texts are.
func (c column) spelledOnce() bool {
	known := c.choosable("")
	return known.Hashed()
}
