package sqltext

import (
	"slices"
	"strings"
)

// Conjuncts takes a condition apart at the ANDs that are outside of all brackets: a row meets the condition if and only if
// it meets every part. Where that is not certain the only part is the whole; an empty condition has none. Comments and white
// space around a part are left out, so that it can be put into parentheses.
func Conjuncts(condition string) []string {
	all := trimmed(slices.Collect(tokens(condition)))
	if len(all) == 0 {
		return nil
	}
	if parts := split(all); parts != nil {
		return parts
	}
	return []string{join(all)}
}

// split returns the parts, or nil where they are not certain.
func split(all []token) []string {
	var d divider
	var parts []string
	start := 0
	for i, t := range all {
		if d.divides(t) {
			parts = append(parts, join(trimmed(all[start:i])))
			start = i + 1
		}
	}
	parts = append(parts, join(trimmed(all[start:])))
	if d.doubtful || len(d.open) > 0 || slices.Contains(parts, "") {
		return nil
	}
	return parts
}

// divider finds the ANDs between conditions. It counts more for other things than there are, never less: an AND that is not
// found makes a part of two, which means the same.
type divider struct {
	open     brackets
	betweens int  // BETWEENs whose AND is to come
	afterDot bool // what comes may be a name
	doubtful bool // the parts are not what they seem
}

// divides takes the next token, and reports whether the conditions before and after it are joined by it.
func (d *divider) divides(t token) bool {
	if t.isBlank() {
		return false
	}
	afterDot := d.afterDot
	d.afterDot = t.kind == symbol && t.text == "."
	d.doubtful = d.doubtful || t.open
	switch {
	case t.kind == symbol:
		d.doubtful = d.doubtful || t.text == ";" || !d.open.take(t.text)
	case len(d.open) > 0:
	case t.isWord("or"), t.isWord("case"):
		// OR binds less than AND, and in a CASE there are ANDs of its own.
		d.doubtful = true
	case t.isWord("between"):
		d.betweens++
	case t.isWord("and") && afterDot:
		// A name, or else 1. AND, which is rare enough.
	case t.isWord("and") && d.betweens > 0:
		d.betweens--
	case t.isWord("and"):
		return true
	}
	return false
}

// trimmed leaves out what means nothing at both ends.
func trimmed(all []token) []token {
	for len(all) > 0 && all[0].isBlank() {
		all = all[1:]
	}
	for len(all) > 0 && all[len(all)-1].isBlank() {
		all = all[:len(all)-1]
	}
	return all
}

// join puts tokens together again.
func join(all []token) string {
	var b strings.Builder
	for _, t := range all {
		b.WriteString(t.text)
	}
	return b.String()
}
