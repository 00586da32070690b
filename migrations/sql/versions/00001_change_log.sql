-- The change log that triggers write and the feed reads, the doorbell between them, and pruning.
-- Runs on Postgres 14 to 18, needs no extension and no superuser: the role that runs it must be
-- allowed to create a schema in the database. The schema exists already: it holds the table of
-- versions.

-- +goose Up

-- +goose StatementBegin
revoke all on schema socksync from public;

-- One row for up to 200 changed keys of one statement. There is no order and no sequence: a reader
-- wants the set of keys that changed between two snapshots, and xid alone gives it. Unlogged: after
-- a crash the past is unknown anyway and every reader starts again (see epoch).
create unlogged table socksync.change (
    xid      pg_catalog.int8 not null,  -- top-level transaction id, 64 bit
    relation pg_catalog.oid  not null,  -- the table that was written; of a partitioned one, the partition
    keys     pg_catalog.text[]          -- [row][key column], one- or two-dimensional, read as one flat list; NULL or with a NULL in it: everything
) with (
    -- Rows live for less than a second and are deleted in bulk: vacuum often, at full speed, never
    -- for the planner (changes and prune fix their plans), and never give the file's end back only
    -- to extend it again under a lock.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_insert_threshold = -1,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 2000000000, autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = off, toast.vacuum_truncate = off, toast.autovacuum_vacuum_cost_delay = 0
);
-- Compressing what is read once and deleted costs more than it saves.
alter table socksync.change alter column keys set storage external;
create index change_xid on socksync.change (xid);

-- The epoch is good while the twin, which a crash empties, holds the same id.
create table socksync.epoch (
    one pg_catalog.bool primary key default true check (one),
    id  pg_catalog.uuid not null
);
create unlogged table socksync.epoch_twin (
    one pg_catalog.bool primary key default true check (one),
    id  pg_catalog.uuid not null
);
-- The mark: what is visible in it may have been deleted from the log.
create unlogged table socksync.pruned (
    one  pg_catalog.bool primary key default true check (one),
    upto pg_catalog.pg_snapshot not null
);
-- +goose StatementEnd

-- The doorbell's flag, outside transactions: limit xid * 65536 + one bit for each sleeping feed. Never
-- set (NULL) means a limit of 0: nothing is logged until a first feed sets it. Postgres 14 knows no
-- unlogged sequences; there each change of the flag writes a little WAL.
-- +goose StatementBegin
do $do$
begin
  if pg_catalog.current_setting('server_version_num')::pg_catalog.int4 operator(pg_catalog.>=) 150000 then
    create unlogged sequence socksync.bell as pg_catalog.int8 minvalue 0 start 0;
  else
    create sequence socksync.bell as pg_catalog.int8 minvalue 0 start 0;
  end if;
end $do$;
-- +goose StatementEnd

