package sqltext

import "errors"

// Closed returns what keeps a text from being put into parentheses as it is: it would mean something else there, or end
// them. Where it returns nil the text may still be no SQL.
func Closed(sql string) error {
	var open brackets
	for t := range tokens(sql) {
		switch {
		case t.open && t.kind == blank:
			return errors.New("a comment is not closed")
		case t.open:
			return errors.New("a quote is not closed")
		case t.kind == symbol && t.text == ";":
			return errors.New("it has a semicolon")
		case t.kind == symbol && !open.take(t.text):
			return errMismatch
		}
	}
	if len(open) > 0 {
		return errMismatch
	}
	return nil
}

var errMismatch = errors.New("its brackets do not match")

// brackets are those that are open, the innermost last.
type brackets []string

// take takes the next symbol, and reports whether it closes the bracket that is to be closed, if it closes one.
func (b *brackets) take(symbol string) bool {
	switch symbol {
	case "(", "[":
		*b = append(*b, symbol)
	case ")", "]":
		last := len(*b) - 1
		if last < 0 || ((*b)[last] == "(") != (symbol == ")") {
			return false
		}
		*b = (*b)[:last]
	}
	return true
}

// IsBlank reports whether there is nothing but white space and comments.
func IsBlank(sql string) bool {
	for t := range tokens(sql) {
		if !t.isBlank() {
			return false
		}
	}
	return true
}
