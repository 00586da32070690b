package listen_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/localpg"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/listen"
	"github.com/socksync/socksync/migrations"
)

// What the writers do. A turn is short so that the noise of a shared machine hits all databases alike, and the number of
// rounds is odd so that there is a middle one.
const (
	writers     = 8
	accounts    = 100_000
	rounds      = 15
	turn        = 400 * time.Millisecond
	patience    = time.Minute
	makeAccount = `create table account (id int primary key, branch int not null, balance int not null, filler char(84) not null)`
	fillAccount = `insert into account select i, i % 10, 0, '' from generate_series(1, $1) i`
	update      = `update account set balance = balance + $1 where id = $2`
)

// makeNotify is the usual trigger that tells each change by a NOTIFY.
const makeNotify = `
create function notify_account() returns trigger language plpgsql as
	$$ begin perform pg_notify('account', new.id::text); return null; end $$;
create trigger notify_account after update on account for each row execute function notify_account()`

// BenchmarkCommits compares the commits of writers to a table without a trigger with those to a table that a feed
// follows, to one whose changes are logged while no feed runs, and to one that sends a NOTIFY for each commit to a
// listener. The writers are as those of pgbench: 8 clients, each commit the update of one row by primary key, in a table
// of 100,000 rows. The tables are in databases of one server and take turns, so that the ratios are fair on a machine
// that does other work too. Each figure is a median of 15 rounds.
//
// In "durable" each commit waits for the disk (fsync and synchronous_commit on, the defaults of PostgreSQL), which is
// what a writer notices. In "asynchronous" it does not (synchronous_commit off), which shows the processor time.
func BenchmarkCommits(b *testing.B) {
	server := durableServer(b)
	none := newContender(b, server, "none")
	feed := newContender(b, server, "feed")
	feed.follow(b)
	logged := newContender(b, server, "log")
	logged.follow(b)() // the triggers go on for a while after the last feed
	notify := newContender(b, server, "notify")
	notify.notify(b)
	all := []*contender{none, feed, logged, notify}
	for _, mode := range []struct{ name, synchronous string }{{"durable", "on"}, {"asynchronous", "off"}} {
		b.Run(mode.name, func(b *testing.B) {
			for b.Loop() {
				race(b, mode.synchronous, all)
			}
			b.ReportMetric(0, "ns/op") // an operation is the whole comparison
			b.ReportMetric(feed.rate(), "commits/s")
			b.ReportMetric(feed.ratio(none), "ratio-to-none")
			b.ReportMetric(feed.ratio(notify), "ratio-to-notify")
			b.ReportMetric(logged.ratio(none), "log-ratio-to-none")
			b.ReportMetric(none.rate(), "none-commits/s")
			b.ReportMetric(notify.rate(), "notify-commits/s")
		})
	}
}

// BenchmarkLoggedCommits compares the commits of writers to a table that a feed follows by its key with those to tables of
// which a further column is logged: one that the writers do not change, and the one that each commit changes. All else is
// as in BenchmarkCommits.
func BenchmarkLoggedCommits(b *testing.B) {
	server := durableServer(b)
	key, kept, changed := newContender(b, server, "key"), newContender(b, server, "kept"), newContender(b, server, "changed")
	key.follow(b)
	kept.follow(b, "branch")
	changed.follow(b, "balance")
	for _, mode := range []struct{ name, synchronous string }{{"durable", "on"}, {"asynchronous", "off"}} {
		b.Run(mode.name, func(b *testing.B) {
			for b.Loop() {
				race(b, mode.synchronous, []*contender{key, kept, changed})
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(key.rate(), "commits/s")
			b.ReportMetric(kept.ratio(key), "kept-ratio")
			b.ReportMetric(changed.ratio(key), "changed-ratio")
		})
	}
}

// durableServer loses nothing in a crash, as PostgreSQL does by default.
func durableServer(b *testing.B) *localpg.Server {
	b.Helper()
	return pgtest.Server(b, &localpg.Config{Options: map[string]string{
		"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "shared_buffers": "256MB",
	}})
}

// contender is a database whose commits are counted.
type contender struct {
	name  string
	pool  *pgxpool.Pool
	conns []*pgconn.PgConn
	rates []float64 // of each round
}

func newContender(b *testing.B, server *localpg.Server, name string) *contender {
	b.Helper()
	c := &contender{name: name, pool: pgtest.On(b, server)}
	c.exec(b, makeAccount)
	c.exec(b, fillAccount, accounts)
	c.exec(b, "vacuum analyze account")
	for range writers {
		c.conns = append(c.conns, c.connect(b))
	}
	return c
}

// connect makes a writer's connection.
func (c *contender) connect(b *testing.B) *pgconn.PgConn {
	b.Helper()
	conn, err := pgconn.Connect(b.Context(), c.pool.Config().ConnString())
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, conn.Close(context.Background())) })
	_, err = conn.Prepare(b.Context(), "update", update, nil)
	require.NoError(b, err)
	return conn
}

