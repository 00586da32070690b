package view_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
	"github.com/socksync/socksync/store/view"
)

// departure is a row of the lists that the benchmarks choose from.
type departure struct {
	_           struct{} `socksync:"table=departures; list=departures; max_page_size=100; max_window=1000; filter=*; sort=*; search=note, origin"`
	ID          int64    `db:"id" json:"id" socksync:"pk"`
	Minute      int32    `db:"minute" json:"minute"`
	Origin      string   `db:"origin" json:"origin"`
	Destination string   `db:"destination" json:"destination"`
	Delay       int32    `db:"delay" json:"delay"`
	Distance    int32    `db:"distance" json:"distance"`
	Note        string   `db:"note" json:"note"`
}

const (
	makeDepartures = `CREATE TABLE departures (id bigint PRIMARY KEY, minute int NOT NULL, origin text NOT NULL, destination text NOT NULL,
		delay int NOT NULL, distance int NOT NULL, note text NOT NULL)`
	// Each of 1,000 airports is the origin of a thousandth of the rows. Multiples of primes spread the rest evenly.
	fillDepartures = `INSERT INTO departures SELECT i, i * 7919 % 525600, 'A' || i * 104729 % 1000, 'A' || i * 1299709 % 1000,
		i * 15485863 % 300, 50 + i * 32452843 % 5000, 'gate ' || i * 49979687 % 100 || ' of ' || i % 977 FROM generate_series(1, $1::bigint) i`
)

func newDepartures(b *testing.B, rows int, indexes ...string) *live {
	b.Helper()
	pool := pgtest.New(b)
	l := &live{t: b, pool: pool, engine: view.New(&view.Config{Pool: pool, Grace: 20 * time.Millisecond, Log: quiet})}
	l.exec(makeDepartures)
	l.exec(fillDepartures, rows)
	for _, index := range indexes {
		l.exec(index)
	}
	l.exec("VACUUM ANALYZE departures")
	return l
}

// asking is a subscriber that waits for the answer to each get.
type asking struct {
	*sink
	sub window.Subscription
}

func ask(b *testing.B, source window.Source) *asking {
	a := &asking{sink: newSink(b)}
	a.sub = source.Subscribe(a, window.Options{Quiet: true})
	return a
}

// get returns the answer.
func (a *asking) get(want window.Want) *window.State {
	a.sub.Get(want)
	for {
		a.mu.Lock()
		state, err, wake := a.last, a.err, a.wake
		a.mu.Unlock()
		require.NoError(a.t, err)
		if state != nil {
			return state
		}
		<-wake
	}
}

// condition is a condition of a filter.
func condition(column, operator string, value any) window.Condition {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return window.Condition{Column: column, Operator: protocol.Operator(operator), Value: text}
}

// BenchmarkOpenChoice measures how long a subscriber waits for the answer to a get that opens a view of 1,000 rows out of
// 1,000,000: the departures of one of 1,000 airports in the order of time, where there is an index on both. Each get is for
// another airport, or for one whose view has been dropped. In "page" it asks for 100 rows, in "window" for all 1,000.
func BenchmarkOpenChoice(b *testing.B) {
	const rows, airports = 1_000_000, 1000
	l := newDepartures(b, rows, "CREATE INDEX ON departures (origin, minute, id)")
	source := l.list(binding.List[departure]())
	l.run(nil)
	l.loaded("departures")
	next := 0
	for _, kind := range []struct {
		name string
		want window.Want
	}{{"page", window.Want{Size: 100}}, {"window", window.Want{Anchored: true, Size: 1000}}} {
		want := kind.want
		b.Run(kind.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				want.Choice = window.Choice{
					Sort:   []string{"minute"},
					Filter: []window.Condition{condition("origin", "eq", fmt.Sprintf("A%d", next%airports))},
				}
				next++
				a := ask(b, source)
				began := time.Now()
				state := a.get(want)
				took = append(took, time.Since(began))
				require.Equal(b, rows/airports, state.Total)
				a.sub.Close()
			}
			report(b, "", took)
		})
	}
}

// report reports the median and the 99th percentile in milliseconds.
func report(b *testing.B, what string, took []time.Duration) (median float64) {
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(took[len(took)/2]), what+"p50-ms")
	b.ReportMetric(ms(took[len(took)*99/100]), what+"p99-ms")
	return ms(took[len(took)/2])
}