-- Sets and clears bits of the flag and moves the limit forward. Everything that writes the flag goes
-- through here: reading and setval are two steps, which the advisory lock makes one.
-- +goose StatementBegin
create function socksync.bell_set(set_bits bigint, clear_bits bigint, new_limit bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $fn$
declare
  flag bigint;
begin
  perform pg_advisory_xact_lock(7305813, 1);
  flag := coalesce(pg_sequence_last_value('socksync.bell'), 0);
  return setval('socksync.bell',
    greatest(flag >> 16, coalesce(new_limit, 0)) << 16 | ((flag & 65535) & ~clear_bits | set_bits));
end $fn$;
-- +goose StatementEnd

-- What was committed between a snapshot (its xmax and the transactions that ran in it) and the
-- caller's own. Keys are NULL (everything) also where one of them is unknown. Never a sequential scan:
-- planned while the log is nearly empty, it would stick.
-- +goose StatementBegin
create function socksync.changes(xmax bigint, xip bigint[]) returns table (relation oid, keys text[])
language plpgsql stable set enable_seqscan = off set search_path = pg_catalog, pg_temp as $fn$
begin
  return query
    select c.relation, case when num_nulls(variadic c.keys) = 0 then c.keys end
      from socksync.change c where c.xid >= changes.xmax
    union all
    select c.relation, case when num_nulls(variadic c.keys) = 0 then c.keys end
      from socksync.change c where c.xid = any (changes.xip);
end $fn$;
-- +goose StatementEnd

-- Deletes what is visible in the mark m and was not visible in the last mark, and makes m the mark.
-- Every reader that is to go on must stand at m or later. Returns the number of rows deleted, or NULL
-- when another pruner is at work or a load is in progress (it holds the lock shared).
-- +goose StatementBegin
create function socksync.prune(m pg_snapshot) returns bigint
language plpgsql set enable_seqscan = off set search_path = pg_catalog, pg_temp as $fn$
declare
  last    pg_snapshot;
  running bigint[] := array(select x::text::bigint from pg_snapshot_xip(m) x);
  deleted bigint;
  late    bigint;
begin
  if not pg_try_advisory_xact_lock(7305813, 2) then
    return null;
  end if;
  select p.upto into last from socksync.pruned p;
  if pg_snapshot_xmax(last)::text::bigint > pg_snapshot_xmax(m)::text::bigint then
    return 0;
  end if;
  delete from socksync.change c
   where c.xid >= pg_snapshot_xmax(last)::text::bigint
     and c.xid < pg_snapshot_xmax(m)::text::bigint
     and c.xid <> all (running);
  get diagnostics deleted = row_count;
  delete from socksync.change c
   where c.xid = any (array(select x::text::bigint from pg_snapshot_xip(last) x))
     and c.xid <> all (running);
  get diagnostics late = row_count;
  update socksync.pruned p set upto = m;
  return deleted + late;
end $fn$;
-- +goose StatementEnd

-- What a TRUNCATE trigger runs: everything changed.
-- +goose StatementBegin
create function socksync.truncated() returns trigger
language plpgsql security definer as $fn$
declare
  flag pg_catalog.int8 := pg_catalog.pg_sequence_last_value('socksync.bell');
  xid  pg_catalog.int8 := pg_catalog.txid_current();
begin
  if (flag operator(pg_catalog.>>) 16) operator(pg_catalog.>) xid then
    insert into socksync.change values (xid, tg_relid, null);
    if (flag operator(pg_catalog.&) 65535) operator(pg_catalog.<>) 0 then
      perform pg_catalog.pg_notify('socksync', '');
    end if;
  end if;
  return null;
end $fn$;
-- +goose StatementEnd

-- +goose StatementBegin
revoke all on function socksync.bell_set(bigint, bigint, bigint), socksync.changes(bigint, bigint[]),
  socksync.prune(pg_snapshot), socksync.truncated() from public;

insert into socksync.epoch (id) values (pg_catalog.gen_random_uuid());
insert into socksync.epoch_twin (id) select id from socksync.epoch;
insert into socksync.pruned (upto) values (pg_catalog.pg_current_snapshot());
-- +goose StatementEnd

-- +goose Down

-- The functions first: with them go the triggers on the users' tables that call them, so that no
-- table is left behind whose writes fail.
-- +goose StatementBegin
do $do$
declare
  fn pg_catalog.regprocedure;
begin
  for fn in
    select p.oid from pg_catalog.pg_proc p join pg_catalog.pg_namespace s on s.oid operator(pg_catalog.=) p.pronamespace
     where s.nspname operator(pg_catalog.=) 'socksync'
  loop
    execute pg_catalog.format('drop function %s cascade', fn);
  end loop;
end $do$;
-- +goose StatementEnd
-- +goose StatementBegin
drop sequence socksync.bell;
drop table socksync.pruned, socksync.epoch_twin, socksync.epoch, socksync.change;
-- +goose StatementEnd
