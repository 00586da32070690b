package view_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
)

const makeJoined = `
CREATE TABLE countries (code text PRIMARY KEY, name text);
CREATE TABLE airports (iata text PRIMARY KEY, country text, city text);
CREATE TABLE flights (id int PRIMARY KEY, origin text, destination text, late int);
CREATE INDEX ON flights (origin);
CREATE INDEX ON flights (destination);
CREATE VIEW flights_full AS SELECT f.*, o.city AS origin_city, c.name AS origin_country, d.city AS destination_city FROM flights f
LEFT JOIN airports o ON o.iata = f.origin LEFT JOIN countries c ON c.code = o.country LEFT JOIN airports d ON d.iata = f.destination;`

func joinedColumns(names ...string) (columns []binding.Column) {
	for _, name := range names {
		columns = append(columns, binding.Column{Name: name, JSON: name})
	}
	return columns
}

func joinedLists() []*binding.ListDef {
	return []*binding.ListDef{
		{
			Name: "full", Query: "SELECT * FROM flights_full", Table: "flights", Key: []string{"id"},
			Columns: joinedColumns("id", "origin", "late", "origin_city", "origin_country", "destination_city"),
			Order:   []binding.OrderTerm{{Column: "origin_city", Desc: true}, {Column: "id"}},
			Depends: []binding.Dependency{
				{Table: "airports", Columns: []string{"iata"}, Through: "flights", Refers: []string{"origin"}},
				{Table: "airports", Columns: []string{"iata"}, Through: "flights", Refers: []string{"destination"}},
				{Table: "countries", Columns: []string{"code"}, Through: "airports", Refers: []string{"country"}},
			},
		},
		{
			Name: "by origin", Key: []string{"origin"}, Columns: joinedColumns("origin", "n", "late"),
			Query: "SELECT origin, count(*) AS n, count(*) FILTER (WHERE late > 2) AS late FROM flights WHERE origin IS NOT NULL GROUP BY origin",
			Order: []binding.OrderTerm{{Column: "n", Desc: true}, {Column: "origin"}},
			Depends: []binding.Dependency{
				{Table: "flights", Columns: []string{"origin"}},
			},
		},
		{
			Name: "by country", Key: []string{"country", "late"}, Columns: joinedColumns("country", "late", "n"),
			Query:     "SELECT coalesce(a.country, '-') AS country, coalesce(f.late, 0) AS late, count(*) AS n FROM flights f JOIN airports a ON a.iata = f.origin GROUP BY 1, 2",
			Recompute: 1, Tables: []string{"flights", "airports"},
		},
	}
}

// TestJoins changes joined tables at random: lists of queries follow.
func TestJoins(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	_, err := pool.Exec(context.Background(), makeJoined)
	require.NoError(t, err)
	lists := joinedLists()
	l, sources := start(t, pool, lists...)
	sinks := make([]*sink, len(lists))
	for i, source := range sources {
		sinks[i] = follow(t, source, 0, 50)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		var done []string
		require.NoError(t, pgx.BeginFunc(context.Background(), l.pool, func(tx pgx.Tx) error {
			for range random.IntN(3) + 1 {
				sql := joinedChange(random)
				done = append(done, sql)
				if _, err := tx.Exec(context.Background(), sql); err != nil {
					return err
				}
			}
			return nil
		}))
		for i, def := range lists {
			sinks[i].rows(joinedRows(t, l, def.WithDefaults()), fmt.Sprint(def.Name, done))
		}
	}
}

// joinedRows reads the rows of a list.
func joinedRows(t *testing.T, l *live, def *binding.ListDef) []string {
	sql := "SELECT row_to_json(r.*)::text FROM (SELECT "
	for i, c := range def.Columns {
		if i > 0 {
			sql += ", "
		}
		sql += binding.QuoteIdent(c.Name)
	}
	sql += " FROM (" + def.Query + ") q ORDER BY "
	for i, o := range def.Order {
		if i > 0 {
			sql += ", "
		}
		sql += o.SQL()
	}
	rows, err := l.pool.Query(context.Background(), sql+") r")
	require.NoError(t, err)
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return slices.Clone(texts)
}

func joinedChange(random *rand.Rand) string {
	one := func(values ...string) string { return values[random.IntN(len(values))] }
	iata := func() string { return one("'a'", "'b'", "'c'", "'d'", "NULL") }
	id := random.IntN(12)
	switch random.IntN(8) {
	case 0, 1, 2:
		return fmt.Sprintf("INSERT INTO flights VALUES (%d, %s, %s, %d) ON CONFLICT (id) DO UPDATE SET origin = excluded.origin, late = excluded.late",
			id, iata(), iata(), random.IntN(5))
	case 3:
		return fmt.Sprintf("DELETE FROM flights WHERE id = %d", id)
	case 4, 5:
		return fmt.Sprintf("INSERT INTO airports VALUES (%s, %s, %s) ON CONFLICT (iata) DO UPDATE SET country = excluded.country, city = excluded.city",
			one("'a'", "'b'", "'c'"), one("'x'", "'y'", "NULL"), one("'C'", "'D'", "'E'"))
	case 6:
		return one("DELETE FROM airports WHERE iata = 'a'", "UPDATE airports SET iata = 'd' WHERE iata = 'b' AND NOT EXISTS (SELECT FROM airports WHERE iata = 'd')",
			"DELETE FROM airports WHERE iata = 'd'")
	}
	return fmt.Sprintf("INSERT INTO countries VALUES (%s, '%d') ON CONFLICT (code) DO UPDATE SET name = excluded.name", one("'x'", "'y'"), random.IntN(9))
}
