package server_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/server"
)

// BenchmarkReconnect measures how long a client is without its window: it loses the connection, dials, subscribes and asks
// with the rev that it holds, of a choice of its own of a list of 20,000 rows, until it has the step. Another client watches
// the same window, and no row changes in between. In "with rev" the answer is an empty step, in "without" a set_all of 100 rows.
// answer is the part from the get on.
func BenchmarkReconnect(b *testing.B) {
	pool := pgtest.New(b)
	exec(b, pool, makeFlights)
	exec(b, pool, fillFlights, listRows)
	exec(b, pool, "VACUUM ANALYZE flights")
	_, address := serve(b, pool, &server.Config{Migrate: true, Log: quietLog}, binding.List[Flight](binding.Filter("*"), binding.Sort("*")))
	m := &menu{name: "departures", keyJSON: []string{"id"}, maxPage: 100, maxWindow: 1000}
	question := &ask{
		choice: &choice{menu: m, fields: `,"sort":["-delay_minutes"],"filter":{"delay_minutes":{"gte":30}}`}, where: where{size: 100},
	}
	open := func() *asker {
		a := &asker{line: newLine(b, address, newLedger(b, pool)), menu: m}
		require.Empty(b, a.ask(a.line.open(m), question))
		return a
	}
	open() // watches on
	for _, rev := range []bool{true, false} {
		b.Run(map[bool]string{true: "with rev", false: "without"}[rev], func(b *testing.B) {
			a := open()
			p := a.panes[0]
			var all, answers []float64
			for b.Loop() {
				began := time.Now()
				a.redial()
				asked := time.Now()
				again := *question
				if rev {
					again.rev = p.shown.rev
				}
				require.Empty(b, a.ask(p, &again))
				answers, all = append(answers, milliseconds(asked)), append(all, milliseconds(began))
				require.Equal(b, rev, a.sights[len(a.sights)-1].by == "step")
			}
			slices.Sort(all)
			slices.Sort(answers)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(percentile(all, 50), "p50-ms")
			b.ReportMetric(percentile(all, 99), "p99-ms")
			b.ReportMetric(percentile(answers, 50), "answer-p50-ms")
			b.ReportMetric(percentile(answers, 99), "answer-p99-ms")
		})
	}
}

func milliseconds(since time.Time) float64 { return float64(time.Since(since).Nanoseconds()) / 1e6 }
