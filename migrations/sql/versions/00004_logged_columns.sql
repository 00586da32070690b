-- Further columns whose values are logged behind the key, as a row had them and as it has them: by them
-- the rows of other tables are found that refer to it, also when it does not refer to them any more.
--
-- The functions with a third argument are those of version 3 with these columns. With none they say and
-- do what those do, so that what is installed stays as it is, save for keys that are compared by bytes
-- now. Those of version 3 stay too, for files and servers that were written for it.

-- +goose Up

-- Whether two texts of a row's columns can be compared by their bytes only. Values that a collation calls
-- equal may have different texts, and columns of different collations cannot be compared as one array.
-- +goose StatementBegin
create function socksync.compared_by_bytes(rel oid, keys text[], logged text[]) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $fn$
  select cardinality(logged) > 0
      or exists (select from pg_attribute a join pg_collation c on c.oid = a.attcollation
                  where a.attrelid = rel and a.attname = any (keys) and not c.collisdeterministic)
      or (select count(distinct a.attcollation) > 1 from pg_attribute a
           where a.attrelid = rel and a.attname = any (keys) and a.attcollation not in (0, 'pg_catalog."default"'::regcollation))
$fn$;
-- +goose StatementEnd

-- The parts of a trigger function that depend on the columns. A value of a logged column is '=' and its
-- text, or '-' where it is NULL. Where the column is gone, since it was renamed or dropped, it is taken
-- from "missing", in which it has a type that no column of a table can have; that becomes a NULL, which
-- the reader takes for everything.
-- +goose StatementBegin
create function socksync.key_parts(rel oid, keys text[], logged text[], out missing text, out key text, out settings text)
language plpgsql stable set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $fn$
declare
  valued text;
begin
  select p.missing, p.key, p.settings into missing, key, settings from socksync.key_parts(rel, keys) p;
  if cardinality(logged) = 0 then
    return;
  end if;
  select concat_ws(', ', missing, string_agg(format('null::%s as %I', c.gone, c.name), ', ' order by c.pos) filter (where c.name <> all (keys))),
         string_agg(format('case when pg_catalog.pg_typeof(%I) operator(pg_catalog.<>) %L::pg_catalog.regtype then coalesce(%L operator(pg_catalog.||) %s, %L) end',
           c.name, c.gone, '=', c.text, '-'), ', ' order by c.pos)
    into missing, valued
    from (select l.name, l.pos, t.text,
                 -- A number is logged for the names of catalog objects, and nothing but a text turns into both.
                 case when t.text = format('%I::pg_catalog.oid::pg_catalog.text', l.name) then 'pg_catalog.text' else 'pg_catalog.void' end as gone
            from unnest(logged) with ordinality l (name, pos)
            join pg_attribute a on a.attrelid = rel and a.attname = l.name
            cross join lateral socksync.column_text(l.name, a.atttypid) t (text)) c;
  key := format('array[%s, %s]', substring(key from 7 for length(key) - 7), valued);
  select p.settings into settings from socksync.key_parts(rel, keys || logged) p;
end $fn$;
-- +goose StatementEnd

