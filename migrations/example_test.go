package migrations_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/socksync/socksync/migrations"
)

// A program that migrates by itself does so before it starts its server. It may do so each time: what is there already is
// not touched.
func Example() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	if err := migrations.Up(ctx, pool); err != nil {
		panic(err)
	}
	tables := []migrations.Table{{Name: "public.flights", Key: []string{"id"}}}
	if err := migrations.Install(ctx, pool, tables); err != nil {
		panic(err)
	}
}

// A program that must not migrate checks instead, and says what is missing.
func ExampleStatus() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	status, err := migrations.Status(ctx, pool, []migrations.Table{{Name: "public.flights", Key: []string{"id"}}})
	if err != nil {
		panic(err)
	}
	if err := status.Err(); err != nil {
		panic(err)
	}
}

// Files for a pipeline that applies migrations with goose.
func ExampleWriteFiles() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, tables := range [][]migrations.Table{
		{{Name: "public.flights", Key: []string{"id"}}},
		{{Name: "public.flights", Key: []string{"id"}}, {Name: "public.airports", Key: []string{"iata"}}},
	} {
		paths, err := migrations.WriteFiles(dir, tables)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, path := range paths {
			fmt.Println(filepath.Base(path))
		}
		fmt.Println()
	}
	// Output:
	// 00001_socksync_change_log.sql
	// 00002_socksync_trigger_plan.sql
	// 00003_socksync_installer.sql
	// 00004_socksync_logged_columns.sql
	// 00005_socksync_triggers.sql
	//
	// 00006_socksync_triggers.sql
}
