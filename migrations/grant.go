package migrations

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Grant lets a role run a server: read and prune the change log, set the doorbell, begin epochs, and ask for Status. It
// does not let it install anything. The pool's role must own the schema. Call it again after each Up that changes the
// version. Whoever only writes to followed tables needs no grant.
func Grant(ctx context.Context, pool *pgxpool.Pool, role string) error {
	if err := requireSchema(ctx, pool); err != nil {
		return fmt.Errorf("grant the use of schema socksync: %w", err)
	}
	quoted := pgx.Identifier{role}.Sanitize()
	if _, err := pool.Exec(ctx, "select socksync.grant_use($1::pg_catalog.text::pg_catalog.regrole)", quoted); err != nil {
		return fmt.Errorf("grant the use of schema socksync to %s: %w", quoted, explain(err))
	}
	return nil
}
