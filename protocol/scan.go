package protocol

import (
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep a message may be nested: the number of brackets and
// braces that are open at once, the message's own brace being the first.
const MaxDepth = 64

// Depth returns how deep the JSON text is nested: 0 for a number, 1 for an
// array of numbers. Of a text that is not valid JSON it counts what looks like
// open brackets.
func Depth(data []byte) int {
	deepest, open := 0, 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = endOfString(data, i) - 1
		case '{', '[':
			open++
			deepest = max(deepest, open)
		case '}', ']':
			open--
		}
	}
	return deepest
}

// isObject reports whether data is one JSON object, nested no deeper than
// MaxDepth.
func isObject(data []byte) bool {
	start := skipSpace(data, 0)
	return start < len(data) && data[start] == '{' && Depth(data) <= MaxDepth && json.Valid(data)
}

// The functions below take a text that json.Valid has accepted and a position
// in it. They are cheap because nothing has to be checked again.

// eachMember calls visit with the name (with its quotes) and the value of every
// member of an object, in their order.
func eachMember(object []byte, visit func(name, value []byte)) {
	i := skipSpace(object, skipSpace(object, 0)+1)
	for object[i] != '}' {
		nameEnd := endOfString(object, i)
		start := skipSpace(object, skipSpace(object, nameEnd)+1) // past the colon
		end := endOfValue(object, start)
		visit(object[i:nameEnd], object[start:end:end])
		i = skipComma(object, end)
	}
}

// elements returns the elements of an array.
func elements(array []byte) []json.RawMessage {
	first := skipSpace(array, 1)
	items := make([]json.RawMessage, 0, countElements(array, first))
	for i := first; array[i] != ']'; {
		end := endOfValue(array, i)
		items = append(items, array[i:end:end])
		i = skipComma(array, end)
	}
	return items
}

// countElements lets elements allocate exactly: an array of single digits
// already takes twelve times its size as slices.
func countElements(array []byte, first int) int {
	n := 0
	for i := first; array[i] != ']'; n++ {
		i = skipComma(array, endOfValue(array, i))
	}
	return n
}

// skipComma goes from the end of a value to the start of the next one, or to
// the closing bracket.
func skipComma(data []byte, i int) int {
	i = skipSpace(data, i)
	if data[i] == ',' {
		return skipSpace(data, i+1)
	}
	return i
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\n' || data[i] == '\r') {
		i++
	}
	return i
}

// endOfString returns the position after the string that starts at i. Of a
// string without an end it is the end of data.
func endOfString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// endOfValue returns the position after the value that starts at i.
func endOfValue(data []byte, i int) int {
	switch data[i] {
	case '"':
		return endOfString(data, i)
	case '{', '[':
		return endOfBrackets(data, i)
	}
	for i < len(data) {
		switch data[i] {
		case ',', ']', '}', ' ', '\t', '\n', '\r':
			return i
		}
		i++
	}
	return i
}

func endOfBrackets(data []byte, i int) int {
	for open := 0; ; {
		switch data[i] {
		case '"':
			i = endOfString(data, i)
			continue
		case '{', '[':
			open++
		case '}', ']':
			open--
		}
		i++
		if open == 0 {
			return i
		}
	}
}

// unquote returns the bytes of a JSON string, a part of raw if it holds no
// escapes. It is false for any other JSON value, and for a string with half a
// surrogate pair, which no UTF-8 can express: encoding/json would put another
// character in its place, and so make two different names one.
func unquote(raw []byte) ([]byte, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, false
	}
	text := raw[1 : len(raw)-1]
	for i, c := range text {
		if c == '\\' {
			return unescape(text, i)
		}
	}
	return text, true
}

// unescape resolves the escapes of a string; the first is at i.
func unescape(text []byte, i int) ([]byte, bool) {
	out := append(make([]byte, 0, len(text)), text[:i]...)
	for i < len(text) {
		if text[i] != '\\' {
			out = append(out, text[i])
			i++
			continue
		}
		if text[i+1] != 'u' {
			out = append(out, escapes[text[i+1]])
			i += 2
			continue
		}
		r, n := codePoint(text[i:])
		if n == 0 {
			return nil, false
		}
		out = utf8.AppendRune(out, r)
		i += n
	}
	return out, true
}

var escapes = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// codePoint reads one \u escape, or two that are a surrogate pair, and returns
// the length read; 0 for half a pair.
func codePoint(text []byte) (rune, int) {
	r := hex4(text[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(text) < 12 || text[6] != '\\' || text[7] != 'u' {
		return 0, 0
	}
	if r = utf16.DecodeRune(r, hex4(text[8:])); r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

// hex4 reads four hexadecimal digits, which json.Valid has checked.
func hex4(text []byte) rune {
	var r rune
	for _, c := range text[:4] {
		switch {
		case c >= 'a':
			c -= 'a' - 10
		case c >= 'A':
			c -= 'A' - 10
		default:
			c -= '0'
		}
		r = r<<4 | rune(c)
	}
	return r
}

func validUTF8(s string) bool { return utf8.ValidString(s) }
