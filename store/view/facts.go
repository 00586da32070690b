package view

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/sortkey"
)

// column is what the catalog says of one column of a table.
type column struct {
	name      string
	oid       uint32
	typeName  string // as a cast takes it; of a domain the type that it is over
	domain    bool
	text      string // how its text is had, as the triggers log it: cast, output or number
	byteOrder bool   // text whose collation is the order of its bytes

	// The following is what a choice needs, said of the type that a domain is over.

	baseOID       uint32
	enum          bool
	composite     bool
	isText        bool
	collation     string // in SQL, "" for none and for the database's
	deterministic bool
	equal         bool   // = of a default operator class
	ordered       bool   // <
	operators     string // the schema of these, in SQL
	unicode       bool   // the database's encoding is UTF-8
	unclear       bool   // text of a query, of which Postgres cannot tell how it compares
}

// tableColumns are the columns of the table $2.
const tableColumns = `(
  select attname, atttypid, attcollation from pg_catalog.pg_attribute
  where attrelid = $2::regclass and attnum > 0 and not attisdropped)`

// givenColumns are columns of which name, type and collation are given.
const givenColumns = `unnest($2::text[], $3::oid[], $4::oid[])`

// columnsSQL reads about columns what is needed to decide whether
// bytes order them and how they are compared. to_jsonb keeps it working on versions
// that lack a column; the modifier -1 makes format_type say bpchar and "bit", where
// character and bit would mean a length of 1. What a query makes may be no type that a value can be given of, or text of
// which Postgres cannot tell how it compares: it is not clear, and has no operators.
func columnsSQL(columns string) string {
	return `
select a.attname, a.atttypid, pg_catalog.format_type(t.oid, -1), t.oid <> a.atttypid,
       case when t.typnamespace <> 'pg_catalog'::regnamespace then 'output' when t.typname ~ '^reg' then 'number' else 'cast' end,
       pg_catalog.pg_encoding_to_char(d.encoding) = 'UTF8' and coalesce(
         case when c.collname = 'default' and c.collnamespace = 'pg_catalog'::regnamespace
           then case coalesce(to_jsonb(d) ->> 'datlocprovider', 'c')
             when 'c' then case when d.datcollate in ('C', 'POSIX') then 'bytes' when d.datcollate ~* '^c\.utf-?8$' then 'probe' end
             when 'b' then case when coalesce(to_jsonb(d) ->> 'datlocale', '') in ('C', 'C.UTF-8') then 'bytes' end
           end
           else case c.collprovider
             when 'c' then case when c.collcollate in ('C', 'POSIX') then 'bytes' when c.collcollate ~* '^c\.utf-?8$' then 'probe' end
             when 'b' then case when coalesce(to_jsonb(c) ->> 'colllocale', '') in ('C', 'C.UTF-8') then 'bytes' end
           end
         end in ('bytes', case when $1 then 'probe' end), false),
       t.oid, t.typtype = 'e', t.typtype = 'c',
       t.typname in ('text', 'varchar', 'bpchar', 'name') and t.typnamespace = 'pg_catalog'::regnamespace
         and clear or t.typcategory = 'S' and t.typname <> 'char' and clear and exists (
           select from pg_catalog.pg_cast k
           where k.castsource = t.oid and k.casttarget = 'pg_catalog.text'::regtype and k.castcontext = 'i'),
       case when c.collname <> 'default' or c.collnamespace <> 'pg_catalog'::regnamespace
         then pg_catalog.quote_ident((select nspname from pg_catalog.pg_namespace where oid = c.collnamespace))
           || '.' || pg_catalog.quote_ident(c.collname) else '' end,
       coalesce(c.collisdeterministic, true), o.equal and clear, o.ordered and clear, coalesce(o.operators, ''),
       pg_catalog.pg_encoding_to_char(d.encoding) = 'UTF8'
from ` + columns + ` a (attname, atttypid, attcollation)
cross join lateral (
  with recursive base (oid) as (
    select a.atttypid union all select t.typbasetype from base b join pg_catalog.pg_type t on t.oid = b.oid where t.typtype = 'd')
  select t.* from base b join pg_catalog.pg_type t on t.oid = b.oid where t.typtype <> 'd') t
join pg_catalog.pg_database d on d.datname = pg_catalog.current_database()
left join pg_catalog.pg_collation c on c.oid = a.attcollation
cross join lateral (` + operatorsSQL + `) o
cross join lateral (select t.typtype <> 'p' and (t.typcollation = 0 or a.attcollation <> 0)) f (clear)`
}

