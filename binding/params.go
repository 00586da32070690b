package binding

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxParams is the most parameters of a var: the protocol carries no more
// conditions in one message.
const maxParams = 64

// takeParams takes the parameters of the option, else those of the tag. They
// are said for nothing where there is no query to name them.
func (d *VarDef) takeParams(p *plan, isQuery bool) {
	s := p.settings[keyParams]
	if len(s.texts) > 0 && !isQuery && !p.src.failed[keyQuery] {
		p.src.fail(keyParams, s.at, "params: only a var with Query has parameters")
		return
	}
	d.Params = slices.Clone(s.texts)
}

// checkParams finds what is wrong with the parameters in themselves, and where
// they and the query do not fit. A query without parameters is Postgres's to
// check: in it @ is an operator, and allowed.
func (d *VarDef) checkParams(r *report) {
	if len(d.Params) == 0 {
		return
	}
	at := d.src.place(keyParams)
	if len(d.Params) > maxParams {
		r.add(at, "params: %d parameters, at most %d are allowed", len(d.Params), maxParams)
	}
	for i, name := range d.Params {
		switch {
		case !isParamName(name):
			r.add(at, "params: %q is not a name of lower-case letters a to z, digits and underscores", name)
		case len(name) > maxIdent:
			r.add(at, "params: the name %q is longer than %d bytes", name, maxIdent)
		case slices.Contains(d.Params[:i], name):
			r.add(at, "params: repeated parameter %q", name)
		}
	}
	if strings.TrimSpace(d.Query) != "" {
		d.checkPlaceholders(r)
	}
}

func isParamName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c < 'a' || 'z' < c) && (i == 0 || !isDigit(c)) {
			return false
		}
	}
	return name != ""
}

// checkPlaceholders compares the parameters with those that the query names.
func (d *VarDef) checkPlaceholders(r *report) {
	at, query := d.src.place(keyParams), d.src.place(keyQuery)
	if !utf8.ValidString(d.Query) {
		r.add(query, "params: the query is not valid UTF-8")
		return
	}
	found := findPlaceholders(d.Query)
	if found.numbered {
		r.add(query, "params: the query has $ and a number: parameters are named, as in @%s", d.Params[0])
	}
	for _, name := range unique(found.unclear) {
		r.add(query, "params: a space is missing before @%s in the query", name)
	}
	for _, name := range unique(found.names) {
		if !slices.Contains(d.Params, name) {
			r.add(query, "params: the query names @%s, which is no parameter (behind an operator @ belongs a space)", name)
		}
	}
	for _, name := range unique(d.Params) {
		if isParamName(name) && !slices.Contains(found.names, name) {
			r.add(at, "params: the query does not name @%s", name)
		}
	}
}

// unique returns the names in their order, each once.
func unique(names []string) []string {
	var all []string
	for _, name := range names {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}
