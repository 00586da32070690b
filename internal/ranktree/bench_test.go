package ranktree

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
)

const million = 1_000_000

// benchKey is the i-th key of eight bytes, in no order.
func benchKey(i int) (key [8]byte) {
	binary.BigEndian.PutUint64(key[:], uint64(i)*0x9e3779b97f4a7c15)
	return key
}

// insertRandom inserts keys from to to at random ranks.
func insertRandom(tree *Tree, r *rand.Rand, from, to int) {
	for i := from; i < to; i++ {
		key := benchKey(i)
		tree.Insert(r.IntN(i+1), string(key[:]), key[:])
	}
}

// newMillion returns a tree of a million keys of eight bytes with places of eight bytes, inserted at random ranks, and
// the memory per row.
func newMillion() (*Tree, float64) {
	before := heap()
	tree := New()
	insertRandom(tree, rand.New(rand.NewPCG(1, 1)), 0, million)
	return tree, float64(heap()-before) / million
}

// BenchmarkInsertRank inserts a key at a random rank into a tree of a million keys and asks for the rank of another.
func BenchmarkInsertRank(b *testing.B) {
	tree, bytesPerRow := newMillion()
	r := rand.New(rand.NewPCG(2, 2))
	const batch = 50_000 // what is inserted is taken out again off the clock, so that the tree stays a million keys
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		n := min(batch, b.N-done)
		for i := range n {
			key := benchKey(million + i)
			tree.Insert(r.IntN(million), string(key[:]), key[:])
			other := benchKey(r.IntN(million))
			if _, ok := tree.Rank(string(other[:])); !ok {
				b.Fatal("a key is missing")
			}
		}
		b.StopTimer()
		for i := range n {
			key := benchKey(million + i)
			tree.Delete(string(key[:]))
		}
		done += n
		b.StartTimer()
	}
	b.ReportMetric(bytesPerRow, "bytes/row")
	runtime.KeepAlive(tree)
}

// BenchmarkMove takes a random key out and puts it in elsewhere, as an update of a sort column does.
func BenchmarkMove(b *testing.B) {
	tree, _ := newMillion()
	r := rand.New(rand.NewPCG(3, 3))
	for b.Loop() {
		key := benchKey(r.IntN(million))
		_, place, _ := tree.Delete(string(key[:]))
		tree.Insert(r.IntN(million), string(key[:]), place)
	}
}

// BenchmarkAppend builds trees in list order, as loading a list does. An operation is one row.
func BenchmarkAppend(b *testing.B) {
	tree := New()
	for i := range b.N {
		if i%million == 0 {
			tree = New()
		}
		key := benchKey(i)
		tree.Append(string(key[:]), key[:])
	}
	b.ReportMetric(float64(tree.Bytes())/float64(tree.Len()), "bytes/row")
}

// BenchmarkSearch finds the rank of a place in a tree of a million ascending places.
func BenchmarkSearch(b *testing.B) {
	tree := New()
	var place [8]byte
	for i := range million {
		key := benchKey(i)
		binary.BigEndian.PutUint64(place[:], uint64(i))
		tree.Append(string(key[:]), place[:])
	}
	r := rand.New(rand.NewPCG(4, 4))
	for b.Loop() {
		want := r.IntN(million)
		binary.BigEndian.PutUint64(place[:], uint64(want))
		if tree.Search(place[:]) != want {
			b.Fatal("wrong rank")
		}
	}
}

// BenchmarkKeys reads a page of 50 keys at a random rank.
func BenchmarkKeys(b *testing.B) {
	tree, _ := newMillion()
	r := rand.New(rand.NewPCG(5, 5))
	b.ReportAllocs()
	for b.Loop() {
		if len(tree.Keys(r.IntN(million-50), 50)) != 50 {
			b.Fatal("short page")
		}
	}
}
