package server_test

import (
	"context"
	"encoding/gob"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

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
// The subscribers and the writer are processes of their own, so that the server has its memory and its scheduler for
// itself, but all of them share the machine, and Postgres too. Each subscriber has a WebSocket over TCP on the loopback
// interface; messages are searched and not decoded.
func BenchmarkCommitToClient(b *testing.B) {
	for _, pace := range []struct {
		name string
		order
	}{
		{"paced", order{Commits: 300, Every: 20 * time.Millisecond}},
		{"flat out", order{Commits: 5000}},
	} {
		b.Run(pace.name, func(b *testing.B) {
			for b.Loop() {
				r := run(b, pace.order)
				b.ReportMetric(percentile(r.latencies, 50), "p50-ms")
				b.ReportMetric(percentile(r.latencies, 99), "p99-ms")
				b.ReportMetric(r.rate, "commits/s")
			}
			b.ReportMetric(0, "ns/op") // an operation is all of it
		})
	}
}

// order is what a writer is to do, after some commits that warm up.
type order struct {
	URL     string // of the database
	Commits int
	Every   time.Duration // 0: without a pause
}

// result is what came of it.
type result struct {
	latencies []float64 // of each commit to each subscriber, in ms, ascending
	rate      float64   // commits a second
}

func run(b *testing.B, o order) result {
	b.Helper()
	postgres := pgtest.Server(b, &localpg.Config{Options: map[string]string{
		"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "shared_buffers": "128MB",
	}})
	pool := pgtest.On(b, postgres)
	exec(b, pool, makeFlights)
	exec(b, pool, fillFlights, listRows)
	exec(b, pool, "VACUUM ANALYZE flights")
	_, address := serve(b, pool, &server.Config{Migrate: true}, binding.List[Flight]())
	subscribers, writer := startHelper(b, "subscribers"), startHelper(b, "writer")
	var arrivals [][]int64
	subscribers.tell(address)
	subscribers.hear(&arrivals)
	subscribers.tell(warmUp + o.Commits)
	o.URL = pool.Config().ConnString()
	writer.tell(o)
	var returned []int64
	writer.hear(&returned)
	subscribers.hear(&arrivals)
	took := time.Duration(returned[len(returned)-1] - returned[warmUp-1])
	return result{latencies(returned, arrivals), float64(o.Commits) / took.Seconds()}
}

// latencies returns in milliseconds and ascending how long each commit took to each subscriber.
func latencies(returned []int64, arrivals [][]int64) []float64 {
	var all []float64
	for _, arrived := range arrivals {
		for i := warmUp; i < len(arrived); i++ {
			all = append(all, float64(arrived[i]-returned[i])/1e6)
		}
	}
	slices.Sort(all)
	return all
}

func percentile(sorted []float64, p int) float64 { return sorted[len(sorted)*p/100] }

// writeAll is the process of the writer. It hears an order and tells when each commit returned, in ns.
func writeAll(hear *gob.Decoder, tell *gob.Encoder) error {
	var o order
	if err := hear.Decode(&o); err != nil {
		return err
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, o.URL)
	if err != nil {
		return err
	}
	w := &writer{conn: conn}
	for id := range int64(pageSize) {
		w.page = append(w.page, id+1)
	}
	for i := range warmUp + o.Commits {
		next := time.After(o.Every)
		if err := w.commit(ctx, i); err != nil {
			return err
		}
		<-next
	}
	if err := conn.Close(ctx); err != nil {
		return err
	}
	return tell.Encode(w.returned)
}

// writer commits, and knows when.
type writer struct {
	conn     *pgx.Conn
	page     []int64 // the ids on page 0
	next     int64   // the id of the next row, which goes to the top of the list
	returned []int64 // when each commit did, in ns
}

// firstMark is the delay_minutes of the first commit; the others count on from it, so that every message that shows a
// commit names it.
const firstMark = 1_000_000

func (w *writer) commit(ctx context.Context, i int) error {
	sql, id := updateFlight, w.page[i%pageSize]
	if i%insertEvery == 0 {
		sql, id = insertFlight, w.next
		w.page = append([]int64{id}, w.page[:pageSize-1]...)
		w.next--
	}
	_, err := w.conn.Exec(ctx, sql, id, firstMark+i)
	w.returned = append(w.returned, time.Now().UnixNano())
	return err
}
