package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// State is what Status finds about a trigger or a table.
type State string

// The states. A table is Refused where it cannot be followed, Installed where all its triggers are, Missing where none is
// there, and else Outdated.
const (
	Installed State = "installed" // it is there, as it should be
	Missing   State = "missing"   // it is not there
	Outdated  State = "outdated"  // it is there, but not as it should be, or logs other columns; or it is disabled
	Unwanted  State = "unwanted"  // of a trigger: it is there and not needed any more
	Refused   State = "refused"   // of a table: it cannot be followed, see TableStatus.Reason
)

// SchemaStatus is what Status says.
type SchemaStatus struct {
	Version int64         // what the schema is at, by its table of versions; 0: there is none
	Latest  int64         // what Up leads to
	Tables  []TableStatus // in the order asked for
}

// TableStatus is what is installed on a table.
type TableStatus struct {
	Table    Table
	Relation uint32 // its oid; 0: it does not exist
	State    State
	Reason   string          // why it is refused
	Triggers []TriggerStatus // empty when refused, and when the schema is not at its latest version
}

// TriggerStatus is one trigger of a table.
type TriggerStatus struct {
	Relation string // the table or the partition, as in SQL, with its schema
	Name     string
	State    State
}

// Status says what is installed for the tables. It changes nothing and takes no locks that a writer would notice. An
// error means that the database could not be asked; what is missing there is no error: see [SchemaStatus.Err].
func Status(ctx context.Context, pool *pgxpool.Pool, tables []Table) (*SchemaStatus, error) {
	version, err := schemaVersion(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("status of schema socksync: %w", err)
	}
	status := &SchemaStatus{Version: version, Latest: latestVersion()}
	for _, t := range tables {
		found, err := tableStatus(ctx, pool, t, status)
		if err != nil {
			return nil, fmt.Errorf("status of table %s: %w", t.Name, explain(err))
		}
		status.Tables = append(status.Tables, found)
	}
	return status, nil
}

// Err returns nil when the schema is at its latest version, or a later one, and every table has its triggers. Otherwise
// it joins one error for each thing that is not so: ErrNoSchema for the schema, a *TableError for a table that is
// refused, an error that names the triggers for any other.
func (s *SchemaStatus) Err() error {
	var failed []error
	if s.Version < s.Latest {
		failed = append(failed, fmt.Errorf("%w: it is at version %d of %d", ErrNoSchema, s.Version, s.Latest))
	}
	for _, t := range s.Tables {
		failed = append(failed, t.err())
	}
	return errors.Join(failed...)
}

// err is the table's part of SchemaStatus.Err.
func (t *TableStatus) err() error {
	switch t.State {
	case Installed:
		return nil
	case Refused:
		return &TableError{Table: t.Table, Reason: t.Reason}
	}
	var names []string
	for _, trigger := range t.Triggers {
		if trigger.State != Installed {
			names = append(names, fmt.Sprintf("%s on %s is %s", trigger.Name, trigger.Relation, trigger.State))
		}
	}
	return fmt.Errorf("triggers of table %s are %s: %s", t.Table.Name, t.State, strings.Join(names, ", "))
}

// tableStatus asks about one table. Without the latest schema there is nothing to ask: what was installed under an older
// one may have to change.
func tableStatus(ctx context.Context, pool *pgxpool.Pool, t Table, s *SchemaStatus) (TableStatus, error) {
	found := TableStatus{Table: t, State: Missing}
	relation, err := resolve(ctx, pool, t)
	var refused *TableError
	if errors.As(err, &refused) {
		found.State, found.Reason = Refused, refused.Reason
		return found, nil
	}
	if err != nil {
		return found, err
	}
	found.Relation = relation
	if s.Version < s.Latest {
		if s.Version > 0 {
			found.State = Outdated
		}
		return found, nil
	}
	if err := pool.QueryRow(ctx, refusalSQL, relation, t.Key, t.logged()).Scan(&found.Reason); err != nil {
		return found, err
	}
	if found.Reason != "" {
		found.State = Refused
		return found, nil
	}
	found.Triggers, err = triggerStatus(ctx, pool, relation, t)
	found.State = summary(found.Triggers)
	return found, err
}

const refusalSQL = "select coalesce(socksync.refusal($1::pg_catalog.oid, $2, $3), '')"

func triggerStatus(ctx context.Context, pool *pgxpool.Pool, relation uint32, t Table) ([]TriggerStatus, error) {
	const query = `select pg_catalog.format('%I.%I', n.nspname, c.relname), s.name, s.state
		from socksync.trigger_status($1::pg_catalog.oid, $2, $3) s
		join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) s.relation
		join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
		order by c.oid operator(pg_catalog.<>) $1, 1, 2`
	rows, err := pool.Query(ctx, query, relation, t.Key, t.logged())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[TriggerStatus])
}

// summary is the state of a table with these triggers.
func summary(triggers []TriggerStatus) State {
	count := make(map[State]int)
	for _, t := range triggers {
		count[t.State]++
	}
	switch len(triggers) {
	case count[Installed]:
		return Installed
	case count[Missing]:
		return Missing
	}
	return Outdated
}
