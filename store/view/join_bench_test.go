package view_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
)

const (
	parts = 1_000_000
	kinds = 100_000
	// Ten parts are of each kind.
	makeParts = `CREATE TABLE kinds (id int PRIMARY KEY, name text NOT NULL);
		INSERT INTO kinds SELECT i, 'kind ' || i FROM generate_series(0, 99999) i;
		CREATE TABLE parts (id bigint PRIMARY KEY, kind int NOT NULL, stock int NOT NULL);
		INSERT INTO parts SELECT i, i::bigint * 104729 % 100000, i::bigint * 7919 % 525600 FROM generate_series(1, 1000000) i;
		CREATE INDEX ON parts (stock, id); CREATE INDEX ON parts (kind)`
	partsOfKinds = `SELECT p.id, p.kind, p.stock, k.name FROM parts p JOIN kinds k ON k.id = p.kind`
)

// BenchmarkJoin measures how long after the return of a commit its step is published, for a list of 1,000,000 rows of one
// table, and for the same joined with another table of 100,000 rows, to each of which ten refer; each with a window on the
// first 100 rows. one row is a change of a row of the list's own table, in both. ten rows is in the plain list a change of
// ten rows, and in the other one of the one row that the ten refer to.
func BenchmarkJoin(b *testing.B) {
	pool := pgtest.New(b)
	setUp := newLive(b, pool)
	setUp.exec(makeParts)
	setUp.exec("VACUUM ANALYZE parts, kinds")
	order := []binding.OrderTerm{{Column: "stock"}}
	plain := &binding.ListDef{
		Name: "plain", Table: "parts", Key: []string{"id"}, Columns: columnsNamed("id", "kind", "stock"), Order: order,
	}
	joined := &binding.ListDef{
		Name: "joined", Table: "parts", Query: partsOfKinds, Key: []string{"id"}, Columns: columnsNamed("id", "kind", "stock", "name"), Order: order,
		Depends: []binding.Dependency{{Table: "kinds", Columns: []string{"id"}, Through: "parts", Refers: []string{"kind"}}},
	}
	for _, c := range []struct {
		list      *binding.ListDef
		what, sql string
		of        int
	}{
		{plain, "one row", "UPDATE parts SET stock = 525600 - stock WHERE id = $1", parts},
		{joined, "one row", "UPDATE parts SET stock = 525600 - stock WHERE id = $1", parts},
		{plain, "ten rows", "UPDATE parts SET stock = 525600 - stock WHERE kind = $1", kinds},
		{joined, "ten rows", "UPDATE kinds SET name = name || '.' WHERE id = $1 - 1", kinds},
	} {
		b.Run(c.list.Name+"/"+c.what, func(b *testing.B) {
			l := &changing{live: newLive(b, pool), random: rand.New(rand.NewPCG(1, 2))}
			source := l.list(c.list)
			l.drains = &timed{Engine: l.engine, took: make(chan time.Duration)}
			l.run(l.drains)
			a := ask(b, source)
			a.get(window.Want{Size: 100})
			change := func() (drain, published time.Duration) {
				l.exec(c.sql, 1+l.random.IntN(c.of))
				began := time.Now()
				drain = <-l.drains.took
				return drain, time.Since(began)
			}
			for range 50 { // the first ones prepare statements
				change()
			}
			var drains, published []time.Duration
			for b.Loop() {
				drain, publish := change()
				drains, published = append(drains, drain), append(published, publish)
			}
			report(b, "drain-", drains)
			report(b, "published-", published)
			a.sub.Close()
		})
	}
}
