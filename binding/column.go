package binding

import (
	"database/sql"
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
)

// Column is one column of a row.
type Column struct {
	// Name is the exact name of the column.
	Name string
	// JSON is the name under which the column is published; empty hides it.
	JSON string
	// Field is the index path of the struct field that holds the column, as in
	// [reflect.Value.FieldByIndex]. It is nil for a row without a struct.
	Field []int
	// Type is the type of that field. It is nil for a row without a struct:
	// the value is then whatever Go type suits the column's type.
	Type reflect.Type
}

// In returns the field of row that holds the column, to be read or scanned
// into. row is an addressable struct of the definition's type. Embedded
// pointers on the way that are nil get a new struct.
func (c Column) In(row reflect.Value) reflect.Value {
	v := row
	for i, x := range c.Field {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(x)
	}
	return v
}

// checkColumns finds what is wrong with columns, in themselves and together.
func checkColumns(r *report, src *source, columns []Column, row reflect.Type) {
	if len(columns) == 0 && !src.hasFailed(keyColumns) {
		r.add(src.place(keyColumns), "missing columns")
	}
	names, published := map[string]bool{}, map[string]bool{}
	for _, c := range columns {
		at := src.column(c.Name)
		if err := checkIdent(c.Name); err != nil {
			r.add(at, "column: %v", err)
		}
		if names[c.Name] {
			r.add(at, "duplicate column %q", c.Name)
		}
		if c.JSON != "" && published[c.JSON] {
			r.add(at, "duplicate JSON name %q", c.JSON)
		}
		names[c.Name], published[c.JSON] = true, true
		if row != nil && !leadsTo(row, c.Field, c.Type) {
			r.add(at, "column %q: field path %v does not lead to a %v in %v", c.Name, c.Field, c.Type, row)
		}
	}
}

// leadsTo reports whether the path ends at a field of type want that code
// outside of the struct's package can set.
func leadsTo(row reflect.Type, path []int, want reflect.Type) bool {
	if len(path) == 0 || want == nil {
		return false
	}
	t := row
	for i, x := range path {
		if i > 0 && t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || x < 0 || x >= t.NumField() {
			return false
		}
		f := t.Field(x)
		last := i == len(path)-1
		if !f.IsExported() && (last || f.Type.Kind() == reflect.Pointer) {
			return false
		}
		t = f.Type
	}
	return t == want
}

// columnNamed returns the column with that exact name.
func columnNamed(columns []Column, name string) (c Column, ok bool) {
	for _, c := range columns {
		if c.Name == name {
			return c, true
		}
	}
	return Column{}, false
}

// checkNamed finds names that are repeated or that no column has. what says in
// the message what they are for.
func checkNamed(r *report, at place, what string, names []string, columns []Column) {
	seen := map[string]bool{}
	for _, name := range names {
		_, ok := columnNamed(columns, name)
		switch {
		case seen[name]:
			r.add(at, "%s: repeated column %q", what, name)
		case !ok:
			r.add(at, "%s: unknown column %q", what, name)
		}
		seen[name] = true
	}
}

// cannotHold says why a value of type t cannot be scanned from a column or
// published; it is empty when it can.
func cannotHold(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[sql.Scanner]()) {
		return ""
	}
	base := pointee(t)
	if isNoValue(base) || base.Kind() == reflect.Interface && base.NumMethod() > 0 {
		return fmt.Sprintf("type %v cannot hold a column", t)
	}
	return ""
}

// pointee follows all pointers.
func pointee(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// isNoValue reports whether t is a kind that neither SQL nor JSON has.
func isNoValue(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return true
	}
	return false
}

// Publishable returns what encoding/json is to encode for the value of a var:
// v itself, or what is in it when it is of a type such as [sql.Null] that has
// no JSON form of its own. The error is that of its Value method.
func Publishable(v any) (any, error) {
	switch v := v.(type) {
	case json.Marshaler, encoding.TextMarshaler:
		return v, nil
	case driver.Valuer:
		value, err := v.Value()
		if err != nil {
			return nil, fmt.Errorf("binding: value of %T: %w", v, err)
		}
		return value, nil
	}
	return v, nil
}
