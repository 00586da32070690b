package protocol

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// appendHead starts a message about an item. The caller appends the other
// fields, each with its comma, and the closing brace.
func appendHead(dst []byte, f Func, t ItemType, name string) []byte {
	dst = append(dst, `{"func":"`...)
	dst = append(dst, f...)
	dst = append(dst, `","type":"`...)
	dst = append(dst, t...)
	dst = append(dst, `","name":`...)
	return appendString(dst, name)
}

func appendKey(dst []byte, k field) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, fieldNames[k]...)
	return append(dst, '"', ':')
}

func appendInt(dst []byte, k field, n int) []byte {
	return strconv.AppendInt(appendKey(dst, k), int64(n), 10)
}

func appendText(dst []byte, k field, s string) []byte {
	return appendString(appendKey(dst, k), s)
}

func appendRaw(dst []byte, k field, value json.RawMessage) []byte {
	return appendValue(appendKey(dst, k), value)
}

func appendValue(dst []byte, value json.RawMessage) []byte {
	if len(value) == 0 {
		return append(dst, "null"...)
	}
	return append(dst, value...)
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. It escapes only what JSON asks for,
// not what HTML would; bytes that are not UTF-8 become U+FFFD, since no message
// may hold them.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}
