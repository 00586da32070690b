package view_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/localpg"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/listen"
	"github.com/socksync/socksync/migrations"
	"github.com/socksync/socksync/store/view"
)

type ev struct {
	at   int64
	what string
}
type spy struct {
	mu  sync.Mutex
	evs []ev
	*view.Engine
}

func (s *spy) add(w string) {
	s.mu.Lock()
	s.evs = append(s.evs, ev{time.Now().UnixNano(), w})
	s.mu.Unlock()
}
func (s *spy) Drain(ctx context.Context, tx pgx.Tx, d *listen.Drain) error {
	s.add("drain")
	err := s.Engine.Drain(ctx, tx, d)
	s.add("drained")
	return err
}
func (s *spy) Commit() { s.add("commit"); s.Engine.Commit(); s.add("committed") }

type wire struct {
	net.Conn
	s *spy
	r atomic.Int64
}

func (w *wire) Write(p []byte) (int, error) { w.s.add(fmt.Sprintf("write %d", len(p))); return w.Conn.Write(p) }
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.s.add(fmt.Sprintf("read %d", n))
	return n, err
}

type flight struct {
	_             struct{}  `socksync:"table=flights; list=departures; order=departs_at, id; max_page_size=100"`
	ID            int64     `db:"id" json:"id" socksync:"pk"`
	DepartsAt     time.Time `db:"departs_at" json:"departs_at"`
	Origin        string    `db:"origin" json:"origin"`
	Delay *int32    `db:"delay_minutes" json:"delay_minutes"`
}

func TestZZStages(t *testing.T) {
	srv := pgtest.Server(t, &localpg.Config{Options: map[string]string{"fsync": "on"}})
	pool0 := pgtest.On(t, srv)
	e := view.New(&view.Config{Pool: pool0})
	s := &spy{Engine: e}
	cfg := pool0.Config()
	d := cfg.ConnConfig.DialFunc
	cfg.ConnConfig.DialFunc = func(ctx context.Context, n, a string) (net.Conn, error) {
		c, err := d(ctx, n, a)
		return &wire{Conn: c, s: s}, err
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	ctx := context.Background()
	for _, q := range []string{`CREATE TABLE flights (id bigint PRIMARY KEY, departs_at timestamp NOT NULL, origin text NOT NULL,
		destination text NOT NULL, delay_minutes int, distance_miles int NOT NULL, note text)`,
		`INSERT INTO flights SELECT i, timestamp '2001-01-01' + i * interval '1 minute', 'ORD', 'SFO', i % 90, 1846,
		CASE WHEN i % 3 = 0 THEN 'gate changed' END FROM generate_series(1, 20000) i`, `vacuum analyze flights`} {
		_, err := pool0.Exec(ctx, q)
		require.NoError(t, err)
	}
	src := e.List(binding.List[flight]().WithDefaults())
	require.NoError(t, e.Check(ctx))
	require.NoError(t, migrations.Up(ctx, pool0))
	require.NoError(t, migrations.Install(ctx, pool0, []migrations.Table{{Name: "flights", Key: []string{"id"}}}))
	feed, err := listen.New(&listen.Config{Pool: pool, Tables: e.Tables()}, s)
	require.NoError(t, err)
	e.Start(feed)
	require.NoError(t, feed.Start(ctx))
	t.Cleanup(func() { feed.Stop(ctx); e.Stop() })
	si := newSink(t)
	sub := src.Subscribe(si)
	sub.Get(0, 25)
	t.Cleanup(sub.Close)
	require.Eventually(t, func() bool { si.mu.Lock(); defer si.mu.Unlock(); return si.last != nil }, patience, time.Millisecond)
	type row struct{ drain, drained, commit, committed float64 }
	var rows []row
	conn, _ := pool0.Acquire(ctx)
	defer conn.Release()
	var lastTrace []ev
	var at0 int64
	reads := []int{}
	for i := range 300 {
		time.Sleep(20 * time.Millisecond)
		s.mu.Lock()
		reads = append(reads, len(s.evs))
		if i == 299 { // print the trace of the one before
			lastTrace = slices.Clone(s.evs)
		}
		s.evs = nil
		s.mu.Unlock()
		if i == 299 {
			break
		}
		_, err := conn.Exec(ctx, "update flights set delay_minutes=$1 where id=$2", i, i%25+1)
		require.NoError(t, err)
		at0 = time.Now().UnixNano()
		var r row
		require.Eventually(t, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, e := range s.evs {
				ms := float64(e.at-at0) / 1e6
				switch e.what {
				case "drain":
					if r.drain == 0 { r.drain = ms }
				case "drained":
					if r.drained == 0 { r.drained = ms }
				case "commit":
					if r.commit == 0 { r.commit = ms }
				case "committed":
					r.committed = ms
					return true
				}
			}
			return false
		}, patience, time.Millisecond)
		rows = append(rows, r)
	}
	for _, f := range []func(row) float64{func(r row) float64 { return r.drain }, func(r row) float64 { return r.drained }, func(r row) float64 { return r.commit }, func(r row) float64 { return r.committed }} {
		var v []float64
		for _, r := range rows {
			v = append(v, f(r))
		}
		slices.Sort(v)
		t.Logf("p10 %.3f p50 %.3f p90 %.3f p99 %.3f", v[len(v)/10], v[len(v)/2], v[len(v)*9/10], v[len(v)*99/100])
	}
	for _, e := range lastTrace {
		t.Logf("%8.3f %s", float64(e.at-at0)/1e6, e.what)
	}
}
