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

type departure struct {
	ID           int    `json:"id"`
	Origin       string `json:"origin"`
	DelayMinutes *int   `json:"delay_minutes"`
	Note         string `json:"note"`
}

// A client chooses what it sees of a list of a table, and changes its mind.
func ExampleList_Choose() {
	ctx := context.Background()
	c, err := client.Dial(ctx, "wss://example.com/ws/socksync/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	late, err := client.FollowList(c, "flights_by_choice", &client.ListOptions[departure]{
		Sort:     []string{"-delay_minutes"},
		Filter:   []client.Condition{client.Gte("delay_minutes", 15)},
		PageSize: 50,
		OnChange: func(page client.Page[departure]) { fmt.Println(page.Items, "of", page.Total) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer late.Close()
	_, err = late.Choose(ctx, client.Window{
		Filter:   []client.Condition{client.In("origin", []string{"OSL", "BGO"}), client.Null("note", false)},
		Search:   "fog",
		PageSize: 50,
	})
	if err != nil {
		fmt.Println(err) // such as: filter: note: not allowed
	}
}

// Scrolling without end is one window that grows; what it shows stays live.
func ExampleList_Grow() {
	ctx := context.Background()
	tasks := memory.NewList[task]("tasks", nil)
	_ = tasks.Replace([]task{{"one"}, {"two"}, {"three"}, {"four"}, {"five"}})
	url, stop := serve(ctx, tasks)
	defer stop()
	c, err := client.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close(ctx) }()

	list, err := client.FollowList[task](c, "tasks", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	page, err := list.Choose(ctx, client.Window{Anchored: true, PageSize: 2})
	fmt.Println(page.Items, "of", page.Total, err)
	for err == nil && len(page.Items) < page.Total {
		page, err = list.Grow(ctx, len(page.Items)+2)
		fmt.Println(page.Items, "of", page.Total, err)
	}
	// Output:
	// [{one} {two}] of 5 <nil>
	// [{one} {two} {three} {four}] of 5 <nil>
	// [{one} {two} {three} {four} {five}] of 5 <nil>
}

// Who reads a page may hold it, and is told what it is missing.
func ExampleList_Pause() {
	ctx := context.Background()
	tasks := memory.NewList[task]("tasks", nil)
	_ = tasks.Append(task{"read this"})
	url, stop := serve(ctx, tasks)
	defer stop()
	c, err := client.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close(ctx) }()

	list, err := client.FollowList[task](c, "tasks", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = list.Get(ctx, 0, 10)
	fmt.Println(err, list.Pause(ctx))
	_ = tasks.Append(task{"and this"})
	for range list.Changed() {
		if page, _ := list.Snapshot(); page.Pending > 0 {
			fmt.Println(page.Items, "and", page.Pending, "more")
			break
		}
	}
	page, err := list.Resume(ctx)
	fmt.Println(page.Items, err)
	// Output:
	// <nil> <nil>
	// [{read this}] and 1 more
	// [{read this} {and this}] <nil>
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
