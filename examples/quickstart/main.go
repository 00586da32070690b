// Quickstart shows a table of Postgres, live, at http://127.0.0.1:8080.
package main

import (
	"context"
	"embed"
	"log"
	"net/http"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/server"
)

type task struct {
	_     struct{} `socksync:"table=tasks; list=tasks; order=done, id; max_page_size=20"`
	ID    int64    `db:"id" json:"id" socksync:"pk"`
	Title string   `db:"title" json:"title"`
	Done  bool     `db:"done" json:"done"`
}

//go:embed index.html
var page embed.FS

func main() {
	pool := must(pgxpool.New(context.Background(), os.Getenv("DATABASE_URL")))
	must(pool.Exec(context.Background(), "CREATE TABLE IF NOT EXISTS tasks (id serial PRIMARY KEY, title text NOT NULL, done bool NOT NULL DEFAULT false)"))
	live := must(server.New(pool, &server.Config{Migrate: true}, binding.List[task]()))
	http.Handle("/ws/socksync/", must(live, live.Start(context.Background())))
	http.Handle("/", http.FileServerFS(page))
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
