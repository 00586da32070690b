package view

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/socksync/socksync/binding"
)

// role is the role of the database, and the settings for its policies of row-level security, under which something is
// read. A nil role is the server's own.
type role struct {
	name     string
	settings []binding.Setting
	sql      string
}

func newRole(name string, settings []binding.Setting) *role {
	if name == "" && len(settings) == 0 {
		return nil
	}
	r := &role{name: name, settings: settings}
	calls := make([]string, 0, len(settings)+1)
	for i := range settings {
		calls = append(calls, fmt.Sprintf("pg_catalog.set_config($%d, $%d, true)", 2*i+1, 2*i+2))
	}
	if name != "" { // last: the role may lack the right to make the settings
		calls = append(calls, fmt.Sprintf("pg_catalog.set_config('role', $%d, true)", 2*len(settings)+1))
	}
	r.sql = "SELECT " + strings.Join(calls, ", ")
	return r
}

// errRole says that the role or its settings cannot be taken on.
var errRole = errors.New("take on the role")

// assume takes the role on until the end of the transaction, with the settings that a subscriber's values make. A setting
// is a text: of NULL it is the empty one, never what it happens to be by default.
func (r *role) assume(ctx context.Context, tx pgx.Tx, value func(name string) any) error {
	if r == nil {
		return nil
	}
	if _, err := tx.Exec(ctx, r.sql, r.args(value)...); err != nil {
		return fmt.Errorf("%w %q: %w", errRole, r.name, err)
	}
	return nil
}

// args are the values for sql.
func (r *role) args(value func(name string) any) []any {
	args := make([]any, 0, 2*len(r.settings)+1)
	for _, s := range r.settings {
		text, _ := value(s.Value).(string)
		args = append(args, s.Name, text)
	}
	if r.name != "" {
		args = append(args, r.name)
	}
	return args
}

// check takes the role on with empty settings, and tells what is missing for that.
func (r *role) check(ctx context.Context, tx pgx.Tx) error {
	err := r.assume(ctx, tx, func(string) any { return nil })
	if lacksRight(err) {
		return fmt.Errorf("%w: the role that the server connects as must be a member of it, and have the right to make its settings", err)
	}
	return err
}

// lacksRight reports whether Postgres says that a right is missing.
func lacksRight(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42501"
}

// anyPolicy reports whether, for the present role, row-level security is in force on any of the tables.
func anyPolicy(ctx context.Context, tx pgx.Tx, tables []string) (held bool, err error) {
	const sql = `select coalesce(pg_catalog.bool_or(pg_catalog.row_security_active(t)), false)
from (select pg_catalog.to_regclass(n) from pg_catalog.unnest($1::text[]) n) r (t) where t is not null`
	err = tx.QueryRow(ctx, sql, tables).Scan(&held)
	if err != nil {
		return false, fmt.Errorf("look for row-level security: %w", err)
	}
	return held, nil
}
