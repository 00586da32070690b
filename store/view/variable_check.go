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

// check has Postgres parse the query, and holds its columns against the Go type.
func (v *variable) check(ctx context.Context, tx pgx.Tx) error {
	if v.mistake != nil {
		return fmt.Errorf("%s: %w", v.def, v.mistake)
	}
	prepared, err := tx.Conn().Prepare(ctx, "", v.statement.sql)
	if err != nil {
		return fmt.Errorf("%s: %w", v.def, err)
	}
	switch n := len(prepared.ParamOIDs); {
	case n > 0 && v.single():
		return fmt.Errorf("%s: the query has parameters, which nobody gives", v.def)
	case n != len(v.statement.names):
		return fmt.Errorf("%s: the query has %d parameters, declared are %q", v.def, n, v.def.Params)
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
