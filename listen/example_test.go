package listen_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/socksync/socksync/listen"
)

// printer prints the keys that changed. Something useful would read the rows in tx, keep them aside, and make them its
// present in Commit.
type printer struct{ keys [][]string }

func (p *printer) Drain(_ context.Context, _ pgx.Tx, d *listen.Drain) error {
	p.keys = nil
	if c := d.Tables["flights"]; c != nil {
		p.keys = c.Keys // c.All and c.Missing matter, too
	}
	return nil
}

func (p *printer) Commit() { fmt.Println("changed:", p.keys) }

func (p *printer) Abort(err error) { fmt.Println("comes again:", err) }

func (p *printer) Down(err error) { fmt.Println("the database is away:", err) }

func Example() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres:///example")
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	feed, err := listen.New(&listen.Config{
		Pool:   pool,
		Tables: []listen.Table{{Name: "flights", Key: []string{"id"}}},
	}, &printer{})
	if err != nil {
		panic(err)
	}
	if err := feed.Start(ctx); err != nil { // for instance: run the migrations
		panic(err)
	}
	// The program runs, and in the end:
	if err := feed.Stop(ctx); err != nil {
		panic(err)
	}
}
