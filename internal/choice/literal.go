package choice

import (
	"encoding/binary"
	"strings"
)

// arrayLiteral returns texts as an array literal: text that Postgres reads as an array of whatever type its values are.
func arrayLiteral(texts []string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, s := range texts {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		b.WriteString(quoteElement.Replace(s))
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}

// nullableArray is arrayLiteral where nil stands for NULL.
func nullableArray(texts []*string) string {
	elements := make([]string, len(texts))
	for i, s := range texts {
		elements[i] = "NULL"
		if s != nil {
			elements[i] = `"` + quoteElement.Replace(*s) + `"`
		}
	}
	return "{" + strings.Join(elements, ",") + "}"
}

// cutNullable takes the first value off what appendNullable has written.
func cutNullable(b []byte) (value *string, rest []byte) {
	if b[0] == 0 {
		return nil, b[1:]
	}
	n, used := binary.Uvarint(b[1:])
	b = b[1+used:]
	text := string(b[:n])
	return &text, b[n:]
}

var quoteElement = strings.NewReplacer(`"`, `\"`, `\`, `\\`)

// likeContains returns the pattern of the texts that contain a text.
func likeContains(text string) string { return "%" + quotePattern.Replace(text) + "%" }

var quotePattern = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
