package window_test

import (
	"encoding/json"
	"testing"

	"github.com/socksync/socksync/internal/window"
	"github.com/stretchr/testify/require"
)

// Two states are the same if nothing that a subscriber holds differs, whatever they are called; then the step between
// them is empty.
func TestSame(t *testing.T) {
	t.Parallel()
	make2 := func(change func(s *window.State)) *window.State {
		s := state(3, 2, rows("a", "b"))
		s.Anchored, s.After, s.Rev = true, []json.RawMessage{[]byte(`1`)}, "1.1"
		change(s)
		return s
	}
	base := make2(func(*window.State) {})
	for name, c := range map[string]struct {
		same   bool
		change func(s *window.State)
	}{
		"nothing":    {true, func(*window.State) {}},
		"rev":        {true, func(s *window.State) { s.Rev = "1.2" }},
		"total":      {false, func(s *window.State) { s.Total = 4 }},
		"a value":    {false, func(s *window.State) { s.Rows[1].JSON = json.RawMessage(`"c"`) }},
		"fewer rows": {false, func(s *window.State) { s.Rows = s.Rows[:1] }},
		"the anchor": {false, func(s *window.State) { s.After = []json.RawMessage{[]byte(`2`)} }},
		"the start":  {false, func(s *window.State) { s.After = nil }},
		"a row":      {false, func(s *window.State) { s.Rows[0].Key = "x" }},
	} {
		other := make2(c.change)
		require.Equal(t, c.same, base.Same(other), name)
		require.Equal(t, c.same, other.Same(base), name)
		require.Equal(t, c.same, window.NewStep(base, other, "").Empty(), name)
	}
	require.True(t, base.Same(base))
}
