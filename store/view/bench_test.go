package view_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/listen"
	"github.com/socksync/socksync/store/view"
)

// BenchmarkChange measures what one changed row costs a list while the table grows: the drain with its queries in
// Postgres, and the commit. The change moves the row to anywhere in the list, of which page 0 is watched. The cost grows
// with the logarithm of the rows at most, for encoded keys, which Go places in its tree, and for text under a collation of
// a language, which Postgres places by rounds of a k-ary search. The figure is a median, drain-us.
func BenchmarkChange(b *testing.B) {
	for _, placement := range []struct {
		name, column string
		list         func(...binding.Option) *binding.ListDef
	}{
		{"encoded", "bigint", binding.List[typed[int64]]},
		{"by Postgres", `text COLLATE "en-x-icu"`, binding.List[typed[string]]},
	} {
		for _, rows := range []int{1000, 10_000, 100_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/rows=%d", placement.name, rows), func(b *testing.B) {
				c := newChanging(b, placement.column, rows, placement.list(binding.Name("l"), binding.Table("t"), binding.Order("v")))
				var took []time.Duration
				for b.Loop() {
					took = append(took, c.change())
				}
				slices.Sort(took)
				b.ReportMetric(0, "ns/op") // the commit in Postgres is most of it
				b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "drain-us")
			})
		}
	}
}

// changing is a list whose rows change one at a time.
type changing struct {
	*live
	drains *timed
	rows   int
	random *rand.Rand
}

func newChanging(b *testing.B, column string, rows int, def *binding.ListDef) *changing {
	b.Helper()
	c := &changing{live: newLive(b, pgtest.New(b)), rows: rows, random: rand.New(rand.NewPCG(1, 2))}
	c.exec("CREATE TABLE t (id bigint PRIMARY KEY, v " + column + " NOT NULL)")
	// A multiple of a number without a divisor of the modulus is a permutation.
	c.exec("INSERT INTO t SELECT i, (i * 7368787 % 1000000)::text::"+column+" FROM generate_series(1, $1::bigint) i", rows)
	c.exec("VACUUM ANALYZE t")
	list := c.list(def)
	c.drains = &timed{Engine: c.engine, took: make(chan time.Duration)}
	c.run(c.drains)
	page := follow(b, list, 0, 25)
	page.await()
	return c
}

// change moves a row and returns what that cost.
func (c *changing) change() time.Duration {
	c.exec("UPDATE t SET v = $2 WHERE id = $1", 1+c.random.IntN(c.rows), fmt.Sprint(c.random.IntN(1_000_000)))
	return <-c.drains.took
}

// timed is an engine that tells how long the drain of one key takes.
type timed struct {
	*view.Engine
	took  chan time.Duration
	begin time.Time // zero unless the drain is one
}

// Drain implements listen.Drainer.
func (t *timed) Drain(ctx context.Context, tx pgx.Tx, d *listen.Drain) error {
	t.begin = time.Time{}
	for _, c := range d.Tables {
		if len(c.Keys) > 0 {
			t.begin = time.Now()
		}
	}
	return t.Engine.Drain(ctx, tx, d)
}

// Commit implements listen.Drainer.
func (t *timed) Commit() {
	t.Engine.Commit()
	if !t.begin.IsZero() {
		t.took <- time.Since(t.begin)
	}
}

// await waits for the first answer.
func (s *sink) await() {
	for {
		s.mu.Lock()
		wake, answered := s.wake, s.last != nil
		s.mu.Unlock()
		if answered {
			return
		}
		<-wake
	}
}
