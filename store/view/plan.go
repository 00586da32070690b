package view

import (
	"fmt"
	"strings"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/sortkey"
)

// plan is a choice of a list held against its table: the statements that read the view, and how its rows are placed. It
// is immutable; a view gets a new one with each load.
type plan struct {
	*relation
	choice  *choice.Choice
	terms   []binding.OrderTerm
	encoded bool             // rows are placed by encoded keys, not by Postgres
	order   []sortkey.Column // only if encoded

	loadSQL  string // every row in list order: key, place
	loadArgs []any
	placeSQL string // some keys in list order
}

// newPlan makes the plan of a choice, which is settled.
func newPlan(r *relation, c *choice.Choice, encode bool) *plan {
	p := &plan{relation: r, choice: c, terms: c.Order(), encoded: encode}
	for _, t := range p.terms {
		column := r.columns[t.Column]
		p.encoded = p.encoded && column.encodable()
		p.order = append(p.order, sortkey.Column{
			OID: column.oid, Desc: t.Desc, NullsFirst: t.NullsFirst(), ByteOrdered: column.byteOrder,
		})
	}
	chosen, args := c.Where(1)
	order := " ORDER BY " + p.orderSQL()
	p.loadSQL = "SELECT " + r.keys + p.placeColumns() + r.from() + r.conditions(" WHERE ", chosen) + order
	p.loadArgs = args
	p.placeSQL = "SELECT " + r.keys + r.among + order
	return p
}

// placeColumns returns the select list of what a row's place depends on.
func (p *plan) placeColumns() string {
	var b strings.Builder
	for i, t := range p.terms {
		fmt.Fprintf(&b, ", %s AS socksync_order_%d", p.placeColumn(t.Column), i+1)
	}
	return b.String()
}

// placeColumn is the raw value of an order column to encode, or its text, which tells whether the place may have changed.
func (p *plan) placeColumn(name string) string {
	if p.encoded {
		return p.column(name)
	}
	return p.column(name) + "::text"
}

func (p *plan) orderSQL() string {
	terms := make([]string, len(p.terms))
	for i, t := range p.terms {
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
