-- Which triggers a table needs, and which it has. That depends on the database (the table's partitions,
-- its triggers, the types of its key), so it is decided there, by functions that a migration of the
-- user's can call too.
--
-- The functions that a trigger runs are named after a hash of their text and are shared by all tables
-- with the same key. So a trigger is out of date exactly when it calls another function than it
-- should, and neither a rename of the table nor a dump and restore makes it so.
--
-- A trigger function runs with the rights of the schema's owner, inside the transaction of whoever
-- writes. It must not run code of theirs: every function, type and operator in it is qualified, and
-- what resolves an operator by search path (IS DISTINCT FROM, IN, NULLIF, BETWEEN, CASE x WHEN, USING)
-- is not used.

-- +goose Up

-- The settings under which values of a type are written, where their text depends on settings.
-- +goose StatementBegin
create function socksync.type_settings(type oid) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $fn$
declare
  every constant text[] := array['datestyle=ISO', 'timezone=UTC', 'extra_float_digits=1', 'bytea_output=hex', 'intervalstyle=postgres'];
  t pg_type;
begin
  select p.* into strict t from pg_type p where p.oid = type_settings.type;
  if t.typtype = 'd' then
    return socksync.type_settings(t.typbasetype);
  elsif t.typtype in ('r', 'm') then
    return (select socksync.type_settings(r.rngsubtype) from pg_range r where t.oid in (r.rngtypid, r.rngmultitypid));
  elsif t.typtype = 'c' then
    return array(select distinct s from pg_attribute a, unnest(socksync.type_settings(a.atttypid)) s
                  where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped);
  elsif t.typcategory = 'A' and t.typelem <> 0 then
    return socksync.type_settings(t.typelem);
  elsif t.typtype = 'e' or t.typcategory = 'S' then
    return '{}';  -- enums and text-like types, also those of extensions
  elsif t.typnamespace <> 'pg_catalog'::regnamespace then
    return every;  -- nothing is known about it
  end if;
  return case
    when t.oid in ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype, 'timetz'::regtype) then every[1:2]
    when t.oid in ('float4'::regtype, 'float8'::regtype) or t.typcategory = 'G' then every[3:3]
    when t.oid = 'bytea'::regtype then every[4:4]
    when t.oid = 'interval'::regtype then every[5:5]
    when t.oid = 'money'::regtype then array['lc_monetary=C']
    else '{}'
  end;
end $fn$;
-- +goose StatementEnd

-- The expression for the text of a column, by its unqualified name. A cast is the fastest, but a type
-- that is not built in may have a cast function of its owner's: there the output function is called.
-- The names of relations, functions and so on depend on the search path: there the number is logged.
-- +goose StatementBegin
create function socksync.column_text(name text, type oid) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $fn$
declare
  t pg_type;
begin
  select p.* into strict t from pg_type p where p.oid = column_text.type;
  if t.typtype = 'd' then
    return socksync.column_text(name, t.typbasetype);
  elsif t.typnamespace <> 'pg_catalog'::regnamespace then
    return format('case when pg_catalog.num_nulls(%2$I) operator(pg_catalog.=) 0 then pg_catalog.format(%1$L, %2$I) end', '%s', name);
  elsif t.typname in ('regclass', 'regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoper', 'regoperator',
                      'regproc', 'regprocedure', 'regrole', 'regtype') then
    return format('%I::pg_catalog.oid::pg_catalog.text', name);
  end if;
  return format('%I::pg_catalog.text', name);
end $fn$;
-- +goose StatementEnd

-- The parts of a trigger function that depend on the key. The key is found by the columns' bare names:
-- those of the changed rows come first, then those of "missing", which are NULL. So a write does not
-- fail after a key column was renamed or dropped; it logs a NULL, and the reader takes that for
-- everything. "missing" costs nothing: the planner removes it.
-- +goose StatementBegin
create function socksync.key_parts(rel oid, keys text[], out missing text, out key text, out settings text)
language plpgsql stable set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $fn$
begin
  select string_agg(format('null as %I', k.name), ', ' order by k.pos),
         format('array[%s]', string_agg(socksync.column_text(k.name, a.atttypid), ', ' order by k.pos))
    into missing, key
    from unnest(keys) with ordinality k (name, pos)
    join pg_attribute a on a.attrelid = rel and a.attname = k.name;
  select coalesce(string_agg(distinct format('set %s = %L ', split_part(s, '=', 1), split_part(s, '=', 2)), ''), '')
    into settings
    from pg_attribute a, unnest(socksync.type_settings(a.atttypid)) s
   where a.attrelid = rel and a.attname = any (keys);
