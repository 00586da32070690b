package ranktree

import "hash/maphash"

const minSlots = 8

// index is a hash table from key to row number: open addressing with linear probing. A slot is the hash in the upper
// half and the row's number plus one in the lower; 0 is empty. With the hash in the slot, most other keys are passed over
// without being read, and growing reads no key at all.
type index struct {
	seed  maphash.Seed
	slots []uint64 // a power of two, at most three quarters full
	used  int
}

func newIndex() index {
	return index{seed: maphash.MakeSeed(), slots: make([]uint64, minSlots)}
}

func (x *index) hash(key string) uint32 {
	return uint32(maphash.String(x.seed, key)) //nolint:gosec // half of the hash is enough
}

func slot(hash, n uint32) uint64 { return uint64(hash)<<32 | uint64(n+1) }

func unslot(s uint64) (hash, n uint32) {
	return uint32(s >> 32), uint32(s) - 1 //nolint:gosec // the halves of a slot
}

// mask turns a hash into the slot where probing for it starts.
func (x *index) mask() uint32 {
	return uint32(len(x.slots) - 1) //nolint:gosec // at most 2^32 slots
}

// find returns the number of a key's row.
func (x *index) find(hash uint32, key string, rows *rows) (uint32, bool) {
	mask := x.mask()
	for i := hash & mask; x.slots[i] != 0; i = (i + 1) & mask {
		if h, n := unslot(x.slots[i]); h == hash && string(rows.key(n)) == key {
			return n, true
		}
	}
	return none, false
}

// add enters a row that is not in the table.
func (x *index) add(hash, n uint32) {
	if 4*(x.used+1) > 3*len(x.slots) {
		x.grow()
	}
	x.put(slot(hash, n))
	x.used++
}

func (x *index) put(s uint64) {
	mask := x.mask()
	hash, _ := unslot(s)
	i := hash & mask
	for x.slots[i] != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = s
}

func (x *index) grow() {
	old := x.slots
	x.slots = make([]uint64, 2*len(old))
	for _, s := range old {
		if s != 0 {
			x.put(s)
		}
	}
}

// remove takes out a row that is in the table, and closes the gap: a mark in its place would never go away.
func (x *index) remove(hash, n uint32) {
	mask := x.mask()
	gap := hash & mask
	for s := slot(hash, n); x.slots[gap] != s; {
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; x.slots[i] != 0; i = (i + 1) & mask {
		home, _ := unslot(x.slots[i])
		// A slot may move back to the gap unless its home lies behind the gap.
		if (i-home)&mask >= (i-gap)&mask {
			x.slots[gap] = x.slots[i]
			gap = i
		}
	}
	x.slots[gap] = 0
	x.used--
}

func (x *index) bytes() int { return 8 * cap(x.slots) }
