package choice

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/sqltext"
	"github.com/socksync/socksync/internal/window"
)

// owned is what a list's condition says of the subscriber's identity, taken apart: Rules.static says the rest.
type owned struct {
	equalities []equality
	general    general
	settings   []binding.Setting
}

// equality says that a column is a value of the identity.
type equality struct {
	column *Column
	name   string
}

// general is a condition of any form over the columns and values of the identity. It is empty if there is none.
type general struct {
	sql   string
	names []string // of the values that it names
	types []string // of these, as casts take them
}

// readWhere takes the list's condition apart.
func (r *Rules) readWhere(byName map[string]*allowed) {
	var static, other []string
	for _, part := range sqltext.Conjuncts(r.def.Where) {
		column, name, isEquality := sqltext.Equality(part)
		switch a := byName[column]; {
		case len(sqltext.Find(part).Names) == 0:
			static = append(static, part)
		case isEquality && a != nil && a.column.Equal:
			r.owned.equalities = append(r.owned.equalities, equality{a.column, name})
		default:
			other = append(other, part)
		}
	}
	r.static = conjunction(static)
	r.owned.general.sql = conjunction(other)
	r.owned.general.names = sqltext.Find(r.owned.general.sql).Names
	r.owned.settings = r.def.Settings
}

// conjunction puts conditions together. A line comment in one ends with its line.
func conjunction(parts []string) string {
	var all []string
	for _, part := range parts {
		if strings.TrimSpace(part) != "" {
			all = append(all, "("+part+"\n)")
		}
	}
	return strings.Join(all, " AND ")
}

// Static returns the part of the list's condition that is the same for everybody; "" if there is none.
func (r *Rules) Static() string { return r.static }

// General returns the part of the list's condition that names values of the identity and is no equality, as a statement
// has it that is to tell their types, with parameters from $1 on; "" if there is none.
func (r *Rules) General() string {
	g := &r.owned.general
	return sqltext.Replace(g.sql, func(name string) string { return "$" + strconv.Itoa(slices.Index(g.names, name)+1) })
}

// WithTypes returns the rules with the types of the parameters of General.
func (r *Rules) WithTypes(types []string) (*Rules, error) {
	if len(types) != len(r.owned.general.names) {
		return nil, fmt.Errorf("%s: the condition has %d parameters, it names %q", r.def, len(types), r.owned.general.names)
	}
	typed := *r
	typed.owned.general.types = types
	return &typed, nil
}

// Owned reports whether what a subscriber sees depends on the identity.
func (r *Rules) Owned() bool {
	return len(r.owned.equalities)+len(r.owned.general.names)+len(r.owned.settings) > 0
}

// Permits returns an error if the identity lacks a value that the list needs. It is not for the peer.
func (r *Rules) Permits(id window.Identity) error {
	var missing []string
	need := func(name string) {
		if _, ok := id[name]; !ok && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	for _, e := range r.owned.equalities {
		need(e.name)
	}
	for _, name := range r.owned.general.names {
		need(name)
	}
	for _, s := range r.owned.settings {
		need(s.Value)
	}
	if missing != nil {
		return fmt.Errorf("%s: the identity has no value %q", r.def, missing)
	}
	return nil
}

// Anybody returns an identity of which all values that the list names are NULL.
func (r *Rules) Anybody() window.Identity {
	id := window.Identity{}
	for _, e := range r.owned.equalities {
		id[e.name] = nil
	}
	for _, name := range r.owned.general.names {
		id[name] = nil
	}
	for _, s := range r.owned.settings {
		id[s.Value] = nil
	}
	return id
}

// own adds what the list's condition says of the identity.
func (c *Choice) own(id window.Identity) error {
	r := c.rules
	if err := r.Permits(id); err != nil {
		return err
	}
	var values []*string
	for _, e := range r.owned.equalities {
		values = append(values, id[e.name])
		d := condition{column: e.column, kind: equal, sure: true, owned: true}
		if value := id[e.name]; value != nil { // nothing is equal to NULL
			text, sure := e.column.canonical(*value)
			d.values, d.sure = []string{text}, sure
		}
		c.conditions = append(c.conditions, d)
	}
	for _, name := range r.owned.general.names {
		c.general = append(c.general, id[name])
	}
	for _, s := range r.owned.settings {
		c.session = append(c.session, id[s.Value])
	}
	if r.Owned() {
		c.owner = ownerOf(append(append(values, c.general...), c.session...))
	}
	return nil
}

// ownerOf makes a number of 20 digits of values of the identity.
func ownerOf(values []*string) string {
	sum := sha256.Sum256(appendNullable(nil, values))
	return fmt.Sprintf("%020d", binary.BigEndian.Uint64(sum[:]))
}

// Owner returns 20 digits that two choices share only if they are made for the same values of the identity, but for a chance
// of one in 2^64; "" if what subscribers see does not depend on it.
func (c *Choice) Owner() string { return c.owner }

// Session returns the values of the list's settings, in their order, under which the rows are read; nil is no value.
func (c *Choice) Session() []*string { return c.session }

// ErrIdentity says that Postgres does not take a value of the identity. It is fit for the peer, and says nothing of it.
var ErrIdentity = window.Refusal("not available with these credentials")

// Tested reports whether values of the identity are compared in another way than by an equality.
func (c *Choice) Tested() bool { return c.general != nil }

// tupleOf makes one text of values of the identity.
func tupleOf(values []*string) string { return string(appendNullable(nil, values)) }

func appendNullable(b []byte, values []*string) []byte {
	for _, v := range values {
		if b = appendBools(b, v != nil); v != nil {
			b = appendText(b, *v)
		}
	}
	return b
}

// where returns the condition for the values of a choice.
func (g *general) where(values []*string, p *parameters) string {
	parameter := make(map[string]string, len(values))
	for i, name := range g.names {
		parameter[name] = p.addNullable(values[i]) + "::" + g.types[i]
	}
	return "(" + sqltext.Replace(g.sql, func(name string) string { return "(" + parameter[name] + ")" }) + ")"
}

// matchSQL returns the numbers of the tuples for which the condition holds, from 1.
func (g *general) matchSQL(tuples []string, alias string, params *parameters) string {
	columns := make([][]*string, len(g.names))
	for _, tuple := range tuples {
		rest := []byte(tuple)
		for i := range columns {
			var v *string
			v, rest = cutNullable(rest)
			columns[i] = append(columns[i], v)
		}
	}
	var arrays, names []string
	column := make(map[string]string, len(g.names))
	for i, name := range g.names {
		arrays = append(arrays, "pg_catalog.unnest("+params.add(nullableArray(columns[i]))+"::pg_catalog.text[])")
		names = append(names, "socksync_v"+strconv.Itoa(i+1))
		column[name] = "(" + alias + "." + names[i] + "::" + g.types[i] + ")"
	}
	condition := sqltext.Replace(g.sql, func(name string) string { return column[name] })
	return "ARRAY(SELECT " + alias + ".socksync_n::pg_catalog.int4 FROM ROWS FROM (" + strings.Join(arrays, ", ") +
		") WITH ORDINALITY AS " + alias + "(" + strings.Join(names, ", ") + ", socksync_n) WHERE " + condition + ")"
}