end $fn$;
-- +goose StatementEnd

-- The function of the statement-level triggers: the keys of the transition table n, one row each for the
-- first 64, then 200 to a row. Small statements are the common ones, and inserting as they come is the
-- cheapest for them.
-- +goose StatementBegin
create function socksync.statement_function(rel oid, keys text[], out settings text, out body text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $fn$
declare
  missing text;
  key     text;
begin
  select p.missing, p.key, p.settings into missing, key, settings from socksync.key_parts(rel, keys) p;
  body := format($body$
#variable_conflict use_column
<<own>>
declare
  flag   pg_catalog.int8 := pg_catalog.pg_sequence_last_value('socksync.bell');
  xid    pg_catalog.int8 := pg_catalog.txid_current_if_assigned();
  rel    pg_catalog.oid := tg_relid;
  logged pg_catalog.int8;
begin
  if (own.flag operator(pg_catalog.>>) 16) operator(pg_catalog.>) own.xid then
    insert into socksync.change
      select own.xid, own.rel, k.keys
        from (select %1$s) missing cross join lateral (select %2$s as keys from n) k limit 64;
    get diagnostics logged = row_count;
    if own.logged operator(pg_catalog.=) 0 then
      return null;
    end if;
    if own.logged operator(pg_catalog.=) 64 then
      insert into socksync.change
        select own.xid, own.rel, pg_catalog.array_agg(s.keys)
          from (select k.keys, pg_catalog.row_number() over () operator(pg_catalog./) 200 as part
                  from (select %1$s) missing cross join lateral (select %2$s as keys from n) k offset 64) s
         group by s.part;
    end if;
    if (own.flag operator(pg_catalog.&) 65535) operator(pg_catalog.<>) 0 then
      perform pg_catalog.pg_notify('socksync', '');
    end if;
  end if;
  return null;
end $body$, missing, key);
end $fn$;
-- +goose StatementEnd

-- The function of the row-level triggers: both keys where the text of the key changes, else the key.
-- +goose StatementBegin
create function socksync.row_function(rel oid, keys text[], out settings text, out body text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $fn$
declare
  missing text;
  key     text;
begin
  select p.missing, p.key, p.settings into missing, key, settings from socksync.key_parts(rel, keys) p;
  body := format($body$
#variable_conflict use_column
<<own>>
declare
  flag pg_catalog.int8 := pg_catalog.pg_sequence_last_value('socksync.bell');
  xid  pg_catalog.int8 := pg_catalog.txid_current_if_assigned();
  rel  pg_catalog.oid := tg_relid;
begin
  if (own.flag operator(pg_catalog.>>) 16) operator(pg_catalog.>) own.xid then
    if tg_op operator(pg_catalog.=) 'INSERT' then
      insert into socksync.change
        select own.xid, own.rel, n.keys
          from (select %1$s) missing cross join lateral (select %2$s as keys from (select new.*) r) n;
    elsif tg_op operator(pg_catalog.=) 'DELETE' then
      insert into socksync.change
        select own.xid, own.rel, o.keys
          from (select %1$s) missing cross join lateral (select %2$s as keys from (select old.*) r) o;
    else
      insert into socksync.change
        select own.xid, own.rel, case when o.keys operator(pg_catalog.<>) n.keys then array[o.keys, n.keys] else n.keys end
          from (select %1$s) missing cross join lateral (select %2$s as keys from (select old.*) r) o
               cross join lateral (select %2$s as keys from (select new.*) r) n;
    end if;
    if (own.flag operator(pg_catalog.&) 65535) operator(pg_catalog.<>) 0 then
      perform pg_catalog.pg_notify('socksync', '');
    end if;
  end if;
  return null;
end $body$, missing, key);
end $fn$;
-- +goose StatementEnd

-- Why triggers cannot tell every change of a table, or its rows cannot be told apart by the key; NULL
-- when they can.
-- +goose StatementBegin
create function socksync.refusal(rel regclass, keys text[]) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $fn$
declare
  c   pg_class;
  bad text;
begin
  select r.* into c from pg_class r where r.oid = rel;
  if not found then
    return 'the table does not exist';
  elsif c.relkind not in ('r', 'p') then
    return 'it is not a table but ' || case c.relkind when 'v' then 'a view' when 'm' then 'a materialized view'
      when 'f' then 'a foreign table' when 'S' then 'a sequence' when 'c' then 'a composite type' when 't' then 'a TOAST table' else 'an index' end;
  elsif c.relpersistence = 't' then
    return 'it is a temporary table';
  elsif c.relnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'socksync'::regnamespace) then
    return format('it belongs to schema %s', c.relnamespace::regnamespace);
  elsif c.relkind = 'r' and exists (select from pg_inherits i where i.inhparent = rel) then
    return 'other tables inherit from it, and what is written through them cannot be followed';
  end if;
  select string_agg(t.relid::text, ', ') into bad
    from pg_partition_tree(rel) t join pg_class p on p.oid = t.relid where p.relkind = 'f';
  if bad is not null then
    return format('a partition is a foreign table (%s), and what is written elsewhere cannot be followed', bad);
  end if;
  return socksync.key_refusal(rel, keys);
end $fn$;
-- +goose StatementEnd

-- The part of refusal that is about the key.
-- +goose StatementBegin
create function socksync.key_refusal(rel regclass, keys text[]) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $fn$
declare
  bad text;
begin
  if coalesce(cardinality(keys), 0) = 0 then
    return 'it has no key columns';
  end if;
  select string_agg(distinct quote_ident(k), ', ') into bad from unnest(keys) k
   where not exists (select from pg_attribute a where a.attrelid = rel and a.attname = k and a.attnum > 0 and not a.attisdropped);
  if bad is not null then
    return format('it has no column %s', bad);
  end if;
  select string_agg(quote_ident(d.k), ', ') into bad from (select k from unnest(keys) k group by k having count(*) > 1) d;
  if bad is not null then
    return format('the key names column %s twice', bad);
  end if;
  select string_agg(quote_ident(a.attname), ', ') into bad
    from pg_attribute a where a.attrelid = rel and a.attname = any (keys) and not a.attnotnull;
  if bad is not null then
    return format('key column %s may be NULL', bad);
  end if;
  if not exists (
    select from pg_index i
     where i.indrelid = rel and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
       and (i.indkey::int2[])[0:i.indnkeyatts - 1]
           <@ array(select a.attnum from pg_attribute a where a.attrelid = rel and a.attname = any (keys)))
  then
    return format('no primary key and no unique index makes key (%s) unique',
      (select string_agg(quote_ident(k.name), ', ' order by k.pos) from unnest(keys) with ordinality k (name, pos)));
  end if;
  return null;
end $fn$;
-- +goose StatementEnd

-- Whether a table needs row-level triggers: statement-level ones do not see what is written to a
-- partition directly or through a parent, nor what logical replication applies.
-- +goose StatementBegin
create function socksync.needs_row_triggers(rel oid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $fn$
  select exists (select from pg_class c where c.oid = rel and (c.relkind = 'p' or c.relispartition))
      or exists (select from pg_inherits i where i.inhrelid = rel)
      or exists (select from pg_subscription_rel s where s.srrelid = rel)
$fn$;
-- +goose StatementEnd

-- Whether a key can change in an UPDATE that does not name one of its columns: through a BEFORE trigger,
-- or because it is generated from others.
-- +goose StatementBegin
create function socksync.key_changes_unseen(rel oid, keys text[]) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $fn$
  select exists (select from pg_trigger t
                  where t.tgrelid = rel and not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 19 = 19)
      or exists (select from pg_attribute a where a.attrelid = rel and a.attname = any (keys) and a.attgenerated <> '')
$fn$;
-- +goose StatementEnd

-- The triggers that a table needs: one row each, with what pg_trigger must say about it (events as in
-- tgtype, transition table, columns) and how to make it. A row-level trigger of a partition is the
-- parent's (inherited), and is made there.
-- +goose StatementBegin
create function socksync.wanted(rel oid, keys text[]) returns table (
    relation oid, name text, events int, transition text, columns int2[], inherited boolean,
    function text, settings text, body text, definition text)
language plpgsql stable set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $fn$
declare
  by_row boolean := socksync.needs_row_triggers(rel);
  unseen boolean := socksync.key_changes_unseen(rel, keys);
  of_    int2[] := array(select a.attnum from pg_attribute a where not unseen and a.attrelid = rel and a.attname = any (keys) order by 1);
begin
  return query
  with shape (name, events, transition, columns, fn, head, tail) as (
    values ('zz_socksync_i', 4, 'new', '{}'::int2[], 'stmt', 'after insert', 'referencing new table as n for each statement'),
           ('zz_socksync_u', 16, 'new', '{}', 'stmt', 'after update', 'referencing new table as n for each statement'),
           ('zz_socksync_d', 8, 'old', '{}', 'stmt', 'after delete', 'referencing old table as n for each statement'),
           ('zz_socksync_k', 17, null, of_, 'row',
            'after update' || case when unseen then '' else ' of ' || (select string_agg(quote_ident(k), ', ') from unnest(keys) k) end,
            (select format('for each row when (pg_catalog.record_image_ne(row(%s), row(%s)))',
               string_agg(format('old.%I', k), ', '), string_agg(format('new.%I', k), ', ')) from unnest(keys) k)),
           ('zz_socksync_r', 29, null, '{}', 'row', 'after insert or update or delete', 'for each row'),
           ('zz_socksync_t', 32, null, '{}', 'truncated', 'after truncate', 'for each statement')
  ), fn (kind, settings, body) as (
    select 'stmt', f.settings, f.body from socksync.statement_function(rel, keys) f
    union all
    select 'row', f.settings, f.body from socksync.row_function(rel, keys) f
  ), named (kind, settings, body, name) as (
    select fn.*, fn.kind || '_' || md5(fn.settings || fn.body) from fn
    union all
    select 'truncated', null, null, 'truncated'
  ), member (oid) as (
    select rel union select t.relid from pg_partition_tree(rel) t
  )
  select m.oid, s.name, s.events, s.transition, s.columns, m.oid <> rel and s.fn = 'row',
         f.name, f.settings, f.body,
         format('create trigger %s %s on %s %s execute function socksync.%s()', s.name, s.head, m.oid::regclass, s.tail, f.name)
    from shape s join named f on f.kind = s.fn cross join member m
   where case s.name when 'zz_socksync_t' then true when 'zz_socksync_r' then by_row else not by_row end;
end $fn$;
-- +goose StatementEnd

-- What is there, against what is wanted. "missing" is not there, "outdated" is there and differs or does
-- not always fire, "unwanted" is there and not needed any more.
-- +goose StatementBegin
create function socksync.trigger_status(rel regclass, keys text[]) returns table (relation regclass, name text, state text)
language sql stable set search_path = pg_catalog, pg_temp as $fn$
  with wanted as (
    select * from socksync.wanted(rel, keys)
  ), found as (
    select t.*, p.proname, p.prosrc, p.prosecdef, p.proowner, p.proconfig
      from pg_trigger t join pg_proc p on p.oid = t.tgfoid
     where p.pronamespace = 'socksync'::regnamespace
       and t.tgrelid in (select rel::oid union select m.relid from pg_partition_tree(rel) m)
  )
  select w.relation::regclass, w.name,
         case when f.oid is null then 'missing'
              when f.tgenabled = 'A' and f.tgtype = w.events and f.proname = w.function
               and f.tgattr::int2[] @> w.columns and f.tgattr::int2[] <@ w.columns
               and f.tgnewtable is not distinct from case w.transition when 'new' then 'n' end
               and f.tgoldtable is not distinct from case w.transition when 'old' then 'n' end
               and (f.tgqual is not null) = (w.name = 'zz_socksync_k')
               and (f.tgparentid <> 0 or not w.inherited)
               and f.prosecdef
               and f.proowner = (select c.relowner from pg_class c where c.oid = 'socksync.change'::regclass)
               and (w.body is null or f.prosrc = w.body
                    and cardinality(coalesce(f.proconfig, '{}')) = (select count(*) from regexp_matches(w.settings, 'set ', 'g')))
              then 'installed' else 'outdated' end
    from wanted w left join found f on f.tgrelid = w.relation and f.tgname = w.name
  union all
  select f.tgrelid::regclass, f.tgname, 'unwanted'
    from found f left join wanted w on f.tgrelid = w.relation and f.tgname = w.name
   where w.name is null and f.tgparentid = 0
$fn$;
-- +goose StatementEnd

-- +goose Down

-- +goose StatementBegin
drop function socksync.trigger_status(regclass, text[]), socksync.wanted(oid, text[]), socksync.key_changes_unseen(oid, text[]),
  socksync.needs_row_triggers(oid), socksync.key_refusal(regclass, text[]), socksync.refusal(regclass, text[]),
  socksync.row_function(oid, text[]), socksync.statement_function(oid, text[]), socksync.key_parts(oid, text[]),
  socksync.column_text(text, oid), socksync.type_settings(oid);
-- +goose StatementEnd
