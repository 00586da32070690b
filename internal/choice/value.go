package choice

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
)

// What a value is not. The text follows the operator's name.
var (
	errNoValue = errors.New("takes a string, a number, true or false")
	errNoText  = errors.New("takes a string without U+0000")
	errNoBool  = errors.New("takes true or false")
	errNoArray = errors.New("takes an array of values")
)

// read returns the text that the column's type is to read: that of a string, of a number as it was sent, true or false.
// JSON columns read JSON.
func (c *Column) read(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || strings.IndexByte("{[n", raw[0]) >= 0 {
		return "", errNoValue
	}
	if raw[0] != '"' {
		return string(raw), nil
	}
	text, ok := unquote(raw)
	if !ok {
		return "", errNoText
	}
	if c.OID == pgtype.JSONBOID {
		return string(raw), nil
	}
	return text, nil
}

// unquote returns the text of a JSON string. It is false for any other value, and for a text that no database can hold.
func unquote(raw json.RawMessage) (string, bool) {
	var text string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		return "", false
	}
	return text, storable(text) && (!strings.ContainsRune(text, utf8.RuneError) || !halved(raw))
}

func storable(text string) bool { return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 }

// halved reports whether a JSON string has half a surrogate pair, for which encoding/json puts another character.
func halved(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		if raw[i] != 'u' {
			continue
		}
		r := unit(raw, i+1)
		i += 4
		if !utf16.IsSurrogate(r) {
			continue
		}
		if i+6 >= len(raw) || raw[i+1] != '\\' || raw[i+2] != 'u' || utf16.DecodeRune(r, unit(raw, i+3)) == utf8.RuneError {
			return true
		}
		i += 6
	}
	return false
}

// unit reads the four hexadecimal digits at i, which are there in valid JSON.
func unit(raw []byte, i int) rune {
	n, err := strconv.ParseUint(string(raw[i:i+4]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// canonical returns the text of a value as the type writes it, and whether it is sure that the type takes it and does
// so. Of what it does not know for sure the database is asked.
func (c *Column) canonical(text string) (string, bool) {
	switch c.OID {
	case pgtype.Int2OID:
		return canonicalInt(text, -1<<15, 1<<15-1)
	case pgtype.Int4OID:
		return canonicalInt(text, -1<<31, 1<<31-1)
	case pgtype.Int8OID:
		return canonicalInt(text, -1<<63, 1<<63-1)
	case pgtype.OIDOID:
		return canonicalInt(text, 0, 1<<32-1)
	case pgtype.BoolOID:
		return text, text == "true" || text == "false"
	case pgtype.UUIDOID:
		return canonicalUUID(text)
	case pgtype.TextOID, pgtype.VarcharOID:
		return text, c.Unicode || isASCII(text)
	default:
		return text, false
	}
}

func canonicalInt(text string, least, greatest int64) (string, bool) {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return text, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > greatest {
		return text, false
	}
	return strconv.FormatInt(n, 10), true
}

// canonicalUUID knows the usual form only.
func canonicalUUID(text string) (string, bool) {
	if len(text) != 36 {
		return text, false
	}
	for i := range len(text) {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		digit := strings.IndexByte("0123456789abcdefABCDEF", text[i]) >= 0
		if hyphen != (text[i] == '-') || !hyphen && !digit {
			return text, false
		}
	}
	return strings.ToLower(text), true
}
