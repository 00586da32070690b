package listen

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// addKeys adds a row of the log of a table whose triggers log its key.
func (d *delta) addKeys(flat []string, columns, limit int) {
	d.addRow(flat, columns, &layout{ok: true, key: columns, width: columns}, limit)
}

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

// printOf is the print of a table whose triggers log these columns.
func printOf(logged ...string) *fingerprint { return &fingerprint{logged: logged, watched: logged} }

// TestDeltaLogged has values behind the keys, each row of values once.
func TestDeltaLogged(t *testing.T) {
	t.Parallel()
	l := layoutOf(&Table{Key: []string{"id"}, Logged: []string{"b", "a"}}, printOf("a", "other", "b"))
	texts := func(d *delta) (all [][]string) {
		for _, row := range d.change().Logged {
			shown := make([]string, len(row))
			for i, value := range row {
				shown[i] = "NULL"
				if value != nil {
					shown[i] = *value
				}
			}
			all = append(all, shown)
		}
		return all
	}
	var d delta
	d.addRow([]string{"1", "=x", "=o", "=y", "1", "=x", "=p", "=y", "2", "-", "-", "="}, 4, &l, 10)
	d.addRow([]string{"3", "=-", "=", "-"}, 4, &l, 10)
	require.Equal(t, [][]string{{"1"}, {"2"}, {"3"}}, d.keys)
	require.Equal(t, [][]string{{"y", "x"}, {"", "NULL"}, {"NULL", "-"}}, texts(&d))

	var other delta
	other.addRow([]string{"9", "=x", "=o", "=y", "9", "=z", "=o", "=y"}, 4, &l, 10)
	other.merge(&d, 10)
	require.Equal(t, [][]string{{"y", "x"}, {"y", "z"}, {"", "NULL"}, {"NULL", "-"}}, texts(&other))
	other.merge(&d, 7)
	require.Equal(t, delta{all: true}, other, "four keys and four rows of values are more than seven")
	d.addRow([]string{"4", "=-", "=", "-"}, 4, &l, 6)
	require.Equal(t, delta{all: true}, d)
}

// TestDeltaMisfit has rows of the log that are not as the triggers write them: they may be anything.
func TestDeltaMisfit(t *testing.T) {
	t.Parallel()
	plain := layoutOf(&Table{Key: []string{"id"}}, printOf())
	logged := layoutOf(&Table{Key: []string{"id"}, Logged: []string{"a"}}, printOf("a"))
	lacking := layoutOf(&Table{Key: []string{"id"}, Logged: []string{"a"}}, printOf("b"))
	renamed := layoutOf(&Table{Key: []string{"id"}, Logged: []string{"a"}}, &fingerprint{logged: []string{"a"}, watched: []string{"was"}})
	keyless := layoutOf(&Table{}, printOf("a"))
	for name, c := range map[string]struct {
		layout layout
		flat   []string
		width  int
	}{
		"a value for a key":        {plain, []string{"1", "=x"}, 2},
		"a key for a value":        {logged, []string{"1", "2"}, 1},
		"a row without values":     {logged, []string{"1"}, 1},
		"no value":                 {logged, []string{"1", "x"}, 2},
		"nothing":                  {logged, []string{"1", ""}, 2},
		"everything":               {logged, nil, 0},
		"other columns":            {lacking, []string{"1", "=x"}, 2},
		"another column's values":  {renamed, []string{"1", "=x"}, 2},
		"a table without a key":    {keyless, []string{"=x"}, 1},
		"a table that has no form": {layout{}, []string{"1"}, 1},
	} {
		var d delta
		d.addRow(c.flat, c.width, &c.layout, 10)
		require.Equal(t, delta{all: true}, d, name)
	}
}

// TestRepaired keeps what the triggers log for others.
func TestRepaired(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ wanted, logged, columns, want []string }{
		{[]string{"a"}, nil, []string{"id", "a"}, []string{"a"}},
		{[]string{"a"}, []string{"b", "a"}, []string{"id", "a", "b"}, []string{"b", "a"}},
		{[]string{"b"}, []string{"c", "a"}, []string{"id", "a", "b", "c"}, []string{"a", "b", "c"}},
		{[]string{"a"}, []string{"gone"}, []string{"id", "a"}, []string{"a"}},
		{nil, []string{"b"}, []string{"id", "b"}, []string{"b"}},
	} {
		w := &table{Table: Table{Name: "t", Logged: c.wanted}, print: fingerprint{logged: c.logged, columns: c.columns}}
		require.Equal(t, c.want, w.repaired().Logged)
		require.Equal(t, c.wanted, w.Logged)
	}
}

func TestWatchAgain(t *testing.T) {
	t.Parallel()
	var ts tables
	ts.watch(Table{Name: "t", Logged: []string{"a"}})
	ts.watch(Table{Name: "t", Key: []string{"id"}, Logged: []string{"b", "a"}, Columns: []string{"c"}})
	require.Equal(t, Table{Name: "t", Key: []string{"id"}, Logged: []string{"a", "b"}, Columns: []string{"c"}}, ts.list[0].Table)
	for _, lost := range []string{"id", "a", "b", "c"} {
		p := fingerprint{relations: []int64{1}, columns: []string{"id", "a", "b", "c"}}
		p.columns = slices.DeleteFunc(p.columns, func(c string) bool { return c == lost })
		require.ErrorContains(t, p.lacks(&ts.list[0].Table), "column "+lost)
	}
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
