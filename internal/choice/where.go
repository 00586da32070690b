package choice

import (
	"strconv"
	"strings"
)

// parameters are the values of a statement's parameters.
type parameters struct {
	first int
	args  []any
}

// add returns the parameter that stands for a text.
func (p *parameters) add(text string) string {
	p.args = append(p.args, text)
	return "$" + strconv.Itoa(p.first+len(p.args)-1)
}

// addNullable is add for a text that may be NULL.
func (p *parameters) addNullable(text *string) string {
	if text != nil {
		return p.add(*text)
	}
	p.args = append(p.args, nil)
	return "$" + strconv.Itoa(p.first+len(p.args)-1)
}

// Where returns the choice as a condition over the columns of the list's table, "" if all rows are chosen, with the
// values of its parameters from $first on. Indexes can serve it: of a type's own order, for prefixes one of the order
// of bytes, and of pg_trgm over lower(column) for a search and over the column for contains.
func (c *Choice) Where(first int) (sql string, args []any) {
	p := &parameters{first: first}
	var all []string
	for i := range c.conditions {
		all = append(all, c.conditions[i].where(c.rules.table, p))
	}
	for _, word := range c.words {
		all = append(all, c.rules.whereWord(word, p))
	}
	if c.general != nil {
		all = append(all, c.rules.owned.general.where(c.general, p))
	}
	return strings.Join(all, " AND "), p.args
}

func (d *condition) where(table string, p *parameters) string {
	c := d.column
	value := c.value(table)
	switch d.kind {
	case isNull:
		return "(" + value + " IS NULL)"
	case isNotNull:
		return "(" + value + " IS NOT NULL)"
	case equal:
		return d.whereEqual(value, p)
	case startsWith:
		return "pg_catalog.starts_with(" + c.text(table) + c.bytewise() + ", " + p.add(d.values[0]) + "::pg_catalog.text)"
	case contains:
		return whereContains(c, c.text(table), d.values[0], p)
	default:
		return "(" + value + " " + c.operator(d.kind) + " " + p.add(d.values[0]) + "::" + c.Type + ")"
	}
}

func (d *condition) whereEqual(value string, p *parameters) string {
	c := d.column
	operator := " " + c.operator(equal) + " "
	switch {
	case len(d.values) == 0:
		return "FALSE"
	case d.not:
		return "((" + value + operator + p.add(d.values[0]) + "::" + c.Type + ") IS NOT TRUE)"
	case len(d.values) == 1:
		return "(" + value + operator + p.add(d.values[0]) + "::" + c.Type + ")"
	}
	values := p.add(arrayLiteral(d.values)) + "::" + c.array()
	if !c.unnests() {
		values = "SELECT " + c.element("socksync_v") + " FROM pg_catalog.unnest(" + values + ") AS socksync_u(socksync_v)"
	}
	return "(" + value + operator + "ANY (" + values + "))"
}

// whereContains uses LIKE, which indexes know, where it means the same: under a deterministic collation.
func whereContains(c *Column, text, part string, p *parameters) string {
	if c.Deterministic {
		return "(" + text + " OPERATOR(pg_catalog.~~) " + p.add(likeContains(part)) + "::pg_catalog.text)"
	}
	return "(pg_catalog.strpos(" + text + byteOrder + ", " + p.add(part) + "::pg_catalog.text) > 0)"
}

// whereWord is the condition that some search column contains a word.
func (r *Rules) whereWord(word string, p *parameters) string {
	parameter := p.add(word) + "::pg_catalog.text"
	found := make([]string, len(r.search))
	for i, c := range r.search {
		text, part := "pg_catalog.lower("+c.text(r.table)+")", c.lower(parameter)
		if c.Deterministic {
			found[i] = text + " OPERATOR(pg_catalog.~~) " + patternSQL(part)
		} else {
			found[i] = "pg_catalog.strpos(" + text + byteOrder + ", " + part + byteOrder + ") > 0"
		}
	}
	return "(" + strings.Join(found, " OR ") + ")"
}

// patternSQL is likeContains in SQL: what lower makes of a word is known to the database only.
func patternSQL(text string) string {
	for _, character := range []string{`\\`, `%`, `_`} {
		text = `pg_catalog.replace(` + text + `, E'` + character + `', E'\\` + character + `')`
	}
	return "('%' || " + text + " || '%')"
}
