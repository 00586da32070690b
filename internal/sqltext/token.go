package sqltext

import (
	"iter"
	"strings"
)

// kind is what a token is.
type kind int

const (
	symbol      kind = iota // one character of an operator or a number, a bracket, whatever is nothing else
	blank                   // white space, or a comment between /* and */
	lineComment             // up to its line break
	word                    // a bare name or a key word
	quoted                  // a name in double quotes
	text                    // a constant in quotes or dollar signs
	value                   // @name
	number                  // $1, without its digits
)

// token is a part of SQL. All tokens together are the whole text.
type token struct {
	kind  kind
	start int
	text  string
	open  bool // its end is missing
}

// tokens divides SQL into tokens.
func tokens(sql string) iter.Seq[token] {
	return func(yield func(token) bool) {
		for i := 0; i < len(sql); {
			t := first(sql[i:])
			t.start = i
			if !yield(t) {
				return
			}
			i += len(t.text)
		}
	}
}

// first returns the token at the start of sql, which is not empty.
func first(sql string) token {
	if t, ok := span(sql); ok {
		return t
	}
	switch n := wordLength(sql); {
	case n > 0:
		return token{kind: word, text: sql[:n]}
	case isSpace(sql[0]):
		return token{kind: blank, text: sql[:1]}
	case sql[0] == '@' && nameLength(sql[1:]) > 0:
		return token{kind: value, text: sql[:1+nameLength(sql[1:])]}
	case sql[0] == '$' && len(sql) > 1 && isDigit(sql[1]):
		return token{kind: number, text: sql[:1]}
	}
	return token{kind: symbol, text: sql[:1]}
}

// isBlank reports whether the token means nothing. A comment without its end is a mistake.
func (t token) isBlank() bool { return (t.kind == blank || t.kind == lineComment) && !t.open }

// isWord reports whether the token is that word, which is in lower case, as Postgres reads key words.
func (t token) isWord(lower string) bool { return t.kind == word && strings.EqualFold(t.text, lower) }

// nameLength is the length of the name of a value at the start of s, behind its @.
func nameLength(s string) int {
	n := 0
	for n < len(s) && (isLetter(s[n]) || n > 0 && isDigit(s[n])) {
		n++
	}
	return n
}

// wordLength is the length of the name or key word at the start of s.
func wordLength(s string) int {
	n := 0
	for n < len(s) && (isNameByte(s[n]) || n > 0 && (isDigit(s[n]) || s[n] == '$')) {
		n++
	}
	return n
}
