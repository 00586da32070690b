package binding

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/socksync/socksync/internal/sqltext"
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
// they and the query do not fit. Values that the query names and Params does
// not have are the identity's.
func (d *VarDef) checkParams(r *report) {
	at := d.src.place(keyParams)
	if len(d.Params) > maxParams {
		r.add(at, "params: %d parameters, at most %d are allowed", len(d.Params), maxParams)
	}
	for i, name := range d.Params {
		if err := checkValueName(name); err != nil {
			r.add(at, "params: %v", err)
		} else if slices.Contains(d.Params[:i], name) {
			r.add(at, "params: repeated parameter %q", name)
		}
	}
	if strings.TrimSpace(d.Query) != "" && utf8.ValidString(d.Query) {
		d.checkNamed(r, at)
	}
}

// checkNamed finds parameters that the query does not name.
func (d *VarDef) checkNamed(r *report, at place) {
	named := sqltext.Find(d.Query).Names
	for i, name := range d.Params {
		if isParamName(name) && !slices.Contains(d.Params[:i], name) && !slices.Contains(named, name) {
			r.add(at, "params: the query does not name @%s", name)
		}
	}
}

func isParamName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c < 'a' || 'z' < c) && (i == 0 || c < '0' || '9' < c) {
			return false
		}
	}
	return name != ""
}
