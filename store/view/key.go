package view

import (
	"encoding/binary"
	"strings"
)

// joinKey makes one string of the texts of a row's key columns. The text of a
// single column stands for itself; of several, each is preceded by its length.
func joinKey(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return string(b)
}

// splitKey undoes joinKey for a key of n columns.
func splitKey(key string, n int) []string {
	if n == 1 {
		return []string{key}
	}
	parts := make([]string, 0, n)
	rest := []byte(key)
	for range n {
		size, used := binary.Uvarint(rest)
		parts = append(parts, string(rest[used:used+int(size)])) //nolint:gosec // joinKey wrote the length
		rest = rest[used+int(size):]                             //nolint:gosec // as above
	}
	return parts
}

// keyArrays returns the keys as one array literal for each key column: text that
// Postgres reads as an array of whatever type the column has.
func keyArrays(keys []string, columns int) []any {
	literals := make([]strings.Builder, columns)
	for i, key := range keys {
		for c, part := range splitKey(key, columns) {
			if i == 0 {
				literals[c].WriteByte('{')
			} else {
				literals[c].WriteByte(',')
			}
			writeElement(&literals[c], part)
		}
	}
	args := make([]any, columns)
	for c := range literals {
		if len(keys) == 0 {
			literals[c].WriteByte('{')
		}
		literals[c].WriteByte('}')
		args[c] = literals[c].String()
	}
	return args
}

// writeElement writes one element of an array literal, always quoted.
func writeElement(b *strings.Builder, s string) {
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
}