// operatorsSQL finds out whether the type t has default operator classes, as ORDER BY and = need them: of its own, of
// its kind, or of a type that it is the same as. An array needs them for its elements as well, a row for its columns.
//
// 403 and 405 are btree and hash. OFFSET 0 keeps the planner from joining whole catalogs for a handful of types.
const operatorsSQL = `
  with recursive part (oid) as (
    select t.oid
    union
    select n.oid
    from part p cross join lateral (
      select pt.typelem from pg_catalog.pg_type pt where pt.oid = p.oid and pt.typcategory = 'A' and pt.typlen = -1
      union all select pt.typbasetype from pg_catalog.pg_type pt where pt.oid = p.oid and pt.typtype = 'd'
      union all select pa.atttypid from pg_catalog.pg_type pt
        join pg_catalog.pg_attribute pa on pa.attrelid = pt.typrelid
        where pt.oid = p.oid and pt.typtype = 'c' and pa.attnum > 0 and not pa.attisdropped
    ) n (oid)
    where n.oid <> 0
  ), class as (
    select p.oid, oc.opcmethod = 403 as btree, oc.opcfamily, oc.opcintype, oc.opcintype <> p.oid as other
    from part p
    cross join lateral (
      select pt.typtype, array[pt.oid, case pt.typtype
        when 'e' then 'anyenum'::regtype when 'r' then 'anyrange'::regtype
        when 'm' then 'anymultirange'::regtype when 'c' then 'record'::regtype
        else case when pt.typcategory = 'A' and pt.typlen = -1 then 'anyarray'::regtype end end::oid] || array(
          select k.casttarget from pg_catalog.pg_cast k
          where k.castsource = pt.oid and k.castmethod = 'b' and k.castcontext = 'i')
        as oids
      from pg_catalog.pg_type pt where pt.oid = p.oid offset 0) same
    left join lateral (
      select * from pg_catalog.pg_opclass oc
      where oc.opcdefault and oc.opcmethod in (403, 405) and oc.opcintype = any (same.oids) offset 0) oc on true
    where same.typtype <> 'd'
  )
  select bool_and(parts.equal) as equal, bool_and(parts.ordered) as ordered, (
      select pg_catalog.quote_ident(o.nspname)
      from class cross join lateral (
        select n.nspname
        from pg_catalog.pg_amop ao
        join pg_catalog.pg_operator op on op.oid = ao.amopopr join pg_catalog.pg_namespace n on n.oid = op.oprnamespace
        where ao.amopfamily = class.opcfamily
          and ao.amoplefttype = class.opcintype and ao.amoprighttype = class.opcintype
          and ao.amopstrategy = case when class.btree then 3 else 1 end offset 0) o
      where class.oid = t.oid
      order by class.other, not class.btree limit 1) as operators
  from (
    select coalesce(bool_or(opcfamily is not null), false) as equal, coalesce(bool_or(btree), false) as ordered
    from class group by oid) parts`

// probeSQL asks whether the libc locale C.UTF-8, where there is one, orders text
// by its bytes: every thousandth code point, their neighbors at the edges of
// UTF-8's lengths, alone and after a letter.
const probeSQL = `
with points as (
  select chr(p) as s from generate_series(1, 1114111, 997) p where p not between 55296 and 57343
  union select chr(p) from unnest(array[1,65,97,127,128,233,768,769,2047,2048,55295,57344,65533,65535,65536,1114111]) p
), words as (
  select s from points union select 'a' || s from points union select s || 'b' from points union select upper(s) from points
)
select not exists (
  select from (select s, lag(s) over (order by s collate %s) as before from words) w
  where pg_catalog.convert_to(before, 'UTF8') > pg_catalog.convert_to(s, 'UTF8'))`

