package choice

import (
	"fmt"
	"slices"
	"strings"
)

// Matcher asks for the conditions of any number of choices at once, in the select list of a statement that reads rows.
// What is asked depends on which columns are compared by which operators and not on how many choices do so with how
// many values; values that a row's own text is looked up among are not even sent. Adding or removing a choice costs what
// the choice holds, however many there are.
//
// It belongs to one goroutine.
type Matcher struct {
	rules  *Rules
	first  int
	probes map[probeKey]*probe
	tests  map[*Choice][]test

	shape *shape // what is asked; nil if that has changed
	args  []any  // nil if values have changed
}

// shape is which questions are asked, in their order. It is immutable.
type shape struct {
	probes  []*probe
	looked  []int // places of the probes that have a column each,
	counted []int // and of those that share one
	sql     string
}

// test is a condition of a choice, by the answer to a probe.
type test struct {
	probe  *probe
	not    bool
	every  bool // of the values must have been found, not any
	values []int
}

// Matcher returns the matcher of choices, which must be settled, with parameters from $first on.
func (r *Rules) Matcher(choices []*Choice, first int) *Matcher {
	m := &Matcher{rules: r, first: first, probes: map[probeKey]*probe{}, tests: make(map[*Choice][]test, len(choices))}
	for _, c := range choices {
		m.Add(c)
	}
	return m
}

// Add has the conditions of a choice asked for, which must be settled. Adding it again does nothing.
func (m *Matcher) Add(c *Choice) {
	if _, has := m.tests[c]; has {
		return
	}
	var tests []test
	for i := range c.conditions {
		d := &c.conditions[i]
		p := m.use(probeKey{d.column.Name, d.kind}, d.column)
		if d.pins() {
			continue // the row's text tells: see Includes
		}
		tests = append(tests, test{probe: p, not: d.not, values: m.add(p, d.asked())})
	}
	if len(c.words) > 0 {
		p := m.use(probeKey{kind: everyWord}, nil)
		tests = append(tests, test{probe: p, every: true, values: m.add(p, c.words)})
	}
	if c.general != nil {
		p := m.use(probeKey{kind: ofIdentity}, nil)
		tests = append(tests, test{probe: p, values: m.add(p, []string{tupleOf(c.general)})})
	}
	m.tests[c] = tests
}

// Remove takes a choice back. One that was not added is none to take back.
func (m *Matcher) Remove(c *Choice) {
	tests, has := m.tests[c]
	if !has {
		return
	}
	for _, t := range tests {
		if t.probe.remove(t.values) {
			m.args = nil
		}
		m.leave(t.probe)
	}
	for i := range c.conditions {
		if d := &c.conditions[i]; d.pins() {
			m.leave(m.probes[probeKey{d.column.Name, d.kind}])
		}
	}
	delete(m.tests, c)
}

func (m *Matcher) leave(p *probe) {
	p.users--
	if p.users == 0 {
		delete(m.probes, p.key())
		m.shape = nil
	}
}

// use returns the probe for a question, which it makes if there is none, and counts the one who asks.
func (m *Matcher) use(k probeKey, c *Column) *probe {
	p := m.probes[k]
	if p == nil {
		p = &probe{column: c, kind: k.kind, at: map[string]int{}}
		m.probes[k] = p
		m.shape = nil
	}
	p.users++
	return p
}

func (m *Matcher) add(p *probe, values []string) []int {
	if !p.looksUp() {
		m.args = nil
	}
	return p.add(values)
}

// form returns what is asked, in an order that does not depend on that of the choices.
func (m *Matcher) form() *shape {
	if m.shape != nil {
		return m.shape
	}
	s := &shape{}
	for _, p := range m.probes {
		s.probes = append(s.probes, p)
	}
	slices.SortFunc(s.probes, func(a, b *probe) int { return a.key().compare(b.key()) })
	m.shape, m.args = s, nil
	m.write(s)
	return s
}

// write writes the select list. Numbers go into one array for all probes, since a statement can have 1664 columns
// only.
func (m *Matcher) write(s *shape) {
	p := &parameters{first: m.first}
	var columns, numbers []string
	for i, probe := range s.probes {
		probe.place = i
		if probe.looksUp() {
			s.looked = append(s.looked, i)
			columns = append(columns, probe.column.writtenOrNull(probe.column.value(m.rules.table)))
		} else {
			s.counted = append(s.counted, i)
			numbers = append(numbers, probe.sql(m.rules, p))
		}
	}
	if len(numbers) > 0 {
		columns = append(columns, concatSQL(numbers))
	}
	var b strings.Builder
	for i, c := range columns {
		fmt.Fprintf(&b, ", %s AS socksync_match_%d", c, i+1)
	}
	s.sql = b.String()
}

// SQL returns additions to a select list over the list's table, each with a comma before it; "" if nothing is asked.
func (m *Matcher) SQL() string { return m.form().sql }

// Args returns the values of the parameters. The caller must not change them.
func (m *Matcher) Args() []any {
	s := m.form()
	if m.args == nil {
		p := &parameters{first: m.first, args: []any{}}
		for _, at := range s.counted {
			s.probes[at].sql(m.rules, p)
		}
		m.args = p.args
	}
	return m.args
}

// Columns returns how many columns SQL adds: no more than the columns of the list, and one.
func (m *Matcher) Columns() int {
	s := m.form()
	return len(s.looked) + min(1, len(s.counted))
}

// asked returns the values of a condition as a probe counts them. What has no value has one, of no text.
func (d *condition) asked() []string {
	if d.kind == isNull || d.kind == isNotNull {
		return []string{""}
	}
	return d.values
}
