package view

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/listen"
)

// findTables lists the tables of all definitions. A list names its table's key;
// for a table that only vars depend on, the primary key is looked up.
func (e *Engine) findTables(ctx context.Context, tx pgx.Tx) error {
	var errs []error
	e.tables = nil
	for _, l := range e.lists {
		errs = append(errs, e.addTable(l.def.String(), l.table, l.def.Key))
		e.addColumns(l)
	}
	for _, v := range e.vars {
		for _, name := range v.tables {
			if e.table(name) != nil {
				continue
			}
			key, err := primaryKey(ctx, tx, name)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", v.def, err))
				continue
			}
			errs = append(errs, e.addTable(v.def.String(), name, key))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) table(name string) *listen.Table {
	for i := range e.tables {
		if e.tables[i].Name == name {
			return &e.tables[i]
		}
	}
	return nil
}

// addTable adds a table once. The triggers log one key, so all definitions of a
// table must agree on it.
func (e *Engine) addTable(who, name string, key []string) error {
	t := e.table(name)
	if t == nil {
		e.tables = append(e.tables, listen.Table{Name: name, Key: key})
		return nil
	}
	if !slices.Equal(t.Key, key) {
		return fmt.Errorf("%s: table %s has the key %q here and %q in another definition", who, name, key, t.Key)
	}
	return nil
}

// addColumns names the columns without which a list cannot be read.
func (e *Engine) addColumns(l *list) {
	t := e.table(l.table)
	for _, c := range l.def.Columns {
		if !slices.Contains(t.Columns, c.Name) {
			t.Columns = append(t.Columns, c.Name)
		}
	}
}

// primaryKey looks up the columns of a table's primary key.
func primaryKey(ctx context.Context, tx pgx.Tx, table string) ([]string, error) {
	rows, err := tx.Query(ctx, `
select a.attname from pg_catalog.pg_index i
cross join unnest(i.indkey::int2[]) with ordinality k(attnum, place)
join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
where i.indrelid = $1::regclass and i.indisprimary order by k.place`, table)
	if err != nil {
		return nil, err
	}
	key, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the primary key of %s: %w", table, err)
	}
	if len(key) == 0 {
		return nil, fmt.Errorf("table %s has no primary key", table)
	}
	return key, nil
}

// feedName is the name under which the feed knows a table: quoted, so that two
// spellings are one table. The definition has been validated.
func feedName(table string) string {
	name, err := binding.ParseTable(table)
	if err != nil {
		return table
	}
	return name.SQL()
}

func feedNames(tables []string) []string {
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = feedName(t)
	}
	return names
}
