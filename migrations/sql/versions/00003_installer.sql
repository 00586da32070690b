-- Putting the triggers on tables and taking them off.

-- +goose Up

-- Installing needs more rights than reading what is installed: this says which are missing, before the
-- server answers with the first that it happens to meet.
-- +goose StatementBegin
create function socksync.check_rights(rel regclass) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $fn$
declare
  owner oid := (select c.relowner from pg_class c where c.oid = 'socksync.change'::regclass);
  other record;
begin
  if not pg_has_role(current_user, owner, 'USAGE') then
    raise insufficient_privilege using message =
      format('role %I must be a member of role %s, which owns schema socksync', current_user, owner::regrole);
  end if;
  select c.oid::regclass as name, c.relowner::regrole as owner into other from pg_class c
   where c.oid in (select rel::oid union select m.relid from pg_partition_tree(rel) m)
     and not pg_has_role(current_user, c.relowner, 'USAGE') limit 1;
  if found then
    raise insufficient_privilege using message =
      format('role %I must be a member of role %s, which owns table %s', current_user, other.owner, other.name);
  end if;
end $fn$;
-- +goose StatementEnd

-- Makes the functions that the triggers of a table run. They belong to the owner of the log, so that
-- they can write to it whoever installs.
-- +goose StatementBegin
create function socksync.make_functions(rel regclass, keys text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $fn$
declare
  owner regrole := (select c.relowner from pg_class c where c.oid = 'socksync.change'::regclass);
  w     record;
begin
  for w in
    select distinct s.function, s.settings, s.body from socksync.wanted(rel, keys) s where s.body is not null
  loop
    execute format('create or replace function socksync.%I() returns pg_catalog.trigger language plpgsql security definer %s as %L',
      w.function, w.settings, w.body);
    execute format('alter function socksync.%I() owner to %s', w.function, owner);
    execute format('revoke all on function socksync.%I() from public', w.function);
  end loop;
end $fn$;
-- +goose StatementEnd

-- Drops the functions that no trigger runs any more.
-- +goose StatementBegin
create function socksync.drop_unused_functions() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $fn$
declare
  fn regprocedure;
begin
  for fn in
    select p.oid from pg_proc p
     where p.pronamespace = 'socksync'::regnamespace and p.proname ~ '^(stmt|row)_[0-9a-f]{32}$'
       and not exists (select from pg_trigger t where t.tgfoid = p.oid)
  loop
    execute format('drop function %s', fn);
  end loop;
end $fn$;
-- +goose StatementEnd

-- +goose StatementBegin
create function socksync.refuse(rel regclass, reason text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $fn$
begin
  raise exception using errcode = 'SS001', message = format('table %s cannot be followed: %s', rel, reason), detail = reason;
end $fn$;
-- +goose StatementEnd

-- Puts the triggers on a table, of which rel is the root if it is partitioned. What is installed and as
-- it should be is not touched: then it takes no lock and returns false. The triggers fire always, also
-- when logical replication or a restore writes. A table that has to be changed is locked against
-- writers, and against readers if a trigger is replaced, until the transaction ends.
-- +goose StatementBegin
create function socksync.install(rel regclass, keys text[]) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $fn$
declare
  reason text := socksync.refusal(rel, keys);
  t      record;
begin
  if reason is not null then
    perform socksync.refuse(rel, reason);
  elsif not exists (select from socksync.trigger_status(rel, keys) s where s.state <> 'installed') then
    return false;
  end if;
  perform socksync.check_rights(rel);
  perform pg_advisory_xact_lock(7305813, 3);
  perform socksync.make_functions(rel, keys);
  for t in
    select s.relation, s.name, p.tgparentid from socksync.trigger_status(rel, keys) s
      join pg_trigger p on p.tgrelid = s.relation and p.tgname = s.name
     where s.state <> 'installed' and (p.tgparentid = 0 or s.relation = rel)
  loop
    if t.tgparentid <> 0 then
      perform socksync.refuse(rel, 'it is a partition of a table that is followed by another key');
    end if;
    execute format('drop trigger %I on %s', t.name, t.relation);
  end loop;
  for t in
    select w.definition from socksync.trigger_status(rel, keys) s
      join socksync.wanted(rel, keys) w on w.relation = s.relation and w.name = s.name
     where s.state = 'missing' and not w.inherited
  loop
    execute t.definition;
  end loop;
  for t in
    select w.relation::regclass, w.name from socksync.wanted(rel, keys) w
      join pg_trigger p on p.tgrelid = w.relation and p.tgname = w.name
     where p.tgenabled <> 'A'
  loop
    execute format('alter table %s enable always trigger %I', t.relation, t.name);
  end loop;
  perform socksync.drop_unused_functions();
  return true;
end $fn$;
-- +goose StatementEnd

-- Takes the triggers off a table and its partitions. Returns false when there are none. A trigger that
-- the table has from a parent stays: it goes with the parent's.
-- +goose StatementBegin
create function socksync.uninstall(rel regclass) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $fn$
declare
  t    record;
  dropped boolean := false;
begin
  for t in
    select g.tgrelid::regclass as relation, g.tgname as name from pg_trigger g join pg_proc p on p.oid = g.tgfoid
     where p.pronamespace = 'socksync'::regnamespace and g.tgparentid = 0
       and g.tgrelid in (select rel::oid union select m.relid from pg_partition_tree(rel) m)
       and not exists (select from pg_trigger o join pg_partition_ancestors(rel) a on a.relid = o.tgrelid and a.relid <> rel
                        where o.tgfoid = g.tgfoid)
  loop
    if not dropped then
      perform socksync.check_rights(rel);
      perform pg_advisory_xact_lock(7305813, 3);
      dropped := true;
    end if;
    execute format('drop trigger %I on %s', t.name, t.relation);
  end loop;
  if dropped then
    perform socksync.drop_unused_functions();
  end if;
  return dropped;
end $fn$;
-- +goose StatementEnd

-- The tables that have triggers of ours, roots only.
-- +goose StatementBegin
create function socksync.installed_tables() returns setof regclass
language sql stable set search_path = pg_catalog, pg_temp as $fn$
  select distinct coalesce(pg_partition_root(t.tgrelid), t.tgrelid)::regclass
    from pg_trigger t join pg_proc p on p.oid = t.tgfoid
   where p.pronamespace = 'socksync'::regnamespace
$fn$;
-- +goose StatementEnd

-- Gives a role what a server needs: to read the log, prune it, ring the bell, begin epochs and see what
-- is installed.
-- +goose StatementBegin
create function socksync.grant_use(role regrole) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $fn$
declare
  fn regprocedure;
begin
  execute format('grant usage on schema socksync to %s', role);
  execute format('grant select on socksync.goose_db_version to %s', role);
  execute format('grant select, insert, update, delete, truncate on socksync.change, socksync.epoch, socksync.epoch_twin, socksync.pruned to %s', role);
  execute format('grant select, usage, update on sequence socksync.bell to %s', role);
  for fn in
    select p.oid from pg_proc p where p.pronamespace = 'socksync'::regnamespace and p.prorettype <> 'trigger'::regtype
  loop
    execute format('grant execute on function %s to %s', fn, role);
  end loop;
end $fn$;
-- +goose StatementEnd

-- +goose StatementBegin
do $do$
declare
  fn pg_catalog.regprocedure;
begin
  for fn in
    select p.oid from pg_catalog.pg_proc p join pg_catalog.pg_namespace s on s.oid operator(pg_catalog.=) p.pronamespace
     where s.nspname operator(pg_catalog.=) 'socksync'
  loop
    execute pg_catalog.format('revoke all on function %s from public', fn);
  end loop;
end $do$;
-- +goose StatementEnd

-- +goose Down

-- The functions of the triggers, and with them the triggers; then what made them.
-- +goose StatementBegin
do $do$
declare
  fn pg_catalog.regprocedure;
begin
  for fn in
    select p.oid from pg_catalog.pg_proc p join pg_catalog.pg_namespace s on s.oid operator(pg_catalog.=) p.pronamespace
     where s.nspname operator(pg_catalog.=) 'socksync' and p.proname operator(pg_catalog.~) '^(stmt|row)_[0-9a-f]{32}$'
  loop
    execute pg_catalog.format('drop function %s cascade', fn);
  end loop;
end $do$;
drop function socksync.grant_use(regrole), socksync.installed_tables(), socksync.uninstall(regclass), socksync.install(regclass, text[]),
  socksync.refuse(regclass, text), socksync.drop_unused_functions(), socksync.make_functions(regclass, text[]), socksync.check_rights(regclass);
-- +goose StatementEnd
