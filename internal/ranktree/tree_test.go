package ranktree

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEmpty(t *testing.T) {
	t.Parallel()
	tree := New()
	check(t, tree)
	require.Zero(t, tree.Len())
	require.False(t, tree.Has(""))
	_, ok := tree.Rank("a")
	require.False(t, ok)
	_, _, ok = tree.Delete("a")
	require.False(t, ok)
	require.Empty(t, tree.Keys(0, 10))
	require.Zero(t, tree.Search([]byte("a")))
	require.Panics(t, func() { tree.At(0) })
	require.Panics(t, func() { tree.Place(0) })
}

func TestKeys(t *testing.T) {
	t.Parallel()
	tree := New()
	var all []string
	for i := range 200 {
		all = append(all, fmt.Sprint(i))
		tree.Append(all[i], nil)
	}
	for _, tt := range []struct {
		from, n int
		want    []string
	}{
		{0, 200, all},
		{0, 1, all[:1]},
		{50, 100, all[50:150]},
		{199, 1, all[199:]},
		{190, 100, all[190:]},
		{200, 1, nil},
		{1 << 40, 1 << 40, nil},
		{0, 0, nil},
		{0, -1, nil},
		{-1, 5, nil},
	} {
		require.Equal(t, tt.want, tree.Keys(tt.from, tt.n), "%d keys from %d", tt.n, tt.from)
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	tree := New()
	tree.Append("a", []byte("place"))
	require.Panics(t, func() { tree.Insert(0, "a", nil) }, "a key twice")
	require.Panics(t, func() { tree.Insert(2, "b", nil) })
	require.Panics(t, func() { tree.Insert(-1, "b", nil) })
	require.Panics(t, func() { tree.At(1) })
	require.Panics(t, func() { tree.At(-1) })
	check(t, tree)
	require.Equal(t, 1, tree.Len())
}

// TestAnyBytes: keys and places are bytes, of any length.
func TestAnyBytes(t *testing.T) {
	t.Parallel()
	tree := New()
	for i, key := range []string{"", "\x00", "\x00\x00", "\xff", string(make([]byte, 127)), string(make([]byte, 128)), string(make([]byte, 1<<20))} {
		place := bytes.Repeat([]byte{7}, 1<<(3*i))
		tree.Append(key, place)
		rank, ok := tree.Rank(key)
		require.True(t, ok)
		require.Equal(t, i, rank)
		require.True(t, key == tree.At(i))
		require.True(t, bytes.Equal(place, tree.Place(i)))
	}
	check(t, tree)
}

// TestPlaceCopy: the place that Delete returns is the caller's.
func TestPlaceCopy(t *testing.T) {
	t.Parallel()
	tree := New()
	tree.Append("a", []byte("place a"))
	_, place, ok := tree.Delete("a")
	require.True(t, ok)
	tree.Append("b", []byte("place b"))
	require.Equal(t, "place a", string(place))
}

// TestAppendFill: a tree that was only appended to has full nodes.
func TestAppendFill(t *testing.T) {
	t.Parallel()
	tree := New()
	for i := range 10_000 {
		tree.Append(fmt.Sprint(i), nil)
	}
	check(t, tree)
	require.LessOrEqual(t, len(tree.nodes.table)-len(tree.nodes.counts), 10_000/(fanout-1)+1, "leaves")
}

// fresh is how much memory a tree with the same rows takes that was just made.
func fresh(tree *Tree) int {
	other := New()
	for i, key := range tree.Keys(0, tree.Len()) {
		other.Append(key, tree.Place(i))
	}
	return other.Bytes()
}

// TestChurn: memory follows the rows in use however many have come and gone.
func TestChurn(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	p := newPair(t)
	for range 1000 {
		p.insert(r.IntN(len(p.model)+1), randomPlace(r))
	}
	for range 30 {
		for range 1000 {
			p.delete(r.IntN(len(p.model)))
			p.insert(r.IntN(len(p.model)+1), randomPlace(r))
		}
		// Nodes may be a quarter full and half of the arena garbage, hence 4 at the very most.
		require.LessOrEqual(t, p.tree.Bytes(), 4*fresh(p.tree))
	}
	check(t, p.tree)
}

// TestOneRowChurn replaces a single row over and over, with one that never leaves beside it.
func TestOneRowChurn(t *testing.T) {
	t.Parallel()
	tree := New()
	tree.Append("stays", nil)
	for i := range 20_000 {
		tree.Append("goes", bytes.Repeat([]byte{1}, i%300))
		_, _, ok := tree.Delete("goes")
		require.True(t, ok)
	}
	check(t, tree)
	require.LessOrEqual(t, tree.Bytes(), 4*fresh(tree))
}

// TestShrink: a tree that was large and is small gives its memory back.
func TestShrink(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	p := newPair(t)
	for range 20_000 {
		p.insert(len(p.model), []byte("some place"))
	}
	for len(p.model) > 10 {
		p.delete(r.IntN(len(p.model)))
	}
	check(t, p.tree)
	p.compare()
	// What remains was made for at most minShrink rows.
	require.LessOrEqual(t, p.tree.Bytes(), minShrink*200)
}

// TestBytes compares what the tree says it holds with what the heap grew by. It is not parallel: other tests allocate.
func TestBytes(t *testing.T) {
	before := heap()
	tree := New()
	for i := range 200_000 {
		tree.Insert(i/2, fmt.Sprint("key", i), []byte("some place"))
	}
	grown := heap() - before
	require.InEpsilon(t, grown, tree.Bytes(), 0.1)
	runtime.KeepAlive(tree)
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}
