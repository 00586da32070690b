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
	return errors.Join(append(errs, e.checkSpellings(ctx, tx))...)
}

// checkSpellings finds tables that have two names, t and public.t, and two keys. Those
// that do not exist have been reported.
func (e *Engine) checkSpellings(ctx context.Context, tx pgx.Tx) error {
	names := make([]string, len(e.tables))
	for i, t := range e.tables {
		names[i] = t.Name
	}
	rows, err := tx.Query(ctx, `
select array_agg(n.i - 1 order by n.i) from pg_catalog.unnest($1::text[]) with ordinality n (name, i)
where pg_catalog.to_regclass(n.name) is not null group by pg_catalog.to_regclass(n.name)`, names)
	if err != nil {
		return err
	}
	relations, err := pgx.CollectRows(rows, pgx.RowTo[[]int])
	var errs []error
	for _, same := range relations {
		for _, i := range same[1:] {
			if t, o := e.tables[same[0]], e.tables[i]; !slices.Equal(t.Key, o.Key) {
				errs = append(errs, fmt.Errorf("table %s, which is %s, has the key %q in one definition and %q in another", t.Name, o.Name, t.Key, o.Key))
			}
		}
	}
	return errors.Join(append(errs, err)...)
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
	var exists bool
	if err := tx.QueryRow(ctx, "select pg_catalog.to_regclass($1) is not null", table).Scan(&exists); err != nil {
		return nil, fmt.Errorf("look for table %s: %w", table, err)
	}
	if !exists { // asked for, because an error would spoil the transaction for the next table
		return nil, fmt.Errorf("table %s does not exist", table)
	}
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
