package migrations

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Table is a table to follow.
type Table struct {
	Name string   // as in SQL: flights, public.flights, "Odd Name". Without a schema, the connection's search path decides
	Key  []string // the names of the key columns, not quoted, in the order in which keys are logged
	// Logged are the names of further columns, not quoted, whose values are logged behind the key: those that a row had
	// and those that it has. They may be NULL and need not be unique. Their order counts, as that of the key does.
	Logged []string `json:",omitempty"`
}

// logged is Logged as a parameter, for which nil would be NULL.
func (t *Table) logged() []string { return append([]string{}, t.Logged...) }

// follows reports whether two tables are followed alike, by whatever name.
func (t *Table) follows(o *Table) bool {
	return slices.Equal(t.Key, o.Key) && slices.Equal(t.Logged, o.Logged)
}

// lockTimeout bounds how long a table may be waited for: whoever comes later and wants to write waits as well.
const lockTimeout = "10s"

// Install puts the triggers on the tables, and replaces those that are outdated. A table that has them is not touched and
// not locked. Each table is done in a transaction of its own; it is locked against writers until that ends (against
// readers too if a trigger is replaced), and waited for at most 10 s unless the role has a lock_timeout of its own.
// Several processes may call it at once.
//
// The error joins what went wrong with each table; the others are installed all the same. It wraps a *TableError where a
// table cannot be followed, ErrNoSchema before Up, and ErrRights where the role is no member of the owners of the schema
// and of the table.
func Install(ctx context.Context, pool *pgxpool.Pool, tables []Table) error {
	if err := requireSchema(ctx, pool); err != nil {
		return fmt.Errorf("install triggers: %w", err)
	}
	given := make(map[uint32]Table, len(tables)) // by oid: one table may be given by several names
	return eachTable(ctx, "install triggers", tables, func(t Table) error {
		return changeTable(ctx, pool, t, func(tx pgx.Tx, relation uint32) error {
			if first, ok := given[relation]; ok && !first.follows(&t) {
				return &TableError{Table: t, Reason: givenTwice(&first, &t)}
			}
			given[relation] = t
			_, err := tx.Exec(ctx, "select socksync.install($1::pg_catalog.oid, $2, $3)", relation, t.Key, t.logged())
			return err
		})
	})
}

// givenTwice says how two accounts of one table differ. To install both would have the second replace the first.
func givenTwice(a, b *Table) string {
	if !slices.Equal(a.Key, b.Key) {
		return fmt.Sprintf("it is given twice, by the keys %q and %q", a.Key, b.Key)
	}
	return fmt.Sprintf("it is given twice, with the logged columns %q and %q: give it once with all of them", a.Logged, b.Logged)
}

// Uninstall takes the triggers off the tables; their keys do not matter. A table that has none, or that does not exist, is
// passed over. Locks, rights and errors are as for Install.
func Uninstall(ctx context.Context, pool *pgxpool.Pool, tables []Table) error {
	if ok, err := hasInstaller(ctx, pool); err != nil || !ok {
		return err
	}
	return eachTable(ctx, "uninstall triggers", tables, func(t Table) error {
		err := changeTable(ctx, pool, t, func(tx pgx.Tx, relation uint32) error {
			_, err := tx.Exec(ctx, "select socksync.uninstall($1::pg_catalog.oid)", relation)
			return err
		})
		if errors.Is(err, errUnknown) {
			return nil
		}
		return err
	})
}

// UninstallAll takes the triggers off every table of the database that has them.
func UninstallAll(ctx context.Context, pool *pgxpool.Pool) error {
	if ok, err := hasInstaller(ctx, pool); err != nil || !ok {
		return err
	}
	rows, err := pool.Query(ctx, "select t::text from socksync.installed_tables() t order by 1")
	if err != nil {
		return fmt.Errorf("list the tables with triggers: %w", explain(err))
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t Table, err error) {
		return t, row.Scan(&t.Name)
	})
	if err != nil {
		return fmt.Errorf("list the tables with triggers: %w", explain(err))
	}
	return Uninstall(ctx, pool, tables)
}

// eachTable runs f for each table, and joins the errors.
func eachTable(ctx context.Context, doing string, tables []Table, f func(Table) error) error {
	var failed []error
	for _, t := range tables {
		if ctx.Err() != nil {
			break
		}
		if err := f(t); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", doing, err))
		}
	}
	return errors.Join(append(failed, ctx.Err())...)
}

// changeTable runs f in a transaction, with the oid of the table.
func changeTable(ctx context.Context, pool *pgxpool.Pool, t Table, f func(tx pgx.Tx, relation uint32) error) error {
	err := pgx.BeginTxFunc(ctx, pool, writing, func(tx pgx.Tx) error {
		const limitWait = `select pg_catalog.set_config('lock_timeout', $1, true)
			where pg_catalog.current_setting('lock_timeout') operator(pg_catalog.=) '0'`
		if _, err := tx.Exec(ctx, limitWait, lockTimeout); err != nil {
			return err
		}
		relation, err := resolve(ctx, tx, t)
		if err != nil {
			return err
		}
		return f(tx, relation)
	})
	return explainTable(t, err)
}

// errUnknown is what a *TableError about a table that does not exist wraps.
var errUnknown = errors.New("unknown table")

// resolve returns the oid of a table, or a *TableError.
func resolve(ctx context.Context, tx querier, t Table) (uint32, error) {
	unknown := &TableError{Table: t, Reason: "the table does not exist", err: errUnknown}
	if strings.Trim(t.Name, "0123456789") == "" { // Postgres may take a number for an oid
		return 0, unknown
	}
	var relation *uint32
	err := tx.QueryRow(ctx, "select pg_catalog.to_regclass($1)::pg_catalog.oid", t.Name).Scan(&relation)
	switch {
	case hasState(err, stateBadName, stateSyntax):
		return 0, &TableError{Table: t, Reason: "its name is not a table name in SQL", err: err}
	case err != nil:
		return 0, fmt.Errorf("look up table %s: %w", t.Name, err)
	case relation == nil:
		return 0, unknown
	}
	return *relation, nil
}

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}
