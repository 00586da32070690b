package choice

import (
	"errors"
	"fmt"
	"slices"

	"github.com/socksync/socksync/binding"
)

// Rules are what subscribers of a list may choose, held against its table. They are immutable.
type Rules struct {
	def    *binding.ListDef
	table  string              // the name by which columns are qualified, quoted
	order  []binding.OrderTerm // of the list, complete
	byJSON map[string]*allowed
	search []*Column
	static string // the part of the list's condition that is the same for everybody
	owned  owned  // the rest of it
}

// allowed is what may be done with a column.
type allowed struct {
	column    *Column
	operators map[binding.Operator]bool // nil if it cannot be filtered by
	sort      bool
}

// NewRules holds a definition, which is valid by itself, against its relation's columns, by name; table is the name of the
// relation in statements, quoted. The error joins every mistake: what is allowed by name must be possible with the column's
// type; "*" allows what is.
func NewRules(def *binding.ListDef, table string, columns map[string]Column) (*Rules, error) {
	r := &Rules{
		def:    def,
		table:  table,
		order:  complete(def.WithDefaults().Order, def.Key),
		byJSON: map[string]*allowed{},
	}
	byName := map[string]*allowed{}
	for name, c := range columns {
		a := &allowed{column: &c}
		byName[name] = a
		if c.JSON != "" {
			r.byJSON[c.JSON] = a
		}
	}
	r.readWhere(byName)
	return r, errors.Join(r.allowFilters(byName), r.allowSorts(byName), r.allowSearch(byName))
}

// named returns the column that the definition names for some purpose.
func (r *Rules) named(byName map[string]*allowed, what, name string) (*allowed, error) {
	a := byName[name]
	switch {
	case a == nil:
		return nil, fmt.Errorf("%s: %s: table %s has no column %q", r.def, what, r.def.Table, name)
	case a.column.JSON == "":
		return nil, fmt.Errorf("%s: %s: column %q is hidden", r.def, what, name)
	}
	return a, nil
}

func (r *Rules) allowFilters(byName map[string]*allowed) error {
	var errs []error
	for _, rule := range r.def.Filter {
		if rule.Column == binding.AllColumns {
			continue
		}
		a, err := r.named(byName, "filter", rule.Column)
		if err == nil {
			err = a.allow(r.def, rule)
		}
		errs = append(errs, err)
	}
	for _, rule := range r.def.Filter {
		if rule.Column == binding.AllColumns {
			r.allowAll(rule)
		}
	}
	return errors.Join(errs...)
}

// allow allows what a rule says of this column.
func (a *allowed) allow(def *binding.ListDef, rule binding.FilterRule) error {
	a.operators = map[binding.Operator]bool{}
	var errs []error
	for _, o := range operators(rule) {
		switch {
		case a.column.takes(o):
			a.operators[o] = true
		case rule.Operators != nil:
			errs = append(errs, fmt.Errorf("%s: filter: column %q of type %s has no operator %s",
				def, rule.Column, a.column.Type, o))
		}
	}
	return errors.Join(errs...)
}

// allowAll allows a rule's operators of every column that no other rule names.
func (r *Rules) allowAll(rule binding.FilterRule) {
	for _, a := range r.byJSON {
		if a.operators != nil {
			continue
		}
		for _, o := range operators(rule) {
			if !a.column.takes(o) {
				continue
			}
			if a.operators == nil {
				a.operators = map[binding.Operator]bool{}
			}
			a.operators[o] = true
		}
	}
}

func operators(rule binding.FilterRule) []binding.Operator {
	if rule.Operators == nil {
		return binding.Operators()
	}
	return rule.Operators
}

func (r *Rules) allowSorts(byName map[string]*allowed) error {
	if slices.Contains(r.def.Sort, binding.AllColumns) {
		for _, a := range r.byJSON {
			a.sort = a.column.Ordered
		}
	}
	var errs []error
	for _, name := range r.def.Sort {
		if name == binding.AllColumns {
			continue
		}
		a, err := r.named(byName, "sort", name)
		switch {
		case err != nil:
			errs = append(errs, err)
		case !a.column.Ordered:
			errs = append(errs, fmt.Errorf("%s: sort: column %q of type %s has no order", r.def, name, a.column.Type))
		default:
			a.sort = true
		}
	}
	return errors.Join(errs...)
}

func (r *Rules) allowSearch(byName map[string]*allowed) error {
	var errs []error
	for _, name := range r.def.Search {
		a, err := r.named(byName, "search", name)
		switch {
		case err != nil:
			errs = append(errs, err)
		case !a.column.Text:
			errs = append(errs, fmt.Errorf("%s: search: column %q of type %s is no text", r.def, name, a.column.Type))
		default:
			r.search = append(r.search, a.column)
		}
	}
	return errors.Join(errs...)
}

// Search returns the columns that a search looks into, in the order of the definition.
func (r *Rules) Search() []Column {
	columns := make([]Column, len(r.search))
	for i, c := range r.search {
		columns[i] = *c
	}
	return columns
}
