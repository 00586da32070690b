package ranktree

import (
	"fmt"
	"strconv"
)

// Insert puts a key, which is not in the tree, at a rank from 0 to Len; the keys from that rank on move one up. The key
// and the place are copied. It panics if the rank is outside the list or the key is in the tree already: both mean that
// the caller has lost track of the order.
func (t *Tree) Insert(rank int, key string, place []byte) {
	if rank < 0 || rank > t.n {
		panic(fmt.Sprintf("ranktree: insert at rank %d of a tree of %d keys", rank, t.n))
	}
	hash := t.index.hash(key)
	if _, ok := t.index.find(hash, key, &t.rows); ok {
		panic("ranktree: insert of key " + strconv.Quote(key) + ", which is in the tree")
	}
	id := t.rows.add(key, place)
	t.index.add(hash, id)
	leaf, at := t.makeRoom(rank)
	t.nodes.insertItem(leaf, at, id, 1)
	t.rows.table[id].leaf = leaf
	t.n++
}

// Append puts a key, which is not in the tree, at the end.
func (t *Tree) Append(key string, place []byte) { t.Insert(t.n, key, place) }

// makeRoom returns the leaf and the item where a row of that rank goes, counts the row in all nodes above, and splits
// every full node on the way down, so that a split never has to go up.
func (t *Tree) makeRoom(rank int) (leaf, at uint32) {
	appending := rank == t.n
	if t.nodes.table[t.root].n == fanout {
		t.raise()
	}
	n, rest := t.root, uint32(rank) //nolint:gosec // below 2^32
	for !t.nodes.leaf(n) {
		child, below := t.nodes.gapAt(n, rest)
		if t.nodes.table[t.nodes.table[n].items[child]].n == fanout {
			t.split(n, child, appending)
			child, below = t.nodes.gapAt(n, rest)
		}
		p := &t.nodes.table[n]
		t.nodes.counts[p.counts][child]++
		n, rest = p.items[child], below
	}
	return n, rest
}

// raise puts a new root above the root.
func (t *Tree) raise() {
	old := t.root
	t.root = t.nodes.newNode(false)
	t.nodes.insertItem(t.root, 0, old, uint32(t.n)) //nolint:gosec // below 2^32
	t.nodes.table[old].parent = t.root
}

// split halves a full child of a node that has room. While rows are appended, nearly all stays in the left half: nothing
// will be added to it.
func (t *Tree) split(parent, child uint32, appending bool) {
	left := t.nodes.table[parent].items[child]
	keep := uint32(fanout / 2)
	if appending {
		keep = fanout - 1
	}
	right := t.nodes.newNode(t.nodes.leaf(left))
	moved := t.transfer(right, 0, left, keep, fanout-keep)
	t.nodes.counts[t.nodes.table[parent].counts][child] -= moved
	t.nodes.insertItem(parent, child+1, right, moved)
	t.nodes.table[right].parent = parent
}
