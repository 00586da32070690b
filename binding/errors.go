package binding

import (
	"errors"
	"fmt"
	"strings"
)

// DefinitionError is one mistake in a definition. Validate joins all that it
// finds; [errors.As] finds the first of them. Fields that do not apply are
// empty: a definition that was written as plain data has no struct, a mistake
// in an option no tag.
type DefinitionError struct {
	// Definition is the kind and name, as in: list "departures".
	Definition string
	// Struct is the Go type of the row, as in: flights.Flight.
	Struct string
	// Field is the struct field, with the embedded structs that lead to it, as
	// in: Base.ID. It is _ for the blank field.
	Field string
	// Tag is the whole tag of the field, as it is written.
	Tag string
	// Option is the call of the option, as in: Order("-delay").
	Option string
	// Problem says what is wrong.
	Problem string
}

// Error says where the mistake is and what it is, in one line.
func (e *DefinitionError) Error() string {
	var b strings.Builder
	b.WriteString("binding: ")
	b.WriteString(e.Definition)
	if e.Struct != "" {
		b.WriteString(": struct " + e.Struct)
	}
	if e.Field != "" {
		b.WriteString(": field " + e.Field)
	}
	if e.Tag != "" {
		b.WriteString(": tag " + e.Tag)
	}
	if e.Option != "" {
		b.WriteString(": option " + e.Option)
	}
	b.WriteString(": " + e.Problem)
	return b.String()
}

// key is an aspect of a definition that a tag or an option states.
type key string

const (
	keyTable       key = "table"
	keyList        key = "list"
	keyVar         key = "var"
	keyWhere       key = "where"
	keyOrder       key = "order"
	keyPageSize    key = "page_size"
	keyMaxPageSize key = "max_page_size"
	keyMaxWindow   key = "max_window"
	keyFilter      key = "filter"
	keySort        key = "sort"
	keySearch      key = "search"
	keyParams      key = "params"
	keyPK          key = "pk"
	keyName        key = "name"
	keySelect      key = "select"
	keyQuery       key = "query"
	keyColumns     key = "columns"
	keyView        key = "view"
	keyDepends     key = "depends"
	keyRecompute   key = "recompute"
	keyTables      key = "tables"
	keyRole        key = "role"
	keySettings    key = "settings"
)

// place is where something of a definition is written.
type place struct {
	structName, field, tag, option string
}

// problem is a mistake found while a definition was made.
type problem struct {
	at   place
	text string
}

// source remembers where a definition was written, so that Validate can name
// the place, and what was wrong there. It is nil for plain data, and does not
// change once the constructor has returned.
type source struct {
	structName string
	places     map[key]place
	columns    map[string]place
	// fieldRules are the columns that subscribers may choose by because their
	// own field says so.
	fieldRules map[fieldRule]bool
	problems   []problem
	// failed holds the aspects for which a problem is known: that they are
	// missing as well is no second mistake.
	failed map[key]bool
	// unusable is set when T is not a type that can be looked into. No other
	// check makes sense then.
	unusable bool
}

func newSource(structName string) *source {
	return &source{
		structName: structName,
		places:     map[key]place{},
		columns:    map[string]place{},
		fieldRules: map[fieldRule]bool{},
		failed:     map[key]bool{},
	}
}

func (s *source) fail(k key, at place, format string, args ...any) {
	s.failed[k] = true
	s.problems = append(s.problems, problem{at, fmt.Sprintf(format, args...)})
}

func (s *source) hasFailed(k key) bool { return s != nil && s.failed[k] }

func (s *source) isUnusable() bool { return s != nil && s.unusable }

// place returns where k is stated, or the struct when it is nowhere.
func (s *source) place(k key) place {
	if s == nil {
		return place{}
	}
	if at, ok := s.places[k]; ok {
		return at
	}
	return place{structName: s.structName}
}

// column returns where the column is stated.
func (s *source) column(name string) place {
	if s == nil {
		return place{}
	}
	if at, ok := s.columns[name]; ok {
		return at
	}
	return place{structName: s.structName}
}

// rule returns where it is stated that subscribers may choose by the column.
func (s *source) rule(k key, column string) place {
	if s != nil && s.fieldRules[fieldRule{k, column}] {
		return s.column(column)
	}
	return s.place(k)
}

// report collects the mistakes of one definition.
type report struct {
	definition string
	errs       []error
}

// newReport starts with what was found when the definition was made.
func newReport(definition string, src *source) *report {
	r := &report{definition: definition}
	if src != nil {
		for _, p := range src.problems {
			r.add(p.at, "%s", p.text)
		}
	}
	return r
}

func (r *report) add(at place, format string, args ...any) {
	r.errs = append(r.errs, &DefinitionError{
		Definition: r.definition,
		Struct:     at.structName,
		Field:      at.field,
		Tag:        at.tag,
		Option:     at.option,
		Problem:    fmt.Sprintf(format, args...),
	})
}

func (r *report) err() error { return errors.Join(r.errs...) }
