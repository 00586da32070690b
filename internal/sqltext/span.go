package sqltext

import (
	"strings"
	"unicode/utf8"
)

// span returns the quoted text or comment at the start of sql, if there is one. One that is not closed is all of sql.
func span(sql string) (t token, ok bool) {
	n := 0
	switch {
	case strings.HasPrefix(sql, "'"):
		t.kind, n = text, quotedLength(sql, 1, false)
	case strings.HasPrefix(sql, "e'"), strings.HasPrefix(sql, "E'"):
		t.kind, n = text, quotedLength(sql, 2, true)
	case strings.HasPrefix(sql, `"`):
		t.kind, n = quoted, quotedLength(sql, 1, false)
	case strings.HasPrefix(sql, "--"):
		t.kind, n = lineComment, lengthBefore(sql, "\n\r")
	case strings.HasPrefix(sql, "/*"):
		t.kind, n = blank, commentLength(sql)
	case strings.HasPrefix(sql, "$"):
		t.kind, n = text, dollarLength(sql)
	}
	if n < 0 {
		n, t.open = len(sql), true
	}
	t.text = sql[:n]
	return t, n > 0
}

// quotedLength is the length up to and with the closing quote, which is like the one before start; -1 if it is missing. A
// doubled one does not close. A text with escapes that goes on in another line has escapes there too.
func quotedLength(s string, start int, escapes bool) int {
	quote := s[start-1]
	for i := start; i < len(s); i++ {
		switch {
		case s[i] == '\\' && escapes:
			i++
		case s[i] != quote:
		case i+1 < len(s) && s[i+1] == quote:
			i++
		case escapes && continuation(s[i+1:]) > 0:
			i += continuation(s[i+1:])
		default:
			return i + 1
		}
	}
	return -1
}

// continuation is the length of what is between two parts of a text on different lines, and of the quote behind it; 0 if s
// does not start so.
func continuation(s string) int {
	broken := false
	for i := 0; i < len(s); {
		switch {
		case s[i] == '\'' && broken:
			return i + 1
		case isSpace(s[i]):
			broken = broken || s[i] == '\n' || s[i] == '\r'
			i++
		case strings.HasPrefix(s[i:], "--"):
			i += lengthBefore(s[i:], "\n\r")
		default:
			return 0
		}
	}
	return 0
}

// lengthBefore is the length of s before the first of the characters.
func lengthBefore(s, chars string) int {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return i
	}
	return len(s)
}

// commentLength is the length of a comment between /* and */, which nest; -1 if its end is missing.
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
	return -1
}

// dollarLength is the length of a text such as $tag$...$tag$; 0 if the dollar sign does not start one, -1 if its end is
// missing.
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
	return -1
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isNameByte reports whether a bare name can start with c.
func isNameByte(c byte) bool { return isLetter(c) || c >= utf8.RuneSelf }
