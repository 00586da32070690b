package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"
)

// Open returns an sqlx handle that takes its connections from pool and holds
// none while it is idle. The caller closes the handle, before it closes pool;
// that leaves pool open.
func Open(pool *pgxpool.Pool) *sqlx.DB {
	return sqlx.NewDb(stdlib.OpenDBFromPool(pool), "pgx")
}

// InTx runs fn in a transaction and commits it. If fn fails or panics, or ctx
// ends, the transaction is rolled back. An error of fn is returned as it is. fn
// reads and writes through [Model.With].
//
// The isolation is the database's default; a program that wants another begins
// the transaction itself, with BeginTxx.
func InTx(ctx context.Context, db *sqlx.DB, fn func(tx *sqlx.Tx) error) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	defer func() {
		_ = tx.Rollback() // fails after a commit; before one, the error that led here says more
	}()
	if err := fn(tx); err != nil {
		return err
	}
	err = tx.Commit()
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
		err = ctx.Err() // which is what rolled it back
	}
	if err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	return nil
}
