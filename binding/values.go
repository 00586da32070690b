package binding

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/socksync/socksync/internal/sqltext"
)

// checkEnclosed finds what keeps a text from standing in parentheses, and reports whether that is nothing.
func checkEnclosed(r *report, at place, what, sql string) bool {
	err := sqltext.Closed(sql)
	if err != nil {
		r.add(at, "%s: %v", what, err)
	}
	return err == nil
}

// checkValues finds what is wrong with the places of values in SQL. The names of params are looked at elsewhere.
func checkValues(r *report, at place, what, sql string, params []string) {
	if !utf8.ValidString(sql) {
		r.add(at, "%s: not valid UTF-8", what)
		return
	}
	found := sqltext.Find(sql)
	if found.Numbered {
		r.add(at, "%s: it has $ and a number: values are named, as in @name", what)
	}
	for _, name := range found.Unclear {
		r.add(at, "%s: a space is missing before @%s, or behind the @ if it is an operator", what, name)
	}
	for _, name := range found.Names {
		if err := checkValueName(name); err != nil && !slices.Contains(params, name) {
			r.add(at, "%s: %v (behind an operator @ belongs a space)", what, err)
		}
	}
}

// checkValueName says why a name is not that of a parameter or a value of the identity.
func checkValueName(name string) error {
	switch {
	case !isParamName(name):
		return fmt.Errorf("%q is not a name of lower-case letters a to z, digits and underscores", name)
	case len(name) > maxIdent:
		return fmt.Errorf("the name %q is longer than %d bytes", name, maxIdent)
	}
	return nil
}
