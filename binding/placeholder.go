package binding

import (
	"strings"
	"unicode/utf8"
)

// placeholders is what a query has in the places of values, outside of quotes,
// comments and names.
type placeholders struct {
	names []string // after an @, in the order of the query
	// unclear are those that follow so closely that @ may belong to what stands
	// before: to an operator such as <@, or to an expression.
	unclear []string
	// numbered reports a $1 or the like.
	numbered bool
}

// findPlaceholders reads SQL as Postgres divides it into tokens, with
// standard_conforming_strings on, as it is by default.
func findPlaceholders(sql string) placeholders {
	var found placeholders
	for i := 0; i < len(sql); {
		if n := skipSpan(sql[i:]); n > 0 {
			i += n
			continue
		}
		n := wordLength(sql[i:])
		switch {
		case n > 0:
			i += n
		case sql[i] == '@':
			i += 1 + found.at(sql[:i], sql[i+1:])
		case sql[i] == '$' && i+1 < len(sql) && isDigit(sql[i+1]):
			found.numbered = true
			i++
		default:
			i++
		}
	}
	return found
}

// at takes what follows an @, and returns the length of the name there.
func (p *placeholders) at(before, after string) int {
	n := 0
	for n < len(after) && (isLetter(after[n]) || n > 0 && isDigit(after[n])) {
		n++
	}
	if n == 0 {
		return 0
	}
	p.names = append(p.names, after[:n])
	if before != "" && blursAt(before[len(before)-1]) {
		p.unclear = append(p.unclear, after[:n])
	}
	return n
}

// blursAt reports whether @ right after c may not be the start of a parameter.
// Comparisons and arithmetic are clear: no operator is called =@.
func blursAt(c byte) bool {
	return isLetter(c) || isDigit(c) || c >= utf8.RuneSelf || strings.IndexByte("$@<^&?#~!`", c) >= 0
}

// skipSpan returns the length of the quoted text or comment at the start of
// sql; 0 if there is none. One that is not closed is as long as sql.
func skipSpan(sql string) int {
	switch {
	case strings.HasPrefix(sql, "'"), strings.HasPrefix(sql, `"`):
		return 1 + quotedLength(sql[1:], sql[0], false)
	case strings.HasPrefix(sql, "e'"), strings.HasPrefix(sql, "E'"):
		return 2 + quotedLength(sql[2:], '\'', true)
	case strings.HasPrefix(sql, "--"):
		return lengthBefore(sql, "\n\r")
	case strings.HasPrefix(sql, "/*"):
		return commentLength(sql)
	case strings.HasPrefix(sql, "$"):
		return dollarLength(sql)
	}
	return 0
}

// quotedLength is the length up to and with the closing quote, where a doubled
// one does not close.
func quotedLength(s string, quote byte, escapes bool) int {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && escapes:
			i++
		case s[i] != quote:
		case i+1 < len(s) && s[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return len(s)
}

// lengthBefore is the length of s before the first of the characters.
func lengthBefore(s, chars string) int {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return i
	}
	return len(s)
}

// commentLength is the length of a comment between /* and */, which nest.
func commentLength(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(s[i:], "*/"):
			depth--
			i++
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(s)
}

// dollarLength is the length of a text such as $tag$...$tag$; 0 if the dollar
// sign does not start one.
func dollarLength(s string) int {
	n := 1
	for n < len(s) && (isNameByte(s[n]) || n > 1 && isDigit(s[n])) {
		n++
	}
	if n == len(s) || s[n] != '$' {
		return 0
	}
	tag, rest := s[:n+1], s[n+1:]
	if end := strings.Index(rest, tag); end >= 0 {
		return len(tag) + end + len(tag)
	}
	return len(s)
}

// wordLength is the length of the name or key word at the start of s.
func wordLength(s string) int {
	n := 0
	for n < len(s) && (isNameByte(s[n]) || n > 0 && (isDigit(s[n]) || s[n] == '$')) {
		n++
	}
	return n
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isNameByte reports whether a bare name can start with c.
func isNameByte(c byte) bool { return isLetter(c) || c >= utf8.RuneSelf }
