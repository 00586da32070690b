package binding

import (
	"slices"
	"strings"
)

// fieldTag is what the socksync tag of a field says about its column.
type fieldTag struct {
	pk, filter, sort, search bool
	// operators are those of filter; nil means all that the column's type has.
	operators []Operator
}

// taggedColumn is a column with the tag of its field.
type taggedColumn struct {
	name string
	fieldTag
}

// first is a key that the tag has, or empty.
func (t fieldTag) first() key {
	for _, k := range fieldKeys() {
		if *t.flag(k) {
			return k
		}
	}
	return ""
}

// flag is where the tag says whether it has k, which is one of fieldKeys.
func (t *fieldTag) flag(k key) *bool {
	switch k {
	case keyPK:
		return &t.pk
	case keyFilter:
		return &t.filter
	case keySort:
		return &t.sort
	}
	return &t.search
}

// parseFieldTag reads the socksync tag of a field.
func parseFieldTag(tag string, at place, src *source) fieldTag {
	var found fieldTag
	entries, err := splitTag(tag)
	if err != nil {
		src.fail(keyPK, at, "%v", err)
		return found
	}
	for _, entry := range entries {
		found.take(entry, at, src)
	}
	return found
}

// take reads one entry of the tag.
func (t *fieldTag) take(entry string, at place, src *source) {
	name, value, hasValue := strings.Cut(entry, "=")
	k := key(strings.TrimSpace(name))
	switch {
	case entry == "":
		src.fail(keyPK, at, "an empty entry")
		return
	case slices.Contains(fieldKeys(), k):
	case slices.Contains(structKeys(), k):
		src.fail(k, at, "misplaced key %s: it belongs on the blank field _ struct{}", k)
		return
	default:
		src.fail(keyPK, at, "unknown key %q", string(k))
		return
	}
	has := t.flag(k)
	switch {
	case *has:
		src.fail(k, at, "repeated key %s", k)
	case hasValue && k == keyFilter:
		t.takeOperators(value, at, src)
	case hasValue:
		src.fail(k, at, "key %s takes no value", k)
	}
	*has = true
}

// takeOperators reads the value of filter.
func (t *fieldTag) takeOperators(text string, at place, src *source) {
	operators, err := parseOperators(text)
	if err != nil {
		src.fail(keyFilter, at, "filter: %v", err)
		return
	}
	t.operators = operators
}
