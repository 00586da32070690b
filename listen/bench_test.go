package listen

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
)

// quick is a Drainer that reads nothing.
type quick struct{ drained func(*Drain) }

func (q *quick) Drain(_ context.Context, _ pgx.Tx, d *Drain) error {
	q.drained(d)
	return nil
}

func (*quick) Commit()     {}
func (*quick) Abort(error) {}
func (*quick) Down(error)  {}

// BenchmarkKickToFeed is the time from a Kick to the Drainer, of a feed that sleeps.
func BenchmarkKickToFeed(b *testing.B) {
	committed := make(chan struct{}, 1)
	f := benchmarkFeed(b, func(d *Drain) {
		if len(d.Tables) == 0 {
			committed <- struct{}{}
		}
	})
	for b.Loop() {
		f.Kick()
		<-committed
	}
}

func benchmarkFeed(b *testing.B, drained func(*Drain)) *Feed {
	b.Helper()
	pool := pgtest.New(b)
	exec(b, pool, flights)
	tables := []Table{{Name: "flights", Key: []string{"id"}}}
	install(b, pool, tables...)
	f, err := New(&Config{Pool: pool, Tables: tables, Log: slog.New(slog.DiscardHandler)}, &quick{drained})
	require.NoError(b, err)
	require.NoError(b, f.Start(context.Background()))
	b.Cleanup(func() { require.NoError(b, f.Stop(context.Background())) })
	require.Eventually(b, func() bool { return f.Ready() == nil }, patience, time.Millisecond)
	return f
}

// BenchmarkCommitToFeed is the time from the end of a commit to the Drainer, a commit at a time.
func BenchmarkCommitToFeed(b *testing.B) {
	var committed atomic.Int64
	seen := make(chan time.Duration, 1)
	f := benchmarkFeed(b, func(d *Drain) {
		if c := d.Tables["flights"]; c != nil && !c.All {
			seen <- time.Duration(time.Now().UnixNano() - committed.Load())
		}
	})
	var all []time.Duration
	for i := 0; b.Loop(); i++ {
		tx, err := f.config.Pool.Begin(b.Context())
		require.NoError(b, err)
		exec(b, tx, "insert into flights values ($1)", i)
		exec(b, tx, "select pg_sleep($1)", float64(i%20)/1000)
		committed.Store(time.Now().UnixNano())
		require.NoError(b, tx.Commit(b.Context()))
		all = append(all, <-seen)
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-us")
}
