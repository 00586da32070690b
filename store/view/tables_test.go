package view

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/listen"
)

const makeFollowed = `
CREATE TABLE airports (iata text PRIMARY KEY, city text, country text);
CREATE TABLE flights (id int PRIMARY KEY, origin text, destination text);
CREATE TABLE gates (id int, kind text, PRIMARY KEY (kind, id));
CREATE TABLE loose (id int, n int);`

func engineOf(pool *pgxpool.Pool, lists ...*binding.ListDef) *Engine {
	e := New(&Config{Pool: pool})
	for _, def := range lists {
		e.List(def)
	}
	return e
}

func tablesOf(t *testing.T, pool *pgxpool.Pool, lists ...*binding.ListDef) []listen.Table {
	e := engineOf(pool, lists...)
	require.NoError(t, e.try(context.Background(), func(tx pgx.Tx) error { return e.findTables(context.Background(), tx) }))
	return e.Tables()
}

// TestFollowedTables finds what the triggers have to log for all lists together.
func TestFollowedTables(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	makeTables(t, pool, makeFollowed)
	full := &binding.ListDef{
		Name: "full", Query: "SELECT 1", Table: "flights", Key: []string{"id"}, Columns: columnsNamed("id", "city"),
		Depends: []binding.Dependency{
			{Table: "airports", Columns: []string{"iata"}, Through: "flights", Refers: []string{"origin"}},
			{Table: "public.gates", Columns: []string{"kind"}, Through: "flights", Refers: []string{"destination"}},
		},
	}
	group := &binding.ListDef{
		Name: "group", Query: "SELECT 1", Key: []string{"origin"}, Columns: columnsNamed("origin", "n"),
		Depends: []binding.Dependency{
			{Table: `"flights"`, Columns: []string{"origin"}},
			{Table: "airports", Columns: []string{"country", "iata"}},
		},
	}
	spelled := &binding.ListDef{
		Name: "spelled", Query: "SELECT 1", Key: []string{"destination"}, Columns: columnsNamed("destination"),
		Depends: []binding.Dependency{{Table: "public.flights", Columns: []string{"destination"}}},
	}
	recomputed := &binding.ListDef{
		Name: "recomputed", Query: "SELECT 1", Key: []string{"x"}, Columns: columnsNamed("x"), Recompute: time.Second,
		Table: "gates", Tables: []string{"airports"},
	}
	plain := &binding.ListDef{Name: "plain", Table: "airports", Key: []string{"iata"}, Columns: columnsNamed("iata", "city")}
	require.Equal(t, []listen.Table{
		{Name: `"flights"`, Key: []string{"id"}, Logged: []string{"destination", "origin"}, Columns: []string{"origin", "destination"}},
		{Name: `"airports"`, Key: []string{"iata"}, Logged: []string{"country", "iata"}, Columns: []string{"city", "iata"}},
		{Name: `"public"."gates"`, Key: []string{"kind", "id"}},
		{Name: `"public"."flights"`, Key: []string{"id"}, Logged: []string{"destination", "origin"}},
		{Name: `"gates"`, Key: []string{"kind", "id"}},
	}, tablesOf(t, pool, full, group, spelled, recomputed, plain))

	keyless := &binding.ListDef{Name: "keyless", Query: "SELECT 1", Key: []string{"n"}, Depends: []binding.Dependency{
		{Table: "loose", Columns: []string{"n"}}, {Table: "absent", Columns: []string{"n"}},
	}}
	e := engineOf(pool, keyless)
	err := e.try(context.Background(), func(tx pgx.Tx) error { return e.findTables(context.Background(), tx) })
	require.ErrorContains(t, err, `list "keyless": table "loose" has no primary key`)
	require.ErrorContains(t, err, `list "keyless": table "absent" does not exist`)
}
