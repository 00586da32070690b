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

// findTables lists the tables of all definitions. A list names its table's key; for other tables the primary key is looked
// up.
func (e *Engine) findTables(ctx context.Context, tx pgx.Tx) error {
	var errs []error
	e.tables = nil
	for _, l := range e.lists {
		errs = append(errs, e.addOwnTable(l.def))
	}
	for _, l := range e.lists {
		errs = append(errs, e.addTables(ctx, tx, l.def.String(), feedNames(l.def.ReadTables())))
		for _, d := range l.def.Depends {
			e.addDependency(&d)
		}
	}
	for _, v := range e.vars {
		errs = append(errs, e.addTables(ctx, tx, v.def.String(), v.tables))
	}
	return errors.Join(append(errs, e.checkSpellings(ctx, tx))...)
}

// addOwnTable adds the table whose key is a list's key, and the columns without which the list cannot be read. Those of a
// query are for Postgres to miss.
func (e *Engine) addOwnTable(def *binding.ListDef) error {
	if def.Table == "" || def.Query != "" && def.Recompute > 0 {
		return nil
	}
	name := feedName(def.Table)
	err := e.addTable(def.String(), name, def.Key)
	if def.Query == "" {
		e.addColumns(name, namedColumns(def))
	}
	return err
}

// addTables adds the tables that are not there yet by their primary keys.
func (e *Engine) addTables(ctx context.Context, tx pgx.Tx, who string, names []string) error {
	var errs []error
	for _, name := range names {
		if e.table(name) != nil {
			continue
		}
		key, err := primaryKey(ctx, tx, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", who, err))
			continue
		}
		errs = append(errs, e.addTable(who, name, key))
	}
	return errors.Join(errs...)
}

// addDependency has the columns logged by which a changed row leads to rows of a list, if they are not all in the key,
// which is logged anyway. The columns that refer to them must exist.
func (e *Engine) addDependency(d *binding.Dependency) {
	if t := e.table(feedName(d.Table)); t != nil {
		if _, inKey := positions(d.Columns, t.Key); !inKey {
			t.Logged = union(t.Logged, d.Columns)
		}
	}
	if d.Through != "" {
		e.addColumns(feedName(d.Through), d.Refers)
	}
}

// union returns sorted names, each once.
func union(a, b []string) []string {
	names := slices.Concat(a, b)
	slices.Sort(names)
	return slices.Compact(names)
}

// checkSpellings finds tables that have two names, t and public.t, and two keys. The triggers log the same under both.
// Those that do not exist have been reported.
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
		e.logSame(same)
		for _, i := range same[1:] {
			if t, o := e.tables[same[0]], e.tables[i]; !slices.Equal(t.Key, o.Key) {
				errs = append(errs, fmt.Errorf("table %s, which is %s, has the key %q in one definition and %q in another", t.Name, o.Name, t.Key, o.Key))
			}
		}
	}
	return errors.Join(append(errs, err)...)
}

// logSame has tables that are one log the same columns.
func (e *Engine) logSame(same []int) {
	var logged []string
	for _, i := range same {
		logged = union(logged, e.tables[i].Logged)
	}
	for _, i := range same {
		e.tables[i].Logged = logged
	}
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

// addColumns names columns without which a table is not complete.
func (e *Engine) addColumns(name string, columns []string) {
	t := e.table(name)
	if t == nil {
		return // which has been reported
	}
	for _, c := range columns {
		if !slices.Contains(t.Columns, c) {
			t.Columns = append(t.Columns, c)
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
