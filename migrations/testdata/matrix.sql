-- Tables that reach each other in every way that one write can cause another.
create table par (id bigint primary key, v int, u text unique);
create table chi (id bigint primary key, pid bigint references par on delete cascade on update cascade, v int);
create table gra (cid bigint references chi on delete set null on update cascade, k int primary key);
create table cpk (pid bigint references par on delete cascade on update cascade, b text, v int, primary key (pid, b));
create table prt (id bigint, r int, v int, primary key (id, r)) partition by range (r);
create table prt1 partition of prt for values from (0) to (10);
create table prt2 partition of prt for values from (10) to (20) partition by hash (id);
create table prt2a partition of prt2 for values with (modulus 2, remainder 0);
create table prt2b partition of prt2 for values with (modulus 2, remainder 1);
create table txtk (k text primary key, v int);
create table numk (k numeric primary key, v int);
create table self (id bigint primary key, parent bigint references self on delete cascade, v int);
create table trg (id bigint primary key, v int);
create table gen (a int not null, k int generated always as (a * 2) stored primary key);
create table inherited (v int);
create table child (id bigint primary key) inherits (inherited);
create view par_view as select id, v from par where v < 1000;

-- Writes the table again from an AFTER trigger.
create function trg_after() returns trigger language plpgsql as $$
begin
  if pg_trigger_depth() < 3 then
    update trg set v = v + 1 where id = new.id + 1;
    insert into trg values (new.id + 1000, 0) on conflict do nothing;
  end if;
  return null;
end $$;
-- Changes the key, or drops the row, behind the statement's back.
create function trg_before() returns trigger language plpgsql as $$
begin
  if new.v = 77 then new.id := new.id + 500; end if;
  if new.v = 78 then return null; end if;
  return new;
end $$;

insert into par select g, g, 'u' || g from generate_series(1, 300) g;
insert into chi select g, (g % 300) + 1, g from generate_series(1, 900) g;
insert into gra select (g % 900) + 1, g from generate_series(1, 1500) g;
insert into cpk select (g % 300) + 1, 'b' || g, g from generate_series(1, 600) g;
insert into prt select g, g % 20, g from generate_series(1, 400) g;
insert into txtk select 'K' || g, g from generate_series(1, 100) g;
insert into numk values (1.0, 1), (2.50, 2);
insert into self select g, nullif(g / 2, 0), g from generate_series(1, 255) g;
insert into trg select g, 0 from generate_series(1, 20) g;
insert into gen (a) select g from generate_series(1, 20) g;
insert into child select g, g from generate_series(1, 20) g;

create trigger after_trigger after insert or update on trg for each row execute function trg_after();
create trigger before_trigger before update on trg for each row execute function trg_before();
