package migrations

import (
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNoSchema says that the schema socksync is not there or is older than this package. Call Up, or apply the files that
// WriteFiles writes.
var ErrNoSchema = errors.New("schema socksync is missing or outdated")

// ErrRights says that the pool's role lacks rights that the step needs. Use a role that may create schemas for Up, one
// that is a member of the owners of the schema and of the tables for Install and Uninstall, and Grant for a server's.
var ErrRights = errors.New("the role lacks rights of a migration role")

// TableError says why a table cannot be followed: it does not exist, is of a kind whose changes triggers do not see, or
// its key does not tell its rows apart.
type TableError struct {
	Table  Table
	Reason string // a clause about the table, such as: it has no column "id"
	err    error  // what the database said; may be nil
}

// Error names the table and the reason.
func (e *TableError) Error() string {
	return fmt.Sprintf("table %s cannot be followed: %s", e.Table.Name, e.Reason)
}

// Unwrap returns what the database said, if it was asked.
func (e *TableError) Unwrap() error { return e.err }

// The SQLSTATEs that are told apart.
const (
	stateRefused    = "SS001" // ours: see socksync.refuse
	stateNoRights   = "42501"
	stateLockNotGot = "55P03"
	stateBadName    = "42602"
	stateSyntax     = "42601"
)

// hasState reports whether err is an error of the database with one of the codes.
func hasState(err error, codes ...string) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && slices.Contains(codes, pgErr.Code)
}

// explain adds to an error of the database what its reader can do about it.
func explain(err error) error {
	switch {
	case hasState(err, stateNoRights):
		return fmt.Errorf("%w: %w", ErrRights, err)
	case hasState(err, stateLockNotGot):
		return fmt.Errorf("a long transaction is using the table, try again when it has ended: %w", err)
	}
	return err
}

// explainTable is explain for a step that was about a table.
func explainTable(t Table, err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == stateRefused {
		return &TableError{Table: t, Reason: pgErr.Detail, err: err}
	}
	return explain(err)
}
