package choice

// A condition pins a column if it holds for one value only, and rows can be told to have that value by their text. The
// choices that pin the same columns are found by hashing what a row has there.

// pins reports whether the condition pins its column.
func (d *condition) pins() bool {
	return d.kind == equal && !d.not && len(d.values) == 1 && d.column.Hashed()
}

// Pins returns the names of the columns that the choice, which must be settled, pins, and their values as one text; no
// columns if there are none.
func (c *Choice) Pins() (columns []string, values string) {
	var b []byte
	for i := range c.conditions {
		d := &c.conditions[i]
		if !d.pins() || len(columns) > 0 && columns[len(columns)-1] == d.column.Name {
			continue // conditions are sorted by column: a second one of a column is tested like any other
		}
		columns = append(columns, d.column.Name)
		b = appendText(b, d.values[0])
	}
	return columns, string(b)
}

// Pinned returns what Pins would return for a choice that pins these columns to what the row has there. It is false if
// one of them is NULL. The columns must be pinned by some choice of the matcher.
func (x *Match) Pinned(columns []string) (values string, ok bool) {
	var b []byte
	for _, name := range columns {
		p := x.matcher.probes[probeKey{name, equal}]
		if p == nil || x.shape.probes[p.place] != p || !x.answers[p.place].known {
			return "", false
		}
		b = appendText(b, x.answers[p.place].text)
	}
	return string(b), true
}

// PinnedValue returns the value to which the choice, which must be settled, pins a column.
func (c *Choice) PinnedValue(column string) (string, bool) {
	for i := range c.conditions {
		if d := &c.conditions[i]; d.column.Name == column && d.kind == equal && !d.not && len(d.values) == 1 {
			return d.values[0], true
		}
	}
	return "", false
}
