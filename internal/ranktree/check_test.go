package ranktree

import (
	"encoding/binary"
	"testing"
)

// check verifies every invariant of a tree. It runs after each step of the randomized tests, so it formats nothing
// unless something is wrong.
func check(t testing.TB, tree *Tree) {
	t.Helper()
	c := checker{TB: t, tree: tree, seen: make([]bool, len(tree.rows.table)), depth: -1}
	root := &tree.nodes.table[tree.root]
	if root.parent != none {
		t.Fatalf("the root has parent %d", root.parent)
	}
	if !tree.nodes.leaf(tree.root) && root.n < 2 {
		t.Fatalf("an inner root with %d children", root.n)
	}
	if rows := c.node(tree.root, 0, true); int(rows) != tree.n {
		t.Fatalf("%d rows below the root, Len %d", rows, tree.n)
	}
	if all := len(tree.nodes.table); c.nodes+len(tree.nodes.unused) != all {
		t.Fatalf("%d nodes, %d in use, %d unused", all, c.nodes, len(tree.nodes.unused))
	}
	if all := len(tree.nodes.counts); c.inner+len(tree.nodes.unusedCounts) != all {
		t.Fatalf("%d counts, %d in use, %d unused", all, c.inner, len(tree.nodes.unusedCounts))
	}
	c.numbers()
	c.arena()
	c.index()
}

type checker struct {
	testing.TB
	tree  *Tree
	seen  []bool // by row: met in a leaf
	depth int    // of the leaves, once known
	nodes int
	inner int
}

// node checks a node and all below it and returns the number of rows.
func (c *checker) node(n uint32, depth int, rightEdge bool) uint32 {
	c.nodes++
	c.fill(n, rightEdge)
	if c.tree.nodes.leaf(n) {
		c.leaf(n, depth)
		return c.tree.nodes.table[n].n
	}
	c.inner++
	node := &c.tree.nodes.table[n]
	sum := uint32(0)
	for i, child := range node.items[:node.n] {
		if parent := c.tree.nodes.table[child].parent; parent != n {
			c.Fatalf("child %d of node %d has parent %d", child, n, parent)
		}
		below := c.node(child, depth+1, rightEdge && i == int(node.n)-1)
		if count := c.tree.nodes.counts[node.counts][i]; count != below {
			c.Fatalf("node %d counts %d rows below child %d, which has %d", n, count, i, below)
		}
		sum += below
	}
	return sum
}

// fill checks how many items a node has.
func (c *checker) fill(n uint32, rightEdge bool) {
	items := c.tree.nodes.table[n].n
	switch {
	case items > fanout:
		c.Fatalf("node %d has %d items", n, items)
	case n == c.tree.root:
	case items == 0:
		c.Fatalf("node %d is empty", n)
	case items < minItems && !rightEdge:
		c.Fatalf("node %d, not at the right edge, has %d items", n, items)
	}
}

func (c *checker) leaf(n uint32, depth int) {
	if c.depth < 0 {
		c.depth = depth
	}
	if c.depth != depth {
		c.Fatalf("leaves at depths %d and %d", c.depth, depth)
	}
	node := &c.tree.nodes.table[n]
	for _, id := range node.items[:node.n] {
		if c.seen[id] {
			c.Fatalf("row %d is in two places", id)
		}
		c.seen[id] = true
		if leaf := c.tree.rows.table[id].leaf; leaf != n {
			c.Fatalf("row %d of leaf %d has leaf %d", id, n, leaf)
		}
	}
}

// numbers checks that each row number is in a leaf or in the chain of unused ones.
func (c *checker) numbers() {
	rows := &c.tree.rows
	count := c.tree.n
	for n := rows.unused; n != none; n = rows.table[n].leaf {
		if c.seen[n] || rows.table[n].at != nowhere() {
			c.Fatalf("row number %d is in use and unused", n)
		}
		count++
	}
	if count != len(rows.table) {
		c.Fatalf("%d row numbers, %d used or unused", len(rows.table), count)
	}
}

// arena checks the accounting of the chunks.
func (c *checker) arena() {
	arena := &c.tree.rows.arena
	live := make([]int, len(arena.chunks))
	total := 0
	for id, seen := range c.seen {
		if !seen {
			continue
		}
		at := c.tree.rows.table[id].at
		data := arena.at(at)
		if got := binary.LittleEndian.Uint32(data); got != uint32(id) {
			c.Fatalf("the record of row %d says %d", id, got)
		}
		_, _, _, size := decodeRecord(data)
		live[at.chunk] += size
		total += size
	}
	if total != arena.live {
		c.Fatalf("%d bytes in use, arena says %d", total, arena.live)
	}
	for i := range arena.chunks {
		chunk := &arena.chunks[i]
		if live[i] != chunk.live {
			c.Fatalf("chunk %d has %d bytes in use, says %d", i, live[i], chunk.live)
		}
		if uint32(i) != arena.current && 2*chunk.live < len(chunk.data) {
			c.Fatalf("chunk %d has %d bytes in use of %d", i, chunk.live, len(chunk.data))
		}
	}
}

// index checks that each row is found by its key, and nothing else is in the table.
func (c *checker) index() {
	x := &c.tree.index
	used := 0
	for _, s := range x.slots {
		if s != 0 {
			used++
		}
	}
	if used != x.used || used != c.tree.n {
		c.Fatalf("%d slots used, %d counted, %d rows", used, x.used, c.tree.n)
	}
	for id, seen := range c.seen {
		if !seen {
			continue
		}
		key := string(c.tree.rows.key(uint32(id)))
		if found, ok := x.find(x.hash(key), key, &c.tree.rows); !ok || found != uint32(id) {
			c.Fatalf("key %q of row %d is found at %d (%t)", key, id, found, ok)
		}
	}
}
