package view

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/ranktree"
	"github.com/socksync/socksync/internal/window"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 draws one")

// drawn returns a source of random numbers and says how to have it again.
func drawn(t testing.TB) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("run it again with: -run '%s' -seed %d", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// fact is a row of the model. Its place in the list is by rank and then by key.
type fact struct {
	rank  uint32
	value int // what is published beside the key
}

// model is a list as a map, from which the order is made by sorting.
type model map[string]fact

func (m model) compare(a, b string) int {
	if m[a].rank != m[b].rank {
		return int(m[a].rank) - int(m[b].rank)
	}
	return strings.Compare(a, b)
}

func (m model) order() []string {
	return slices.SortedFunc(maps.Keys(m), m.compare)
}

func (m model) json(key string) json.RawMessage {
	return fmt.Appendf(nil, `{"key":%q,"value":%d}`, key, m[key].value)
}

// member is a row as a drain would have read it.
func (m model) member(key string, full bool) *member {
	place := binary.BigEndian.AppendUint32(nil, m[key].rank)
	row := &member{key: key, place: append(place, key...)}
	if full {
		row.json = m.json(key)
	}
	return row
}

// page returns the rows that a window shall show, of the sorted keys.
func (m model) page(keys []string, at place) []window.Row {
	from := min(at.page*at.size, len(keys))
	if at.anchored {
		from = slices.Index(keys, at.after.key) + 1 // 0 for the start
	}
	var rows []window.Row
	for _, k := range keys[from:min(from+at.size, len(keys))] {
		rows = append(rows, window.Row{Key: k, JSON: m.json(k)})
	}
	return rows
}

// bench is a tree with windows over it, and the model that they must agree with.
type bench struct {
	t       *testing.T
	random  *rand.Rand
	encoded bool
	now     model
	order   []string // of now
	tree    *ranktree.Tree
	pages   few[*page]
}

func newBench(t *testing.T, random *rand.Rand, encoded bool) *bench {
	b := &bench{t: t, random: random, encoded: encoded, now: model{}, tree: ranktree.New()}
	for range random.IntN(200) {
		b.now[b.key()] = b.fact()
	}
	b.order = b.now.order()
	for _, k := range b.order {
		b.tree.Append(k, b.now.member(k, false).place)
	}
	for range 12 {
		b.watch()
	}
	return b
}

func (b *bench) key() string { return fmt.Sprintf("k%d", b.random.IntN(150)) }
func (b *bench) fact() fact  { return fact{uint32(b.random.IntN(40)), b.random.IntN(3)} }

// watch adds a window, with the rows, some of them, or only keys, which somebody may
// wait for.
func (b *bench) watch() {
	at := place{page: b.random.IntN(9), size: 1 + b.random.IntN(25)}
	if b.random.IntN(2) == 0 {
		at.page, at.anchored = 0, true
		if i := b.random.IntN(len(b.order) + 1); i < len(b.order) {
			at.after = anchor{row: true, key: b.order[i]}
		}
	}
	p := &page{at: at, filled: b.random.IntN(2) == 0}
	b.look(p)
	b.pages.add(p)
}

// look gives a window a state that is up to date.
func (b *bench) look(p *page) {
	p.state, p.waiting, p.first = b.state(p.at), few[*subscription]{}, first(b.tree, p.at)
	if p.filled && b.random.IntN(3) > 0 {
		return
	}
	for i := range p.state.Rows {
		if b.random.IntN(3) > 0 {
			p.state.Rows[i].JSON = nil
		}
	}
	if p.filled {
		p.waiting.add(&subscription{})
	}
}

func (b *bench) state(at place) *window.State {
	return &window.State{Page: at.page, Size: at.size, Total: len(b.now), Rows: b.now.page(b.order, at)}
}

// change draws the next state of the list and the keys that the log names for it.
func (b *bench) change() (next model, logged []string) {
	next = maps.Clone(b.now)
	named := map[string]struct{}{}
	for range b.random.IntN(1 << b.random.IntN(7)) {
		key := b.key()
		named[key] = struct{}{}
		old, held := next[key]
		switch b.random.IntN(5) {
		case 0:
			delete(next, key)
		case 1, 2:
			next[key] = b.fact()
		case 3:
			if held {
				next[key] = fact{old.rank, b.random.IntN(3)} // stays where it is
			}
		default:
			if renamed := key + "0"; held && next[renamed] == (fact{}) { // as 1.0 becomes 1.00: found, but not named
				delete(next, key)
				next[renamed] = old
			}
		}
	}
	return next, slices.Collect(maps.Keys(named))
}

// stage does what a drain does, up to the reading of rows.
func (b *bench) stage(next model, logged []string) *stage {
	s := newStage(&plan{form: &form{encoded: b.encoded}}, b.tree)
	full := b.random.IntN(2) == 0
	for _, key := range logged {
		for _, found := range []string{key, key + "0"} {
			if _, ok := next[found]; ok {
				s.members[found] = next.member(found, full)
			}
		}
	}
	inserts := s.split(logged, &b.pages)
	if b.encoded {
		s.placeEncoded(inserts)
	} else {
		require.NoError(b.t, s.placeByPostgres(sorted(next), inserts))
	}
	s.moor(inserts)
	s.show(&b.pages)
	return s
}

// sorted answers as the database does.
func sorted(m model) ordering {
	return func(keys []string) ([]string, error) {
		return slices.SortedFunc(slices.Values(keys), m.compare), nil
	}
}

// TestStage makes random changes of random lists and compares the tree and every
// window with a map that is sorted.
func TestStage(t *testing.T) {
	t.Parallel()
	for _, encoded := range []bool{true, false} {
		t.Run(map[bool]string{true: "encoded", false: "by the database"}[encoded], func(t *testing.T) {
			t.Parallel()
			random := drawn(t)
			for range 20 {
				b := newBench(t, random, encoded)
				for range 20 {
					b.round()
				}
			}
		})
	}
}

// round stages a change, sometimes undoes it, and compares.
func (b *bench) round() {
	next, logged := b.change()
	if b.random.IntN(3) == 0 {
		b.stage(next, logged).undo()
		b.compareTree()
	}
	s := b.stage(next, logged)
	before, order := b.now, b.order
	b.now, b.order = next, next.order()
	b.compareTree()
	b.compareAnchors(s, before, order)
	b.compareWindows(s, func(at place) []window.Row { return before.page(order, at) }, len(before))
	for p := range b.pages.all() {
		p.at = s.at(p)
		b.look(p)
	}
}

func keysOf(rows []window.Row) []window.Row {
	keys := slices.Clone(rows)
	for i := range keys {
		keys[i].JSON = nil
	}
	return keys
}

func (b *bench) compareTree() {
	require.Equal(b.t, b.order, append([]string(nil), b.tree.Keys(0, b.tree.Len())...))
	for rank, key := range b.order {
		have, ok := b.tree.Rank(key)
		if !ok || have != rank || !bytes.Equal(b.now.member(key, false).place, b.tree.Place(rank)) {
			require.FailNow(b.t, "wrong place", "%s is at %d, %t, and not at %d", key, have, ok, rank)
		}
	}
}

// compareAnchors checks what has become of the anchors: one that stands where it stood, among the rows that did not leave
// their places, is still the anchor; any other gives way to the last of those that were before it.
func (b *bench) compareAnchors(s *stage, before model, order []string) {
	stays := func(key string) bool {
		old, was := before[key]
		now, is := b.now[key]
		return was && is && old.rank == now.rank
	}
	last := func(order []string, key string) (before anchor) {
		for _, k := range order[:slices.Index(order, key)] {
			if k != key && stays(k) {
				before = anchor{row: true, key: k}
			}
		}
		return before
	}
	for p := range b.pages.all() {
		key := p.at.after.key
		want := p.at.after
		if _, is := b.now[key]; want.row && (!is || last(b.order, key) != last(order, key)) {
			want = last(order, key)
		}
		require.Equal(b.t, want, s.at(p).after, "anchor of window %v", p.at)
	}
}

// compareWindows checks what the stage shows in each window, and that those which it
// left out are what they were.
func (b *bench) compareWindows(s *stage, before func(place) []window.Row, total int) {
	staged := map[*page]*pageStage{}
	for _, ps := range s.pages {
		require.Nil(b.t, staged[ps.page], "a window is staged once")
		staged[ps.page] = ps
	}
	for p := range b.pages.all() {
		at := s.at(p)
		want := b.now.page(b.order, at)
		ps := staged[p]
		if ps == nil {
			require.Equal(b.t, before(p.at), want, "window %v was left out", at)
			require.Equal(b.t, p.at, at, "window %v was left out", at)
			require.Len(b.t, b.now, total, "window %v was left out", at)
			require.True(b.t, p.waiting.len() == 0 || p.state.Filled(), "window %v was left out", at)
			continue
		}
		require.Equal(b.t, at, ps.at)
		require.Equal(b.t, first(b.tree, at), ps.first)
		require.True(b.t, same(keysOf(want), keysOf(ps.rows)), "window %v: want %v, have %v", at, want, ps.rows)
		if p.state != nil {
			for _, c := range window.Diff(p.state.Rows, ps.rows, s.single) {
				require.False(b.t, c.Op == window.OpInsert && c.Value == nil && !slices.Contains(ps.need, c.Index),
					"row %d of window %v is inserted and will not be read", c.Index, at)
			}
		}
		for i, row := range ps.rows {
			b.compareRow(p, i, row, want[i], slices.Contains(ps.need, i))
		}
	}
}

// compareRow checks that what is known of a row is true, and that what the window
// must show is known or will be read.
func (b *bench) compareRow(p *page, i int, have, want window.Row, needed bool) {
	if have.JSON != nil {
		if needed || !bytes.Equal(want.JSON, have.JSON) {
			require.FailNow(b.t, "wrong row", "row %d of window %v: want %s, have %s, read again: %t", i, p.at, want.JSON, have.JSON, needed)
		}
		return
	}
	old := slices.IndexFunc(p.state.Rows, func(r window.Row) bool { return r.Key == have.Key })
	shown := p.filled || old < 0 || p.state.Rows[old].JSON != nil && !bytes.Equal(p.state.Rows[old].JSON, want.JSON)
	if shown && !needed {
		require.FailNow(b.t, "missing row", "row %d of window %v will not be read", i, p.at)
	}
}

// TestSingleRow says when a change is known to be one of one row.
func TestSingleRow(t *testing.T) {
	t.Parallel()
	now := model{"a": {1, 0}, "b": {2, 0}, "c": {3, 0}}
	cases := map[string]struct {
		logged []string
		next   model
		joined bool
		want   string
	}{
		"moved":                 {[]string{"a"}, model{"a": {9, 0}, "b": {2, 0}, "c": {3, 0}}, false, "a"},
		"new value":             {[]string{"a"}, model{"a": {1, 5}, "b": {2, 0}, "c": {3, 0}}, false, "a"},
		"inserted":              {[]string{"d"}, model{"a": {1, 0}, "b": {2, 0}, "c": {3, 0}, "d": {0, 0}}, false, "d"},
		"deleted":               {[]string{"b"}, model{"a": {1, 0}, "c": {3, 0}}, false, "b"},
		"another is not in it":  {[]string{"a", "x"}, model{"a": {9, 0}, "b": {2, 0}, "c": {3, 0}}, false, "a"},
		"two":                   {[]string{"a", "b"}, model{"a": {9, 0}, "b": {9, 0}, "c": {3, 0}}, false, ""},
		"none":                  {[]string{"x"}, now, false, ""},
		"key changed":           {[]string{"a", "z"}, model{"z": {1, 0}, "b": {2, 0}, "c": {3, 0}}, false, ""},
		"a load brought others": {[]string{"a"}, model{"a": {9, 0}, "b": {2, 0}, "c": {3, 0}}, true, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := ranktree.New()
			for _, k := range now.order() {
				tree.Append(k, now.member(k, false).place)
			}
			s := newStage(&plan{form: &form{encoded: true}}, tree)
			s.joined = c.joined
			for _, k := range c.logged {
				if _, ok := c.next[k]; ok {
					s.members[k] = c.next.member(k, true)
				}
			}
			inserts := s.split(c.logged, &few[*page]{})
			require.Equal(t, c.want, s.single)
			require.Equal(t, name == "new value" || name == "none", len(inserts)+len(s.journal) == 0, "nothing moves")
		})
	}
}

