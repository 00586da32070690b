package binding

import (
	"errors"
	"fmt"
	"strings"
)

// Dependency says which rows of a list with a Query are concerned when rows of a table change. Its zero value is not
// valid.
type Dependency struct {
	// Table is the table, as in SQL.
	Table string
	// Columns are columns of the table, by exact name. Their values are logged with every change of a row: those that it
	// had and those that it has.
	Columns []string
	// Through and Refers say where these values are found: in the columns Refers, in the same order, of the table Through,
	// which is that of another Dependency of the list, or the list's Table. A change then concerns what a change of those
	// rows would concern. If Through is empty, the values are the key of the list's row, in the order of the list's Key.
	Through string
	Refers  []string
}

// String is the dependency in the grammar of [Depends].
func (d Dependency) String() string {
	if d.Through == "" {
		return reference(d.Table, d.Columns)
	}
	return reference(d.Table, d.Columns) + " > " + reference(d.Through, d.Refers)
}

func reference(table string, columns []string) string {
	quoted := make([]string, len(columns))
	for i, column := range columns {
		quoted[i] = QuoteIdent(column)
	}
	if len(quoted) == 1 {
		return table + "." + quoted[0]
	}
	return table + ".(" + strings.Join(quoted, ", ") + ")"
}

// depends returns what the list depends on, as the option or the tag says it.
func (p *plan) depends() []Dependency {
	var all []Dependency
	s := p.settings[keyDepends]
	for _, text := range s.texts {
		found, err := parseDependencies(text)
		if err != nil {
			p.src.fail(keyDepends, s.at, "depends: %v", err)
			continue
		}
		all = append(all, found...)
	}
	return all
}

// parseDependencies reads terms with a comma between them.
func parseDependencies(text string) ([]Dependency, error) {
	var all []Dependency
	for rest := text; ; {
		d, after, err := scanDependency(rest)
		if err != nil {
			return nil, fmt.Errorf("term %q: %w", strings.TrimSpace(rest), err)
		}
		all = append(all, d)
		if after == "" {
			return all, nil
		}
		next, comma := strings.CutPrefix(after, ",")
		if !comma {
			return nil, fmt.Errorf("term %q: unexpected %q", strings.TrimSpace(rest), after)
		}
		rest = next
	}
}

// scanDependency reads the term at the start of s and returns what follows.
func scanDependency(s string) (d Dependency, rest string, err error) {
	if d.Table, d.Columns, rest, err = scanReference(s); err != nil {
		return d, "", err
	}
	if after, arrow := strings.CutPrefix(rest, ">"); arrow {
		d.Through, d.Refers, rest, err = scanReference(after)
	}
	return d, rest, err
}

// scanReference reads table.column or table.(column, column) at the start of s. The table is returned as it is written.
func scanReference(s string) (table string, columns []string, rest string, err error) {
	s = strings.TrimSpace(s)
	tableEnd := 0
	for rest = s; ; {
		if inside, list := strings.CutPrefix(rest, "("); list && tableEnd > 0 {
			columns, rest, err = scanColumns(inside)
			break
		}
		var name string
		name, rest, err = scanIdent(rest)
		columns, rest = []string{name}, strings.TrimSpace(rest)
		after, dot := strings.CutPrefix(rest, ".")
		if err != nil || !dot {
			break
		}
		tableEnd = len(s) - len(rest)
		rest = strings.TrimSpace(after)
	}
	if err == nil && tableEnd == 0 {
		err = errors.New("want table.column")
	}
	if err != nil {
		return "", nil, "", err
	}
	table = strings.TrimSpace(s[:tableEnd])
	_, err = ParseTable(table)
	return table, columns, rest, err
}

// scanColumns reads column, column) at the start of s.
func scanColumns(s string) (columns []string, rest string, err error) {
	for rest = s; ; {
		var name string
		if name, rest, err = scanIdent(strings.TrimSpace(rest)); err != nil {
			return nil, "", err
		}
		columns, rest = append(columns, name), strings.TrimSpace(rest)
		if after, closed := strings.CutPrefix(rest, ")"); closed {
			return columns, strings.TrimSpace(after), nil
		}
		after, comma := strings.CutPrefix(rest, ",")
		if !comma {
			return nil, "", fmt.Errorf("unexpected %q, want a comma or )", rest)
		}
		rest = after
	}
}
