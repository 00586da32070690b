package store_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jmoiron/sqlx"

	"github.com/socksync/socksync/internal/localpg"
	"github.com/socksync/socksync/store"
)

// Flight is the struct of the examples.
type Flight struct {
	_      struct{} `socksync:"table=flights; list=departures; order=number"`
	ID     int64    `db:"id" json:"id" socksync:"pk"`
	Number string   `db:"number" json:"number"`
	Delay  *int     `db:"delay_minutes" json:"delay_minutes"`
}

// withFlights runs an example on a database with the table
//
//	CREATE TABLE flights (
//		id            bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
//		number        text NOT NULL UNIQUE,
//		delay_minutes int)
func withFlights(example func(ctx context.Context, db *sqlx.DB) error) {
	ctx := context.Background()
	server, err := localpg.Start(ctx, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	pool, err := pgxpool.New(ctx, server.URL("postgres"))
	if err != nil {
		fmt.Println(errors.Join(err, server.Stop(ctx)))
		return
	}
	db := store.Open(pool)
	if _, err = db.ExecContext(ctx, `CREATE TABLE flights (
		id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, number text NOT NULL UNIQUE, delay_minutes int)`); err == nil {
		err = example(ctx, db)
	}
	err = errors.Join(err, db.Close())
	pool.Close()
	if err = errors.Join(err, server.Stop(ctx)); err != nil {
		fmt.Println(err)
	}
}

func ExampleOpen() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://localhost/flights")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	db := store.Open(pool)
	flights, err := store.New[Flight](ctx, db)
	fmt.Println(flights, err)
	fmt.Println(db.Close()) // the pool stays open
}

func Example() {
	withFlights(func(ctx context.Context, db *sqlx.DB) error {
		flights, err := store.New[Flight](ctx, db)
		if err != nil {
			return err
		}

		for i, number := range []string{"SK 1", "SK 2", "SK 3"} {
			delay := 15 * i
			f := Flight{Number: number, Delay: &delay}
			if err := flights.Insert(ctx, &f); err != nil {
				return err
			}
			fmt.Println("inserted", f.ID, f.Number)
		}

		late, err := flights.List(ctx, store.Query{Where: store.Gte("delay_minutes", 15), Order: "-delay_minutes"})
		if err != nil {
			return err
		}
		for _, f := range late {
			fmt.Println("late", f.Number, *f.Delay)
		}

		f, err := flights.Get(ctx, 1)
		if err != nil {
			return err
		}
		f.Delay = nil
		if err := flights.Update(ctx, &f, "delay_minutes"); err != nil {
			return err
		}
		if err := flights.Delete(ctx, 2); err != nil {
			return err
		}
		n, err := flights.Count(ctx, store.NotNull("delay_minutes"))
		if err != nil {
			return err
		}
		fmt.Println("with a delay", n)
		return nil
	})
	// Output:
	// inserted 1 SK 1
	// inserted 2 SK 2
	// inserted 3 SK 3
	// late SK 3 30
	// late SK 2 15
	// with a delay 1
}

func ExampleInTx() {
	withFlights(func(ctx context.Context, db *sqlx.DB) error {
		flights, err := store.New[Flight](ctx, db)
		if err != nil {
			return err
		}
		err = store.InTx(ctx, db, func(tx *sqlx.Tx) error {
			flights := flights.With(tx)
			if err := flights.Insert(ctx, &Flight{Number: "SK 1"}); err != nil {
				return err
			}
			return flights.Insert(ctx, &Flight{Number: "SK 1"})
		})
		fmt.Println(err)

		var pg *pgconn.PgError
		if errors.As(err, &pg) {
			fmt.Println(pg.ConstraintName)
		}
		_, err = flights.Get(ctx, 1)
		fmt.Println(errors.Is(err, store.ErrNotFound))
		return nil
	})
	// Output:
	// store: insert into "flights": ERROR: duplicate key value violates unique constraint "flights_number_key" (SQLSTATE 23505)
	// flights_number_key
	// true
}

// A definition that does not fit the table is refused at once.
func ExampleNew() {
	type Gate struct {
		_      struct{} `socksync:"table=flights"`
		ID     int64    `db:"id" socksync:"pk"`
		Number bool     `db:"number"`
		Gate   string   `db:"gate"`
	}
	withFlights(func(ctx context.Context, db *sqlx.DB) error {
		_, err := store.New[Gate](ctx, db)
		return err
	})
	// Output:
	// binding: model store_test.Gate: struct store_test.Gate: field Gate: tag db:"gate": table "flights" has no column "gate"
}

func ExampleModel_List() {
	var flights *store.Model[Flight] // from New
	page, err := flights.List(context.Background(), store.Query{
		Where: store.And(
			store.In("number", "SK 1", "SK 2", "SK 3"),
			store.Or(store.IsNull("delay_minutes"), store.Lt("delay_minutes", 30)),
		),
		Order:  "-delay_minutes nulls last",
		Limit:  20,
		Offset: 40,
	})
	fmt.Println(page, err)
}

func ExampleModel_Insert() {
	var flights *store.Model[Flight] // from New
	f := Flight{Number: "SK 1"}
	// Only the number is written; the database fills the other columns, and f with them.
	err := flights.Insert(context.Background(), &f, "number")
	fmt.Println(f.ID, err)
}
