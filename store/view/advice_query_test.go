package view

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
)

const makeAdvisedQueries = `
CREATE TABLE airports (iata text PRIMARY KEY, city text, country text);
CREATE TABLE countries (code text PRIMARY KEY, name text);
CREATE TABLE flights (id int PRIMARY KEY, owner text, origin text, destination varchar(5), departs timestamptz);
INSERT INTO flights SELECT g, 'o' || g % 9, 'a' || g % 5, 'a' || g % 3, now() FROM generate_series(1, 3000) g;
INSERT INTO airports SELECT 'a' || g, 'c', 'x' || g % 3 FROM generate_series(1, 400) g;
ANALYZE;`

// TestQueryAdvice takes the advice about lists of queries and sees it vanish.
func TestQueryAdvice(t *testing.T) {
	t.Parallel()
	a := &adviser{t, pgtest.New(t)}
	a.exec(makeAdvisedQueries)
	def := &binding.ListDef{
		Name: "full", Table: "flights", Key: []string{"id"}, Columns: columnsNamed("id", "owner", "departs", "city", "origin"),
		Query: `SELECT f.id, f.owner, f.departs, f.origin || '!' AS origin, a.city FROM flights f
LEFT JOIN airports a ON a.iata = f.origin LEFT JOIN countries c ON c.code = a.country`,
		Depends: []binding.Dependency{
			{Table: "airports", Columns: []string{"iata"}, Through: "flights", Refers: []string{"origin"}},
			{Table: "countries", Columns: []string{"code"}, Through: "airports", Refers: []string{"country"}},
		},
	}
	r, err := relationOf(t, a.pool, def)
	require.NoError(t, err)
	order := func(text string) []binding.OrderTerm {
		terms, err := binding.ParseOrder(text)
		require.NoError(t, err)
		return terms
	}
	for _, c := range []struct {
		want string
		ask  func(context.Context, pgx.Tx) (string, error)
	}{
		{"CREATE INDEX ON flights (departs DESC, id)", func(ctx context.Context, tx pgx.Tx) (string, error) {
			return r.orderAdvice(ctx, tx, "", order("-departs, id"))
		}},
		{"CREATE INDEX ON flights (owner, departs DESC, id)", func(ctx context.Context, tx pgx.Tx) (string, error) {
			return r.ownerAdvice(ctx, tx, []string{"owner"}, order("-departs, owner, id"))
		}},
		{"CREATE INDEX ON flights (origin); CREATE INDEX ON airports (country)", r.dependsAdvice},
	} {
		require.Equal(t, c.want, a.ask(c.ask))
		a.exec(c.want)
		require.Empty(t, a.ask(c.ask))
	}
	require.Empty(t, a.ask(func(ctx context.Context, tx pgx.Tx) (string, error) {
		return r.orderAdvice(ctx, tx, "", order("city, id"))
	}), "the column of another table")
	require.Empty(t, a.ask(func(ctx context.Context, tx pgx.Tx) (string, error) {
		return r.ownerAdvice(ctx, tx, []string{"city"}, order("id"))
	}))
	a.exec("DROP INDEX flights_owner_departs_id_idx")
	require.Equal(t, "CREATE INDEX ON flights (owner)", a.ask(func(ctx context.Context, tx pgx.Tx) (string, error) {
		return r.ownerAdvice(ctx, tx, []string{"owner"}, order("city, id"))
	}))
}
