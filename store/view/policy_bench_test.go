package view_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/store/view"
)

// BenchmarkPolicies measures a change of one row of a list while so many identities have it open: by an equality, by
// another condition, and by a policy of row-level security, which is asked for each of them.
func BenchmarkPolicies(b *testing.B) {
	for _, way := range []string{"equality", "condition", "policy"} {
		for _, open := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("%s/%d", way, open), func(b *testing.B) { benchPolicies(b, way, open) })
		}
	}
}

func benchPolicies(b *testing.B, way string, open int) {
	pool := pgtest.New(b, pgtest.MaxConns(6))
	role := fmt.Sprintf("reader_%d", rand.Uint32())
	l := &live{t: b, pool: pool, engine: view.New(&view.Config{Pool: pool, Log: quiet})}
	l.exec(`CREATE TABLE notes (id bigint PRIMARY KEY, owner text NOT NULL, v bigint);
		INSERT INTO notes SELECT g, 'user' || g % 1000, g FROM generate_series(1, 20000) g; CREATE INDEX ON notes (owner, v);
		CREATE ROLE ` + role + "; GRANT SELECT ON notes TO " + role + `; ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON notes USING (owner = nullif(current_setting('app.me', true), ''))`)
	l.exec("VACUUM ANALYZE notes")
	b.Cleanup(func() { l.exec("DROP OWNED BY " + role + "; DROP ROLE " + role) })
	def := &binding.ListDef{Name: "notes", Table: "notes", Key: []string{"id"}, Columns: columnsNamed("id", "owner", "v"), Order: orderOf(b, "v, id")}
	switch way {
	case "policy":
		def.Role, def.Settings = role, []binding.Setting{{Name: "app.me", Value: "me"}}
	case "condition":
		def.Where = "owner = @me OR v < 0"
	default:
		def.Where = "owner = @me"
	}
	source := l.list(def)
	l.run(nil)
	stepped, answered := make(chan *window.Step, 16), make(chan struct{}, open)
	for n := range open {
		user := fmt.Sprint("user", n)
		sub := source.Subscribe(countedAnswers{nobody{stepped}, answered}, window.Options{Quiet: true, Identity: window.Identity{"me": &user}})
		sub.Get(window.Want{Size: 20})
		b.Cleanup(sub.Close)
	}
	began := time.Now()
	for range open {
		<-answered
	}
	opened := time.Since(began)
	n := 0
	change := func() time.Duration {
		n++
		l.exec("UPDATE notes SET v = v + 1000 WHERE id = $1", 1+n%9)
		at := time.Now()
		step := <-stepped
		require.Equal(b, 20, step.To.Total)
		return time.Since(at)
	}
	for range 10 {
		change()
	}
	var took []time.Duration
	for b.Loop() {
		took = append(took, change())
	}
	report(b, "", took)
	b.ReportMetric(opened.Seconds(), "open-s")
}