// readColumns returns the columns of a table by name.
func readColumns(ctx context.Context, tx pgx.Tx, table string, probed bool) (map[string]column, error) {
	columns, err := readFacts(ctx, tx, tableColumns, probed, table)
	if err != nil {
		return nil, fmt.Errorf("read the columns of %s: %w", table, err)
	}
	return columns, nil
}

// readFacts returns what the catalog says of columns, by name.
func readFacts(ctx context.Context, tx pgx.Tx, from string, probed bool, args ...any) (map[string]column, error) {
	rows, err := tx.Query(ctx, columnsSQL(from), append([]any{probed}, args...)...)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (column, error) {
		var c column
		return c, row.Scan(&c.name, &c.oid, &c.typeName, &c.domain, &c.text, &c.byteOrder, &c.baseOID, &c.enum, &c.composite,
			&c.isText, &c.collation, &c.deterministic, &c.equal, &c.ordered, &c.operators, &c.unicode)
	})
	if err != nil {
		return nil, err
	}
	columns := make(map[string]column, len(list))
	for _, c := range list {
		columns[c.name] = c
	}
	return columns, nil
}

// probe reports whether the locale C.UTF-8 is known to order text by its bytes.
// Databases that are not UTF-8, or have no such locale, do not need to know.
func probe(ctx context.Context, tx pgx.Tx) (bool, error) {
	var collation string
	const find = `
select coalesce((select quote_ident(n.nspname) || '.' || quote_ident(c.collname) from pg_catalog.pg_collation c
  join pg_catalog.pg_namespace n on n.oid = c.collnamespace
  where c.collprovider = 'c' and c.collcollate ~* '^c\.utf-?8$'
    and c.collencoding in (-1, (select encoding from pg_catalog.pg_database where datname = pg_catalog.current_database()))
    and pg_catalog.getdatabaseencoding() = 'UTF8' limit 1), '')`
	if err := tx.QueryRow(ctx, find).Scan(&collation); err != nil || collation == "" {
		return false, err
	}
	var ordered bool
	if err := tx.QueryRow(ctx, fmt.Sprintf(probeSQL, collation)).Scan(&ordered); err != nil {
		return false, fmt.Errorf("probe the collation %s: %w", collation, err)
	}
	return ordered, nil
}

// textSQL returns the expression for the column's text that is equal to what the
// triggers log of a key.
func (c column) textSQL(name string) string {
	switch c.text {
	case "output":
		return fmt.Sprintf("CASE WHEN %[1]s IS NOT NULL THEN pg_catalog.format('%%s', %[1]s) END", name)
	case "number":
		return name + "::pg_catalog.oid::pg_catalog.text"
	}
	return name + "::pg_catalog.text"
}

// base returns the expression for the column as a value of the type that it is over:
// there are no operators of domains, and none of enums takes one.
func (c column) base(name string) string {
	if c.domain {
		return name + "::" + c.typeName
	}
	return name
}

func (c column) isArray() bool { return strings.HasSuffix(c.typeName, "[]") }

// arrayName is the type of an array of the column's values. There is none of arrays;
// their texts go into one of texts.
func (c column) arrayName() string {
	if c.isArray() {
		return "pg_catalog.text[]"
	}
	return c.typeName + "[]"
}

// encodable reports whether Go can order the column's values by bytes.
func (c column) encodable() bool { return sortkey.Supported(c.oid, c.byteOrder) }

// choosable returns the columns of a list as its rules need them, by name.
func choosable(def *binding.ListDef, columns map[string]column) map[string]choice.Column {
	all := make(map[string]choice.Column, len(def.Columns))
	for _, f := range def.Columns {
		if c, ok := columns[f.Name]; ok {
			all[f.Name] = c.choosable(f.JSON)
		}
	}
	return all
}

func (c column) choosable(json string) choice.Column {
	return choice.Column{
		Name: c.name, JSON: json, Type: c.typeName, OID: c.baseOID,
		Domain: c.domain, Array: c.isArray(), Composite: c.composite, Enum: c.enum, Text: c.isText,
		Collation: c.collation, Deterministic: c.deterministic,
		Equal: c.equal, Ordered: c.ordered, Operators: c.operators,
		Output: c.text == "output", Unicode: c.unicode,
	}
}
