package ranktree

import "bytes"

// Rows are renumbered when fewer than 1/shrinkShare of the numbers are in use, unless there are only minShrink numbers.
const (
	shrinkShare = 4
	minShrink   = 256
)

// Delete takes a key out; the keys behind it move one down. It returns the rank that the key had and a copy of its place,
// which is what [Tree.Insert] needs to put it back, or false if the key is not in the tree.
func (t *Tree) Delete(key string) (rank int, place []byte, ok bool) {
	hash := t.index.hash(key)
	id, ok := t.index.find(hash, key, &t.rows)
	if !ok {
		return 0, nil, false
	}
	place = bytes.Clone(t.rows.place(id))
	leaf := t.rows.table[id].leaf
	at := t.nodes.itemIndex(leaf, id)
	rank = int(at + t.discount(leaf))
	t.nodes.removeItem(leaf, at)
	t.n--
	t.repair(leaf)
	t.index.remove(hash, id)
	t.rows.remove(id)
	t.shrink()
	return rank, place, true
}

// discount takes one row off the counts of all nodes above a leaf, and returns how many rows are before the leaf.
func (t *Tree) discount(leaf uint32) uint32 {
	rank := uint32(0)
	for n, p := leaf, t.nodes.table[leaf].parent; p != none; n, p = p, t.nodes.table[p].parent {
		at, before := t.nodes.position(p, n)
		rank += before
		t.nodes.counts[t.nodes.table[p].counts][at]--
	}
	return rank
}

// repair gives a node that has lost an item enough items again, and so on upwards.
func (t *Tree) repair(n uint32) {
	for n != t.root && t.nodes.table[n].n < minItems {
		parent := t.nodes.table[n].parent
		if !t.relieve(parent, n) {
			break
		}
		n = parent
	}
	t.lower()
}

// relieve joins a node that has too few items with a neighbor, or evens them out. It returns whether the parent lost an
// item.
func (t *Tree) relieve(parent, n uint32) bool {
	at, _ := t.nodes.position(parent, n)
	if t.nodes.table[parent].n > 1 {
		return t.join(parent, max(at, 1)-1)
	}
	// An only child: this is the right edge, where nodes may have few items.
	if t.nodes.table[n].n > 0 {
		return false
	}
	t.nodes.removeItem(parent, at)
	t.nodes.free(n)
	return true
}

// join moves everything from a node's child at+1 into child at, if it fits, and returns true; else it evens them out.
func (t *Tree) join(parent, at uint32) bool {
	p := &t.nodes.table[parent]
	c := &t.nodes.counts[p.counts]
	left, right := p.items[at], p.items[at+1]
	l, r := t.nodes.table[left].n, t.nodes.table[right].n
	half := (l + r) / 2
	switch {
	case l+r <= fanout:
		c[at] += t.transfer(left, l, right, 0, r)
		t.nodes.removeItem(parent, at+1)
		t.nodes.free(right)
		return true
	case l < half:
		moved := t.transfer(left, l, right, 0, half-l)
		c[at] += moved
		c[at+1] -= moved
	default:
		moved := t.transfer(right, 0, left, half, l-half)
		c[at] -= moved
		c[at+1] += moved
	}
	return false
}

// lower removes a root that has one child. The child has more than one item itself: it lost its last neighbor by taking
// over its items.
func (t *Tree) lower() {
	if t.nodes.leaf(t.root) || t.nodes.table[t.root].n > 1 {
		return
	}
	old := t.root
	t.root = t.nodes.table[old].items[0]
	t.nodes.table[t.root].parent = none
	t.nodes.free(old)
}

// shrink builds the tree anew when most of the rows that it once had are gone. The rows that it moves are fewer than
// those that were deleted since it was last built.
func (t *Tree) shrink() {
	if numbers := len(t.rows.table); numbers <= minShrink || t.n >= numbers/shrinkShare {
		return
	}
	small := New()
	for rank := 0; rank < t.n; {
		leaf, at := t.locate(rank)
		rest := t.nodes.rest(leaf, at, t.n)
		for _, id := range rest {
			_, key, place, _ := decodeRecord(t.rows.arena.at(t.rows.table[id].at))
			small.Append(string(key), place)
		}
		rank += len(rest)
	}
	*t = *small
}
