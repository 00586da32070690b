package store

import (
	"database/sql/driver"
	"fmt"
	"reflect"
	"strings"
)

// Filter is a condition on the columns of a row. A nil Filter is true for every
// row. Filters hold no state and may be used again.
type Filter interface {
	// condition returns the condition in SQL, in parentheses where it needs
	// them, and binds its values.
	condition(s *statement) string
}

// Eq is true where the column equals value. A value that is NULL, such as a nil
// pointer, asks for NULL.
func Eq(column string, value any) Filter { return comparison{column, "=", value} }

// Ne is true where the column has a value other than value; NULL is none. A
// value that is NULL asks for any value.
func Ne(column string, value any) Filter { return comparison{column, "<>", value} }

// Lt is true where the column is less than value.
func Lt(column string, value any) Filter { return comparison{column, "<", value} }

// Lte is true where the column is less than value or equals it.
func Lte(column string, value any) Filter { return comparison{column, "<=", value} }

// Gt is true where the column is greater than value.
func Gt(column string, value any) Filter { return comparison{column, ">", value} }

// Gte is true where the column is greater than value or equals it.
func Gte(column string, value any) Filter { return comparison{column, ">=", value} }

// In is true where the column equals one of values, none of which may be NULL.
// Without values it is true for no row. Postgres takes 65,535 values in one
// statement at most.
func In[V any](column string, values ...V) Filter {
	m := membership{column: column}
	for _, v := range values {
		m.values = append(m.values, v)
	}
	return m
}

// IsNull is true where the column is NULL.
func IsNull(column string) Filter { return comparison{column, "=", nil} }

// NotNull is true where the column has a value.
func NotNull(column string) Filter { return comparison{column, "<>", nil} }

// And is true where all filters are. And of nothing is true for every row.
func And(filters ...Filter) Filter { return junction{" AND ", "true", filters} }

// Or is true where at least one of filters is. Or of nothing is true for no row.
func Or(filters ...Filter) Filter { return junction{" OR ", "false", filters} }

type comparison struct {
	column, operator string
	value            any
}

func (c comparison) condition(s *statement) string {
	column := s.column(c.column)
	if !isNull(c.value) {
		return column + " " + c.operator + " " + s.bind(c.value)
	}
	switch c.operator {
	case "=":
		return column + " IS NULL"
	case "<>":
		return column + " IS NOT NULL"
	}
	s.fail(fmt.Errorf("column %q: nothing is %s NULL", c.column, c.operator))
	return "false"
}

type membership struct {
	column string
	values []any
}

// condition binds each value by itself: as one array they would need an array
// type that the driver knows, which those of enums and extensions have not.
func (m membership) condition(s *statement) string {
	column := s.column(m.column)
	if len(m.values) == 0 {
		return "false"
	}
	marks := make([]string, len(m.values))
	for i, v := range m.values {
		if isNull(v) {
			s.fail(fmt.Errorf("column %q: NULL among the values of In", m.column))
		}
		marks[i] = s.bind(v)
	}
	return column + " IN (" + strings.Join(marks, ", ") + ")"
}

type junction struct {
	word, empty string
	filters     []Filter
}

func (j junction) condition(s *statement) string {
	if len(j.filters) == 0 {
		return j.empty
	}
	parts := make([]string, len(j.filters))
	for i, f := range j.filters {
		parts[i] = condition(s, f)
	}
	return "(" + strings.Join(parts, j.word) + ")"
}

// condition is the condition of f, which may be nil.
func condition(s *statement, f Filter) string {
	if f == nil {
		return "true"
	}
	return f.condition(s)
}

// isNull reports whether the driver would send NULL for v.
func isNull(v any) bool {
	if v == nil {
		return true
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.Pointer && r.IsNil() {
		return true
	}
	if v, ok := v.(driver.Valuer); ok {
		value, err := v.Value()
		return err == nil && value == nil
	}
	return false
}
