package listen

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDelta(t *testing.T) {
	t.Parallel()
	var d delta
	require.True(t, d.empty())
	d.addKeys([]string{"1", "2", "1"}, 1, 10)
	require.Equal(t, [][]string{{"1"}, {"2"}}, d.keys)

	var composite delta
	composite.addKeys([]string{"a", "bc", "ab", "c", "a", "bc", "", "abc"}, 2, 10)
	require.Equal(t, [][]string{{"a", "bc"}, {"ab", "c"}, {"", "abc"}}, composite.keys)

	for name, flat := range map[string][]string{
		"everything": nil, "another key": {"1", "2", "3"}, "too many": {"1", "2", "3", "4", "5", "6"},
	} {
		var d delta
		d.addKeys([]string{"0", "0"}, 2, 3)
		d.addKeys(flat, 2, 3)
		require.Equal(t, delta{all: true}, d, name)
	}
	var keyless delta
	keyless.addKeys([]string{"1"}, 0, 10)
	require.True(t, keyless.all)
}

func TestDeltaMerge(t *testing.T) {
	t.Parallel()
	var a, b, all, few delta
	a.addKeys([]string{"1", "2"}, 1, 10)
	b.addKeys([]string{"2", "3"}, 1, 10)
	a.merge(&b, 10)
	require.Equal(t, [][]string{{"1"}, {"2"}, {"3"}}, a.keys)
	require.Equal(t, [][]string{{"2"}, {"3"}}, b.keys)
	few.merge(&a, 2)
	require.Equal(t, delta{all: true}, few)
	all.addAll()
	a.merge(&all, 10)
	require.Equal(t, delta{all: true}, a)
	a.merge(&b, 10)
	require.Equal(t, delta{all: true}, a)
}

// TestChangeLeavesPending builds a change twice, as after an abort.
func TestChangeLeavesPending(t *testing.T) {
	t.Parallel()
	table := &table{}
	table.pending.addKeys([]string{"1"}, 1, 10)
	var d delta
	d.addKeys([]string{"2"}, 1, 10)
	for range 2 {
		require.Equal(t, &Change{Keys: [][]string{{"1"}, {"2"}}}, table.change(&d, 10))
		require.Equal(t, &Change{Keys: [][]string{{"1"}}}, table.change(nil, 10))
	}
	require.Equal(t, [][]string{{"1"}}, table.pending.keys)
}

func TestHistory(t *testing.T) {
	t.Parallel()
	const second, lag = time.Second, 10 * time.Second
	start := time.Unix(0, 0)
	at := func(xmax uint64) Snapshot { return Snapshot{xmin: xmax, xmax: xmax} }
	var h history
	h.add(at(1), 0, start, second)
	h.add(at(2), 5, start.Add(500*time.Millisecond), second)
	h.add(at(3), 0, start.Add(time.Second), second)

	_, ok := h.mark(start.Add(lag), lag, second)
	require.False(t, ok, "the last position of the first entry may be a second younger")
	mark, ok := h.mark(start.Add(lag+second), lag, second)
	require.True(t, ok)
	require.Equal(t, at(2), mark)
	h.dirty = false
	mark, ok = h.mark(start.Add(lag+5*second), lag, second)
	require.False(t, ok, "nothing was read between %s and %s", at(2), mark)
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"flights", "public.flights", `"Odd Name"`, `"a.b"."c""d"`, "_x1", "überflug"} {
		require.True(t, validName(good), good)
	}
	for _, bad := range []string{"", "a b", "a.b.c", `"open`, ".a", "a.", "123", "-", `""`, "a.b.", " a"} {
		require.False(t, validName(bad), bad)
	}
}
