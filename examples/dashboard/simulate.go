package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// simulator makes random changes that look like a day at the airports.
type simulator struct {
	pool   *pgxpool.Pool
	log    *slog.Logger
	random *rand.Rand
}

func newSimulator(pool *pgxpool.Pool, log *slog.Logger) *simulator {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) //nolint:gosec // nothing here is secret
	return &simulator{pool: pool, log: log, random: random}
}

// write is one kind of change; of 100, weight are of this kind.
type write struct {
	weight int
	sql    string
	args   func(*rand.Rand) []any
}

// passengers are the users who book flights in the simulation.
var passengers = []string{"Ada", "Alan", "Barbara", "Edsger", "Grace"}

// someFlight is any flight: the next one behind a random part ($1) of all numbers.
const someFlight = "(SELECT id FROM flights WHERE id >= (SELECT floor($1::float8 * max(id))::bigint FROM flights) ORDER BY id LIMIT 1)"

var writes = []write{
	{
		weight: 52, sql: "UPDATE flights SET delay_minutes = $2::int WHERE id = " + someFlight,
		args: func(r *rand.Rand) []any { return []any{r.Float64(), minutesLate(r)} },
	},
	{
		weight: 16, sql: "UPDATE flights SET note = $2::text WHERE id = " + someFlight,
		args: func(r *rand.Rand) []any { return []any{r.Float64(), notes[r.IntN(len(notes))]} },
	},
	{ // the way back
		weight: 8, sql: `INSERT INTO flights (departs_at, origin, destination, delay_minutes, distance_miles)
			SELECT departs_at + $2::int * interval '1 minute', destination, origin, $3::int, distance_miles
			FROM flights WHERE id = ` + someFlight,
		args: func(r *rand.Rand) []any { return []any{r.Float64(), 60 + r.IntN(600), minutesLate(r)} },
	},
	{
		weight: 8, sql: "DELETE FROM flights WHERE id = " + someFlight,
		args: func(r *rand.Rand) []any { return []any{r.Float64()} },
	},
	{
		weight: 6, sql: "UPDATE flights SET departs_at = departs_at + $2::int * interval '1 minute' WHERE id = " + someFlight,
		args: func(r *rand.Rand) []any { return []any{r.Float64(), r.IntN(121) - 60} },
	},
	{
		weight: 3, sql: "UPDATE board SET message = $1::text WHERE id = 1",
		args: func(r *rand.Rand) []any {
			return []any{fmt.Sprintf("Security takes %d minutes at checkpoint %d.", 3+r.IntN(30), 1+r.IntN(9))}
		},
	},
	{
		weight: 3, sql: `INSERT INTO bookings
			SELECT $2::text, id FROM flights f WHERE id >= (SELECT floor($1::float8 * max(id))::bigint FROM flights)
			AND NOT EXISTS (SELECT FROM bookings b WHERE (b.user_name, b.flight_id) = ($2::text, f.id)) ORDER BY id LIMIT 1
			ON CONFLICT DO NOTHING`,
		args: func(r *rand.Rand) []any { return []any{r.Float64(), passengers[r.IntN(len(passengers))]} },
	},
	{ // any booking of theirs
		weight: 3, sql: `DELETE FROM bookings WHERE (user_name, flight_id) = (
			SELECT user_name, flight_id FROM bookings WHERE user_name = ANY ($2::text[]) ORDER BY user_name, flight_id
			OFFSET floor($1::float8 * (SELECT count(*) FROM bookings WHERE user_name = ANY ($2::text[])))::bigint LIMIT 1)`,
		args: func(r *rand.Rand) []any { return []any{r.Float64(), passengers} },
	},
	{ // an airport gets a new name, and its old one back
		weight: 1, sql: `UPDATE airports SET name = CASE WHEN right(name, 10) = ' (renamed)' THEN left(name, -10) ELSE name || ' (renamed)' END
			WHERE iata = (SELECT origin FROM flights WHERE id = ` + someFlight + ")",
		args: func(r *rand.Rand) []any { return []any{r.Float64()} },
	},
}

// minutesLate is a delay as they are: most flights are nearly on time, few are very
// late.
func minutesLate(r *rand.Rand) int { return int(r.ExpFloat64()*20) - 10 }

// run writes n times a second until the context ends.
func (s *simulator) run(ctx context.Context, n int) {
	tick := time.NewTicker(time.Second / time.Duration(n))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.write(ctx, s.pick()); err != nil && ctx.Err() == nil {
			s.log.Warn("simulated write failed", "error", err)
		}
	}
}

func (s *simulator) write(ctx context.Context, w write) error {
	_, err := s.pool.Exec(ctx, w.sql, w.args(s.random)...)
	return err
}

func (s *simulator) pick() write {
	n := s.random.IntN(100)
	for _, w := range writes {
		if n -= w.weight; n < 0 {
			return w
		}
	}
	return writes[0]
}
