package sqltext

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Found is what SQL has in the places of values, outside of quotes, comments and names.
type Found struct {
	// Names are those behind an @, each once, in the order of the text.
	Names []string
	// Unclear are those of Names that somewhere follow so closely that their @ may belong to what stands before: to an
	// operator such as <@, or to an expression.
	Unclear []string
	// Numbered reports a $1 or the like.
	Numbered bool
}

// Find finds the places of values. An @ with a space behind it is an operator.
func Find(sql string) Found {
	var found Found
	for t := range tokens(sql) {
		switch t.kind {
		case value:
			found.Names = appendNew(found.Names, t.text[1:])
			if t.start > 0 && blursAt(sql[t.start-1]) {
				found.Unclear = appendNew(found.Unclear, t.text[1:])
			}
		case number:
			found.Numbered = true
		}
	}
	return found
}

// Replace puts a text in the place of each @name. The text has to stand for itself whatever is around it: a parameter, a
// constant or an expression in parentheses.
func Replace(sql string, with func(name string) string) string {
	var b strings.Builder
	for t := range tokens(sql) {
		if t.kind == value {
			b.WriteString(with(t.text[1:]))
			continue
		}
		b.WriteString(t.text)
	}
	return b.String()
}

// blursAt reports whether @ right after c may not be the start of a value. Comparisons and arithmetic are clear: no operator
// is called =@.
func blursAt(c byte) bool {
	return isLetter(c) || isDigit(c) || c >= utf8.RuneSelf || strings.IndexByte("$@<^&?#~!`", c) >= 0
}

func appendNew(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}
