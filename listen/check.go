package listen

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrSchema says that the socksync schema is not in the database, or not as this package needs it.
var ErrSchema = errors.New("schema socksync is missing or out of date: run the migrations")

// minVersion is the oldest server that is supported, as server_version_num counts.
const minVersion = 140000

// What the feed uses of the schema.
const checkSQL = `select pg_catalog.current_setting('server_version_num')::pg_catalog.int4, pg_catalog.pg_is_in_recovery(), array(
	select name from pg_catalog.unnest(array['change', 'epoch', 'epoch_twin', 'pruned', 'bell']) name
		where pg_catalog.to_regclass('socksync.' || name) is null
	union all
	select name from pg_catalog.unnest(array['bell_set(bigint,bigint,bigint)', 'changes(bigint,bigint[])', 'prune(pg_snapshot)']) name
		where pg_catalog.to_regprocedure('socksync.' || name) is null)`

// check is Start's look at the database.
func (f *Feed) check(ctx context.Context) error {
	conn, err := connect(ctx, f.config.Pool, func() {})
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer closeConn(conn, f.config.tuning.setupTimeout)
	var version int
	var standby bool
	var absent []string
	if err := conn.QueryRow(ctx, checkSQL).Scan(&version, &standby, &absent); err != nil {
		return fmt.Errorf("check the database: %w", err)
	}
	switch {
	case version < minVersion:
		return fmt.Errorf("the server is PostgreSQL %d; 14 or newer is needed", version/10000)
	case standby:
		return errStandby
	case len(absent) > 0:
		return fmt.Errorf("%w (there is no %s)", ErrSchema, strings.Join(absent, ", "))
	}
	return checkAccess(ctx, conn)
}

// checkAccess tries to read, so that missing rights are an error of Start.
func checkAccess(ctx context.Context, conn *pgx.Conn) error {
	var st state
	b := &pgx.Batch{}
	queueState(b, true, &st)
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("%w (the role needs the rights of the schema's owner)", err)
	}
	return nil
}
