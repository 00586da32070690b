package view_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/store/view"
)

// TestKeptStates comes back for more states than are kept.
func TestKeptStates(t *testing.T) {
	t.Parallel()
	const perWindow, rows = 64, 4 // of a state, which counts for one more
	for name, c := range map[string]struct {
		config view.Config
		kept   int
	}{
		"of one window":  {view.Config{}, perWindow},
		"of all windows": {view.Config{KeptRows: 10*(rows+1) + rows}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, source, pool := startFlights(t, &c.config)
			want := window.Want{Size: rows, Choice: filter("from", "eq", "BOS")}
			writer := choose(t, source, nil)
			_, held := writer.get(want)
			revs := []string{held.Rev}
			for i := range perWindow + 5 {
				exec(t, pool, fmt.Sprintf(`UPDATE flights SET note = 'now %d' WHERE id = 1`, i))
				held = writer.until("the change", func() bool { return writer.held.Rev != revs[len(revs)-1] })
				revs = append(revs, held.Rev)
			}
			for i, rev := range revs {
				back := want
				back.Rev = rev
				how, now := choose(t, source, nil).get(back)
				expect := "all"
				if i >= len(revs)-1-c.kept {
					expect = "step"
				}
				require.Equal(t, expect, how, "state %d of %d", i+1, len(revs))
				require.Equal(t, held.Rev, now.Rev)
			}
		})
	}
}

// TestLeftWindows leaves more windows than are kept for those who come back.
func TestLeftWindows(t *testing.T) {
	t.Parallel()
	const rows = 10
	l, source, _ := startFlights(t, &view.Config{KeptRows: 2*(rows+1) + rows})
	var wants []window.Want
	for page := range 3 {
		want := window.Want{Page: page, Size: rows}
		c := choose(t, source, nil)
		_, held := c.get(want)
		want.Rev = held.Rev
		wants = append(wants, want)
		c.sub.Leave()
	}
	require.Equal(t, 2, l.engine.Held("flights").Pages, "the first one is let go")
	for i, want := range wants[1:] {
		how, _ := choose(t, source, nil).get(want)
		require.Equal(t, "step", how, "window %d", i+1)
	}
}

// TestRevisionThatCrossed says that it holds an older state than the one that it has been sent meanwhile: what leads on
// begins at that one.
func TestRevisionThatCrossed(t *testing.T) {
	t.Parallel()
	_, source, pool := startFlights(t, nil)
	c := choose(t, source, nil)
	want := window.Want{Size: 3}
	_, first := c.get(want)
	exec(t, pool, `DELETE FROM flights WHERE id = 2`)
	second := c.shows(1, 3, 4)
	want.Rev = first.Rev
	how, now := c.get(want)
	require.Equal(t, "step", how)
	require.Same(t, second, now)
	require.Same(t, second, c.steps[len(c.steps)-1].From)
}
