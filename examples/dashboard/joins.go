package main

import "time"

// FlightFull is a flight with what its airports are called.
type FlightFull struct {
	_ struct{} `socksync:"table=flights; list=flights_full; order=departs_at, id; max_window=1000; filter=*; sort=*; search=origin_name, destination_name, note; depends=airports.iata > flights.origin, airports.iata > flights.destination"`
	Flight
	OriginName      string  `db:"origin_name" json:"origin_name"`
	OriginCity      *string `db:"origin_city" json:"origin_city"`
	DestinationName string  `db:"destination_name" json:"destination_name"`
	DestinationCity *string `db:"destination_city" json:"destination_city"`
}

const fullQuery = `
SELECT f.*, o.name AS origin_name, o.city AS origin_city, d.name AS destination_name, d.city AS destination_city
FROM flights f JOIN airports o ON o.iata = f.origin JOIN airports d ON d.iata = f.destination`

// MyFlight is a flight that the user has booked.
type MyFlight struct {
	_             struct{}  `socksync:"table=bookings; list=my_flights; where=user_name = @user; order=departs_at, flight_id; depends=flights.id > bookings.flight_id"`
	UserName      string    `db:"user_name" json:"-" socksync:"pk"`
	FlightID      int64     `db:"flight_id" json:"flight_id" socksync:"pk"`
	DepartsAt     time.Time `db:"departs_at" json:"departs_at"`
	Origin        string    `db:"origin" json:"origin"`
	Destination   string    `db:"destination" json:"destination"`
	DelayMinutes  *int32    `db:"delay_minutes" json:"delay_minutes"`
	DistanceMiles int32     `db:"distance_miles" json:"distance_miles"`
	Note          *string   `db:"note" json:"note"`
}

const bookedFlight = "b.user_name, b.flight_id, f.departs_at, f.origin, f.destination, f.delay_minutes, f.distance_miles, f.note"

const myQuery = "SELECT " + bookedFlight + " FROM bookings b JOIN flights f ON f.id = b.flight_id"

// OriginStats are numbers over the flights from one airport.
type OriginStats struct {
	_            struct{} `socksync:"list=by_origin; order=-flights, origin; depends=flights.origin"`
	Origin       string   `db:"origin" json:"origin" socksync:"pk"`
	Flights      int64    `db:"flights" json:"flights"`
	Late         int64    `db:"late" json:"late"`
	AverageDelay *float64 `db:"average_delay" json:"average_delay"`
}

const originQuery = `
SELECT origin, count(*) AS flights, count(*) FILTER (WHERE delay_minutes >= 30) AS late, avg(delay_minutes)::float8 AS average_delay
FROM flights GROUP BY origin`
