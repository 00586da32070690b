package listen

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrMissing says that a table, or a column that it needs, is not there. Change.Missing matches it.
var ErrMissing = errors.New("does not exist")

// printsSQL reads one row for each table that exists: its number in the list of names, its relations (the partitions
// included), their fingerprint, the relations that lack triggers, and the columns.
//
// The fingerprint has everything that changes data, or what is known of it, without a trigger: the file of each relation,
// its columns and their types, its partitions, the labels of its enums, its policies, and its triggers with the transactions
// that wrote them, so that a trigger that was disabled for a while shows.
//
// A relation is covered if triggers of ours, ENABLE ALWAYS, see inserts (4), deletes (8), updates (16) and TRUNCATE (32):
// by row (1), or by statement with a row trigger for changes of the key. The columns that they log behind the key are
// their argument; NULL if there are no triggers, or they do not agree. Of these, the columns that have their names still
// are those that a trigger depends on.
const printsSQL = `
with recursive named (i, root) as (
	select u.i, pg_catalog.to_regclass(u.name)::oid from pg_catalog.unnest((select $1::text[])) with ordinality u (name, i)
	where u.name <> ''
), tree (i, root, rel) as (
	select n.i, n.root, n.root from named n where n.root is not null
	union all
	select t.i, t.root, h.inhrelid from tree t join pg_catalog.pg_inherits h on h.inhparent = t.rel
)
select t.i,
	pg_catalog.array_agg(t.rel::int8),
	pg_catalog.md5(pg_catalog.string_agg(f.facts, '|' order by t.rel)),
	coalesce(pg_catalog.array_agg(t.rel::pg_catalog.regclass::text) filter (where not f.covered), '{}'),
	(select coalesce(pg_catalog.array_agg(a.attname::text), '{}') from pg_catalog.pg_attribute a
		where a.attrelid = t.root and a.attnum > 0 and not a.attisdropped),
	(select pg_catalog.array_agg(a.attname::text) from pg_catalog.pg_trigger k
		join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass and d.objid = k.oid
			and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = k.tgrelid
		join pg_catalog.pg_attribute a on a.attrelid = k.tgrelid and a.attnum = d.refobjsubid
		where k.tgrelid = t.root and k.tgname = 'zz_socksync_k' and k.tgnargs > 0),
	(case when pg_catalog.min(g.first_logged) = pg_catalog.max(g.last_logged) then pg_catalog.min(g.first_logged) end)::pg_catalog.text[]
from tree t
join pg_catalog.pg_class c on c.oid = t.rel
cross join lateral (
	select pg_catalog.string_agg(pg_catalog.concat_ws(':', g.oid, g.xmin, g.tgenabled), ',' order by g.oid) as list,
		pg_catalog.bit_or(g.tgtype) filter (where g.ours and g.tgtype & 1 = 1) as by_row,
		pg_catalog.bit_or(g.tgtype) filter (where g.ours and g.tgtype & 1 = 0) as by_statement,
		pg_catalog.min(g.logged) filter (where g.ours and g.tgtype & 28 <> 0) as first_logged,
		pg_catalog.max(g.logged) filter (where g.ours and g.tgtype & 28 <> 0) as last_logged
	from (select g.oid, g.xmin, g.tgenabled, g.tgtype, g.tgenabled = 'A' and (select p.pronamespace from pg_catalog.pg_proc p
			where p.oid = g.tgfoid) = 'socksync'::pg_catalog.regnamespace as ours,
			case when g.tgnargs > 0 then pg_catalog.convert_from(pg_catalog.substring(g.tgargs, 1, pg_catalog.length(g.tgargs) - 1),
				pg_catalog.getdatabaseencoding()) else '{}' end as logged
		from pg_catalog.pg_trigger g where g.tgrelid = c.oid offset 0) g
) g
cross join lateral (
	select pg_catalog.concat_ws(' ', c.oid, c.relfilenode, c.relkind, c.relispartition, c.relrowsecurity, c.relforcerowsecurity, g.list,
			(select pg_catalog.string_agg(pg_catalog.concat_ws(':', p.oid, p.xmin), ',' order by p.oid) from pg_catalog.pg_policy p where p.polrelid = c.oid),
			(select pg_catalog.string_agg(pg_catalog.concat_ws(':', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation,
				a.attgenerated, a.attisdropped), ',' order by a.attnum)
			from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0),
			(select pg_catalog.string_agg(pg_catalog.concat_ws(':', h.inhparent, h.inhdetachpending, h.xmin), ',' order by h.inhseqno)
			from pg_catalog.pg_inherits h where h.inhrelid = c.oid),
			(select pg_catalog.string_agg(e.enumtypid || ':' || e.enumlabel, ',' order by e.enumtypid, e.enumsortorder)
			from pg_catalog.pg_attribute a
			cross join lateral (select array[y.oid, y.typelem, y.typbasetype] as types from pg_catalog.pg_type y where y.oid = a.atttypid offset 0) y
			join pg_catalog.pg_enum e on e.enumtypid = any (y.types)
			where a.attrelid = c.oid and a.attnum > 0)) as facts,
		coalesce((g.by_row & 28 = 28 or g.by_row & 16 = 16 and g.by_statement & 28 = 28) and g.by_statement & 32 = 32, false) as covered
) f
group by t.i, t.root`

// fingerprint is what the catalog says of a table. The zero value says that it is not there.
type fingerprint struct {
	relations []int64
	hash      string
	uncovered []string // relations that lack triggers
	columns   []string
	watched   []string // columns that the triggers were made for, by the names that they have now
	logged    []string // columns that the triggers log behind the key
}

// queuePrints reads the prints of the named tables into a slice of the same order.
func queuePrints(b *pgx.Batch, names []string, into []fingerprint) {
	names = slices.Clone(names)
	for i, name := range names {
		if !validName(name) {
			names[i] = "" // Postgres would not answer at all
		}
	}
	b.Queue(printsSQL, names).Query(func(rows pgx.Rows) error {
		var i int
		var p fingerprint
		_, err := pgx.ForEachRow(rows, []any{&i, &p.relations, &p.hash, &p.uncovered, &p.columns, &p.watched, &p.logged}, func() error {
			into[i-1] = p
			p = fingerprint{}
			return nil
		})
		return err
	})
}

// nameForm is the form of a name of a table: one or two identifiers, quoted or not. A number is not one, although
// Postgres may take it for an oid.
var nameForm = regexp.MustCompile(`^(?:(?:[^\s."]+|"(?:[^"]|"")+")\.)?(?:[^\s."]+|"(?:[^"]|"")+")$`)

func validName(name string) bool {
	return nameForm.MatchString(name) && strings.Trim(name, "0123456789-") != ""
}

// lacks returns what of a table is not there, or nil.
func (p *fingerprint) lacks(t *Table) error {
	if len(p.relations) == 0 {
		return fmt.Errorf("table %s %w", t.Name, ErrMissing)
	}
	for _, column := range slices.Concat(t.Key, t.Logged, t.Columns) {
		if !slices.Contains(p.columns, column) {
			return fmt.Errorf("column %s of table %s %w", column, t.Name, ErrMissing)
		}
	}
	return nil
}
