package ranktree

import "unsafe"

const (
	// fanout is the most items of a node; it makes a node 256 bytes, four cache lines.
	fanout = 61
	// minItems is the fewest items of a node, except for the root and the nodes at the right edge, which appending leaves
	// nearly empty. A quarter leaves room between splitting and joining, so that neither repeats at once.
	minItems = fanout / 4
)

const (
	nodeBytes   = int(unsafe.Sizeof(node{}))
	countsBytes = int(unsafe.Sizeof(counts{}))
	rowBytes    = int(unsafe.Sizeof(row{}))
	chunkBytes  = int(unsafe.Sizeof(chunk{}))
)

// counts says for each child of an inner node how many rows are below it.
type counts [fanout]uint32

// node is a leaf, whose items are row numbers, or an inner node, whose items are nodes.
type node struct {
	parent uint32 // none for the root
	counts uint32 // an inner node's position in nodes.counts; none for a leaf
	n      uint32 // number of items
	items  [fanout]uint32
}

// nodes holds the nodes by number. Numbers are reused.
type nodes struct {
	table        []node
	counts       []counts
	unused       []uint32
	unusedCounts []uint32
}

func (s *nodes) leaf(n uint32) bool { return s.table[n].counts == none }

// newNode takes a number for an empty node.
func (s *nodes) newNode(leaf bool) uint32 {
	fresh := node{parent: none, counts: none}
	if !leaf {
		fresh.counts = s.newCounts()
	}
	if last := len(s.unused) - 1; last >= 0 {
		n := s.unused[last]
		s.unused = s.unused[:last]
		s.table[n] = fresh
		return n
	}
	s.table = append(s.table, fresh)
	return uint32(len(s.table) - 1) //nolint:gosec // fewer nodes than rows
}

func (s *nodes) newCounts() uint32 {
	if last := len(s.unusedCounts) - 1; last >= 0 {
		n := s.unusedCounts[last]
		s.unusedCounts = s.unusedCounts[:last]
		return n
	}
	s.counts = append(s.counts, counts{})
	return uint32(len(s.counts) - 1) //nolint:gosec // fewer nodes than rows
}

func (s *nodes) free(n uint32) {
	if c := s.table[n].counts; c != none {
		s.unusedCounts = append(s.unusedCounts, c)
	}
	s.unused = append(s.unused, n)
}

// position returns at which item of its parent a node is, and how many rows are in the items before it.
func (s *nodes) position(parent, child uint32) (at, before uint32) {
	p := &s.table[parent]
	c := &s.counts[p.counts]
	for p.items[at] != child {
		before += c[at]
		at++
	}
	return at, before
}

// itemIndex returns which item of a node that is.
func (s *nodes) itemIndex(n, item uint32) uint32 {
	at := uint32(0)
	for items := &s.table[n].items; items[at] != item; {
		at++
	}
	return at
}

// rest returns the items of a node from item at on, at most limit.
func (s *nodes) rest(n, at uint32, limit int) []uint32 {
	items := s.table[n].items[at:s.table[n].n]
	return items[:min(limit, len(items))]
}

// childAt returns the child of an inner node that holds the node's rank-th row, and the row's rank in the child.
func (s *nodes) childAt(n, rank uint32) (at, rest uint32) {
	c := &s.counts[s.table[n].counts]
	for rank >= c[at] {
		rank -= c[at]
		at++
	}
	return at, rank
}

// gapAt is childAt for a row to be added, for which the end of a child is as good as the start of the next one.
func (s *nodes) gapAt(n, rank uint32) (at, rest uint32) {
	c := &s.counts[s.table[n].counts]
	for rank > c[at] {
		rank -= c[at]
		at++
	}
	return at, rank
}

// insertItem makes an item the at-th of a node that has room. Weight is the number of rows below the item.
func (s *nodes) insertItem(n, at, item, weight uint32) {
	p := &s.table[n]
	copy(p.items[at+1:p.n+1], p.items[at:p.n])
	p.items[at] = item
	if p.counts != none {
		c := &s.counts[p.counts]
		copy(c[at+1:p.n+1], c[at:p.n])
		c[at] = weight
	}
	p.n++
}

// removeItem takes the at-th item out of a node.
func (s *nodes) removeItem(n, at uint32) {
	p := &s.table[n]
	copy(p.items[at:], p.items[at+1:p.n])
	if p.counts != none {
		c := &s.counts[p.counts]
		copy(c[at:], c[at+1:p.n])
	}
	p.n--
}

// bytes is the memory held.
func (s *nodes) bytes() int {
	return cap(s.table)*nodeBytes + cap(s.counts)*countsBytes + 4*(cap(s.unused)+cap(s.unusedCounts))
}

// transfer moves k items of src, from item from on, to dst, where they become the items from item to on. Both are leaves
// or both are inner nodes, and dst has room. It returns the number of rows below what was moved.
func (t *Tree) transfer(dst, to, src, from, k uint32) uint32 {
	d, s := &t.nodes.table[dst], &t.nodes.table[src]
	moveItems(&d.items, d.n, to, &s.items, s.n, from, k)
	weight := k
	if d.counts != none {
		dc, sc := &t.nodes.counts[d.counts], &t.nodes.counts[s.counts]
		moveItems((*[fanout]uint32)(dc), d.n, to, (*[fanout]uint32)(sc), s.n, from, k)
		weight = 0
		for _, w := range dc[to : to+k] {
			weight += w
		}
	}
	d.n += k
	s.n -= k
	t.adopt(dst, d.items[to:to+k])
	return weight
}

// moveItems moves k items of src, which has srcLen, into dst, which has dstLen.
func moveItems(dst *[fanout]uint32, dstLen, to uint32, src *[fanout]uint32, srcLen, from, k uint32) {
	copy(dst[to+k:], dst[to:dstLen])
	copy(dst[to:to+k], src[from:from+k])
	copy(src[from:], src[from+k:srcLen])
}

// adopt makes a node the owner of items.
func (t *Tree) adopt(owner uint32, items []uint32) {
	if t.nodes.leaf(owner) {
		for _, item := range items {
			t.rows.table[item].leaf = owner
		}
		return
	}
	for _, item := range items {
		t.nodes.table[item].parent = owner
	}
}
