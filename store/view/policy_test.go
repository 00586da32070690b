package view_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/window"
)

// TestSettingsOfOthers has two lists under roles, of which one makes a setting that the policy reads and the other does
// not: what one reads under is never left to the other.
func TestSettingsOfOthers(t *testing.T) {
	t.Parallel()
	pool, role := notes(t)
	list := func(name string) *binding.ListDef {
		return &binding.ListDef{
			Name: name, Table: "notes", Key: []string{"id"}, Columns: columnsNamed("id", "owner", "body"), Role: role,
			Query: "SELECT * FROM notes", Order: orderOf(t, "id"),
			Depends: []binding.Dependency{{Table: "members", Columns: []string{"team"}, Through: "notes", Refers: []string{"owner"}}},
		}
	}
	ruled, bare := list("ruled"), list("bare")
	ruled.Settings = []binding.Setting{{Name: "app.me", Value: "user"}}
	l, sources := start(t, pool, ruled, bare)
	l.exec("INSERT INTO notes VALUES (1, 'ann', 'a')")
	ann, all := newSink(t), newSink(t)
	for n, s := range []*sink{ann, all} {
		sub := sources[n].Subscribe(s, window.Options{Quiet: true, Identity: whose("user", "ann")})
		sub.Get(window.Want{Size: 10})
		t.Cleanup(sub.Close)
	}
	ann.rows([]string{`{"id":1,"owner":"ann","body":"a"}`}, "at first")
	all.rows([]string{}, "at first")
	for range 5 {
		l.exec("UPDATE notes SET body = body || 'a'; INSERT INTO notes SELECT max(id) + 1, 'ann', 'b' FROM notes")
	}
	require.Eventually(t, func() bool {
		ann.mu.Lock()
		defer ann.mu.Unlock()
		return len(ann.last.Rows) == 6
	}, patience, patience/10_000)
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, state := range all.all {
		require.Empty(t, state.Rows)
		require.Zero(t, state.Total)
	}
}
