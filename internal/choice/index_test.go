package choice_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
)

const makeIndexes = `
CREATE EXTENSION pg_trgm;
CREATE INDEX ON samples (integer); CREATE INDEX ON samples (numeric); CREATE INDEX ON samples (domain_int);
CREATE INDEX ON samples (enum); CREATE INDEX ON samples (domain_enum); CREATE INDEX ON samples (citext);
CREATE INDEX ON samples (text); CREATE INDEX ON samples (text_c); CREATE INDEX ON samples (varchar);
CREATE INDEX ON samples (text text_pattern_ops); CREATE INDEX ON samples (insensitive);
CREATE INDEX ON samples (timestamptz); CREATE INDEX ON samples (int_array); CREATE INDEX ON samples (uuid);
CREATE INDEX ON samples USING gin (text_icu gin_trgm_ops, domain_text gin_trgm_ops)`

// TestIndexes shows that indexes can serve what a choice asks: everything that is read is found by one.
func TestIndexes(t *testing.T) {
	t.Parallel()
	s := newSample(t, 50, "", pgtest.ICU("en-US"))
	s.exec(makeIndexes)
	for _, c := range []window.Choice{
		filter("j integer", "eq", `5`),
		filter("j integer", "in", `[5,6]`),
		filter("j integer", "lt", `5`),
		filter("j integer", "null", `true`),
		filter("j numeric", "gte", `5.5`),
		filter("j domain_int", "eq", `5`),
		filter("j domain_int", "in", `[5,6]`),
		filter("j enum", "eq", `"sad"`),
		filter("j domain_enum", "gt", `"sad"`),
		filter("j citext", "eq", `"A"`),
		filter("j citext", "in", `["A","B"]`),
		filter("j text", "eq", `"A"`),
		filter("j text", "gte", `"A"`),
		filter("j text", "prefix", `"abc"`),
		filter("j text_c", "prefix", `"abc"`),
		filter("j varchar", "eq", `"A"`),
		filter("j varchar", "in", `["A","B"]`),
		filter("j insensitive", "eq", `"A"`),
		filter("j timestamptz", "lt", `"now"`),
		filter("j int_array", "eq", `"{1,2}"`),
		filter("j uuid", "eq", `"123E4567-E89B-12D3-A456-426614174000"`),
		filter("j text_icu", "contains", `"a%b"`),
		filter("j domain_text", "contains", `"abc"`),
	} {
		s.indexed(c)
	}
}

// TestSearchIndexes is the same for a search in columns that are all indexed as the advice says.
func TestSearchIndexes(t *testing.T) {
	t.Parallel()
	s := newSample(t, 50, "", pgtest.ICU("en-US"))
	var lowered []string
	for _, name := range searched {
		lowered = append(lowered, "lower("+name+") gin_trgm_ops")
	}
	s.exec("CREATE EXTENSION pg_trgm; CREATE INDEX ON samples USING gin (" + strings.Join(lowered, ", ") + ")")
	require.Contains(t, searched, "insensitive")
	s.indexedExcept(window.Choice{Search: "abc"}, "nothing serves a search under a nondeterministic collation")
	s.exec("ALTER TABLE samples ALTER insensitive TYPE text COLLATE pg_catalog.\"de-x-icu\"")
	def, columns := s.definition()
	column := columns["insensitive"]
	column.Deterministic, column.Collation = true, `pg_catalog."de-x-icu"`
	columns["insensitive"] = column
	s.rules = rulesFrom(t, def, columns)
	s.indexed(window.Choice{Search: "abc"})
	s.indexed(window.Choice{Search: "abc d_%f"})
}

// explain returns the plan by which the rows of a choice are read where scans of the whole table are the last resort.
func (s *sample) explain(w window.Choice) (where string, plan node) {
	s.t.Helper()
	c, err := s.rules.Resolve(w, nil)
	require.NoError(s.t, err)
	s.begin(func(ctx context.Context, tx pgx.Tx) {
		c, err := c.Settle(ctx, tx)
		require.NoError(s.t, err)
		_, err = tx.Exec(ctx, "SET LOCAL enable_seqscan = off")
		require.NoError(s.t, err)
		var args []any
		where, args = c.Where(1)
		var text []byte
		err = tx.QueryRow(ctx, "EXPLAIN (FORMAT JSON) SELECT id FROM samples WHERE "+where, args...).Scan(&text)
		require.NoError(s.t, err, where)
		var plans []struct{ Plan node }
		require.NoError(s.t, json.Unmarshal(text, &plans))
		plan = plans[0].Plan
	})
	return where, plan
}

func (n node) indexed() bool {
	if len(n.Plans) == 0 {
		return n.Cond != ""
	}
	for _, p := range n.Plans {
		if !p.indexed() {
			return false
		}
	}
	return true
}

func (s *sample) indexed(w window.Choice) {
	s.t.Helper()
	where, plan := s.explain(w)
	require.True(s.t, plan.indexed(), "%s\n%+v", where, plan)
}

func (s *sample) indexedExcept(w window.Choice, why string) {
	s.t.Helper()
	_, plan := s.explain(w)
	require.False(s.t, plan.indexed(), why)
}
