package ranktree

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
)

// entry is a row of the model.
type entry struct {
	key   string
	place []byte
}

// pair is a tree and a plain slice that must agree with it.
type pair struct {
	t     testing.TB
	tree  *Tree
	model []entry
	next  int
}

func newPair(t testing.TB) *pair { return &pair{t: t, tree: New()} }

func (p *pair) insert(rank int, place []byte) {
	p.next++
	key := fmt.Sprintf("key %d", p.next)
	given := bytes.Clone(place)
	p.tree.Insert(rank, key, given)
	clear(given) // the tree must have taken a copy
	p.model = slices.Insert(p.model, rank, entry{key, place})
}

func (p *pair) delete(rank int) {
	p.t.Helper()
	want := p.model[rank]
	got, place, ok := p.tree.Delete(want.key)
	if !ok || got != rank || !bytes.Equal(place, want.place) {
		p.t.Fatalf("deleting %q: rank %d (%t) and place %x, want %d and %x", want.key, got, ok, place, rank, want.place)
	}
	if p.tree.Has(want.key) {
		p.t.Fatalf("key %q is there after its delete", want.key)
	}
	p.model = slices.Delete(p.model, rank, rank+1)
}

// undo takes a row out and puts it back with what Delete returned.
func (p *pair) undo(rank int) {
	key := p.model[rank].key
	got, place, _ := p.tree.Delete(key)
	p.tree.Insert(got, key, place)
}

// compareAt compares one rank.
func (p *pair) compareAt(rank int) {
	p.t.Helper()
	want := p.model[rank]
	if got := p.tree.At(rank); got != want.key {
		p.t.Fatalf("key %q at rank %d, want %q", got, rank, want.key)
	}
	if got := p.tree.Place(rank); !bytes.Equal(got, want.place) {
		p.t.Fatalf("place %x at rank %d, want %x", got, rank, want.place)
	}
	if got, ok := p.tree.Rank(want.key); !ok || got != rank {
		p.t.Fatalf("rank %d (%t) of key %q, want %d", got, ok, want.key, rank)
	}
}

// compare compares everything.
func (p *pair) compare() {
	p.t.Helper()
	require.Equal(p.t, len(p.model), p.tree.Len())
	for i := range p.model {
		p.compareAt(i)
	}
	keys := make([]string, len(p.model))
	for i := range keys {
		keys[i] = p.model[i].key
	}
	require.True(p.t, slices.Equal(keys, p.tree.Keys(0, len(keys)+1)))
}

// randomPlace is short most of the time, and sometimes longer than a chunk of the arena.
func randomPlace(r *rand.Rand) []byte {
	size := r.IntN(20)
	switch r.IntN(200) {
	case 0:
		size = r.IntN(2 * maxChunk)
	case 1, 2, 3, 4:
		size = r.IntN(2 * minChunk)
	}
	return bytes.Repeat([]byte{byte(r.Uint32())}, size)
}

// step does one random thing. With growth 0 everything shrinks, with 10 everything grows.
func (p *pair) step(r *rand.Rand, growth int) {
	n := len(p.model)
	if n == 0 || r.IntN(10) < growth {
		p.grow(r, n)
		return
	}
	switch r.IntN(8) {
	case 0:
		p.undo(r.IntN(n))
	case 1: // a range, so that neighbors empty together
		at := r.IntN(n)
		for range min(r.IntN(40), n-at) {
			p.delete(at)
		}
	case 2:
		p.delete(n - 1)
	default:
		p.delete(r.IntN(n))
	}
}

func (p *pair) grow(r *rand.Rand, n int) {
	at := r.IntN(n + 1)
	switch r.IntN(8) {
	case 0: // a run at one rank
		for range r.IntN(40) {
			p.insert(at, randomPlace(r))
		}
	case 1:
		p.insert(0, randomPlace(r))
	case 2:
		for range r.IntN(40) {
			p.insert(len(p.model), randomPlace(r))
		}
	default:
		p.insert(at, randomPlace(r))
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	p := newPair(t)
	for i := range 3000 {
		// Waves: grow for 500 steps, shrink for 500 steps.
		p.step(r, []int{7, 3}[i/500%2])
		check(t, p.tree)
		require.Equal(t, len(p.model), p.tree.Len())
		for range min(3, len(p.model)) {
			p.compareAt(r.IntN(len(p.model)))
		}
		if i%100 == 0 {
			p.compare()
		}
	}
	p.compare()
}

// TestDeep is TestModel on a tree of three levels and more.
func TestDeep(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	p := newPair(t)
	for range 9000 {
		p.insert(r.IntN(len(p.model)+1), randomPlace(r)[:0])
	}
	require.False(t, p.tree.nodes.leaf(p.tree.nodes.table[p.tree.root].items[0]), "three levels")
	for i := range 100 {
		for range 20 {
			p.step(r, 5)
		}
		check(t, p.tree)
		if i%50 == 0 {
			p.compare()
		}
	}
	for len(p.model) > 0 {
		for range min(200, len(p.model)) {
			p.delete(r.IntN(len(p.model)))
		}
		check(t, p.tree)
	}
}

// TestEnds empties and fills a tree from either end.
func TestEnds(t *testing.T) {
	t.Parallel()
	last := func(p *pair) int { return len(p.model) }
	first := func(*pair) int { return 0 }
	for name, at := range map[string]struct{ insert, remove func(*pair) int }{
		"stack":      {last, func(p *pair) int { return len(p.model) - 1 }},
		"queue":      {last, first},
		"front":      {first, first},
		"front back": {first, func(p *pair) int { return len(p.model) - 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			for range 2 {
				for i := range 5000 {
					p.insert(at.insert(p), nil)
					if i%250 == 0 {
						check(t, p.tree)
					}
				}
				p.compare()
				for len(p.model) > 0 {
					p.delete(at.remove(p))
					if len(p.model)%250 == 0 {
						check(t, p.tree)
					}
				}
				check(t, p.tree)
			}
		})
	}
}

// TestSearch keeps places ascending, with ties, and compares with a binary search over a slice.
func TestSearch(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	p := newPair(t)
	place := func() []byte { return fmt.Appendf(nil, "%d", r.IntN(3000)) }
	search := func(place []byte) int {
		want := sort.Search(len(p.model), func(i int) bool { return bytes.Compare(p.model[i].place, place) >= 0 })
		require.Equal(t, want, p.tree.Search(place))
		return want
	}
	search(nil)
	for i := range 6000 {
		if i%3 == 2 {
			p.delete(r.IntN(len(p.model)))
		}
		at := place()
		p.insert(search(at), at)
	}
	check(t, p.tree)
	for range 2000 {
		search(place())
	}
	search(nil)
	search([]byte("~"))
}
