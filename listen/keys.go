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
	all bool
}

func (d *delta) empty() bool { return !d.all && len(d.keys) == 0 }

// addAll says that anything may have changed. Keys say no more then.
func (d *delta) addAll() { *d = delta{all: true} }

// addKeys adds a row of the log: the flat list of the columns of some keys. Nil stands for everything. A list that
// cannot be keys of the table, since a trigger had another idea of the key, may be any of them.
func (d *delta) addKeys(flat []string, columns, limit int) {
	switch {
	case d.all:
		return
	case flat == nil || columns == 0 || len(flat)%columns != 0:
		d.addAll()
		return
	}
	for key := range slices.Chunk(flat, columns) {
		d.add(key)
	}
	if len(d.keys) > limit {
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
	if len(d.keys) > limit {
		d.addAll()
	}
}

// change returns the delta for the Drainer, which may keep it.
func (d *delta) change() *Change {
	return &Change{Keys: slices.Clone(d.keys), All: d.all}
}
