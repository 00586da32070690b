package memory_test

import (
	"math"
	"testing"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/memory"
	"github.com/stretchr/testify/require"
)

func newList(t *testing.T, items ...string) *memory.List[string] {
	t.Helper()
	l := memory.NewList[string]("l", &memory.ListOptions{MaxPageSize: 3})
	require.NoError(t, l.Replace(items))
	return l
}

func TestListOperations(t *testing.T) {
	t.Parallel()
	l := newList(t, "a", "b", "c")
	require.NoError(t, l.Set(1, "B"))
	require.NoError(t, l.Insert(0, "x"))
	require.NoError(t, l.Insert(4, "y"))
	require.NoError(t, l.Append("z"))
	require.NoError(t, l.Move(5, 1))
	require.NoError(t, l.Delete(0))
	require.Equal(t, []string{"z", "a", "B", "c", "y"}, l.All())
	require.Equal(t, 5, l.Len())
	item, ok := l.At(2)
	require.True(t, ok)
	require.Equal(t, "B", item)
}

func TestListIndexes(t *testing.T) {
	t.Parallel()
	l := newList(t, "a", "b")
	for _, err := range []error{
		l.Set(2, "x"), l.Set(-1, "x"), l.Insert(3, "x"), l.Insert(-1, "x"),
		l.Delete(2), l.Delete(-1), l.Move(0, 2), l.Move(2, 0), l.Move(-1, 0), l.Move(0, -1),
	} {
		require.ErrorIs(t, err, memory.ErrIndex)
	}
	require.Equal(t, []string{"a", "b"}, l.All())
	for _, i := range []int{-1, 2} {
		_, ok := l.At(i)
		require.False(t, ok)
	}
}

func TestListOfItemsThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	l := memory.NewList[any]("l", nil)
	require.NoError(t, l.Append(1))
	for _, err := range []error{
		l.Set(0, math.NaN()), l.Insert(0, math.NaN()), l.Append(math.NaN()), l.Put("k", math.NaN()),
		l.Replace([]any{2, math.NaN()}),
	} {
		require.Error(t, err)
	}
	require.Equal(t, []any{1}, l.All())
}

func TestListKeys(t *testing.T) {
	t.Parallel()
	l := newList(t)
	var r recorder
	sub := l.Subscribe(&r, window.Options{})
	defer sub.Close()
	require.NoError(t, l.Put("ann", "Ann"))
	require.NoError(t, l.Put("bob", "Bob"))
	require.NoError(t, l.Put("#1", "a key like one that is made up"))
	require.NoError(t, l.Insert(0, "nobody"))
	r.take()
	require.NoError(t, l.Put("ann", "Anna"))
	require.Equal(t, []string{`{"func":"set","type":"list","name":"l","index":1,"value":"Anna"}`}, r.take())
	require.Equal(t, []string{"nobody", "Anna", "Bob", "a key like one that is made up"}, l.All())
	require.True(t, l.Remove("bob"))
	require.False(t, l.Remove("bob"))
	require.False(t, l.Remove(""))
	require.Equal(t, []string{"nobody", "Anna", "a key like one that is made up"}, l.All())
}

func TestListSizes(t *testing.T) {
	t.Parallel()
	for asked, size := range map[int]int{0: 3, 1: 1, 3: 3, 4: 3, math.MaxInt: 3} {
		require.Equal(t, size, sizeOf(newList(t), asked), "asked for %d", asked)
	}
	require.Equal(t, memory.DefaultMaxPageSize, sizeOf(memory.NewList[string]("l", nil), 0))
	require.Equal(t, memory.DefaultMaxPageSize, sizeOf(memory.NewList[string]("l", nil), memory.DefaultMaxPageSize+1))
}

// sizeOf asks for a page of a size and returns the one that it gets.
func sizeOf(l *memory.List[string], size int) int {
	var r recorder
	sub := l.Subscribe(&r, window.Options{})
	defer sub.Close()
	sub.Get(window.Want{Size: size})
	return r.states[0].Size
}

// All subscribers of a page share its states and its steps.
func TestListSharesWindows(t *testing.T) {
	t.Parallel()
	l := newList(t, "a", "b", "c", "d")
	var one, two recorder
	a, b := l.Subscribe(&one, window.Options{}), l.Subscribe(&two, window.Options{})
	a.Get(window.Want{Page: 1, Size: 2})
	b.Get(window.Want{Page: 1, Size: 2})
	require.Same(t, one.states[0], two.states[0])
	require.Equal(t, []int{1, 2}, []int{one.states[0].Page, one.states[0].Size})
	require.NoError(t, l.Set(2, "C"))
	require.Len(t, one.steps, 1)
	require.Same(t, one.steps[0], two.steps[0])
	a.Close()
	require.NoError(t, l.Set(2, "c"))
	require.Len(t, one.steps, 1)
	require.Len(t, two.steps, 2)
	b.Close()
}

// A page that a change does not touch gets the new count at most.
func TestListTouchesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	l := newList(t, "a", "b", "c", "d", "e", "f")
	var r recorder
	sub := l.Subscribe(&r, window.Options{})
	defer sub.Close()
	sub.Get(window.Want{Size: 2})
	require.NoError(t, l.Set(2, "C"))
	require.NoError(t, l.Move(2, 5))
	require.NoError(t, l.Set(0, "a"))
	require.NoError(t, l.Move(1, 1))
	require.Empty(t, r.steps)
	require.NoError(t, l.Append("g"))
	require.Equal(t, []string{`{"func":"set_count","type":"list","name":"l","total_item_count":7}`}, r.take())
}

// Pages that no list can reach are empty.
func TestListAbsurdPages(t *testing.T) {
	t.Parallel()
	l := newList(t, "a")
	var r recorder
	sub := l.Subscribe(&r, window.Options{})
	defer sub.Close()
	for _, at := range [][2]int{{1, 1}, {math.MaxInt, 1}, {math.MaxInt, 3}, {1<<53 - 1, 3}, {math.MaxInt / 2, 2}} {
		sub.Get(window.Want{Page: at[0], Size: at[1]})
		last := r.states[len(r.states)-1]
		require.Empty(t, last.Rows)
		require.Equal(t, at, [2]int{last.Page, last.Size})
		require.NoError(t, l.Insert(0, "x"))
		require.Contains(t, r.take()[0], "set_count")
		require.NoError(t, l.Delete(0))
		r.take()
	}
}

func TestReplaceIsOneChange(t *testing.T) {
	t.Parallel()
	l := newList(t, "a", "b")
	var r recorder
	sub := l.Subscribe(&r, window.Options{})
	defer sub.Close()
	require.NoError(t, l.Replace([]string{"x", "y", "z", "w"}))
	require.Equal(t, []string{
		`{"func":"set_all","type":"list","name":"l","page":0,"page_size":3,"total_item_count":4,"items":["x","y","z"]}`,
	}, r.take())
}

var _ window.Source = (*memory.List[int])(nil)
