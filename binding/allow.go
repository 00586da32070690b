package binding

import (
	"slices"
	"strings"
)

// fieldRule is a column for one aspect of a choice.
type fieldRule struct {
	key    key
	column string
}

// filter returns the columns to filter by: the option's, else those of the
// blank field and of the fields.
func (p *plan) filter() []FilterRule {
	var rules []FilterRule
	s := p.settings[keyFilter]
	for _, text := range s.texts {
		rule, err := ParseFilterRule(text)
		if err != nil {
			p.src.fail(keyFilter, s.at, "filter: %v", err)
			continue
		}
		rules = append(rules, rule)
	}
	for _, c := range p.taggedFor(keyFilter, func(tag fieldTag) bool { return tag.filter }) {
		rules = append(rules, FilterRule{Column: c.name, Operators: c.operators})
	}
	return rules
}

// sort returns the columns to sort by, as filter does.
func (p *plan) sort() []string {
	columns := p.namedFor(keySort, scanColumn)
	for _, c := range p.taggedFor(keySort, func(tag fieldTag) bool { return tag.sort }) {
		columns = append(columns, c.name)
	}
	return columns
}

// search returns the columns to search in, as filter does.
func (p *plan) search() []string {
	columns := p.namedFor(keySearch, scanOneColumn)
	for _, c := range p.taggedFor(keySearch, func(tag fieldTag) bool { return tag.search }) {
		columns = append(columns, c.name)
	}
	return columns
}

// namedFor reads the columns that the option or the blank field names for k.
func (p *plan) namedFor(k key, scan func(string) (name, rest string, err error)) []string {
	var columns []string
	s := p.settings[k]
	for _, text := range s.texts {
		name, rest, err := scan(strings.TrimSpace(text))
		switch {
		case err != nil:
			p.src.fail(k, s.at, "%s: column %q: %v", k, text, err)
		case rest != "":
			p.src.fail(k, s.at, "%s: column %q: unexpected %q after the name", k, text, rest)
		default:
			columns = append(columns, name)
		}
	}
	return columns
}

// taggedFor returns the columns whose fields have the tag, and remembers that
// it was the field that said it. An option is in place of all tags.
func (p *plan) taggedFor(k key, says func(fieldTag) bool) []taggedColumn {
	if p.settings[k].at.option != "" {
		return nil
	}
	var tagged []taggedColumn
	for _, c := range p.tagged {
		if says(c.fieldTag) {
			tagged = append(tagged, c)
			p.src.fieldRules[fieldRule{k, c.name}] = true
		}
	}
	return tagged
}

// checkAllowed finds what is wrong with what subscribers may choose.
func (d *ListDef) checkAllowed(r *report) {
	d.checkFilter(r)
	d.checkSort(r)
	d.checkColumnsFor(r, keySearch, d.Search)
}

func (d *ListDef) checkFilter(r *report) {
	columns := make([]string, len(d.Filter))
	for i, rule := range d.Filter {
		columns[i] = rule.Column
		if rule.Operators == nil {
			continue
		}
		if err := checkOperators(rule.Operators); err != nil {
			r.add(d.src.rule(keyFilter, rule.Column), "filter: column %q: %v", rule.Column, err)
		}
	}
	d.checkColumnsFor(r, keyFilter, columns)
}

func (d *ListDef) checkSort(r *report) {
	all := slices.Contains(d.Sort, AllColumns)
	for _, name := range d.Sort {
		if all && name != AllColumns {
			r.add(d.src.rule(keySort, name), "sort: column %q: * has it already", name)
		}
	}
	d.checkColumnsFor(r, keySort, d.Sort)
	for _, c := range d.Columns {
		// In a subscriber's choice the first "-" means descending.
		if strings.HasPrefix(c.JSON, "-") && (all || slices.Contains(d.Sort, c.Name)) {
			r.add(d.src.rule(keySort, c.Name), "sort: column %q: the JSON name %q starts with -", c.Name, c.JSON)
		}
	}
}

// checkColumnsFor finds columns that are named twice for k, that do not exist or
// that subscribers cannot name because they are hidden.
func (d *ListDef) checkColumnsFor(r *report, k key, names []string) {
	seen := map[string]bool{}
	for _, name := range names {
		at := d.src.rule(k, name)
		c, ok := columnNamed(d.Columns, name)
		switch {
		case seen[name]:
			r.add(at, "%s: repeated column %q", k, name)
		case name == AllColumns && k != keySearch:
		case !ok:
			r.add(at, "%s: unknown column %q", k, name)
		case c.JSON == "":
			r.add(at, "%s: column %q is not published, no subscriber can name it", k, name)
		}
		seen[name] = true
	}
}
