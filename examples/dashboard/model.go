package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/server"
)

// Flight is a row of flights.
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

// Airport is a row of airports.
type Airport struct {
	_         struct{} `socksync:"table=airports; list=airports; order=name, iata; max_page_size=100"`
	IATA      string   `db:"iata" json:"iata" socksync:"pk"`
	Name      string   `db:"name" json:"name"`
	City      *string  `db:"city" json:"city"`
	State     *string  `db:"state" json:"state"`
	Country   string   `db:"country" json:"country"`
	Latitude  float64  `db:"latitude" json:"latitude"`
	Longitude float64  `db:"longitude" json:"longitude"`
}

// Board is the notice board, row 1 of its table.
type Board struct {
	_       struct{} `socksync:"table=board; var=board; where=id = 1"`
	ID      int32    `db:"id" json:"id" socksync:"pk"`
	Title   string   `db:"title" json:"title"`
	Message string   `db:"message" json:"message"`
}

// Totals are numbers over all flights.
type Totals struct {
	Flights      int64    `db:"flights" json:"flights"`
	Late         int64    `db:"late" json:"late"`
	AverageDelay *float64 `db:"average_delay" json:"average_delay"`
}

const totalsQuery = `
SELECT count(*) AS flights, count(*) FILTER (WHERE delay_minutes >= 30) AS late, avg(delay_minutes)::float8 AS average_delay
FROM flights`

// definitions are everything in the database that browsers see.
func definitions(pool *pgxpool.Pool) []binding.Definition {
	return []binding.Definition{
		binding.List[Flight](),
		binding.List[Flight](binding.Name("delays"), binding.Where("delay_minutes >= 30"), binding.Order("-delay_minutes, id")),
		binding.List[Flight](binding.Name("longest"), binding.Order("-distance_miles, origin, -destination, id")),
		binding.List[Flight](binding.Name("remarks"), binding.Where("delay_minutes >= 120"), binding.Order("note, -id")),
		binding.List[Flight](binding.Name("flights_by_choice"), binding.Order("id"), binding.MaxWindow(1000),
			binding.Filter("*"), binding.Sort("*"), binding.Search("note", "origin", "destination")),
		binding.List[Airport](),
		binding.List[FlightFull](binding.Query(fullQuery)),
		binding.List[MyFlight](binding.Query(myQuery)),
		binding.List[OriginStats](binding.Query(originQuery)),
		binding.Var[Board](),
		binding.Var[Totals](binding.Name("totals"), binding.Query(totalsQuery, "flights")),
		binding.Func("delay_flight", func(ctx context.Context, d delay) (Flight, error) { return delayFlight(ctx, pool, d) }),
		binding.Func("book_flight", func(ctx context.Context, b booking) (MyFlight, error) { return bookFlight(ctx, pool, b) }),
		binding.Func("cancel_flight", func(ctx context.Context, b booking) (MyFlight, error) { return cancelFlight(ctx, pool, b) }),
	}
}

// delay are the arguments of delay_flight.
type delay struct {
	ID      *int64 `json:"id"`
	Minutes *int32 `json:"minutes"`
}

// delayFlight sets the delay of a flight and returns it.
func delayFlight(ctx context.Context, pool *pgxpool.Pool, d delay) (Flight, error) {
	if d.ID == nil || d.Minutes == nil {
		return Flight{}, server.PublicError("id and minutes are needed")
	}
	rows, err := pool.Query(ctx, `UPDATE flights SET delay_minutes = $2 WHERE id = $1
		RETURNING id, departs_at, origin, destination, delay_minutes, distance_miles, note`, *d.ID, *d.Minutes)
	if err != nil {
		return Flight{}, err
	}
	flight, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByNameLax[Flight])
	if errors.Is(err, pgx.ErrNoRows) {
		return Flight{}, server.PublicError(fmt.Sprintf("there is no flight %d", *d.ID))
	}
	return flight, err
}
