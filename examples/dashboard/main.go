// Dashboard shows airports and flights, live: lists in all orders, one of them sorted,
// filtered and searched as everybody likes, the flights that each user has booked, totals,
// a notice board, who is here, and functions in both directions. Without a database it starts one of its own and
// removes it when it ends.
package main

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
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/server"
)

// options are the flags of the program.
type options struct {
	addr     string
	database string
	redis    string
	simulate int
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("dashboard", flag.ContinueOnError)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`address` to serve at")
	flags.StringVar(&o.database, "database-url", os.Getenv("DATABASE_URL"), "Postgres `URL`; default $DATABASE_URL, or a private Postgres")
	flags.StringVar(&o.redis, "redis-url", os.Getenv("REDIS_URL"), "Redis `URL` for several nodes; default $REDIS_URL, or one node in this process")
	flags.IntVar(&o.simulate, "simulate", 5, "random writes per second, 0 for none")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	if o.simulate < 0 || o.simulate > maxWrites {
		return o, fmt.Errorf("-simulate %d: it must be from 0 to %d", o.simulate, maxWrites)
	}
	return o, nil
}

// maxWrites is the most writes per second that can be simulated.
const maxWrites = 1000

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
		err = run(ctx, o, log, func(address string) { fmt.Printf("Open http://%s\n", address) })
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = nil // told to end while it was starting
		}
	}
	if err != nil {
		log.Error(err.Error())
		os.Exit(1)
	}
}

// run serves until the context ends, and then takes everything down. ready is told
// the address.
func run(ctx context.Context, o options, log *slog.Logger, ready func(address string)) error {
	if o.redis != "" {
		log.Warn("this version runs on one node and does not use Redis", "redis-url", "ignored")
	}
	if o.database == "" {
		url, stop, err := private(ctx, log)
		if err != nil {
			return err
		}
		defer stop()
		o.database = url
		fmt.Printf("A private Postgres is at\n  psql '%s'\n", url)
	}
	pool, err := pgxpool.New(ctx, o.database)
	if err != nil {
		return fmt.Errorf("database URL: %w", err)
	}
	defer pool.Close()
	if err := prepare(ctx, pool); err != nil {
		return err
	}
	live, err := newServer(pool, log)
	if err != nil {
		return err
	}
	if err := live.Start(ctx); err != nil {
		return err
	}
	defer func() { _ = live.Stop(context.Background()) }() // it cannot fail without a deadline
	return serve(ctx, o, pool, live, log, ready)
}

func newServer(pool *pgxpool.Pool, log *slog.Logger) (*server.Server, error) {
	guests := newGuests(log)
	config := &server.Config{Migrate: true, Authenticate: authenticate, OnConnect: guests.connected, Log: log}
	live, err := server.New(pool, config, definitions(pool)...)
	if err != nil {
		return nil, err
	}
	err = live.Provide(guests.list, memory.NewFunc("broadcast_notice", func(ctx context.Context, n notice) (int, error) {
		return broadcast(ctx, live.Conns(), n)
	}))
	return live, err
}

// stopTime is how long a request for the page may take when the program ends.
const stopTime = 3 * time.Second

// serve runs the web server and the simulation.
func serve(ctx context.Context, o options, pool *pgxpool.Pool, live *server.Server, log *slog.Logger, ready func(string)) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	if o.simulate > 0 {
		background.Go(func() { newSimulator(pool, log).run(ctx, o.simulate) })
	}
	web := &http.Server{Handler: routes(live), ReadHeaderTimeout: 10 * time.Second}
	background.Go(func() {
		<-ctx.Done()
		_ = live.Stop(context.Background()) // its connections are hijacked, the web server does not know them
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		if web.Shutdown(end) != nil {
			_ = web.Close() // what is still open is a request that does not end
		}
	})
	ready(listener.Addr().String())
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
