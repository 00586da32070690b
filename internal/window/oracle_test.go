package window_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/socksync/socksync/internal/window"
	"github.com/stretchr/testify/require"
)

// rows makes a page: "a b2" is the row a in its first version and the row b in
// version 2.
func rows(words ...string) []window.Row {
	out := make([]window.Row, len(words))
	for i, word := range words {
		out[i] = window.Row{Key: word[:1], JSON: json.RawMessage(`"` + word + `"`)}
	}
	return out
}

func state(total, size int, page []window.Row) *window.State {
	return &window.State{Name: "list", Size: size, Total: total, Rows: page}
}

// apply does what a strict subscriber does, on rows instead of values. It fails
// the test on an index that is not valid when its turn comes, and when the page
// grows over limit.
func apply(t testing.TB, old []window.Row, changes []window.Change, limit int) []json.RawMessage {
	t.Helper()
	page := values(old)
	for _, c := range changes {
		last := len(page) - 1
		if c.Op == window.OpInsert {
			last = len(page)
		}
		require.True(t, c.Index >= 0 && c.Index <= last, "%v is not on a page of %d", c, len(page))
		switch c.Op {
		case window.OpDelete:
			page = slices.Delete(page, c.Index, c.Index+1)
		case window.OpInsert:
			page = slices.Insert(page, c.Index, c.Value)
		case window.OpSet:
			page[c.Index] = c.Value
		}
		require.LessOrEqual(t, len(page), limit, "the page overgrows")
	}
	return page
}

func values(page []window.Row) []json.RawMessage {
	out := make([]json.RawMessage, len(page))
	for i, r := range page {
		out[i] = r.JSON
	}
	return out
}

// common returns the length of the longest common subsequence of the keys by
// the textbook table: what can stay at most.
func common(old, now []window.Row) int {
	table := make([][]int, len(old)+1)
	for i := range table {
		table[i] = make([]int, len(now)+1)
	}
	for i := range old {
		for j := range now {
			table[i+1][j+1] = max(table[i][j+1], table[i+1][j])
			if old[i].Key == now[j].Key {
				table[i+1][j+1] = table[i][j] + 1
			}
		}
	}
	return table[len(old)][len(now)]
}

func count(changes []window.Change, op window.Op) int {
	n := 0
	for _, c := range changes {
		if c.Op == op {
			n++
		}
	}
	return n
}

// oneRow is change rule 3 word for word: the edits of a page when one row
// changed. The whole list before and after is given, not the page.
func oneRow(before, after []window.Row, page, size int, changed string) []window.Change {
	old, now := cut(before, page, size), cut(after, page, size)
	d, i := -1, -1
	for at, r := range old {
		if index(now, r.Key) < 0 {
			d = at
		}
	}
	for at, r := range now {
		if index(old, r.Key) < 0 {
			i = at
		}
	}
	if from, to := index(old, changed), index(now, changed); from >= 0 && to >= 0 {
		if from == to {
			if string(old[from].JSON) != string(now[to].JSON) {
				return []window.Change{{Op: window.OpSet, Index: to, Value: now[to].JSON}}
			}
		} else {
			d, i = from, to
		}
	}
	var changes []window.Change
	if d >= 0 {
		changes = append(changes, window.Change{Op: window.OpDelete, Index: d})
	}
	if i >= 0 {
		changes = append(changes, window.Change{Op: window.OpInsert, Index: i, Value: now[i].JSON})
	}
	return changes
}

func cut(list []window.Row, page, size int) []window.Row {
	from := min(page*size, len(list))
	return list[from:min(from+size, len(list))]
}

func index(page []window.Row, key string) int {
	return slices.IndexFunc(page, func(r window.Row) bool { return r.Key == key })
}

func text(changes []window.Change) string {
	s := ""
	for _, c := range changes {
		switch c.Op {
		case window.OpDelete:
			s += fmt.Sprintf("delete %d; ", c.Index)
		case window.OpInsert:
			s += fmt.Sprintf("insert %d %s; ", c.Index, c.Value)
		case window.OpSet:
			s += fmt.Sprintf("set %d %s; ", c.Index, c.Value)
		}
	}
	return s
}
