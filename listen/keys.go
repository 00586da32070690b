package listen

import (
	"encoding/binary"
	"slices"
)

// keySet is a set of keys, in the order in which they came. The zero value is empty.
type keySet struct {
	keys [][]string
	seen map[string]struct{}
	name []byte // scratch
}

// add adds a key, which is kept.
func (s *keySet) add(key []string) {
	if s.seen == nil {
		s.seen = make(map[string]struct{})
	}
	s.name = appendName(s.name[:0], key)
	if _, known := s.seen[string(s.name)]; known {
		return
	}
	s.seen[string(s.name)] = struct{}{}
	s.keys = append(s.keys, key)
}

// has reports whether a key is in the set.
func (s *keySet) has(key []string) bool {
	s.name = appendName(s.name[:0], key)
	_, known := s.seen[string(s.name)]
	return known
}

// appendName appends what tells a key from all others with as many columns.
func appendName(dst []byte, key []string) []byte {
	for _, column := range key[:len(key)-1] {
		dst = binary.AppendUvarint(dst, uint64(len(column)))
		dst = append(dst, column...)
	}
	return append(dst, key[len(key)-1]...)
}

// delta is what is known of the changes of one table since a moment. The zero value is: none.
type delta struct {
	keySet
	logged  keySet // picks of the layout, as they are in the log
	all     bool
	scratch []string
}

func (d *delta) empty() bool { return !d.all && len(d.keys) == 0 }

// size is what counts against a limit.
func (d *delta) size() int { return len(d.keys) + len(d.logged.keys) }

// addAll says that anything may have changed. Keys say no more then.
func (d *delta) addAll() { *d = delta{all: true} }

// addRow adds a row of the log: the flat list of the texts of some rows of the table, and how many there are of each. Nil
// stands for everything. What does not fit the layout, since a trigger had another idea of it, may be anything.
func (d *delta) addRow(flat []string, width int, l *layout, limit int) {
	switch {
	case d.all:
		return
	case flat == nil || !l.fits(flat, width):
		d.addAll()
		return
	}
	for row := range slices.Chunk(flat, width) {
		d.add(row[:l.key:l.key])
		if len(l.picks) > 0 && !d.addLogged(row, l) {
			d.addAll()
			return
		}
	}
	d.bound(limit)
}

// addLogged adds the values of a row. It returns false if they are none.
func (d *delta) addLogged(row []string, l *layout) (ok bool) {
	d.scratch, ok = l.pick(d.scratch[:0], row)
	if ok && !d.logged.has(d.scratch) {
		d.logged.add(slices.Clone(d.scratch))
	}
	return ok
}

// bound gives up what is more than the limit.
func (d *delta) bound(limit int) {
	if d.size() > limit {
		d.addAll()
	}
}

// merge adds what another one has.
func (d *delta) merge(o *delta, limit int) {
	if o.all {
		d.addAll()
	}
	if d.all {
		return
	}
	for _, key := range o.keys {
		d.add(key)
	}
	for _, picked := range o.logged.keys {
		d.logged.add(picked)
	}
	d.bound(limit)
}

// change returns the delta for the Drainer, which may keep it.
func (d *delta) change() *Change {
	c := &Change{Keys: slices.Clone(d.keys), All: d.all}
	for _, picked := range d.logged.keys {
		c.Logged = append(c.Logged, values(picked))
	}
	return c
}
