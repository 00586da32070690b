package listen

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Drainer takes what the feed reads. All methods are called on the feed goroutine, one at a time and never at the same
// time as a function given to [Feed.Do]. They may call Do, Kick and Watch, but not Load, which waits for the feed.
type Drainer interface {
	// Drain reads in tx what it needs and stages the result. tx is REPEATABLE READ and READ ONLY, d.Snapshot is its
	// snapshot, and the session's settings are fixed (UTC, ISO dates, round-trip floats, hex bytea). Drain must not end
	// tx, and must not keep it, though it may keep d.
	//
	// An error undoes the drain. A *[TableError] leaves that table out: the drain is repeated at once without it, and
	// its changes are kept for later drains. Any other error has everything come again after a pause.
	Drain(ctx context.Context, tx pgx.Tx, d *Drain) error

	// Commit publishes what the last Drain staged. The transaction has ended well, and no table was altered during it.
	Commit()

	// Abort drops what the last Drain staged; the changes come again. It follows each Drain that Commit does not.
	Abort(err error)

	// Down says that the database cannot be reached, once for each time that it went away. The next Drain says that it
	// is back, and has all changes of the meantime.
	Down(err error)
}

// Drain is what became visible since the last drain that was committed.
type Drain struct {
	// Snapshot is the transaction's: it stands for the moment at which everything read in it was true.
	Snapshot Snapshot
	// Epoch names the history that snapshots belong to. When it changes, all tables have Change.All.
	Epoch string
	// Tables has the changed tables by Table.Name.
	Tables map[string]*Change
	// Skipped has the tables that must not be read in this drain, and why: a lock held by someone else, mostly. Reading
	// one would fail, or show rows of which the changes have not been handed over.
	Skipped map[string]error
	// Joined are the loads that are complete.
	Joined []Joined
}

// Change is what is known of the changes of one table.
type Change struct {
	// Keys of rows that were inserted, updated or deleted, each a row of texts in the order of Table.Key. Each key comes
	// once as a text; 1.0 and 1.00 are two texts.
	Keys [][]string
	// Logged are the values of Table.Logged, each row in that order, that changed rows had or have: each row of values
	// once. Nil is NULL.
	Logged [][]*string
	// All means that any row may have changed: the table is to be read again. Keys is empty then.
	All bool
	// Missing says that the table, or a column that it needs, is not there now. Nothing else is set then. The next
	// Change of the table has either another Missing, or All when the table is complete again.
	Missing error
}

// Joined is a complete load, handed over in the drain that follows it.
type Joined struct {
	// Token is what Load was given.
	Token any
	// Tables has what changed in the load's tables between its snapshot and the drain's. It is for this load alone:
	// Drain.Tables starts at another snapshot.
	Tables map[string]*Change
	// Stale means that the load cannot be brought up to date, and is worthless: load again.
	Stale bool
}

// TableError says that one table could not be read. Drain returns it to have the drain go on without the table.
type TableError struct {
	Table string // Table.Name
	Err   error
}

// Error returns the table and the reason.
func (e *TableError) Error() string { return fmt.Sprintf("table %s: %v", e.Table, e.Err) }

// Unwrap returns the reason.
func (e *TableError) Unwrap() error { return e.Err }

// Codes of Postgres.
const (
	lockNotAvailable = "55P03" // a lock was not to be had within lock_timeout
	queryCanceled    = "57014" // among others by statement_timeout
)

// IsLockTimeout reports whether an error says that a table is locked by someone else: worth a [TableError].
func IsLockTimeout(err error) bool { return hasCode(err, lockNotAvailable) }

func hasCode(err error, code string) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == code
}
