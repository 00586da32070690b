package binding

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// splitOutside divides text at sep where it stands outside of single and
// double quotes, and trims the parts. A doubled quote needs no care: it closes
// and opens again.
func splitOutside(text string, sep byte) ([]string, error) {
	var parts []string
	var quote byte
	start := 0
	for i := range len(text) {
		c := text[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == sep:
			parts = append(parts, strings.TrimSpace(text[start:i]))
			start = i + 1
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	return append(parts, strings.TrimSpace(text[start:])), nil
}

// splitTag divides a socksync tag into its entries. One semicolon may end it.
func splitTag(tag string) ([]string, error) {
	parts, err := splitOutside(tag, ';')
	if n := len(parts); n > 1 && parts[n-1] == "" {
		parts = parts[:n-1]
	}
	return parts, err
}

// structKeys are the keys of the blank field's tag.
func structKeys() []key {
	return []key{
		keyTable, keyList, keyVar, keyWhere, keyOrder, keyPageSize, keyMaxPageSize, keyMaxWindow,
		keyFilter, keySort, keySearch, keyParams, keyView, keyDepends, keyRecompute, keyTables, keyRole, keySettings,
	}
}

// fieldKeys are the keys of a field's tag.
func fieldKeys() []key { return []key{keyPK, keyFilter, keySort, keySearch} }

// listKeys are the keys that only a list can have.
func listKeys() []key {
	return []key{
		keyList, keyOrder, keyPageSize, keyMaxPageSize, keyMaxWindow, keyFilter, keySort, keySearch,
		keyView, keyDepends, keyRecompute, keyTables,
	}
}

// setting is what a tag or an option says about one key.
type setting struct {
	text     string   // empty where the key takes something else
	texts    []string // tables of a query, columns of a key, whatever is a list
	number   int
	interval time.Duration
	at       place
}

// settings is everything that is said, at most once for each key.
type settings map[key]setting

// parseStructTag reads the tag of the blank field.
func parseStructTag(tag string, at place, src *source) settings {
	found := settings{}
	entries, err := splitTag(tag)
	if err != nil {
		src.fail("", at, "%v", err)
		src.unusable = true // whatever else is missing may stand in that tag
		return found
	}
	for _, entry := range entries {
		name, value, hasValue := strings.Cut(entry, "=")
		k, value := key(strings.TrimSpace(name)), strings.TrimSpace(value)
		if problem := checkEntry(k, value, hasValue, found); problem != "" {
			src.fail(k, at, "%s", problem)
			continue
		}
		found[k] = parseSetting(k, value, at, src)
	}
	checkTogether(found, at, src)
	return found
}

// parseSetting reads the value of a key.
func parseSetting(k key, value string, at place, src *source) setting {
	switch k {
	case keyPageSize, keyMaxPageSize, keyMaxWindow:
		return setting{number: parseSize(k, value, at, src), at: at}
	case keyRecompute:
		return setting{interval: parseInterval(value, at, src), at: at}
	case keyDepends:
		return setting{texts: []string{value}, at: at} // there are commas within its terms
	case keyFilter, keySort, keySearch, keyParams, keyTables, keySettings:
		texts, _ := splitOutside(value, ',') // the quotes of the whole tag are closed, and so are those of a value
		return setting{texts: texts, at: at}
	}
	return setting{text: value, at: at}
}

// checkEntry says what is wrong with one entry, or nothing.
func checkEntry(k key, value string, hasValue bool, found settings) string {
	_, repeated := found[k]
	switch {
	case k == "" && !hasValue:
		return "an empty entry"
	case k == keyPK:
		return "misplaced key pk: it belongs on a field that is a column"
	case !slices.Contains(structKeys(), k):
		return fmt.Sprintf("unknown key %q", string(k))
	case repeated:
		return fmt.Sprintf("repeated key %s", k)
	case value == "":
		return fmt.Sprintf("key %s has no value", k)
	}
	return ""
}

// checkTogether refuses keys that exclude each other.
func checkTogether(found settings, at place, src *source) {
	_, isVar := found[keyVar]
	_, isList := found[keyList]
	for _, k := range structKeys() {
		_, ok := found[k]
		switch {
		case ok && isVar && slices.Contains(listKeys(), k):
			src.fail(k, at, "misplaced key %s: a struct with var is one row", k)
		case ok && isList && k == keyParams:
			src.fail(k, at, "misplaced key %s: a list has no parameters", k)
		}
	}
}

// parseInterval reads a time such as 500ms.
func parseInterval(value string, at place, src *source) time.Duration {
	interval, err := time.ParseDuration(value)
	switch {
	case err != nil:
		src.fail(keyRecompute, at, "recompute: %q is not a time such as 500ms", value)
		return 0
	case interval <= 0:
		src.fail(keyRecompute, at, "recompute: %v is no time to wait", interval)
		return 0
	}
	return interval
}

// parseSize reads a number of rows; it is at least 1.
func parseSize(k key, value string, at place, src *source) int {
	n, err := strconv.Atoi(value)
	switch {
	case errors.Is(err, strconv.ErrRange):
		src.fail(k, at, "%s: %s is out of range", k, value)
		return 0
	case err != nil:
		src.fail(k, at, "%s: %q is not a number", k, value)
		return 0
	case n < 1:
		src.fail(k, at, "%s: %d is less than 1", k, n)
		return 0
	}
	return n
}

// checkTagText finds what [reflect.StructTag] passes over in silence: text that
// is not key:"value", and repeated keys of which only the first counts.
func checkTagText(tag reflect.StructTag, at place, src *source) {
	seen := map[string]bool{}
	for rest := strings.TrimLeft(string(tag), " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		name, after, found := strings.Cut(rest, `:"`)
		quoted, err := strconv.QuotedPrefix(`"` + after)
		if !found || err != nil || name == "" || strings.ContainsAny(name, " :\"\t") {
			src.fail("", at, `malformed tag at %q: want key:"value"`, rest)
			return
		}
		if seen[name] && (name == "db" || name == "json" || name == "socksync") {
			src.fail("", at, "repeated tag key %s", name)
		}
		seen[name] = true
		rest = after[len(quoted)-1:]
	}
}