// TestPlacementRounds counts the rounds of a k-ary search.
func TestPlacementRounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rows, moved, most int }{
		{0, 3, 1}, {1, 1, 1}, {48, 1, 1}, {2_000, 1, 2}, {20_000, 1, 3}, {20_000, 300, 8},
	} {
		all := model{}
		tree := ranktree.New()
		for i := range c.rows {
			key := fmt.Sprintf("%07d", i)
			all[key] = fact{rank: uint32(2 * i)}
			tree.Append(key, nil)
		}
		s := newStage(&plan{form: &form{}}, tree)
		var inserts []*member
		for i := range c.moved {
			key := fmt.Sprintf("new%d", i)
			all[key] = fact{rank: uint32(2*i*c.rows/c.moved + 1)}
			inserts = append(inserts, &member{key: key})
		}
		rounds := 0
		require.NoError(t, s.placeByPostgres(func(keys []string) ([]string, error) {
			rounds++
			return sorted(all)(keys)
		}, inserts))
		require.LessOrEqual(t, rounds, c.most, "%d rows among %d", c.moved, c.rows)
		require.Equal(t, all.order(), tree.Keys(0, tree.Len()))
	}
}

// TestPlacementByLies has the database answer nonsense. The rows are then placed
// somewhere or refused; the tree can be put back in either case.
func TestPlacementByLies(t *testing.T) {
	t.Parallel()
	random := drawn(t)
	refused := 0
	for range 200 {
		b := newBench(t, random, false)
		next, logged := b.change()
		s := newStage(&plan{form: &form{}}, b.tree)
		for _, key := range logged {
			if _, ok := next[key]; ok {
				s.members[key] = next.member(key, true)
			}
		}
		err := s.placeByPostgres(lying(random), s.split(logged, &b.pages))
		if err != nil {
			require.ErrorIs(t, err, errDiverged)
			refused++
		}
		s.undo()
		b.compareTree()
	}
	require.Positive(t, refused)
}

