package sqltext

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxName is the length in bytes at which Postgres cuts names off.
const maxName = 63

// Equality reads a condition that is no more than column = @name, or the other way round, with or without parentheses
// around it. The column is its exact name; one that is qualified by a table is not taken.
func Equality(conjunct string) (column, name string, ok bool) {
	t := bare(conjunct)
	if len(t) != 3 || t[1].kind != symbol || t[1].text != "=" {
		return "", "", false
	}
	if t[0].kind == value {
		t[0], t[2] = t[2], t[0]
	}
	if t[2].kind != value {
		return "", "", false
	}
	column, ok = columnName(t[0])
	if !ok {
		return "", "", false
	}
	return column, t[2].text[1:], true
}

// bare returns the tokens of a condition that mean something, without parentheses around them.
func bare(condition string) []token {
	meaning := func(yield func(token) bool) {
		for t := range tokens(condition) {
			if !t.isBlank() && !yield(t) {
				return
			}
		}
	}
	all := slices.Collect(meaning)
	for len(all) > 2 && all[0].text == "(" && all[len(all)-1].text == ")" {
		all = all[1 : len(all)-1]
	}
	return all
}

// columnName returns the exact name that a token is as a column.
func columnName(t token) (name string, ok bool) {
	switch t.kind {
	case word:
		name = strings.Map(lower, t.text)
		ok = !slices.Contains(constants(), name)
	case quoted:
		inside, closed := strings.CutSuffix(t.text[1:], `"`)
		name, ok = strings.ReplaceAll(inside, `""`, `"`), closed && !t.open
	}
	return name, ok && name != "" && len(name) <= maxName && utf8.ValidString(t.text)
}

// lower folds ASCII letters only, as Postgres does in a UTF-8 database.
func lower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r - 'A' + 'a'
	}
	return r
}

// constants are the key words that are values, and so no columns unless they are quoted.
func constants() []string {
	return []string{
		"true", "false", "null", "default", "user", "current_user", "current_role", "session_user", "system_user",
		"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "current_catalog", "current_schema",
	}
}