// BenchmarkChangeOpenChoices measures what a change of one row costs while so many different choices of a list of 10,000 rows
// are open, each with a window of 25 rows. The choices are of ten kinds in equal parts; see kindsOfChoice. The change sets
// delay, distance and note of a row, which moves it in some of them, into some and out of some. drain is the time from the
// first query of the drain to the publication of its steps; published is the time from the return of the commit to that.
// times-of-10 is the ratio of the medians of published to that with 10 choices in the same run.
func BenchmarkChangeOpenChoices(b *testing.B) {
	const rows = 10_000
	base := 0.0
	for _, choices := range []int{10, 1000} {
		b.Run(fmt.Sprint(choices), func(b *testing.B) {
			c := &changing{live: newDepartures(b, rows), rows: rows, random: rand.New(rand.NewPCG(1, 2))}
			source := c.list(binding.List[departure]())
			c.drains = &timed{Engine: c.engine, took: make(chan time.Duration)}
			c.run(c.drains)
			for i := range choices {
				a := ask(b, source)
				a.get(window.Want{Size: 25, Choice: kindsOfChoice[i%len(kindsOfChoice)](i / len(kindsOfChoice))})
				b.Cleanup(a.sub.Close)
			}
			for range 20 { // the first ones prepare statements
				c.depart()
			}
			var drains, published []time.Duration
			for b.Loop() {
				drain, publish := c.depart()
				drains, published = append(drains, drain), append(published, publish)
			}
			report(b, "drain-", drains)
			median := report(b, "published-", published)
			if choices == 10 {
				base = median
			}
			b.ReportMetric(median/base, "times-of-10")
		})
	}
}

// depart changes a row and returns how long its drain took, and how long it was from the commit's return to the publication.
func (c *changing) depart() (drain, published time.Duration) {
	id := 1 + c.random.IntN(c.rows)
	c.exec("UPDATE departures SET delay = $2, distance = $3, note = $4 WHERE id = $1", id, c.random.IntN(300), 50+c.random.IntN(5000),
		fmt.Sprintf("gate %d of %d", c.random.IntN(100), c.random.IntN(977)))
	began := time.Now()
	drain = <-c.drains.took
	return drain, time.Since(began)
}

// kindsOfChoice are the choices of the benchmark, different for each i of at most 100.
var kindsOfChoice = []func(i int) window.Choice{
	func(i int) window.Choice { // the departures of an airport
		return window.Choice{Filter: []window.Condition{condition("origin", "eq", fmt.Sprintf("A%d", i))}}
	},
	func(i int) window.Choice { // the arrivals at an airport, longest delay first
		return window.Choice{Sort: []string{"-delay"}, Filter: []window.Condition{condition("destination", "eq", fmt.Sprintf("A%d", i))}}
	},
	func(i int) window.Choice { // the late ones
		return window.Choice{Filter: []window.Condition{condition("delay", "gte", 180+i)}}
	},
	func(i int) window.Choice { // a range of distances, shortest first
		return window.Choice{Sort: []string{"distance"}, Filter: []window.Condition{
			condition("distance", "gte", 50+20*i), condition("distance", "lt", 400+20*i),
		}}
	},
	func(i int) window.Choice { // some airports, by time
		return window.Choice{Sort: []string{"minute"}, Filter: []window.Condition{
			condition("origin", "in", []string{fmt.Sprintf("A%d", i), fmt.Sprintf("A%d", i+300), fmt.Sprintf("A%d", i+600)}),
		}}
	},
	func(i int) window.Choice { return window.Choice{Search: fmt.Sprintf("gate %d", i)} },
	func(i int) window.Choice { // everything but one airport, by delay and distance
		return window.Choice{Sort: []string{"-delay", "distance"}, Filter: []window.Condition{condition("origin", "ne", fmt.Sprintf("A%d", i))}}
	},
	func(i int) window.Choice {
		return window.Choice{Filter: []window.Condition{condition("note", "contains", fmt.Sprintf("of %d", i))}}
	},
	func(i int) window.Choice { // a time on, by destination
		return window.Choice{Sort: []string{"destination", "minute"}, Filter: []window.Condition{condition("minute", "gte", 262_800+2000*i)}}
	},
	func(i int) window.Choice { // a search at an airport
		return window.Choice{Search: "gate", Filter: []window.Condition{condition("origin", "prefix", fmt.Sprintf("A%d", i))}}
	},
}
