package binding

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Nulls says where the NULLs of an order column stand.
type Nulls int

const (
	// NullsDefault is where Postgres puts them: last ascending, first
	// descending.
	NullsDefault Nulls = iota
	// NullsFirst puts them before all values.
	NullsFirst
	// NullsLast puts them after all values.
	NullsLast
)

// OrderTerm is one column of an order. Its zero value names no column and is
// not valid.
type OrderTerm struct {
	// Column is the exact name of the column.
	Column string
	// Desc orders descending.
	Desc bool
	// Nulls says where NULLs stand.
	Nulls Nulls
}

// ParseOrder reads an order as tags and [Order] have it: terms with a comma
// between them, each
//
//	[-]column [asc|desc] [nulls first|nulls last]
//
// It does not know which columns there are. The error joins every mistake.
func ParseOrder(text string) ([]OrderTerm, error) {
	parts, err := splitOutside(text, ',')
	if err != nil {
		return nil, err
	}
	var terms []OrderTerm
	var errs []error
	for _, part := range parts {
		term, err := parseTerm(part)
		if err != nil {
			errs = append(errs, fmt.Errorf("order term %q: %w", part, err))
			continue
		}
		terms = append(terms, term)
	}
	return terms, errors.Join(errs...)
}

func parseTerm(text string) (OrderTerm, error) {
	text, minus := strings.CutPrefix(text, "-")
	column, rest, err := scanIdent(strings.TrimSpace(text))
	if err != nil {
		return OrderTerm{}, err
	}
	term := OrderTerm{Column: column, Desc: minus}
	words := strings.Fields(strings.ToLower(rest))
	if len(words) > 0 && (words[0] == "asc" || words[0] == "desc") {
		if minus {
			return OrderTerm{}, fmt.Errorf("- and %s together", words[0])
		}
		term.Desc = words[0] == "desc"
		words = words[1:]
	}
	switch strings.Join(words, " ") {
	case "":
	case "nulls first":
		term.Nulls = NullsFirst
	case "nulls last":
		term.Nulls = NullsLast
	default:
		return OrderTerm{}, fmt.Errorf("unexpected %q after the column (no expressions)", strings.TrimSpace(rest))
	}
	return term, nil
}

// NullsFirst reports whether NULLs stand before all values, with the default
// of Postgres worked out.
func (t OrderTerm) NullsFirst() bool {
	if t.Nulls == NullsDefault {
		return t.Desc
	}
	return t.Nulls == NullsFirst
}

// SQL returns the term as it stands in an ORDER BY, with the column quoted and
// direction and NULLs spelled out.
func (t OrderTerm) SQL() string {
	direction, nulls := " ASC", " NULLS LAST"
	if t.Desc {
		direction = " DESC"
	}
	if t.NullsFirst() {
		nulls = " NULLS FIRST"
	}
	return QuoteIdent(t.Column) + direction + nulls
}

// completeOrder appends the key columns that the order does not name.
func completeOrder(order []OrderTerm, key []string) []OrderTerm {
	order = slices.Clone(order)
	for _, column := range key {
		named := func(t OrderTerm) bool { return t.Column == column }
		if !slices.ContainsFunc(order, named) {
			order = append(order, OrderTerm{Column: column})
		}
	}
	return order
}
