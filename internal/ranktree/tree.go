package ranktree

import (
	"bytes"
	"fmt"
	"sort"
	"unsafe"
)

// Tree is an ordered list of distinct keys, each with a place. It holds up to 2^32 - 2 keys. Make one with [New].
//
// It has no lock: one goroutine owns it.
type Tree struct {
	root  uint32
	n     int
	nodes nodes
	rows  rows
	index index
}

// New returns an empty tree.
func New() *Tree {
	t := &Tree{rows: newRows(), index: newIndex()}
	t.root = t.nodes.newNode(true)
	return t
}

// Len returns the number of keys.
func (t *Tree) Len() int { return t.n }

// Has says whether a key is in the tree.
func (t *Tree) Has(key string) bool {
	_, ok := t.index.find(t.index.hash(key), key, &t.rows)
	return ok
}

// Rank returns at which rank a key is, counted from 0, or false if it is not in the tree.
func (t *Tree) Rank(key string) (int, bool) {
	id, ok := t.index.find(t.index.hash(key), key, &t.rows)
	if !ok {
		return 0, false
	}
	n := t.rows.table[id].leaf
	rank := t.nodes.itemIndex(n, id)
	for p := t.nodes.table[n].parent; p != none; n, p = p, t.nodes.table[p].parent {
		_, before := t.nodes.position(p, n)
		rank += before
	}
	return int(rank), true
}

// At returns the key at a rank. It panics if there is none, as indexing a slice does.
func (t *Tree) At(rank int) string {
	return string(t.rows.key(t.rowAt(rank)))
}

// Place returns the place of the key at a rank. The bytes are the tree's own: they must not be changed, and are valid
// only until the next call that changes the tree. It panics if there is no such rank.
func (t *Tree) Place(rank int) []byte {
	return t.rows.place(t.rowAt(rank))
}

// Keys returns the n keys from a rank on, or fewer where the list ends before. A rank outside the list and an n below 1
// give none.
func (t *Tree) Keys(from, n int) []string {
	if from < 0 || from >= t.n || n < 1 {
		return nil
	}
	n = min(n, t.n-from)
	keys := make([]string, 0, n)
	for len(keys) < n {
		leaf, at := t.locate(from + len(keys))
		for _, id := range t.nodes.rest(leaf, at, n-len(keys)) {
			keys = append(keys, string(t.rows.key(id)))
		}
	}
	return keys
}

// Search returns the first rank whose place is not below the given one, which is Len if all are below. It is meaningful
// only in a tree whose places ascend with the rank, as [bytes.Compare] orders them.
func (t *Tree) Search(place []byte) int {
	below := func(n, item uint32) bool {
		return bytes.Compare(t.rows.place(t.first(n, item)), place) < 0
	}
	rank := 0
	for n := t.root; ; {
		p := &t.nodes.table[n]
		at := sort.Search(int(p.n), func(i int) bool { return !below(n, p.items[i]) })
		if t.nodes.leaf(n) {
			return rank + at
		}
		if at > 0 {
			at-- // the last child that begins below the place holds the end of what is below it
		}
		for _, c := range t.nodes.counts[p.counts][:at] {
			rank += int(c)
		}
		n = p.items[at]
	}
}

// first returns the first row of an item of node n.
func (t *Tree) first(n, item uint32) uint32 {
	for !t.nodes.leaf(n) {
		n, item = item, t.nodes.table[item].items[0]
	}
	return item
}

// Bytes returns how much memory the tree holds, without what the allocator adds.
func (t *Tree) Bytes() int {
	return int(unsafe.Sizeof(*t)) + t.nodes.bytes() + t.rows.bytes() + t.index.bytes()
}

// rowAt returns the row at a rank.
func (t *Tree) rowAt(rank int) uint32 {
	if rank < 0 || rank >= t.n {
		panic(fmt.Sprintf("ranktree: rank %d of a tree of %d keys", rank, t.n))
	}
	leaf, at := t.locate(rank)
	return t.nodes.table[leaf].items[at]
}

// locate returns the leaf that holds a rank below Len, and the item.
func (t *Tree) locate(rank int) (leaf, at uint32) {
	leaf, at = t.root, uint32(rank) //nolint:gosec // below 2^32
	for !t.nodes.leaf(leaf) {
		var child uint32
		child, at = t.nodes.childAt(leaf, at)
		leaf = t.nodes.table[leaf].items[child]
	}
	return leaf, at
}
