package server_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/localpg"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/server"
)

// The list that the benchmarks change and who watches it.
const (
	listRows    = 20_000
	pageSize    = 25
	watchers    = 200
	warmUp      = 50 // commits that are not measured
	insertEvery = 10
)

// Flight is a row of a list of departures.
type Flight struct {
	_             struct{}  `socksync:"table=flights; list=departures; order=departs_at, id; max_page_size=100"`
	ID            int64     `db:"id" json:"id" socksync:"pk"`
	DepartsAt     time.Time `db:"departs_at" json:"departs_at"`
	Origin        string    `db:"origin" json:"origin"`
	Destination   string    `db:"destination" json:"destination"`
	DelayMinutes  *int32    `db:"delay_minutes" json:"delay_minutes"`
	DistanceMiles int32     `db:"distance_miles" json:"distance_miles"`
	Note          *string   `db:"note" json:"note"`
}

const (
	makeFlights = `CREATE TABLE flights (id bigint PRIMARY KEY, departs_at timestamp NOT NULL, origin text NOT NULL,
		destination text NOT NULL, delay_minutes int, distance_miles int NOT NULL, note text)`
	fillFlights = `INSERT INTO flights SELECT i, timestamp '2001-01-01' + i * interval '1 minute', 'ORD', 'SFO', i % 90, 1846,
		CASE WHEN i % 3 = 0 THEN 'gate changed' END FROM generate_series(1, $1::int) i`
	updateFlight = `UPDATE flights SET delay_minutes = $2 WHERE id = $1`
	insertFlight = `INSERT INTO flights SELECT i, timestamp '2001-01-01' + i * interval '1 minute', 'ORD', 'SFO', $2, 1846
		FROM (SELECT $1::bigint AS i) new`
)

// BenchmarkCommitToClient measures the time from the return of a commit to the last message of its step at each of 200
// subscribers of page 0 of a list of 20,000 rows, over all pairs of a commit and a subscriber. Nine commits of ten update
// a row on the page, the tenth inserts one. Commits are durable (fsync and synchronous_commit on). In "paced" there are
// 50 commits a second, in "flat out" as many as one writer can make.
//
// The subscribers are in a process of their own, so that the server has its memory and its garbage collector for itself,
// but the two share the machine, and Postgres too: each connection is a WebSocket over TCP on the loopback interface, and
// its messages are searched and not decoded.
func BenchmarkCommitToClient(b *testing.B) {
	for _, pace := range []struct {
		name    string
		commits int
		every   time.Duration
	}{{"paced", 300, 20 * time.Millisecond}, {"flat out", 1000, 0}} {
		b.Run(pace.name, func(b *testing.B) {
			for b.Loop() {
				w := newWriter(b)
				took := w.write(pace.commits, pace.every)
				latencies := w.latencies()
				b.ReportMetric(percentile(latencies, 50), "p50-ms")
				b.ReportMetric(percentile(latencies, 99), "p99-ms")
				b.ReportMetric(float64(pace.commits)/took.Seconds(), "commits/s")
			}
			b.ReportMetric(0, "ns/op") // an operation is all of it
		})
	}
}

// writer commits, and knows when.
type writer struct {
	b           *testing.B
	pool        *pgxpool.Pool
	subscribers *subscriberProcess
	page        []int64 // the ids on page 0
	next        int64   // the id of the next row, which goes to the top of the list
	returned    []int64 // when each commit did, in ns
}

func newWriter(b *testing.B) *writer {
	b.Helper()
	postgres := pgtest.Server(b, &localpg.Config{Options: map[string]string{
		"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "shared_buffers": "128MB",
	}})
	w := &writer{b: b, pool: pgtest.On(b, postgres)}
	w.exec(makeFlights)
	w.exec(fillFlights, listRows)
	w.exec("VACUUM ANALYZE flights")
	for id := range int64(pageSize) {
		w.page = append(w.page, id+1)
	}
	_, address := serve(b, w.pool, &server.Config{Migrate: true}, binding.List[Flight]())
	w.subscribers = startSubscribers(b, address)
	return w
}

func (w *writer) exec(sql string, args ...any) {
	w.b.Helper()
	_, err := w.pool.Exec(context.Background(), sql, args...)
	require.NoError(w.b, err, sql)
}

// write makes the commits, each with its number in the row, after those that warm up.
func (w *writer) write(commits int, every time.Duration) (took time.Duration) {
	w.subscribers.watch(warmUp + commits)
	var begin time.Time
	for i := range warmUp + commits {
		if i == warmUp {
			begin = time.Now()
		}
		var tick <-chan time.Time
		if every > 0 {
			tick = time.After(every)
		}
		w.commit(i)
		if every > 0 {
			<-tick
		}
	}
	return time.Since(begin)
}

func (w *writer) commit(i int) {
	if i%insertEvery == 0 {
		w.exec(insertFlight, w.next, firstMark+i)
		w.page = append([]int64{w.next}, w.page[:pageSize-1]...)
		w.next--
	} else {
		w.exec(updateFlight, w.page[i%pageSize], firstMark+i)
	}
	w.returned = append(w.returned, time.Now().UnixNano())
}

// latencies returns in milliseconds and ascending how long each commit took to each subscriber.
func (w *writer) latencies() []float64 {
	var all []float64
	for _, arrived := range w.subscribers.arrivals() {
		for i := warmUp; i < len(arrived); i++ {
			all = append(all, float64(arrived[i]-w.returned[i])/1e6)
		}
	}
	slices.Sort(all)
	return all
}

func percentile(sorted []float64, p int) float64 { return sorted[len(sorted)*p/100] }
