package choice

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// Match says which conditions one row meets. It is valid until a choice is added to the matcher.
type Match struct {
	matcher *Matcher
	shape   *shape
	answers []answer // to each probe
}

// answer is what a probe found.
type answer struct {
	set []uint64 // of the values, by their places, as bits; nil if the row's own text was asked for

	text  string // which is this,
	known bool   // if it is not NULL,
	one   int    // and has this place, or -1
}

// has reports whether a value was found.
func (a *answer) has(at int) bool {
	if a.set == nil {
		return a.one == at
	}
	return a.set[at/64]&(1<<(at%64)) != 0
}

// Match decodes the columns that SQL has added to one row. It keeps nothing of values.
func (m *Matcher) Match(types *pgtype.Map, fields []pgconn.FieldDescription, values [][]byte) (*Match, error) {
	if len(fields) != m.Columns() || len(values) != m.Columns() {
		return nil, fmt.Errorf("%d columns for %d", len(values), m.Columns())
	}
	s := m.form()
	x := &Match{matcher: m, shape: s, answers: make([]answer, len(s.probes))}
	for i, at := range s.looked {
		a := &x.answers[at]
		a.one = -1
		if values[i] == nil {
			continue
		}
		a.text, a.known = string(values[i]), true
		if found, ok := s.probes[at].at[a.text]; ok {
			a.one = found
		}
	}
	if len(s.counted) == 0 {
		return x, nil
	}
	last := len(values) - 1
	var numbers []int32
	if err := types.Scan(fields[last].DataTypeOID, fields[last].Format, values[last], &numbers); err != nil {
		return nil, err
	}
	if err := x.count(numbers); err != nil {
		return nil, err
	}
	return x, nil
}

var errNumbers = errors.New("the numbers are not of these conditions")

// count takes the numbers of the values that were found, probe by probe with a 0 between.
func (x *Match) count(numbers []int32) error {
	rest := x.shape.counted
	for _, at := range rest {
		x.answers[at].set = make([]uint64, (len(x.shape.probes[at].values)+63)/64)
	}
	for _, n := range numbers {
		switch {
		case n == 0 && len(rest) > 1:
			rest = rest[1:]
		case n < 1 || int(n) > len(x.shape.probes[rest[0]].values):
			return errNumbers
		default:
			x.answers[rest[0]].set[(n-1)/64] |= 1 << ((n - 1) % 64)
		}
	}
	if len(rest) != 1 {
		return errNumbers
	}
	return nil
}

// Includes reports whether the row is one that the choice shows, which must be one of the matcher's; the list's own
// condition is another matter.
func (x *Match) Includes(c *Choice) bool {
	tests, ok := x.matcher.tests[c]
	if !ok {
		panic("choice: Includes of a choice that the matcher was not made for")
	}
	for i := range c.conditions {
		if d := &c.conditions[i]; d.pins() && !x.is(d) {
			return false
		}
	}
	for i := range tests {
		if !x.passes(&tests[i]) {
			return false
		}
	}
	return true
}

// is reports whether the row has the value to which a condition pins it.
func (x *Match) is(d *condition) bool {
	a := &x.answers[x.matcher.probes[probeKey{d.column.Name, d.kind}].place]
	return a.known && a.text == d.values[0]
}

func (x *Match) passes(t *test) bool {
	a := &x.answers[t.probe.place]
	for _, at := range t.values {
		if a.has(at) != t.every {
			// Of any, one is enough; of every, none may be missing.
			return !t.every != t.not
		}
	}
	return t.every != t.not
}
