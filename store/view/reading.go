package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/socksync/socksync/internal/choice"
)

// reading reads the changed rows of a group once for all of its views: their keys, what their places depend on, which
// conditions they meet, and their values. Its text depends on which columns and operators the views use and not on how
// many views there are, so that it stays prepared. It is immutable.
type reading struct {
	*relation
	matcher *choice.Matcher
	columns []orderColumn
	asked   string // of the matcher

	sql     string // by key: key, order columns, condition of the list, conditions of choices
	fullSQL string // and row
}

// orderColumn is a column that some view is ordered by, as a value to encode or as a text.
type orderColumn struct {
	name    string
	encoded bool
}

// newReading makes the reading for the views of a group.
func newReading(g *group, asked string) *reading {
	r := &reading{relation: g.relation, matcher: g.matcher, asked: asked}
	for c := range g.orders {
		r.columns = append(r.columns, c)
	}
	slices.SortFunc(r.columns, func(a, b orderColumn) int { return strings.Compare(a.sortKey(), b.sortKey()) })
	r.writeSQL()
	return r
}

// sortKey puts columns into an order that does not depend on that of the views.
func (c orderColumn) sortKey() string { return fmt.Sprintf("%s %t", c.name, c.encoded) }

func (r *reading) writeSQL() {
	var b strings.Builder
	b.WriteString("SELECT " + r.keys)
	for i, c := range r.columns {
		cast := "::text"
		if c.encoded {
			cast = ""
		}
		fmt.Fprintf(&b, ", %s%s AS socksync_order_%d", r.column(c.name), cast, i+1)
	}
	b.WriteString(", " + r.included() + " AS socksync_where" + r.asked)
	r.sql = b.String() + r.among
	r.fullSQL = b.String() + r.row + r.among
}

// included is whether a row meets the part of the list's own condition that is the same for everybody.
func (r *reading) included() string {
	if r.rules.Static() == "" {
		return "true"
	}
	return "(" + r.rules.Static() + ") IS TRUE"
}

// changedRow is a row that the log names and that exists. Which views it belongs to is decided from it alone.
type changedRow struct {
	reading  *reading
	key      string
	included bool // it meets the list's own condition
	match    *choice.Match
	json     json.RawMessage // nil if not read

	fields []pgconn.FieldDescription // of the order columns
	values [][]byte                  // of the order columns
	places map[ordered]placed        // that were asked for, by order
}

// ordered names an order and how places in it are had.
type ordered struct {
	sql     string
	encoded bool
}

// placed is what is known of the place of a row in some order.
type placed struct {
	place []byte
	err   error
}

// changedRow decodes a row of the answer.
func (r *reading) changedRow(read *reader, rows pgx.Rows) (*changedRow, error) {
	fields, values := rows.FieldDescriptions(), rows.RawValues()
	nk, no := len(r.def.Key), len(r.columns)
	key := read.keyTexts(values)
	c := &changedRow{reading: r, key: joinKey(key), fields: slices.Clone(fields[nk : nk+no]), places: map[ordered]placed{}}
	for _, v := range values[nk : nk+no] {
		c.values = append(c.values, bytes.Clone(v)) // the driver's only until the next row
	}
	rest := nk + no
	if err := read.types.Scan(fields[rest].DataTypeOID, fields[rest].Format, values[rest], &c.included); err != nil {
		return nil, fmt.Errorf("condition of row %q: %w", key, err)
	}
	rest++
	match, err := r.matcher.Match(read.types, fields[rest:rest+r.matcher.Columns()], values[rest:rest+r.matcher.Columns()])
	if err != nil {
		return nil, fmt.Errorf("conditions of row %q: %w", key, err)
	}
	c.match = match
	if rest += r.matcher.Columns(); rest < len(values) {
		c.json = read.json(key, fields[rest:], values[rest:])
	}
	return c, nil
}

// member returns the row as a view has it, or nil if it is not in the view.
func (c *changedRow) member(p *plan) (*member, error) {
	if !c.included || !c.match.Includes(p.choice) {
		return nil, nil //nolint:nilnil // not in the view, and no error
	}
	by := ordered{p.placeSQL, p.encoded}
	known, ok := c.places[by]
	if !ok {
		known.place, known.err = c.place(p)
		c.places[by] = known
	}
	return &member{key: c.key, place: known.place, json: c.json}, known.err
}

// place returns the place of the row in the order of a view; see reader.place.
func (c *changedRow) place(p *plan) ([]byte, error) {
	fields := make([]pgconn.FieldDescription, len(p.terms))
	values := make([][]byte, len(p.terms))
	for i, t := range p.terms {
		at := slices.Index(c.reading.columns, orderColumn{t.Column, p.encoded})
		fields[i], values[i] = c.fields[at], c.values[at]
	}
	place, err := encodePlace(p, fields, values)
	if err != nil {
		return nil, fmt.Errorf("place of row %q: %w", c.key, err)
	}
	return place, nil
}
