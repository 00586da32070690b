package view

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/socksync/socksync/binding"
)

type fieldDescription = pgconn.FieldDescription

// check has Postgres parse the query, under the role that will ask it, and holds its columns against the Go type.
func (v *variable) check(ctx context.Context, tx pgx.Tx) error {
	if err := v.role.check(ctx, tx); err != nil {
		return fmt.Errorf("%s: %w", v.def, err)
	}
	prepared, err := tx.Conn().Prepare(ctx, "", v.statement.sql)
	if err != nil {
		return fmt.Errorf("%s: %w", v.def, err)
	}
	if err := v.checkNumber(len(prepared.ParamOIDs)); err != nil {
		return err
	}
	if err := v.checkRole(ctx, tx); err != nil {
		return err
	}
	m := tx.Conn().TypeMap()
	if len(v.def.Columns) == 0 {
		return v.checkValue(m, prepared.Fields)
	}
	var errs []error
	for _, c := range v.def.Columns {
		errs = append(errs, v.checkColumn(m, prepared.Fields, c))
	}
	return errors.Join(errs...)
}

// checkNumber compares the parameters that Postgres sees with those that are named.
func (v *variable) checkNumber(n int) error {
	named := slices.Concat(v.statement.chosen, v.statement.identity)
	switch {
	case n == len(named):
		return nil
	case len(named) == 0:
		return fmt.Errorf("%s: the query has parameters, which nobody gives", v.def)
	}
	return fmt.Errorf("%s: the query has %d parameters, named are %q", v.def, n, named)
}

// checkRole finds out what the role may read. That it sees all rows may be meant, as where a database view picks them.
func (v *variable) checkRole(ctx context.Context, tx pgx.Tx) error {
	if v.role == nil || v.role.name == "" {
		return nil
	}
	if err := v.checkRights(ctx, tx); err != nil {
		return err
	}
	held, err := anyPolicy(ctx, tx, v.tables)
	if err == nil && !held {
		v.log.Warn("no policy of row-level security holds for the role on any of the tables: it sees all rows",
			"role", v.role.name, "tables", v.tables)
	}
	return err
}

// checkRights finds out whether the role may read what the query reads. Nothing else is a mistake here: the query is
// planned for NULLs, which it may not take.
func (v *variable) checkRights(ctx context.Context, tx pgx.Tx) error {
	nulls := make([]any, len(v.statement.chosen)+len(v.statement.identity))
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { // a savepoint
		_, err := tx.Exec(ctx, "EXPLAIN "+v.statement.sql, nulls...)
		return err
	})
	if lacksRight(err) {
		return fmt.Errorf("%s: role %q: %w: GRANT it what the query reads", v.def, v.role.name, err)
	}
	return nil
}

// checkValue checks a query whose value is that of its one column.
func (v *variable) checkValue(m *pgtype.Map, fields []fieldDescription) error {
	if len(fields) != 1 {
		return fmt.Errorf("%s: the query gives %d columns, the value is one", v.def, len(fields))
	}
	return v.checkType(m, fields[0], v.def.Type)
}

func (v *variable) checkColumn(m *pgtype.Map, fields []fieldDescription, c binding.Column) error {
	i, err := indexOf(fields, c.Name)
	if err != nil {
		return fmt.Errorf("%s: %w", v.def, err)
	}
	return v.checkType(m, fields[i], c.Type)
}

// indexOf finds a column in a result.
func indexOf(fields []fieldDescription, name string) (int, error) {
	i := slices.IndexFunc(fields, func(f fieldDescription) bool { return f.Name == name })
	if i < 0 {
		return 0, fmt.Errorf("the query gives no column %q", name)
	}
	return i, nil
}

func (v *variable) checkType(m *pgtype.Map, d fieldDescription, t reflect.Type) error {
	if t == nil {
		return nil
	}
	d.Format = m.FormatCodeForOID(d.DataTypeOID)
	if !scannable(m, d, t) {
		return fmt.Errorf("%s: column %q of type %s cannot be scanned into %s", v.def, d.Name, typeName(m, d.DataTypeOID), t)
	}
	return nil
}
