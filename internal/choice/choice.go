package choice

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/socksync/socksync/binding"
)

// Choice is what a subscriber chose to see of a list: which rows in which order. It is immutable.
type Choice struct {
	rules      *Rules
	key        string
	order      []binding.OrderTerm
	conditions []condition
	words      []string // what is searched for, as it was sent
	chosen     bool     // by the subscriber: it is not the list as it is defined

	owner   string    // see Owner
	general []*string // values of the identity for the general part of the list's condition; nil if it has none
	session []*string // values of the identity for the list's settings
}

// condition is one condition of a filter.
type condition struct {
	column *Column
	kind   kind
	not    bool // of equal: IS DISTINCT FROM
	// values are what the column is compared with, as texts: any number for equal, none to be or not to be NULL,
	// otherwise one.
	values []string
	// sure says that the type takes the values and would write them like this.
	sure bool
	// owned says that the list's condition has it, of which the subscriber knows nothing.
	owned bool
}

// Key returns a text that two choices of one list share only if they are the same, and made for the same values of the
// identity as far as the list names them. "" is the list as it is defined, where it names none.
// What the database would call the same may have several keys, as 1 and 1.0. It has at most 43 bytes.
func (c *Choice) Key() string { return c.key }

// IsDefault reports whether the subscriber chose nothing: it is the list as it is defined.
func (c *Choice) IsDefault() bool { return !c.chosen }

// Order returns the order of the rows. It ends with the key's columns, or with the one of them that makes it complete.
// It is not to be modified.
func (c *Choice) Order() []binding.OrderTerm { return c.order }

// setKey computes the key.
func (c *Choice) setKey() {
	if !c.chosen && !c.rules.Owned() {
		return
	}
	sum := sha256.Sum256(c.appendTo(nil))
	c.key = base64.RawURLEncoding.EncodeToString(sum[:])
}

// appendTo appends all that makes the choice, such that different choices are different bytes.
func (c *Choice) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(c.order)))
	for _, t := range c.order {
		b = appendBools(appendText(b, t.Column), t.Desc, t.NullsFirst())
	}
	b = binary.AppendUvarint(b, uint64(len(c.conditions)))
	for i := range c.conditions {
		d := &c.conditions[i]
		b = appendTexts(appendBools(append(appendText(b, d.column.Name), byte(d.kind)), d.not), d.values)
	}
	return appendNullable(appendNullable(appendTexts(b, c.words), c.general), c.session)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendTexts(b []byte, texts []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(texts)))
	for _, s := range texts {
		b = appendText(b, s)
	}
	return b
}

func appendBools(b []byte, values ...bool) []byte {
	for _, v := range values {
		if v {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	return b
}

// compare puts conditions in an order of their own, so that the order in which they were sent makes no difference.
func (d condition) compare(other condition) int {
	not := func(x bool) int { return int(appendBools(nil, x)[0]) }
	return cmp.Or(
		cmp.Compare(d.column.Name, other.column.Name),
		cmp.Compare(d.kind, other.kind),
		cmp.Compare(not(d.not), not(other.not)),
		slices.Compare(d.values, other.values),
	)
}

// sameOrder reports whether two orders are spelled the same, with the places of NULLs worked out.
func sameOrder(a, b []binding.OrderTerm) bool {
	return slices.EqualFunc(a, b, func(x, y binding.OrderTerm) bool {
		return x.Column == y.Column && x.Desc == y.Desc && x.NullsFirst() == y.NullsFirst()
	})
}

// complete appends the key's columns to an order, ascending, and leaves off what can make no difference: columns that
// are named again, and all behind the last column of the key.
func complete(order []binding.OrderTerm, key []string) []binding.OrderTerm {
	var whole []binding.OrderTerm
	missing := slices.Clone(key)
	add := func(t binding.OrderTerm) {
		named := func(o binding.OrderTerm) bool { return o.Column == t.Column }
		if len(key) > 0 && len(missing) == 0 || slices.ContainsFunc(whole, named) {
			return
		}
		whole = append(whole, t)
		missing = slices.DeleteFunc(missing, func(k string) bool { return k == t.Column })
	}
	for _, t := range order {
		add(t)
	}
	for _, k := range key {
		add(binding.OrderTerm{Column: k})
	}
	return whole
}
