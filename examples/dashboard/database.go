package main

import (
	"context"
	"embed"
	"encoding/csv"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/socksync/socksync/internal/localpg"
	"github.com/socksync/socksync/testdata"
)

//go:embed sql/*.sql
var sqlFiles embed.FS

// private starts a Postgres of the demo's own and returns the address of an empty
// database in it. stop ends it and removes its files, which also happens when the
// process is killed.
func private(ctx context.Context, log *slog.Logger) (url string, stop func(), err error) {
	pg, err := localpg.Start(ctx, &localpg.Config{Log: log})
	if err != nil {
		return "", nil, err
	}
	stop = func() {
		if err := pg.Stop(context.Background()); err != nil {
			log.Error("stop the private Postgres", "error", err)
		}
	}
	if err := pg.CreateDatabase(ctx, "dashboard"); err != nil {
		stop()
		return "", nil, err
	}
	return pg.URL("dashboard"), stop, nil
}

// prepare creates the tables and loads the data if they are empty. Several programs
// may do so at once.
func prepare(ctx context.Context, pool *pgxpool.Pool) error {
	if err := migrate(ctx, pool); err != nil {
		return fmt.Errorf("create the tables: %w", err)
	}
	empty, err := bothEmpty(ctx, pool)
	if err != nil || !empty {
		return err // nothing to lock, others may be writing
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "LOCK TABLE airports, flights IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return fmt.Errorf("lock the tables: %w", err)
		}
		empty, err := bothEmpty(ctx, tx) // another one may have been first
		if err != nil || !empty {
			return err
		}
		if err := loadAirports(ctx, tx); err != nil {
			return fmt.Errorf("load airports.csv: %w", err)
		}
		if err := loadFlights(ctx, tx); err != nil {
			return fmt.Errorf("load flights.csv: %w", err)
		}
		if err := loadBookings(ctx, tx); err != nil {
			return fmt.Errorf("book some flights: %w", err)
		}
		return nil
	})
}

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func bothEmpty(ctx context.Context, db querier) (bool, error) {
	var empty bool
	const query = "SELECT NOT EXISTS (SELECT FROM airports) AND NOT EXISTS (SELECT FROM flights)"
	if err := db.QueryRow(ctx, query).Scan(&empty); err != nil {
		return false, fmt.Errorf("look for data: %w", err)
	}
	return empty, nil
}

func migrate(ctx context.Context, pool *pgxpool.Pool) error {
	files, err := fs.Sub(sqlFiles, "sql")
	if err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(pool) // a view of the pool, which stays open
	defer func() { _ = db.Close() }()
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60)) // asks every second
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// records reads a CSV file without its header.
func records(text string) ([][]string, error) {
	all, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[1:], nil
}

func loadAirports(ctx context.Context, tx pgx.Tx) error {
	rows, err := records(testdata.Airports)
	if err != nil {
		return err
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"airports"},
		[]string{"iata", "name", "city", "state", "country", "latitude", "longitude"},
		pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) { return airport(rows[i]) }))
	return err
}

func airport(r []string) ([]any, error) {
	latitude, err := strconv.ParseFloat(r[5], 64)
	if err != nil {
		return nil, err
	}
	longitude, err := strconv.ParseFloat(r[6], 64)
	return []any{r[0], r[1], orNull(r[2]), orNull(r[3]), r[4], latitude, longitude}, err
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// notes are what every third flight gets, in turn.
var notes = []string{
	"catering late", "Gate change", "crew rest", "de-icing", "bird strike", "Équipe relief", "weather en route", "late inbound aircraft",
	"baggage hold", "security sweep", "fuel stop", "ATC slot", "medical on board", "zone B boarding", "no show",
}

// loadFlights numbers the flights from 1 in the order of the file, and leaves the
// identity column to go on behind them.
func loadFlights(ctx context.Context, tx pgx.Tx) error {
	rows, err := records(testdata.Flights)
	if err != nil {
		return err
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"flights"},
		[]string{"id", "departs_at", "origin", "destination", "delay_minutes", "distance_miles", "note"},
		pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) { return flight(i+1, rows[i]) }))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "SELECT setval(pg_get_serial_sequence('flights', 'id'), (SELECT max(id) FROM flights))")
	return err
}

// loadBookings books a few flights for each of the passengers.
func loadBookings(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `INSERT INTO bookings SELECT p.name, f.id FROM unnest($1::text[]) WITH ORDINALITY p (name, n)
		JOIN flights f ON f.id % 2000 = 300 * p.n`, passengers)
	return err
}

func flight(id int, r []string) ([]any, error) {
	departs, err := time.Parse("2006-01-02 15:04", r[0])
	if err != nil {
		return nil, err
	}
	miles, err := strconv.ParseInt(r[4], 10, 32)
	if err != nil {
		return nil, err
	}
	var minutes, note any
	if r[3] != "" {
		if minutes, err = strconv.ParseInt(r[3], 10, 32); err != nil {
			return nil, err
		}
	}
	if id%3 == 0 {
		note = notes[id/3%len(notes)]
	}
	return []any{id, departs, r[1], r[2], minutes, miles, note}, nil
}
