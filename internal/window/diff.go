package window

import (
	"bytes"
	"encoding/json"
	"slices"
	"sort"

	"github.com/socksync/socksync/protocol"
)

// Op is the kind of a Change.
type Op uint8

// The kinds of changes, in the order in which Diff yields them.
const (
	OpDelete Op = iota // remove the item at Index
	OpInsert           // insert Value before Index
	OpSet              // replace the item at Index by Value
)

// fn is the func of the kind on the wire.
func (o Op) fn() protocol.Func {
	switch o {
	case OpDelete:
		return protocol.FuncDelete
	case OpInsert:
		return protocol.FuncInsert
	}
	return protocol.FuncSet
}

// Change is one edit of a page.
type Change struct {
	Op    Op
	Index int
	Value json.RawMessage // nil for OpDelete
}

// Diff returns the edits that turn the old page into the new one: deletes from
// the last index to the first, then inserts from the first to the last, then
// sets. So a delete's index is one of the old page, the others' are of the new
// page, and in between the page never holds more rows than the longer of the
// two.
//
// Rows that keep their order relative to each other stay, all others are
// deleted and inserted; the rows that stay are a longest increasing subsequence
// (Fredman 1975) of the old positions in the new order, so no shorter list of
// deletes and inserts exists. If changed names the one row that changed, the
// others cannot have changed places, and it is the one that moves where either
// of two neighbors could.
//
// A row whose old JSON is not known counts as different if the new one is.
func Diff(old, now []Row, changed string) []Change {
	head := commonHead(old, now)
	tail := commonTail(old[head:], now[head:])
	stays := staying(old[head:len(old)-tail], now[head:len(now)-tail], changed)
	inStays := func(i int) (int, bool) { // new index to old index
		switch {
		case i < head:
			return i, true
		case i >= len(now)-tail:
			return i - len(now) + len(old), true
		}
		from := stays[i-head]
		return from + head, from >= 0
	}
	return edits(old, now, inStays)
}

func commonHead(old, now []Row) int {
	n := min(len(old), len(now))
	for i := range n {
		if old[i].Key != now[i].Key {
			return i
		}
	}
	return n
}

func commonTail(old, now []Row) int {
	n := min(len(old), len(now))
	for i := range n {
		if old[len(old)-1-i].Key != now[len(now)-1-i].Key {
			return i
		}
	}
	return n
}

// edits lists the changes; origin gives the old index of the row at a new
// index, and whether that row stays.
func edits(old, now []Row, origin func(int) (int, bool)) []Change {
	var inserts, sets []Change
	kept := make([]bool, len(old))
	for i := range now {
		from, stays := origin(i)
		if !stays {
			inserts = append(inserts, Change{Op: OpInsert, Index: i, Value: now[i].JSON})
			continue
		}
		kept[from] = true
		if now[i].JSON != nil && !bytes.Equal(old[from].JSON, now[i].JSON) {
			sets = append(sets, Change{Op: OpSet, Index: i, Value: now[i].JSON})
		}
	}
	var changes []Change
	for i := len(old) - 1; i >= 0; i-- {
		if !kept[i] {
			changes = append(changes, Change{Op: OpDelete, Index: i})
		}
	}
	return slices.Concat(changes, inserts, sets)
}

// staying returns, for each new row, its old index if it stays, otherwise -1.
func staying(old, now []Row, changed string) []int {
	from := origins(old, now)
	mover := -1
	if changed != "" {
		mover = slices.IndexFunc(now, func(r Row) bool { return r.Key == changed })
	}
	stays := longestIncreasing(from, mover)
	if mover >= 0 && from[mover] >= 0 && fits(stays, from[mover], mover) {
		stays[mover] = from[mover]
	}
	return stays
}

// origins returns, for each new row, its old index or -1.
func origins(old, now []Row) []int {
	at := make(map[string]int, len(old))
	for i := range old {
		at[old[i].Key] = i
	}
	from := make([]int, len(now))
	for i := range now {
		from[i] = -1
		if j, ok := at[now[i].Key]; ok {
			from[i] = j
		}
	}
	return from
}

// fits reports whether the row that comes from the given old index and is now
// at the given index stands between the rows that stay.
func fits(stays []int, from, at int) bool {
	for i, s := range stays {
		if s >= 0 && (i < at && s > from || i > at && s < from) {
			return false
		}
	}
	return true
}

// longestIncreasing returns from with every entry that is not in a longest
// increasing subsequence replaced by -1. Entries below 0 and the one at skip
// are never in it.
func longestIncreasing(from []int, skip int) []int {
	var tails []int // index of the smallest last entry of a run of each length
	previous := make([]int, len(from))
	for i, v := range from {
		if v < 0 || i == skip {
			continue
		}
		n := sort.Search(len(tails), func(k int) bool { return from[tails[k]] >= v })
		previous[i] = -1
		if n > 0 {
			previous[i] = tails[n-1]
		}
		if n == len(tails) {
			tails = append(tails, i)
		}
		tails[n] = i
	}
	stays := slices.Repeat([]int{-1}, len(from))
	if len(tails) > 0 {
		for i := tails[len(tails)-1]; i >= 0; i = previous[i] {
			stays[i] = from[i]
		}
	}
	return stays
}