-- The function of the statement-level triggers: as that of version 3.
-- +goose StatementBegin
create function socksync.statement_function(rel oid, keys text[], logged text[], out settings text, out body text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $fn$
declare
  missing text;
  key     text;
begin
  select p.missing, p.key, p.settings into missing, key, settings from socksync.key_parts(rel, keys, logged) p;
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

-- The function of the row-level triggers: what the row was and what it is where their texts differ, else
-- what it is.
-- +goose StatementBegin
create function socksync.row_function(rel oid, keys text[], logged text[], out settings text, out body text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $fn$
declare
  missing text;
  key     text;
  bytes   text := case when socksync.compared_by_bytes(rel, keys, logged) then ' collate pg_catalog."C"' else '' end;
begin
  select p.missing, p.key, p.settings into missing, key, settings from socksync.key_parts(rel, keys, logged) p;
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
        select own.xid, own.rel, case when o.keys%3$s operator(pg_catalog.<>) n.keys then array[o.keys, n.keys] else n.keys end
          from (select %1$s) missing cross join lateral (select %2$s as keys from (select old.*) r) o
               cross join lateral (select %2$s as keys from (select new.*) r) n;
    end if;
    if (own.flag operator(pg_catalog.&) 65535) operator(pg_catalog.<>) 0 then
      perform pg_catalog.pg_notify('socksync', '');
    end if;
  end if;
  return null;
end $body$, missing, key, bytes);
end $fn$;
-- +goose StatementEnd

-- Why a table cannot be followed, or its columns not be logged; NULL when they can.
-- +goose StatementBegin
create function socksync.refusal(rel regclass, keys text[], logged text[]) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $fn$
declare
  reason text := socksync.refusal(rel, keys);
  bad    text;
begin
  if reason is not null then
    return reason;
  end if;
  select string_agg(distinct coalesce(quote_ident(l), 'NULL'), ', ') into bad from unnest(logged) l
   where not exists (select from pg_attribute a where a.attrelid = rel and a.attname = l and a.attnum > 0 and not a.attisdropped);
  if bad is not null then
    return format('it has no column %s, whose values are to be logged: add it, or correct the definition that depends on it', bad);
  end if;
  select string_agg(quote_ident(d.l), ', ') into bad from (select l from unnest(logged) l group by l having count(*) > 1) d;
  if bad is not null then
    return format('column %s is to be logged twice', bad);
  end if;
  select string_agg(quote_ident(a.attname), ', ') into bad
    from pg_attribute a where a.attrelid = rel and a.attname = any (logged) and a.attgenerated = 'v';
  if bad is not null then
    return format('column %s is generated when it is read, so that triggers do not see its values: have it stored, or depend on another', bad);
  end if;
  return null;
end $fn$;
-- +goose StatementEnd

-- The triggers that a table needs, as in version 3. The row-level trigger of a changed key is that of a
-- changed value as well. The argument of a trigger says which columns it logs.
--
-- Where all triggers are row-level ones, that of a changed key is there too, and never fires: it makes the
-- database refuse to change the type of a column, since writers that have planned for the old one would
-- fail, and remembers which columns bore the names.
-- +goose StatementBegin
create function socksync.wanted(rel oid, keys text[], logged text[]) returns table (
    relation oid, name text, events int, transition text, columns int2[], inherited boolean,
    function text, settings text, body text, argument text, definition text)
language plpgsql stable set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $fn$
declare
  watched text[]  := keys || array(select l.name from unnest(logged) with ordinality l (name, pos) where l.name <> all (keys) order by l.pos);
  by_row  boolean := socksync.needs_row_triggers(rel);
  unseen  boolean := socksync.key_changes_unseen(rel, watched);
  guard   boolean := by_row and cardinality(logged) > 0;
  of_     text[]  := case when guard or not unseen then watched else '{}' end;
begin
  return query
  with shape (name, events, transition, of_, fn, head, tail) as (
    values ('zz_socksync_i', 4, 'new', '{}'::text[], 'stmt', 'after insert', 'referencing new table as n for each statement'),
           ('zz_socksync_u', 16, 'new', '{}', 'stmt', 'after update', 'referencing new table as n for each statement'),
           ('zz_socksync_d', 8, 'old', '{}', 'stmt', 'after delete', 'referencing old table as n for each statement'),
           ('zz_socksync_k', 17, null, of_, 'row',
            concat('after update', (select ' of ' || string_agg(quote_ident(c), ', ') from unnest(of_) c)),
            case when guard then 'for each row when (false)' else
            (select format('for each row when (pg_catalog.record_image_ne(row(%s), row(%s)))',
               string_agg(format('old.%I', c), ', '), string_agg(format('new.%I', c), ', ')) from unnest(watched) c) end),
           ('zz_socksync_r', 29, null, '{}', 'row', 'after insert or update or delete', 'for each row'),
           ('zz_socksync_t', 32, null, '{}', 'truncated', 'after truncate', 'for each statement')
  ), fn (kind, settings, body, argument) as (
    select 'stmt', f.settings, f.body, nullif(logged, '{}')::text from socksync.statement_function(rel, keys, logged) f
    union all
    select 'row', f.settings, f.body, nullif(logged, '{}')::text from socksync.row_function(rel, keys, logged) f
  ), named (kind, settings, body, argument, name) as (
    select fn.*, fn.kind || '_' || md5(fn.settings || fn.body) from fn
    union all
    select 'truncated', null, null, null, 'truncated'
  ), member (oid) as (
    select rel union select t.relid from pg_partition_tree(rel) t
  )
  select m.oid, s.name, s.events, s.transition,
         array(select a.attnum from pg_attribute a where a.attrelid = m.oid and a.attname = any (s.of_) order by 1),
         m.oid <> rel and s.fn = 'row', f.name, f.settings, f.body, f.argument,
         format('create trigger %s %s on %s %s execute function socksync.%s(%s)', s.name, s.head, m.oid::regclass, s.tail, f.name, quote_literal(f.argument))
    from shape s join named f on f.kind = s.fn cross join member m
   where case s.name when 'zz_socksync_t' then true when 'zz_socksync_r' then by_row when 'zz_socksync_k' then guard or not by_row else not by_row end;
end $fn$;
-- +goose StatementEnd

-- What is there, against what is wanted, as in version 3. What logs values is outdated also when other
-- columns have the names now: sessions may have planned for those that had them.
-- +goose StatementBegin
create function socksync.trigger_status(rel regclass, keys text[], logged text[]) returns table (relation regclass, name text, state text)
language sql stable set search_path = pg_catalog, pg_temp as $fn$
  with wanted as (
    select * from socksync.wanted(rel, keys, logged)
  ), found as (
    select t.*, p.proname, p.prosrc, p.prosecdef, p.proowner, p.proconfig
      from pg_trigger t join pg_proc p on p.oid = t.tgfoid
     where p.pronamespace = 'socksync'::regnamespace
       and t.tgrelid in (select rel::oid union select m.relid from pg_partition_tree(rel) m)
  ), made_for (relation, columns) as (
    select f.tgrelid, array(select distinct d.refobjsubid from pg_depend d
                             where d.classid = 'pg_trigger'::regclass and d.objid = f.oid
                               and d.refclassid = 'pg_class'::regclass and d.refobjid = f.tgrelid and d.refobjsubid > 0 order by 1)
      from found f where f.tgname = 'zz_socksync_k'
  )
  select w.relation::regclass, w.name,
         case when f.oid is null then 'missing'
              when f.tgenabled = 'A' and f.tgtype = w.events and f.proname = w.function
               and f.tgattr::int2[] @> w.columns and f.tgattr::int2[] <@ w.columns
               and f.tgnewtable is not distinct from case w.transition when 'new' then 'n' end
               and f.tgoldtable is not distinct from case w.transition when 'old' then 'n' end
               and (f.tgqual is not null) = (w.name = 'zz_socksync_k')
               and (f.tgparentid <> 0 or not w.inherited)
               and f.tgargs = case when w.argument is null then '' else convert_to(w.argument, getdatabaseencoding()) || '\x00'::bytea end
               and (w.argument is null or exists (
                 select from made_for k where k.relation = w.relation
                    and k.columns = array(select a.attnum::int4 from pg_attribute a where a.attrelid = w.relation and a.attname = any (keys || logged) order by 1)))
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

-- Makes the functions that the triggers of a table run, as in version 3.
-- +goose StatementBegin
create function socksync.make_functions(rel regclass, keys text[], logged text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $fn$
declare
  owner regrole := (select c.relowner from pg_class c where c.oid = 'socksync.change'::regclass);
  w     record;
begin
  for w in
    select distinct s.function, s.settings, s.body from socksync.wanted(rel, keys, logged) s where s.body is not null
  loop
    execute format('create or replace function socksync.%I() returns pg_catalog.trigger language plpgsql security definer %s as %L',
      w.function, w.settings, w.body);
    execute format('alter function socksync.%I() owner to %s', w.function, owner);
    execute format('revoke all on function socksync.%I() from public', w.function);
  end loop;
end $fn$;
-- +goose StatementEnd

-- Puts the triggers on a table, as in version 3. A table is locked before its partitions, as writers do,
-- while to drop a trigger locks the partitions first.
-- +goose StatementBegin
create function socksync.install(rel regclass, keys text[], logged text[]) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $fn$
declare
  reason text := socksync.refusal(rel, keys, logged);
  tree   oid[] := array(select rel::oid union all select * from (select m.relid::oid from pg_partition_tree(rel) m where m.level > 0 order by m.level, m.relid) m);
  t      record;
begin
  if reason is not null then
    perform socksync.refuse(rel, reason);
  elsif not exists (select from socksync.trigger_status(rel, keys, logged) s where s.state <> 'installed') then
    return false;
  end if;
  perform socksync.check_rights(rel);
  perform pg_advisory_xact_lock(7305813, 3);
  perform socksync.make_functions(rel, keys, logged);
  if exists (select from socksync.trigger_status(rel, keys, logged) s where s.state in ('outdated', 'unwanted')) then
    execute format('lock table %s in access exclusive mode', rel);
  end if;
  for t in
    select s.relation, s.name, p.tgparentid from socksync.trigger_status(rel, keys, logged) s
      join pg_trigger p on p.tgrelid = s.relation and p.tgname = s.name
     where s.state <> 'installed' and (p.tgparentid = 0 or s.relation = rel)
     order by array_position(tree, s.relation::oid)
  loop
    if t.tgparentid <> 0 then
      perform socksync.refuse(rel, 'it is a partition of a table that is followed by another key or with other logged columns');
    end if;
    execute format('drop trigger %I on %s', t.name, t.relation);
  end loop;
  for t in
    select w.definition from socksync.trigger_status(rel, keys, logged) s
      join socksync.wanted(rel, keys, logged) w on w.relation = s.relation and w.name = s.name
     where s.state = 'missing' and not w.inherited
     order by array_position(tree, s.relation::oid)
  loop
    execute t.definition;
  end loop;
  for t in
    select w.relation::regclass, w.name from socksync.wanted(rel, keys, logged) w
      join pg_trigger p on p.tgrelid = w.relation and p.tgname = w.name
     where p.tgenabled <> 'A'
     order by array_position(tree, w.relation)
  loop
    execute format('alter table %s enable always trigger %I', t.relation, t.name);
  end loop;
  perform socksync.drop_unused_functions();
  return true;
end $fn$;
-- +goose StatementEnd

-- +goose StatementBegin
revoke all on function socksync.compared_by_bytes(oid, text[], text[]), socksync.key_parts(oid, text[], text[]),
  socksync.statement_function(oid, text[], text[]), socksync.row_function(oid, text[], text[]), socksync.refusal(regclass, text[], text[]),
  socksync.wanted(oid, text[], text[]), socksync.trigger_status(regclass, text[], text[]),
  socksync.make_functions(regclass, text[], text[]), socksync.install(regclass, text[], text[]) from public;
-- +goose StatementEnd

-- +goose Down

-- A server of version 3 would take a value for a key. So tables of which values are logged lose their
-- triggers, and are not followed until they are installed again; others stay as they are.
-- +goose StatementBegin
do $do$
declare
  rel pg_catalog.oid;
begin
  for rel in
    select distinct t.tgrelid from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid operator(pg_catalog.=) t.tgfoid
      join pg_catalog.pg_namespace s on s.oid operator(pg_catalog.=) p.pronamespace
     where s.nspname operator(pg_catalog.=) 'socksync' and t.tgnargs operator(pg_catalog.>) 0 and t.tgparentid operator(pg_catalog.=) 0
     order by 1
  loop
    execute pg_catalog.format('lock table %s in access exclusive mode', rel::pg_catalog.regclass); -- before its partitions, as writers do
    perform socksync.uninstall(rel);
  end loop;
end $do$;
drop function socksync.install(regclass, text[], text[]), socksync.make_functions(regclass, text[], text[]),
  socksync.trigger_status(regclass, text[], text[]), socksync.wanted(oid, text[], text[]),
  socksync.refusal(regclass, text[], text[]), socksync.row_function(oid, text[], text[]), socksync.statement_function(oid, text[], text[]),
  socksync.key_parts(oid, text[], text[]), socksync.compared_by_bytes(oid, text[], text[]);
-- +goose StatementEnd
