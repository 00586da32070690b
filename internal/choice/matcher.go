package choice

import (
	"fmt"
	"slices"
	"strings"
)

// Matcher asks for the conditions of any number of choices at once, in the select list of a statement that reads rows.
// What is asked depends on which columns are compared by which operators and not on how many choices do so with how
// many values. It is immutable.
type Matcher struct {
	rules   *Rules
	probes  []*probe
	looked  []int // places of the probes that have a column each,
	counted []int // and of those that share one
	tests   map[*Choice][]test
	sql     string
	args    []any
}

// test is a condition of a choice, by the answer to a probe.
type test struct {
	probe  int
	not    bool
	every  bool // of the values must have been found, not any
	values []int
}

// Matcher returns the matcher of choices, which must be settled, with parameters from $first on.
func (r *Rules) Matcher(choices []*Choice, first int) *Matcher {
	m := &Matcher{rules: r, tests: make(map[*Choice][]test, len(choices))}
	m.findProbes(choices)
	for _, c := range choices {
		m.tests[c] = m.testsOf(c)
	}
	m.writeSQL(first)
	return m
}

// writeSQL writes the select list. Numbers go into one array for all probes, since a statement can have 1664 columns
// only.
func (m *Matcher) writeSQL(first int) {
	p := &parameters{first: first}
	var columns, numbers []string
	for i, probe := range m.probes {
		if probe.looksUp() {
			m.looked = append(m.looked, i)
			columns = append(columns, probe.column.writtenOrNull(probe.column.value(m.rules.table)))
		} else {
			m.counted = append(m.counted, i)
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
	m.sql, m.args = b.String(), p.args
}

// SQL returns additions to a select list over the list's table, each with a comma before it; "" if nothing is asked.
func (m *Matcher) SQL() string { return m.sql }

// Args returns the values of the parameters.
func (m *Matcher) Args() []any { return m.args }

// Columns returns how many columns SQL adds: no more than the columns of the list, and one.
func (m *Matcher) Columns() int { return len(m.looked) + min(1, len(m.counted)) }

// findProbes collects what is to be asked, in an order that does not depend on that of the choices.
func (m *Matcher) findProbes(choices []*Choice) {
	known := map[probeKey]bool{}
	for _, c := range choices {
		for i := range c.conditions {
			d := &c.conditions[i]
			m.addProbe(known, d.column, d.kind)
		}
		if len(c.words) > 0 {
			m.addProbe(known, nil, everyWord)
		}
	}
	slices.SortFunc(m.probes, func(a, b *probe) int { return a.key().compare(b.key()) })
}

func (m *Matcher) addProbe(known map[probeKey]bool, c *Column, k kind) {
	p := &probe{column: c, kind: k, at: map[string]int{}}
	if !known[p.key()] {
		known[p.key()] = true
		m.probes = append(m.probes, p)
	}
}

// testsOf returns the tests of a choice, and adds its values to the probes. What has no value has one, of no text.
func (m *Matcher) testsOf(c *Choice) []test {
	var tests []test
	for i := range c.conditions {
		d := &c.conditions[i]
		at := m.find(probeKey{d.column.Name, d.kind})
		tests = append(tests, test{probe: at, not: d.not, values: m.probes[at].add(d.asked())})
	}
	if len(c.words) > 0 {
		at := m.find(probeKey{kind: everyWord})
		tests = append(tests, test{probe: at, every: true, values: m.probes[at].add(c.words)})
	}
	return tests
}

// asked returns the values of a condition as a probe counts them.
func (d *condition) asked() []string {
	if d.kind == isNull || d.kind == isNotNull {
		return []string{""}
	}
	return d.values
}

func (m *Matcher) find(k probeKey) int {
	at, _ := slices.BinarySearchFunc(m.probes, k, func(p *probe, k probeKey) int { return p.key().compare(k) })
	return at
}
