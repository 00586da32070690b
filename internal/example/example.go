// Package example runs the smaller programs of the folder examples: the database,
// the addresses and the end of a program, which are the same in all of them.
package example

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/socksync/socksync/internal/localpg"
	"github.com/socksync/socksync/server"
)

// Program is an example.
type Program struct {
	// Name is that of the program and of its private database.
	Name string
	// Schema is SQL that makes the tables if they are not there.
	Schema string
	// Build makes the live server and what is served.
	Build func(pool *pgxpool.Pool) (*server.Server, http.Handler, error)
}

// Options are the flags of a program.
type Options struct {
	Addr     string // to serve at
	Database string // URL; empty for a private Postgres, which goes with the program
}

// Main is the main function of the program.
func (p *Program) Main() {
	var o Options
	flags := flag.NewFlagSet(p.Name, flag.ExitOnError)
	flags.StringVar(&o.Addr, "addr", "127.0.0.1:8080", "`address` to serve at")
	flags.StringVar(&o.Database, "database-url", os.Getenv("DATABASE_URL"), "Postgres `URL`; default $DATABASE_URL, or a private Postgres")
	_ = flags.Parse(os.Args[1:]) // it ends the program itself
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := p.Run(ctx, o, func(addr string) { fmt.Printf("Open http://%s\n", addr) })
	if err != nil && ctx.Err() == nil {
		slog.Error(err.Error())
		os.Exit(1) //nolint:gocritic // the signals go with the process
	}
}

// Run serves until the context ends, and then takes everything down. ready is told
// the address.
func (p *Program) Run(ctx context.Context, o Options, ready func(addr string)) error {
	if o.Database == "" {
		url, stop, err := p.private(ctx)
		if err != nil {
			return err
		}
		defer stop()
		o.Database = url
		fmt.Printf("A private Postgres is at\n  psql '%s'\n", url)
	}
	pool, err := pgxpool.New(ctx, o.Database)
	if err != nil {
		return fmt.Errorf("database URL: %w", err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, p.Schema); err != nil {
		return fmt.Errorf("create the tables: %w", err)
	}
	live, routes, err := p.Build(pool)
	if err != nil {
		return err
	}
	if err := live.Start(ctx); err != nil {
		return err
	}
	defer func() { _ = live.Stop(context.Background()) }() // it cannot fail without a deadline
	return serve(ctx, o.Addr, live, routes, ready)
}

// private starts a Postgres of the program's own.
func (p *Program) private(ctx context.Context) (url string, stop func(), err error) {
	pg, err := localpg.Start(ctx, nil)
	if err != nil {
		return "", nil, err
	}
	stop = func() { _ = pg.Stop(context.Background()) } // it also goes with the process
	if err := pg.CreateDatabase(ctx, p.Name); err != nil {
		stop()
		return "", nil, err
	}
	return pg.URL(p.Name), stop, nil
}

// stopTime is how long a plain request may take when the program ends.
const stopTime = 3 * time.Second

func serve(ctx context.Context, addr string, live *server.Server, routes http.Handler, ready func(string)) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: routes, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		last := context.WithoutCancel(ctx)
		_ = live.Stop(last) // its connections are hijacked: the web server does not know them
		end, cancel := context.WithTimeout(last, stopTime)
		defer cancel()
		if web.Shutdown(end) != nil {
			_ = web.Close() // what is still open is a request that does not end
		}
	}()
	ready(listener.Addr().String())
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-ended
	return nil
}