func lying(random *rand.Rand) ordering {
	return func(keys []string) ([]string, error) {
		answer := slices.Clone(keys)
		random.Shuffle(len(answer), func(i, j int) { answer[i], answer[j] = answer[j], answer[i] })
		if len(answer) > 0 {
			switch at := random.IntN(len(answer)); random.IntN(5) {
			case 0:
				answer = answer[1:]
			case 1:
				answer[at] = answer[0]
			case 2:
				answer[at] = "stranger"
			}
		}
		return answer, nil
	}
}

// TestKeys joins and splits keys of all kinds.
func TestKeys(t *testing.T) {
	t.Parallel()
	seen := map[string][]string{}
	texts := []string{"", "a", "a\x01", "\x01a", strings.Repeat("x", 300), `"`, `\`, `{},NULL`}
	for _, a := range texts {
		require.Equal(t, []string{a}, splitKey(joinKey([]string{a}), 1))
		for _, b := range texts {
			parts := []string{a, b}
			key := joinKey(parts)
			require.Equal(t, parts, splitKey(key, 2))
			require.Nil(t, seen[key], "%q and %q are one key", parts, seen[key])
			seen[key] = parts
		}
	}
}

// TestPagesFarAway asks for pages that no list has.
func TestPagesFarAway(t *testing.T) {
	t.Parallel()
	tree := ranktree.New()
	for i := range 10 {
		tree.Append(fmt.Sprint(i), nil)
	}
	for number, want := range map[[2]int][]string{
		{0, 4}:                 {"0", "1", "2", "3"},
		{2, 4}:                 {"8", "9"},
		{2, 5}:                 nil,
		{3, 4}:                 nil,
		{1<<53 - 1, 1}:         nil,
		{1<<53 - 1, 1<<53 - 1}: nil,
		{0, 1<<53 - 1}:         {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
	} {
		at := place{page: number[0], size: number[1]}
		require.Equal(t, want, tree.Keys(first(tree, at), at.size), "%v", at)
		s := newStage(&plan{form: &form{}}, tree)
		s.touch(9)
		p := &page{at: at, first: first(tree, at), state: &window.State{Total: tree.Len()}}
		require.Equal(t, slices.Contains(want, "9"), s.overlaps(p), "%v", at)
	}
}
