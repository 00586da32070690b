package window_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/socksync/socksync/internal/window"
	"github.com/stretchr/testify/require"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, old, now, changed, want string }{
		{"nothing", "a b c", "a b c", "", ""},
		{"both empty", "", "", "", ""},
		{"from empty", "", "a b", "", `insert 0 "a"; insert 1 "b"; `},
		{"to empty", "a b", "", "", `delete 1; delete 0; `},
		{"value", "a b c", "a b2 c", "", `set 1 "b2"; `},
		{"all other rows", "a b", "c d", "", `delete 1; delete 0; insert 0 "c"; insert 1 "d"; `},
		{"a move down", "a b c d", "b c a d", "a", `delete 0; insert 2 "a"; `},
		{"a move up", "a b c d", "a d b c", "d", `delete 3; insert 1 "d"; `},
		{"two neighbors, the first moved", "a b", "b a", "a", `delete 0; insert 1 "a"; `},
		{"two neighbors, the second moved", "a b", "b a", "b", `delete 1; insert 0 "b"; `},
		{"two neighbors and a value", "a b", "b2 a", "b", `delete 1; insert 0 "b2"; `},
		{"moved in, the last pushed out", "a b c", "x a b", "x", `delete 2; insert 0 "x"; `},
		{"moved out, one pulled in", "a b c", "b c x", "a", `delete 0; insert 2 "x"; `},
		{"passed upward outside", "a b c", "b c x", "y", `delete 0; insert 2 "x"; `},
		{"passed downward outside", "a b c", "x a b", "y", `delete 2; insert 0 "x"; `},
		{"two moves at once", "a b c d e", "e b c d a", "", `delete 4; delete 0; insert 0 "e"; insert 4 "a"; `},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			old, now := rows(strings.Fields(c.old)...), rows(strings.Fields(c.now)...)
			changes := window.Diff(old, now, c.changed)
			require.Equal(t, c.want, text(changes))
			require.Equal(t, values(now), apply(t, old, changes, max(len(old), len(now))))
		})
	}
}

// A row whose JSON was not known is sent when it becomes known, and one that
// stays unknown is not touched.
func TestDiffOfRowsNotRead(t *testing.T) {
	t.Parallel()
	old := []window.Row{{Key: "a"}, {Key: "b"}, {Key: "c"}}
	now := []window.Row{{Key: "a"}, {Key: "b", JSON: json.RawMessage(`1`)}, {Key: "c"}}
	require.Equal(t, `set 1 1; `, text(window.Diff(old, now, "b")))
}

// TestDiffOfOneRow takes lists of up to five rows through every change of one
// row there is, and looks at every page of every size.
func TestDiffOfOneRow(t *testing.T) {
	t.Parallel()
	names := strings.Fields("a b c d e")
	for n := range len(names) + 1 {
		before := rows(names[:n]...)
		for i := range n {
			checkPages(t, before, slices.Concat(before[:i], before[i+1:]), before[i].Key)
			checkPages(t, before, slices.Concat(before[:i], rows(names[i]+"2"), before[i+1:]), before[i].Key)
			for j := range n {
				others := slices.Concat(before[:i], before[i+1:])
				checkPages(t, before, slices.Insert(slices.Clone(others), j, before[i]), before[i].Key)
				checkPages(t, before, slices.Insert(others, j, rows(names[i] + "2")[0]), before[i].Key)
			}
		}
		for i := range n + 1 {
			checkPages(t, before, slices.Insert(slices.Clone(before), i, rows("x")[0]), "x")
		}
	}
}

func checkPages(t *testing.T, before, after []window.Row, changed string) {
	t.Helper()
	for size := 1; size <= 4; size++ {
		for page := range 6 {
			old, now := cut(before, page, size), cut(after, page, size)
			got := window.Diff(old, now, changed)
			want := oneRow(before, after, page, size, changed)
			require.Equal(t, text(want), text(got), "page %d of %d, %s to %s", page, size, values(before), values(after))
			require.Equal(t, values(now), apply(t, old, got, size))
		}
	}
}

// FuzzDiff reads two pages from bytes: a low nibble is a key, a high nibble a
// version; of a repeated key the first counts.
func FuzzDiff(f *testing.F) {
	f.Add([]byte{1, 2, 3}, []byte{3, 2, 1}, byte(0))
	f.Add([]byte{1, 2, 3}, []byte{2, 0x13, 1}, byte(3))
	f.Add([]byte{}, []byte{1}, byte(1))
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8}, []byte{8, 1, 7, 2, 6, 3, 5, 4}, byte(0))
	f.Fuzz(func(t *testing.T, a, b []byte, c byte) {
		old, now := pageOf(a), pageOf(b)
		changed := ""
		if c != 0 {
			changed = strconv.Itoa(int(c & 15))
		}
		changes := window.Diff(old, now, changed)
		require.Equal(t, values(now), apply(t, old, changes, max(len(old), len(now))))
		if changed != "" && !onlyMoved(old, now, changed) {
			return // the hint was wrong: correct all the same, not always minimal
		}
		stay := common(old, now)
		require.Equal(t, len(old)-stay, count(changes, window.OpDelete))
		require.Equal(t, len(now)-stay, count(changes, window.OpInsert))
	})
}

// onlyMoved reports whether all rows but one keep their order.
func onlyMoved(old, now []window.Row, changed string) bool {
	others := func(r window.Row) bool { return r.Key == changed }
	a, b := slices.DeleteFunc(slices.Clone(old), others), slices.DeleteFunc(slices.Clone(now), others)
	both := 0
	for _, r := range a {
		if index(b, r.Key) >= 0 {
			both++
		}
	}
	return common(a, b) == both
}

func pageOf(data []byte) []window.Row {
	var page []window.Row
	for _, c := range data {
		key := strconv.Itoa(int(c & 15))
		if index(page, key) < 0 {
			page = append(page, window.Row{Key: key, JSON: json.RawMessage(strconv.Itoa(int(c)))})
		}
	}
	return page
}
