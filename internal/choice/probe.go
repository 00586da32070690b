package choice

import (
	"fmt"
	"strings"

	"github.com/socksync/socksync/binding"
)

// probe is one question about a row: with which of the values a column compares like this.
type probe struct {
	column *Column // nil for everyWord and ofIdentity
	kind   kind
	values []string       // by their places; those that nobody asks for any more stay until another needs the place
	at     map[string]int // their places
	asked  []int          // how many conditions ask for each
	free   []int          // places that nobody asks for
	users  int            // conditions that ask
	place  int            // of the probe, in the newest shape
}

// probeKey names a probe.
type probeKey struct {
	column string
	kind   kind
}

func (p *probe) key() probeKey {
	if p.column == nil {
		return probeKey{kind: p.kind}
	}
	return probeKey{p.column.Name, p.kind}
}

func (k probeKey) compare(other probeKey) int {
	if k.column != other.column {
		return strings.Compare(k.column, other.column)
	}
	return int(k.kind) - int(other.kind)
}

// add returns the places of values, new ones if they were not there, and counts who asks for them.
func (p *probe) add(values []string) []int {
	if len(values) == 0 {
		return nil
	}
	places := make([]int, len(values))
	for i, v := range values {
		at, ok := p.at[v]
		if !ok {
			at = p.room()
			p.at[v], p.values[at] = at, v
		}
		p.asked[at]++
		places[i] = at
	}
	return places
}

// room returns a place that nobody asks for.
func (p *probe) room() int {
	if n := len(p.free); n > 0 {
		at := p.free[n-1]
		p.free = p.free[:n-1]
		return at
	}
	p.values, p.asked = append(p.values, ""), append(p.asked, 0)
	return len(p.values) - 1
}

// remove takes back what add has counted, and reports whether there are any values.
func (p *probe) remove(places []int) bool {
	for _, at := range places {
		p.asked[at]--
		if p.asked[at] == 0 {
			delete(p.at, p.values[at])
			p.free = append(p.free, at)
		}
	}
	return len(places) > 0
}

// looksUp reports whether the row's own text is asked for, to be looked up among the values.
func (p *probe) looksUp() bool { return p.kind == equal && p.column.Hashed() }

// sql returns what is asked of a probe that is not looked up: the numbers of the values that compare, from 1. Of what
// has no value it is 1 if it is so.
func (p *probe) sql(r *Rules, params *parameters) string {
	switch p.kind {
	case isNull:
		return flagSQL(p.column.value(r.table) + " IS NULL")
	case isNotNull:
		return flagSQL(p.column.value(r.table) + " IS NOT NULL")
	case everyWord:
		return r.wordsSQL(p.values, params)
	case ofIdentity:
		return r.owned.general.matchSQL(p.values, r.alias(), params)
	default:
		return p.compareSQL(r, params)
	}
}

func flagSQL(condition string) string {
	return "CASE WHEN " + condition + " THEN '{1}'::pg_catalog.int4[] ELSE '{}'::pg_catalog.int4[] END"
}

func (p *probe) compareSQL(r *Rules, params *parameters) string {
	c, alias := p.column, r.alias()
	element := c.element(alias + ".v")
	array := c.array()
	var condition string
	switch p.kind {
	case startsWith:
		array = "pg_catalog.text[]"
		condition = "pg_catalog.starts_with(" + once(c.text(r.table)) + c.bytewise() + ", " + alias + ".v)"
	case contains:
		array = "pg_catalog.text[]"
		condition = "pg_catalog.strpos(" + once(c.text(r.table)) + c.bytewise() + ", " + alias + ".v) > 0"
	default:
		condition = c.value(r.table) + " " + c.operator(p.kind) + " " + element
	}
	return numbersSQL(alias, "pg_catalog.unnest("+params.add(arrayLiteral(p.values))+"::"+array+")", "v", condition)
}

// alias names the values in a subquery: unlike the table, whose columns it must not hide.
func (r *Rules) alias() string {
	alias := "socksync_u"
	for binding.QuoteIdent(alias) == r.table {
		alias += "_"
	}
	return alias
}

// numbersSQL returns the numbers of the rows of functions for which a condition holds.
func numbersSQL(alias, functions, names, condition string) string {
	return "ARRAY(SELECT " + alias + ".i::pg_catalog.int4 FROM ROWS FROM (" + functions + ") WITH ORDINALITY AS " + alias +
		"(" + names + ", i) WHERE " + condition + ")"
}

// once returns a text as a subquery, which Postgres computes once for each row and not for each value. What is stored
// out of line is read for that, once as well.
func once(text string) string { return "(SELECT " + text + " || '')" }

// wordsSQL returns the numbers of the words that some search column contains. The words are lowered once for each
// collation.
func (r *Rules) wordsSQL(words []string, params *parameters) string {
	alias := r.alias()
	parameter := params.add(arrayLiteral(words)) + "::pg_catalog.text[]"
	var arrays, names, found []string
	name := map[string]string{} // by collation
	for _, c := range r.search {
		if name[c.Collation] == "" {
			name[c.Collation] = fmt.Sprintf("w%d", len(names)+1)
			names = append(names, name[c.Collation])
			arrays = append(arrays, "pg_catalog.unnest(ARRAY(SELECT "+c.lower("socksync_w.w")+" FROM pg_catalog.unnest("+
				parameter+") WITH ORDINALITY AS socksync_w(w, i) ORDER BY socksync_w.i))")
		}
		text := "(SELECT pg_catalog.lower(" + c.text(r.table) + "))"
		found = append(found, "pg_catalog.strpos("+text+byteOrder+", "+alias+"."+name[c.Collation]+byteOrder+") > 0")
	}
	return numbersSQL(alias, strings.Join(arrays, ", "), strings.Join(names, ", "), strings.Join(found, " OR "))
}

// concatSQL makes one array of all, with a 0 between. It halves them to keep the expression from being nested deeply.
func concatSQL(arrays []string) string {
	if len(arrays) == 1 {
		return arrays[0]
	}
	half := len(arrays) / 2
	return "(" + concatSQL(arrays[:half]) + " || 0 || " + concatSQL(arrays[half:]) + ")"
}
