package view

import (
	"fmt"
	"strings"
	"sync"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/sortkey"
)

// plan is a choice of a list held against its relation: the statements that read the view, and how its rows are placed. It
// is immutable; a view gets a new one with each load.
type plan struct {
	*form
	choice   *choice.Choice
	loadArgs []any
}

// form is what plans have in common that differ in values only, so that many views have it once. It is immutable.
type form struct {
	*relation
	terms   []binding.OrderTerm
	encoded bool             // rows are placed by encoded keys, not by Postgres
	order   []sortkey.Column // only if encoded

	loadSQL  string // every row in list order: key, place
	placeSQL string // some keys in list order
}

// forms are those of a relation that are in use, by the text of the load and how rows are placed. Loads meet here.
type forms struct {
	mu  sync.Mutex
	all map[formKey]*form
}

type formKey struct {
	loadSQL string
	encoded bool
}

// newPlan makes the plan of a choice, which is settled.
func newPlan(r *relation, c *choice.Choice, encode bool) *plan {
	chosen, args := c.Where(1)
	f := &form{relation: r, terms: c.Order(), encoded: encode}
	for _, t := range f.terms {
		f.encoded = f.encoded && r.columns[t.Column].encodable()
	}
	order := " ORDER BY " + f.orderSQL()
	f.loadSQL = "SELECT " + r.keys + f.placeColumns() + r.rowOfLoad() + r.from() + r.conditions(" WHERE ", chosen) + order
	return &plan{form: r.forms.share(f, order), choice: c, loadArgs: args}
}

// share returns the form that is already in use, or this one, complete.
func (s *forms) share(f *form, order string) *form {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := formKey{f.loadSQL, f.encoded}
	if known := s.all[k]; known != nil {
		return known
	}
	for _, t := range f.terms {
		column := f.columns[t.Column]
		f.order = append(f.order, sortkey.Column{
			OID: column.oid, Desc: t.Desc, NullsFirst: t.NullsFirst(), ByteOrdered: column.byteOrder,
		})
	}
	f.placeSQL = "SELECT " + f.keys + f.among + order
	if s.all == nil {
		s.all = map[formKey]*form{}
	}
	if len(s.all) < maxForms {
		s.all[k] = f
	}
	return f
}

// maxForms is how many forms of a list are shared; subscribers decide how many there are.
const maxForms = 1000

// placeColumns returns the select list of what a row's place depends on.
func (p *form) placeColumns() string {
	var b strings.Builder
	for i, t := range p.terms {
		fmt.Fprintf(&b, ", %s AS socksync_order_%d", p.placeColumn(t.Column), i+1)
	}
	return b.String()
}

// placeColumn is the raw value of an order column to encode, or its text, which tells whether the place may have changed.
func (p *form) placeColumn(name string) string {
	if p.encoded {
		return p.column(name)
	}
	return p.column(name) + "::text"
}

func (p *form) orderSQL() string {
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
