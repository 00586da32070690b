package binding

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxIdent is the length in bytes at which Postgres cuts identifiers off.
const maxIdent = 63

// QuoteIdent returns name as a quoted SQL identifier that means exactly that
// name, whatever it holds. A zero byte, which no identifier can hold, is left
// out.
func QuoteIdent(name string) string {
	name = strings.ReplaceAll(name, "\x00", "")
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// TableName is the exact name of a table. It is comparable.
type TableName struct {
	// Schema is empty when the search path decides.
	Schema string
	Name   string
}

// ParseTable reads a table name as it is written in SQL: flights,
// public.flights, "Odd Name" or public."Odd Name". Bare names are folded to
// lower case, as Postgres does it, and may be reserved words.
func ParseTable(text string) (TableName, error) {
	first, rest, err := scanIdent(strings.TrimSpace(text))
	if err != nil {
		return TableName{}, fmt.Errorf("table %q: %w", text, err)
	}
	rest = strings.TrimSpace(rest)
	if rest == "" {
		return TableName{Name: first}, nil
	}
	after, dot := strings.CutPrefix(rest, ".")
	if !dot {
		return TableName{}, fmt.Errorf("table %q: unexpected %q", text, rest)
	}
	second, rest, err := scanIdent(strings.TrimSpace(after))
	if err != nil {
		return TableName{}, fmt.Errorf("table %q: %w", text, err)
	}
	if rest != "" {
		return TableName{}, fmt.Errorf("table %q: unexpected %q", text, rest)
	}
	return TableName{Schema: first, Name: second}, nil
}

// SQL returns the name with its parts quoted, safe to put into a statement.
func (t TableName) SQL() string {
	if t.Schema == "" {
		return QuoteIdent(t.Name)
	}
	return QuoteIdent(t.Schema) + "." + QuoteIdent(t.Name)
}

// String is SQL, so that a TableName in a message can be read back.
func (t TableName) String() string { return t.SQL() }

// parseIdent reads one column name as it is written in SQL.
func parseIdent(text string) (string, error) {
	name, rest, err := scanIdent(strings.TrimSpace(text))
	if err != nil {
		return "", err
	}
	if rest != "" {
		return "", fmt.Errorf("unexpected %q after the name", rest)
	}
	return name, nil
}

// scanIdent reads the identifier at the start of s and returns what follows.
func scanIdent(s string) (name, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		name, rest, err = scanQuoted(s[1:])
	} else {
		n := bareLength(s)
		name, rest = foldIdent(s[:n]), s[n:]
		if n == 0 && s != "" {
			err = fmt.Errorf("%q does not start with a name", s)
		}
	}
	if err == nil {
		err = checkIdent(name)
	}
	return name, rest, err
}

// scanQuoted reads up to the closing quote; s starts after the opening one.
func scanQuoted(s string) (name, rest string, err error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, `"`)
		b.WriteString(before)
		if !found {
			return "", "", errors.New("a quote is not closed")
		}
		if !strings.HasPrefix(after, `"`) {
			return b.String(), after, nil
		}
		b.WriteByte('"')
		s = after[1:]
	}
}

// bareLength is the length of the unquoted identifier at the start of s.
func bareLength(s string) int {
	for i := range len(s) {
		c := s[i]
		letter := c >= utf8.RuneSelf || c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		follower := '0' <= c && c <= '9' || c == '$'
		if !letter && (i == 0 || !follower) {
			return i
		}
	}
	return len(s)
}

// foldIdent lowers ASCII letters only, as Postgres does in a UTF-8 database.
func foldIdent(s string) string {
	lower := func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}
	if !utf8.ValidString(s) {
		return s // strings.Map would mend it; checkIdent refuses it
	}
	return strings.Map(lower, s)
}

// checkIdent refuses what Postgres cannot hold or would change silently.
func checkIdent(name string) error {
	switch {
	case name == "":
		return errors.New("an empty name")
	case len(name) > maxIdent:
		return fmt.Errorf("the name %q is longer than %d bytes", name, maxIdent)
	case strings.ContainsRune(name, 0):
		return fmt.Errorf("the name %q holds a zero byte", name)
	case !utf8.ValidString(name):
		return fmt.Errorf("the name %q is not valid UTF-8", name)
	}
	return nil
}
