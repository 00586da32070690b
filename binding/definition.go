package binding

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxName is the longest name that the protocol carries, in bytes.
const maxName = 128

// Definition is a *[ListDef], *[VarDef] or *[FuncDef].
type Definition interface {
	// Validate returns every mistake, each a *[DefinitionError], joined; nil
	// when there is none. It looks at the definition alone: whether the
	// database has the table and the columns is for others to check.
	Validate() error
	// String is the kind and the name, as in: list "departures".
	String() string

	definition()
}

func (*ListDef) definition() {}
func (*VarDef) definition()  {}
func (*FuncDef) definition() {}

// Check validates all definitions and finds those of one kind that have the
// same name. The error joins every mistake.
func Check(definitions ...Definition) error {
	var errs []error
	seen := map[string]bool{}
	for i, d := range definitions {
		if d == nil {
			errs = append(errs, &DefinitionError{Definition: fmt.Sprintf("definition %d", i), Problem: "nil"})
			continue
		}
		errs = append(errs, d.Validate())
		id := d.String()
		if seen[id] {
			errs = append(errs, &DefinitionError{Definition: id, Problem: "the name is used twice"})
		}
		seen[id] = true
	}
	return errors.Join(errs...)
}

// checkName finds what is wrong with an item's name.
func checkName(r *report, src *source, name string) {
	switch {
	case name == "":
		if !src.hasFailed(keyName) {
			r.add(src.place(keyName), "missing name")
		}
	case len(name) > maxName:
		r.add(src.place(keyName), "the name has %d bytes, at most %d are allowed", len(name), maxName)
	case !utf8.ValidString(name):
		r.add(src.place(keyName), "the name is not valid UTF-8")
	}
}

// checkTable finds what is wrong with a table's name.
func checkTable(r *report, src *source, table string) {
	if table == "" {
		if !src.hasFailed(keyTable) {
			r.add(src.place(keyTable), "missing table")
		}
		return
	}
	if _, err := ParseTable(table); err != nil {
		r.add(src.place(keyTable), "%v", err)
	}
}

// checkKey finds what is wrong with a primary key.
func checkKey(r *report, src *source, key []string, columns []Column) {
	if len(key) == 0 && !src.hasFailed(keyPK) {
		r.add(src.place(keyPK), "missing primary key")
	}
	checkNamed(r, src.place(keyPK), "primary key", key, columns)
}
