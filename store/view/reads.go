package view

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/sqltext"
)

// unwatchedSQL returns those of the tables $1.$2 that are neither among the tables $3 nor partitions of one; if $4, those
// of policies of row-level security too, for whatever role.
const unwatchedSQL = `
with recursive watched (oid) as (
  select pg_catalog.to_regclass(w) from pg_catalog.unnest($3::text[]) w
), seen (oid) as (
  select pg_catalog.to_regclass(pg_catalog.quote_ident(r.schema) || '.' || pg_catalog.quote_ident(r.name))::oid
  from unnest($1::text[], $2::text[]) r (schema, name)
  union
  select d.refobjid
  from seen s
  cross join lateral (
    select 'pg_catalog.pg_policy'::regclass, p.oid, p.polrelid
    from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid and c.relrowsecurity
    where p.polcmd in ('*', 'r') and (p.polrelid = s.oid or p.polrelid in (select a.relid from pg_catalog.pg_partition_ancestors(s.oid) a))
    union all
    select 'pg_catalog.pg_rewrite'::regclass, w.oid, w.ev_class from pg_catalog.pg_rewrite w where w.ev_class = s.oid) o (class, oid, of)
  join pg_catalog.pg_depend d on d.classid = o.class and d.objid = o.oid
    and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> o.of
  where $4
)
select coalesce(array_agg(s.oid::regclass::text order by s.oid::regclass::text), '{}')
from seen s join pg_catalog.pg_class c on c.oid = s.oid and c.relkind in ('r', 'p', 'f', 'm')
where not exists (
  select from watched w where w.oid = s.oid or w.oid in (select a.relid from pg_catalog.pg_partition_ancestors(s.oid) a))`

// checkReads refuses a list that reads tables of which its definition says nothing: it would not follow them. The plan of
// the rows names them, whatever views they are behind, though not those that functions read.
func checkReads(ctx context.Context, tx pgx.Tx, def *binding.ListDef) error {
	if def.Query == "" && def.Where == "" && def.Role == "" {
		return nil // a table has no other's rows
	}
	text, err := planText(ctx, tx, def)
	if err != nil {
		return err
	}
	plan, err := readPlan([]byte(text))
	if err != nil {
		return err
	}
	schemas, names := plan.reads()
	var unwatched []string
	err = tx.QueryRow(ctx, unwatchedSQL, schemas, names, feedNames(def.ReadTables()), def.Role != "").Scan(&unwatched)
	if err != nil {
		return fmt.Errorf("look for the tables that it reads: %w", err)
	}
	var errs []error
	for _, name := range unwatched {
		errs = append(errs, fmt.Errorf("it reads %s, changes of which would go unseen: %s", name, naming(def)))
	}
	return errors.Join(errs...)
}

// planText returns the plan of a list's rows, for whatever identity.
func planText(ctx context.Context, tx pgx.Tx, def *binding.ListDef) (text string, err error) {
	where, err := planned(ctx, tx, def)
	if err != nil {
		return "", err
	}
	sql := "EXPLAIN (VERBOSE, FORMAT JSON) SELECT * FROM " + rowsOf(def) + where
	if err := tx.QueryRow(ctx, sql, pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil {
		return "", fmt.Errorf("look for the tables that it reads: %w", err)
	}
	return text, nil
}

// naming tells where the tables are named that a list reads.
func naming(def *binding.ListDef) string {
	switch {
	case def.Recompute > 0:
		return "name it in tables"
	case def.Query != "":
		return "name it in depends"
	}
	return "make the list's rows a query, SELECT * FROM " + def.Table + ", and name it in depends"
}

// planned returns the list's condition as a WHERE clause, with values of an identity that the planner does not know.
func planned(ctx context.Context, tx pgx.Tx, def *binding.ListDef) (string, error) {
	if def.Where == "" {
		return "", nil
	}
	names := sqltext.Find(def.Where).Names
	where := " WHERE (" + sqltext.Replace(def.Where, func(name string) string {
		return "$" + strconv.Itoa(slices.Index(names, name)+1)
	}) + "\n)"
	if len(names) == 0 {
		return where, nil
	}
	prepared, err := tx.Conn().Prepare(ctx, "", "SELECT FROM "+rowsOf(def)+where)
	if err != nil {
		return "", fmt.Errorf("where: %w", err)
	}
	var types []string
	err = tx.QueryRow(ctx, `select array(select pg_catalog.format_type(t, -1) from pg_catalog.unnest($1::oid[]) with ordinality u (t, i) order by i)`,
		prepared.ParamOIDs).Scan(&types)
	if err != nil {
		return "", fmt.Errorf("where: %w", err)
	}
	if len(types) != len(names) {
		return "", fmt.Errorf("where: it has %d parameters, it names %q", len(types), names)
	}
	return " WHERE (" + sqltext.Replace(def.Where, func(name string) string {
		return "(" + unknownValue + "::" + types[slices.Index(names, name)] + ")"
	}) + "\n)", nil
}

// unknownValue is a text that the planner does not know.
const unknownValue = "pg_catalog.current_setting('socksync.unknown', true)"

// reads returns the tables that a plan reads.
func (n planNode) reads() (schemas, names []string) {
	if n.Relation != "" {
		schemas, names = append(schemas, n.Schema), append(names, n.Relation)
	}
	for _, p := range n.Plans {
		s, t := p.reads()
		schemas, names = append(schemas, s...), append(names, t...)
	}
	return schemas, names
}
