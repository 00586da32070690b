package view

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/window"
)

// query reads the value as JSON. The error is errParams if the subscriber's parameters are to blame.
func (v *variable) query(ctx context.Context, p params) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, v.engine.config.QueryTimeout)
	defer cancel()
	value, err := v.ask(ctx, p)
	switch {
	case err == nil:
		return value, nil
	case v.blames(ctx, p, err):
		err = fmt.Errorf("%w: %w", errParams, err)
	}
	return nil, fmt.Errorf("query of %s: %w", v.def, err)
}

// ask runs the query once.
func (v *variable) ask(ctx context.Context, p params) (value json.RawMessage, err error) {
	err = v.as(ctx, p.who, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, v.statement.sql, v.statement.arguments(p)...)
		if err != nil {
			return err
		}
		value, err = v.read(tx, rows)
		return err
	})
	return value, err
}

// bind gives the query arguments and reads nothing.
func (v *variable) bind(ctx context.Context, who subject, args []any) error {
	return v.as(ctx, who, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "SELECT FROM ("+v.statement.sql+"\n) AS socksync_values LIMIT 0", args...)
		return err
	})
}

// as runs fn in a transaction under the role of the var.
func (v *variable) as(ctx context.Context, who subject, fn func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, v.engine.config.Pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := v.role.assume(ctx, tx, v.setting(who)); err != nil {
			return err
		}
		return fn(tx)
	})
}

// errRows says that a var's query gave more than one row.
var errRows = errors.New("the query gave more than one row")

func (v *variable) read(tx pgx.Tx, rows pgx.Rows) (json.RawMessage, error) {
	value := json.RawMessage("null")
	count := 0
	err := collect(rows, func(rows pgx.Rows) error {
		count++
		if count > 1 {
			return errRows
		}
		var err error
		value, err = v.encode(tx, rows)
		return err
	})
	return value, err
}

// encode makes the JSON of the one row, under the rules of encodeRow.
func (v *variable) encode(tx pgx.Tx, rows pgx.Rows) (_ json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	fields, values := rows.FieldDescriptions(), rows.RawValues()
	m := tx.Conn().TypeMap()
	if v.def.Type == nil {
		return checkDepth(v.encodeUntyped(rows))
	}
	target := reflect.New(v.def.Type).Elem()
	if len(v.def.Columns) == 0 {
		if err := scan(m, fields[0], values[0], target); err != nil {
			return nil, err
		}
	}
	for _, c := range v.def.Columns {
		i, err := indexOf(fields, c.Name)
		if err != nil {
			return nil, err
		}
		if err := scan(m, fields[i], values[i], c.In(target)); err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	out, err := binding.Publishable(target.Interface())
	if err != nil {
		return nil, err
	}
	return checkDepth(json.Marshal(out))
}

// maxValueDepth is how deep the value of a var may be nested: it has one level of
// its message around it, where a row has three.
const maxValueDepth = window.MaxDepth + 2

// checkDepth refuses a value that no peer would accept.
func checkDepth(value []byte, err error) (json.RawMessage, error) {
	if err == nil && window.Depth(value) > maxValueDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxValueDepth)
	}
	return value, err
}