func (c *contender) exec(b *testing.B, sql string, args ...any) {
	b.Helper()
	_, err := c.pool.Exec(b.Context(), sql, args...)
	require.NoError(b, err, sql)
}

// follow installs the triggers and has a feed follow the table until the benchmark ends, or stop is called.
func (c *contender) follow(b *testing.B, columns ...string) (stop func()) {
	b.Helper()
	key := []string{"id"}
	require.NoError(b, migrations.Up(b.Context(), c.pool))
	require.NoError(b, migrations.Install(b.Context(), c.pool, []migrations.Table{{Name: "account", Key: key, Logged: columns}}))
	feed, err := listen.New(&listen.Config{
		Pool: c.pool, Tables: []listen.Table{{Name: "account", Key: key, Logged: columns}}, Log: slog.New(slog.DiscardHandler),
	}, idle{})
	require.NoError(b, err)
	require.NoError(b, feed.Start(context.Background()))
	stop = func() { require.NoError(b, feed.Stop(context.Background())) }
	b.Cleanup(stop)
	require.Eventually(b, func() bool { return feed.Ready() == nil }, patience, time.Millisecond)
	return stop
}

// idle is a Drainer that does nothing.
type idle struct{}

func (idle) Drain(context.Context, pgx.Tx, *listen.Drain) error { return nil }
func (idle) Commit()                                            {}
func (idle) Abort(error)                                        {}
func (idle) Down(error)                                         {}

// notify has each change tell a listener.
func (c *contender) notify(b *testing.B) {
	b.Helper()
	c.exec(b, makeNotify)
	conn, err := pgx.Connect(b.Context(), c.pool.Config().ConnString())
	require.NoError(b, err)
	_, err = conn.Exec(b.Context(), "listen account")
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	var listener sync.WaitGroup
	listener.Go(func() {
		for err := error(nil); err == nil; {
			_, err = conn.WaitForNotification(ctx)
		}
	})
	b.Cleanup(func() {
		cancel()
		listener.Wait()
		_ = conn.Close(context.Background()) // the canceled wait has closed it
	})
}

// race runs the rounds. One more, the first, only warms up. Who begins changes from round to round.
func race(b *testing.B, synchronous string, all []*contender) {
	b.Helper()
	for _, c := range all {
		c.rates = nil
		for _, conn := range c.conns {
			require.NoError(b, conn.Exec(b.Context(), "set synchronous_commit = "+synchronous).Close())
		}
	}
	for round := range rounds + 1 {
		for i := range all {
			c := all[(round+i)%len(all)]
			if rate := c.run(b); round > 0 {
				c.rates = append(c.rates, rate)
			}
		}
	}
}

// run has the writers commit for a turn and returns the commits per second.
func (c *contender) run(b *testing.B) float64 {
	b.Helper()
	var over atomic.Bool
	var commits atomic.Int64
	var running sync.WaitGroup
	failed := make(chan error, writers)
	begin := time.Now()
	timer := time.AfterFunc(turn, func() { over.Store(true) })
	defer timer.Stop()
	for _, conn := range c.conns {
		running.Go(func() {
			n, err := write(conn, &over)
			commits.Add(n)
			failed <- err
		})
	}
	running.Wait()
	for range writers {
		require.NoError(b, <-failed, c.name)
	}
	return float64(commits.Load()) / time.Since(begin).Seconds()
}

// write commits updates, one after another, until it is over.
func write(conn *pgconn.PgConn, over *atomic.Bool) (commits int64, err error) {
	ctx := context.Background()
	for ; !over.Load(); commits++ {
		amount := strconv.Itoa(rand.IntN(10_000) - 5_000)
		id := strconv.Itoa(1 + rand.IntN(accounts))
		if _, err := conn.ExecPrepared(ctx, "update", [][]byte{[]byte(amount), []byte(id)}, nil, nil).Close(); err != nil {
			return commits, fmt.Errorf("update account %s: %w", id, err)
		}
	}
	return commits, nil
}

func (c *contender) rate() float64 { return median(c.rates) }

// ratio is the median of the ratios of the rounds, in each of which both had the same machine.
func (c *contender) ratio(other *contender) float64 {
	ratios := make([]float64, len(c.rates))
	for i := range ratios {
		ratios[i] = c.rates[i] / other.rates[i]
	}
	return median(ratios)
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
