package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// versionTable is where goose records the versions of the schema: inside it, so that it never meets the user's own.
const versionTable = "socksync.goose_db_version"

// advisoryClass and installKey are the advisory lock that everything holds which changes the schema or the triggers.
const (
	advisoryClass = 7305813
	installKey    = 3
)

// writing is the kind of transaction that changes the schema, whatever the role's defaults: each statement must see what
// was committed while the one before it waited for a lock.
var writing = pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}

//go:embed sql
var embedded embed.FS

// Up creates the socksync schema, or brings it to the version that this package knows. It does nothing, and needs no
// rights beyond reading the table of versions, when that has happened already. Several processes may call it at once.
//
// The role must be allowed to create a schema in the database; it becomes the owner of everything in the schema.
// The pool may hold a single connection, and stays open.
func Up(ctx context.Context, pool *pgxpool.Pool) error {
	version, err := schemaVersion(ctx, pool)
	if err != nil {
		return fmt.Errorf("migrate schema socksync up: %w", err)
	}
	if version >= latestVersion() {
		return nil
	}
	err = withProvider(pool, func(p *goose.Provider) error {
		if err := createVersionTable(ctx, pool); err != nil {
			return err
		}
		_, err := p.Up(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("migrate schema socksync up: %w", explain(err))
	}
	return nil
}

// Down removes every trigger of this package from every table, and then the schema with all that is in it. It does
// nothing when there is no schema. It must not run at the same time as Up: one of the two may then fail.
//
// The role must own the schema. The pool may hold a single connection, and stays open.
func Down(ctx context.Context, pool *pgxpool.Pool) error {
	exists, err := hasVersionTable(ctx, pool)
	if err != nil {
		return fmt.Errorf("migrate schema socksync down: %w", err)
	}
	if !exists {
		return nil
	}
	err = withProvider(pool, func(p *goose.Provider) error {
		if _, err := p.DownTo(ctx, 0); err != nil {
			return err
		}
		return dropVersionTable(ctx, pool)
	})
	if err != nil {
		return fmt.Errorf("migrate schema socksync down: %w", explain(err))
	}
	return nil
}

// withProvider lends f a goose provider over the pool. The provider is not closed, since that would close a handle that
// is not its own; the handle that is made here gives its connections back to the pool and holds nothing else.
func withProvider(pool *pgxpool.Pool, f func(*goose.Provider) error) error {
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close() //nolint:errcheck // closes no connection of the pool, and has nothing to report
	files, err := fs.Sub(embedded, "sql/versions")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithTableName(versionTable),
		goose.WithSessionLocker(locker{}),
		goose.WithDisableGlobalRegistry(true), // the program's own migrations are none of ours
	)
	if err != nil {
		return err
	}
	return f(provider)
}

// locker is goose's session lock. Unlike goose's own it waits in Postgres instead of asking every five seconds.
type locker struct{}

// SessionLock waits until the connection holds the lock or ctx ends.
func (locker) SessionLock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "select pg_catalog.pg_advisory_lock($1, $2)", advisoryClass, installKey)
	return err
}

// SessionUnlock gives the lock back.
func (locker) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "select pg_catalog.pg_advisory_unlock($1, $2)", advisoryClass, installKey)
	return err
}

// createVersionTable makes the schema and the table of versions, in one transaction under the lock: goose makes its
// table without one, and two processes that start together would meet there.
func createVersionTable(ctx context.Context, pool *pgxpool.Pool) error {
	text, err := embedded.ReadFile("sql/versions.sql")
	if err != nil {
		return err
	}
	return underLock(ctx, pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, string(text))
		return err
	})
}

// dropVersionTable ends Down, unless an Up came in between.
func dropVersionTable(ctx context.Context, pool *pgxpool.Pool) error {
	return underLock(ctx, pool, func(tx pgx.Tx) error {
		var version int64
		const query = "select coalesce(pg_catalog.max(version_id), 0) from " + versionTable
		if err := tx.QueryRow(ctx, query).Scan(&version); err != nil || version > 0 {
			return err
		}
		_, err := tx.Exec(ctx, "drop table "+versionTable+"; drop schema socksync")
		return err
	})
}

// underLock runs f in a transaction that holds the advisory lock.
func underLock(ctx context.Context, pool *pgxpool.Pool, f func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, pool, writing, func(tx pgx.Tx) error {
		const lock = "select pg_catalog.pg_advisory_xact_lock($1, $2)"
		if _, err := tx.Exec(ctx, lock, advisoryClass, installKey); err != nil {
			return err
		}
		return f(tx)
	})
}
