-- A schema whose functions, operators and types shadow those of Postgres, and fail when they are used. The operators that
-- the tests' own statements need, on int4, are left out.
create schema evil;
do $do$
declare
  f text;
  o text;
  l text;
  r text;
begin
  foreach f in array array['pg_sequence_last_value(regclass) returns int8', 'pg_sequence_last_value(text) returns int8',
    'txid_current_if_assigned() returns int8', 'txid_current() returns int8', 'pg_notify(text, text) returns void',
    'format(text, anyelement) returns text', 'format(text, variadic text[]) returns text', 'record_image_ne(record, record) returns bool',
    'to_regclass(text) returns regclass', 'md5(text) returns text', 'coalesce(text, text) returns text']
  loop
    execute format('create function evil.%s language plpgsql as %L', f, format('begin raise exception %L; end', 'hostile ' || f));
  end loop;
  foreach o in array array['>', '>>', '=', '<>', '&', '/', '||'] loop
    for l, r in values ('int8', 'int8'), ('int8', 'int4'), ('text', 'text'), ('text[]', 'text[]'), ('name', 'text'), ('name', 'name') loop
      f := format('%I', l || o || r);
      execute format('create function evil.%s(%s, %s) returns bool language plpgsql as %L', f, l, r, format('begin raise exception %L; end', 'hostile ' || f));
      execute format('create operator evil.%s (leftarg = %s, rightarg = %s, function = evil.%s)', o, l, r, f);
    end loop;
  end loop;
end $do$;
create aggregate evil.array_agg (text[]) (sfunc = pg_catalog.array_cat, stype = text[], initcond = '{hostile}');
create domain evil.int8 as pg_catalog.text check (value = 'hostile');
create domain evil.oid as pg_catalog.text check (value = 'hostile');
create domain evil.text as pg_catalog.int4 check (value = 0);
