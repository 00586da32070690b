package choice

import "strings"

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

var quoteElement = strings.NewReplacer(`"`, `\"`, `\`, `\\`)

// likeContains returns the pattern of the texts that contain a text.
func likeContains(text string) string { return "%" + quotePattern.Replace(text) + "%" }

var quotePattern = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
