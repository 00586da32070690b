package binding

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// AllColumns stands, in [FilterRule.Column] and in the Sort of a [ListDef], for
// every published column that can be filtered or sorted by.
const AllColumns = "*"

// Operator compares a column with a value that a subscriber gives.
type Operator string

// The operators of a filter, by their names in the protocol.
const (
	OpEq       Operator = "eq"       // column = value; for null IS NULL
	OpNe       Operator = "ne"       // column IS DISTINCT FROM value
	OpLt       Operator = "lt"       // column < value
	OpLte      Operator = "lte"      // column <= value
	OpGt       Operator = "gt"       // column > value
	OpGte      Operator = "gte"      // column >= value
	OpIn       Operator = "in"       // column = ANY (values)
	OpPrefix   Operator = "prefix"   // starts_with(column, value); text only
	OpContains Operator = "contains" // strpos(column, value) > 0; text only
	OpNull     Operator = "null"     // column IS NULL for true, IS NOT NULL for false
)

// Operators returns all operators, in the order of the constants.
func Operators() []Operator {
	return []Operator{OpEq, OpNe, OpLt, OpLte, OpGt, OpGte, OpIn, OpPrefix, OpContains, OpNull}
}

// FilterRule lets subscribers of a list filter by a column. Its zero value
// names no column and is not valid.
type FilterRule struct {
	// Column is the exact name of the column. [AllColumns] stands for every
	// published column that no other rule names; a column whose type has none
	// of the rule's operators is then left out, and of the others each has
	// those that its type has.
	Column string
	// Operators are the ways to compare that are allowed. Nil means all that
	// the column's type has.
	Operators []Operator
}

// ParseFilterRule reads a rule as tags and [Filter] have it:
//
//	column [(operator ...)]
//
// with the column as in SQL, or * for [AllColumns], and white space between the
// operators. It does not know which columns there are.
func ParseFilterRule(text string) (FilterRule, error) {
	column, rest, err := scanColumn(strings.TrimSpace(text))
	if err != nil {
		return FilterRule{}, fmt.Errorf("rule %q: %w", text, err)
	}
	rule := FilterRule{Column: column}
	if rest = strings.TrimSpace(rest); rest == "" {
		return rule, nil
	}
	list, opened := strings.CutPrefix(rest, "(")
	list, closed := strings.CutSuffix(list, ")")
	if !opened || !closed {
		return FilterRule{}, fmt.Errorf("rule %q: unexpected %q after the column: want (operator ...) with spaces between", text, rest)
	}
	if rule.Operators, err = parseOperators(list); err != nil {
		return FilterRule{}, fmt.Errorf("rule %q: %w", text, err)
	}
	return rule, nil
}

// scanColumn reads the column at the start of s, or *, and returns what follows.
func scanColumn(s string) (name, rest string, err error) {
	if rest, found := strings.CutPrefix(s, AllColumns); found {
		return AllColumns, rest, nil
	}
	name, rest, err = scanIdent(s)
	if err == nil && name == AllColumns {
		// It would be taken for all columns from here on.
		err = errors.New(`a column whose name is * cannot be named alone`)
	}
	return name, rest, err
}

// scanOneColumn is scanColumn where * would name too much.
func scanOneColumn(s string) (name, rest string, err error) {
	if name, rest, err = scanColumn(s); err == nil && name == AllColumns {
		err = errors.New("each column has to be named")
	}
	return name, rest, err
}

// parseOperators reads operators with white space between them.
func parseOperators(text string) ([]Operator, error) {
	var operators []Operator
	for _, word := range strings.Fields(text) {
		operators = append(operators, Operator(word))
	}
	return operators, checkOperators(operators)
}

// checkOperators says what is wrong with a list of operators, nil not meaning
// all of them here.
func checkOperators(operators []Operator) error {
	if len(operators) == 0 {
		return errors.New("no operators")
	}
	for i, op := range operators {
		switch {
		case !slices.Contains(Operators(), op):
			return fmt.Errorf("unknown operator %q", string(op))
		case slices.Contains(operators[:i], op):
			return fmt.Errorf("repeated operator %s", op)
		}
	}
	return nil
}
