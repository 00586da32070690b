package choice_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// owned returns the rules of the sample with a condition.
func (s *sample) owned(where string, types ...string) *choice.Rules {
	s.t.Helper()
	def, columns := s.definition()
	def.Where = where
	require.NoError(s.t, def.Validate())
	rules, err := newRules(def, columns)
	require.NoError(s.t, err)
	if rules.General() != "" {
		rules, err = rules.WithTypes(types)
		require.NoError(s.t, err)
	}
	return rules
}

// TestIdentity has every type compared with values of an identity, by an equality and in a condition of another form, and
// holds load and match against the condition with the value written out.
func TestIdentity(t *testing.T) {
	t.Parallel()
	s := newSample(t, 60, "")
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for _, name := range s.names() {
		k := s.kinds[name]
		if !k.column.Equal {
			continue
		}
		column := binding.QuoteIdent(k.name)
		for _, form := range []string{"%s = %s", "%[2]s = %[1]s", "(%s = %s OR id < 5) AND id %% 7 <> 0", "id %% 7 <> 0 AND %s = %s"} {
			compared := column
			if strings.Contains(form, "OR") {
				compared += k.base // Postgres takes it as it is written
			}
			rules := s.owned(fmt.Sprintf(form, compared, "@me"), k.column.Type)
			var choices []*choice.Choice
			var wanted []map[int32]bool
			s.begin(func(ctx context.Context, tx pgx.Tx) {
				d := &drawer{sample: s, random: random}
				for _, v := range append(k.values, "") {
					id := window.Identity{"me": &v}
					oracle := fmt.Sprintf(form, column+k.base, literal(v)+k.typed)
					if v == "" {
						id["me"], oracle = nil, fmt.Sprintf(form, column+k.base, "NULL")
					}
					c, err := rules.Resolve(window.Choice{}, id)
					require.NoError(t, err)
					require.True(t, c.IsDefault())
					settled, err := settle(ctx, tx, c)
					require.NoError(t, err, "%s %q", name, v)
					want, refused := d.ask(ctx, tx, oracle)
					require.NoError(t, refused, oracle)
					where, args := settled.Where(1)
					if static := rules.Static(); static != "" {
						where = static + " AND " + where
					}
					require.Equal(t, want, d.load(ctx, tx, where, args), "%s: %s %q", name, where, args)
					choices, wanted = append(choices, settled), append(wanted, want)
				}
				d.matchWith(ctx, tx, rules.Matcher(choices, 2), func(id int32, m *choice.Match) {
					for i, c := range choices {
						if rules.Static() != "" && id%7 == 0 {
							continue // the list's own condition is another matter
						}
						require.Equal(t, wanted[i][id], m.Includes(c), "%s: %s: row %d", name, form, id)
					}
				})
			})
		}
	}
}

// TestIdentityIsKept holds what is made of an identity apart: views of other values are others, values that are missing are
// refused, and what cannot be read tells nothing.
func TestIdentityIsKept(t *testing.T) {
	t.Parallel()
	s := newSample(t, 5, "")
	rules := s.owned(`"integer" = @me AND (text = @name OR "bool")`, "text")
	a, b, one, two := "a", "b", "1", "2"
	all := map[string]string{}
	for _, id := range []window.Identity{
		{"me": &one, "name": &a}, {"me": &one, "name": &b}, {"me": &two, "name": &a}, {"me": nil, "name": &a}, {"me": &one, "name": nil},
	} {
		c, err := rules.Resolve(window.Choice{}, id)
		require.NoError(t, err)
		require.NotEmpty(t, c.Key())
		require.NotContains(t, all, c.Key())
		for _, owner := range all {
			require.NotEqual(t, owner, c.Owner())
		}
		all[c.Key()] = c.Owner()
		chosen, err := rules.Resolve(window.Choice{Sort: []string{"-id"}}, id)
		require.NoError(t, err)
		require.Equal(t, c.Owner(), chosen.Owner())
		require.NotEqual(t, c.Key(), chosen.Key())
		require.False(t, chosen.IsDefault())
	}
	require.ErrorContains(t, rules.Permits(window.Identity{"name": &a}), `["me"]`)
	require.Error(t, rules.Permits(nil))
	_, err := rules.Resolve(window.Choice{}, window.Identity{"me": &one})
	require.Error(t, err)

	c, err := rules.Resolve(window.Choice{}, window.Identity{"me": &a, "name": &a})
	require.NoError(t, err)
	s.begin(func(ctx context.Context, tx pgx.Tx) {
		_, err := settle(ctx, tx, c)
		require.ErrorIs(t, err, choice.ErrIdentity)
		var shown *protocol.Error
		require.ErrorAs(t, err, &shown)
		require.Equal(t, "not available with these credentials", shown.Message)
	})
}
