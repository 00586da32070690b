package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/client"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/socksync/socksync/server"
)

// A server of a table: every page of the list follows every commit.
func Example() {
	type Flight struct {
		_       struct{} `socksync:"table=flights; list=departures; order=departs_at, id"`
		ID      int64    `db:"id" json:"id" socksync:"pk"`
		Departs string   `db:"departs_at" json:"departs_at"`
	}
	run := func(ctx context.Context, databaseURL string) error {
		pool, err := pgxpool.New(ctx, databaseURL)
		if err != nil {
			return err
		}
		defer pool.Close()
		live, err := server.New(pool, &server.Config{Migrate: true}, binding.List[Flight]())
		if err != nil {
			return err
		}
		if err := live.Start(ctx); err != nil {
			return err
		}
		defer func() { _ = live.Stop(context.WithoutCancel(ctx)) }()
		http.Handle("/ws/socksync/", live)
		return http.ListenAndServe("127.0.0.1:8080", nil)
	}
	_ = run
}

// What is in memory needs no database: here a var, and a function that changes it
// and knows who calls.
func ExampleServer_Provide() {
	ctx := context.Background()
	motto := memory.NewVar("motto", "none")
	propose := memory.NewFunc("propose", func(ctx context.Context, args struct{ Motto string }) (string, error) {
		if args.Motto == "" {
			return "", server.PublicError("a motto has letters")
		}
		return fmt.Sprintf("%v has spoken", server.IdentityFrom(ctx)), motto.Set(args.Motto)
	})
	live, err := server.New(nil, &server.Config{
		Authenticate: func(r *http.Request) (server.Identity, error) { return r.URL.Query().Get("user"), nil },
	})
	check(err)
	check(live.Provide(motto, propose))
	check(live.Start(ctx))
	web := httptest.NewServer(live)

	c, err := client.Dial(ctx, web.URL+"?user=ann", nil)
	check(err)
	type args struct{ Motto string }
	fmt.Println(client.Call[args, string](ctx, c, "propose", args{"festina lente"}))
	fmt.Println(motto.Get())
	_, err = client.Call[args, string](ctx, c, "propose", args{})
	var told *protocol.Error
	if errors.As(err, &told) {
		fmt.Println(told.Message)
	}

	check(c.Close(ctx))
	check(live.Stop(ctx))
	web.Close()
	// Output:
	// ann has spoken <nil>
	// festina lente
	// a motto has letters
}

// A server follows what its clients provide, from the moment at which they connect.
func ExampleConn_Peer() {
	ctx := context.Background()
	present := make(chan string, 1)
	live, err := server.New(nil, &server.Config{
		OnConnect: func(_ context.Context, c *server.Conn) {
			_, err := client.FollowVar(c.Peer(), "presence", &client.VarOptions[string]{
				OnChange: func(name string) { present <- name },
			})
			check(err)
		},
	})
	check(err)
	check(live.Start(ctx))
	web := httptest.NewServer(live)

	c, err := client.Dial(ctx, web.URL, &client.Config{Provide: []client.Item{memory.NewVar("presence", "ann")}})
	check(err)
	fmt.Println(<-present, "is here")

	check(c.Close(ctx))
	check(live.Stop(ctx))
	web.Close()
	// Output: ann is here
}

// check ends an example at an error.
func check(err error) {
	if err != nil {
		panic(err)
	}
}
