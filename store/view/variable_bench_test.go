package view_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/store/view"
)

// tickSink counts down when it is told something.
type tickSink struct{ left *atomic.Int64 }

func (s tickSink) Set(*window.Value)         { s.left.Add(-1) }
func (s tickSink) Answer(*window.Value, int) { s.left.Add(-1) }
func (s tickSink) Fail(err error, _ int)     { panic(err) }

// BenchmarkVarIdentities changes a row while so many identities follow a var, and waits until the last one has its value:
// by a condition that names the identity, and by a policy.
func BenchmarkVarIdentities(b *testing.B) {
	for _, open := range []int{1, 100, 1000} {
		for _, way := range []string{"where", "policy"} {
			b.Run(fmt.Sprintf("%s/%d", way, open), func(b *testing.B) { benchIdentities(b, way == "policy", open) })
		}
	}
}

func benchIdentities(b *testing.B, policy bool, open int) {
	ctx := context.Background()
	pool := pgtest.New(b, pgtest.MaxConns(6))
	var role string
	require.NoError(b, pool.QueryRow(ctx, "SELECT 'r' || oid FROM pg_database WHERE datname = current_database()").Scan(&role))
	_, err := pool.Exec(ctx, `CREATE TABLE notes (id bigint PRIMARY KEY, owner text NOT NULL, v bigint);
		INSERT INTO notes SELECT g, 'user' || g % 1000, 0 FROM generate_series(1, 20000) g; CREATE INDEX ON notes (owner);
		CREATE TABLE tick (id int PRIMARY KEY, n bigint); INSERT INTO tick VALUES (1, 0); ANALYZE notes;
		CREATE ROLE `+role+`; GRANT SELECT ON notes, tick TO `+role+`; ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON notes USING (owner = nullif(current_setting('app.me'), ''))`)
	require.NoError(b, err)
	b.Cleanup(func() { _, _ = pool.Exec(ctx, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	def := &binding.VarDef{Name: "v", Tables: []string{"notes", "tick"}}
	if policy {
		def.Query, def.Role = "SELECT count(*) + (SELECT n FROM tick) FROM notes", role
		def.Settings = []binding.Setting{{Name: "app.me", Value: "me"}}
	} else {
		def.Query = "SELECT count(*) + (SELECT n FROM tick) FROM notes WHERE owner = @me"
	}
	l := &live{t: b, pool: pool, engine: view.New(&view.Config{Pool: pool, Log: quiet})}
	source := l.variable(def)
	l.run(nil)
	left := &atomic.Int64{}
	told := func() bool { return left.Load() <= 0 }
	left.Add(int64(open))
	for n := range open {
		sub := source.Subscribe(tickSink{left}, window.Options{Identity: whose("me", fmt.Sprint("user", n))})
		b.Cleanup(sub.Close)
		sub.Get(nil)
	}
	require.Eventually(b, told, patience, time.Millisecond)
	b.ResetTimer()
	for range b.N {
		left.Add(int64(open))
		l.exec("UPDATE tick SET n = n + 1")
		for !told() {
			time.Sleep(50 * time.Microsecond)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*open), "µs/identity")
}
