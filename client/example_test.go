package client_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/socksync/socksync/client"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/server"
)

type task struct {
	Title string `json:"title"`
}

// A client follows a list of a server, and sees a change of it.
func Example() {
	ctx := context.Background()
	tasks := memory.NewList[task]("tasks", nil)
	url, stop := serve(ctx, tasks, memory.NewFunc("add", func(_ context.Context, t task) (int, error) {
		return tasks.Len() + 1, tasks.Append(t)
	}))
	defer stop()

	c, err := client.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close(ctx) }()
	list, err := client.FollowList(c, "tasks", &client.ListOptions[task]{PageSize: 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	n, err := client.Call[task, int](ctx, c, "add", task{"Write an example"})
	fmt.Println("tasks:", n, err)
	for range list.Changed() {
		if page, err := list.Snapshot(); err != nil || len(page.Items) > 0 {
			fmt.Println(page.Items, "of", page.Total, err)
			break
		}
	}
	// Output:
	// tasks: 1 <nil>
	// [{Write an example}] of 1 <nil>
}

// serve starts a server that provides items, without a database.
func serve(ctx context.Context, items ...client.Item) (url string, stop func()) {
	s, err := server.New(nil, nil)
	if err != nil {
		panic(err)
	}
	if err := s.Provide(items...); err != nil {
		panic(err)
	}
	if err := s.Start(ctx); err != nil {
		panic(err)
	}
	h := httptest.NewServer(s)
	return h.URL, func() {
		_ = s.Stop(ctx)
		h.Close()
	}
}
