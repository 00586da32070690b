package migrations_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// keyTypes are types that a key may have, with values in SQL between bars. Most are logged as the value cast to text
// under the settings of pinned.
var keyTypes = []struct{ name, typ, values, logged string }{
	{name: "int2", values: "1 | -32768"},
	{name: "int4", values: "1 | -2147483648"},
	{name: "int8", values: "1 | -9223372036854775808"},
	{name: "oid", values: "1 | 4294967295"},
	{name: "numeric", values: "1.0 | 'NaN' | 'Infinity' | 1e-20 | 123456789012345678901234567890"},
	{name: "float4", values: "0.1 | '-Infinity' | 'NaN' | 3.4028235e38 | 1e-7"},
	{name: "float8", values: "0.1 | 0.30000000000000004 | '-Infinity' | 'NaN' | 1.7976931348623157e308"},
	{name: "money", values: "1.5 | -20000"},
	{name: "bool", values: "true | false"},
	{name: "text", values: "'' | 'a' | 'NULL' | '{}' | E'a\\n\\\\\"' | 'ÄÖ'"},
	{name: "varchar", typ: "varchar(5)", values: "'' | 'ab '"},
	{name: "bpchar", typ: "char(5)", values: "'ab' | 'abcde'"},
	{name: "char", typ: `"char"`, values: "'a' | ''"},
	{name: "name", values: "'a' | 'b c'"},
	{name: "bytea", values: `'\x' | '\x00ff5c27' | '\x41'`},
	{name: "bit", typ: "bit(3)", values: "'101' | '000'"},
	{name: "varbit", values: "'101' | ''"},
	{name: "uuid", values: "'00000000-0000-0000-0000-000000000001' | 'ffffffff-ffff-ffff-ffff-ffffffffffff'"},
	{name: "date", values: "'2024-02-03' | 'infinity' | '0044-03-15 BC' | '10000-01-01'"},
	{name: "time", values: "'12:34:56.789' | '24:00'"},
	{name: "timetz", values: "'12:34:56+05:30' | '00:00-08'"},
	{name: "timestamp", values: "'2024-02-03 04:05:06.000001' | 'infinity' | '0044-03-15 01:02:03 BC'"},
	{name: "timestamptz", values: "'2024-02-03 04:05:06+01' | '-infinity' | '2024-07-01 00:00Europe/Berlin'"},
	{name: "interval", values: "'1 year -2 days 03:04:05' | '-1 mon' | '0'"},
	{name: "inet", values: "'10.0.0.1' | '10.0.0.0/8' | '::1'"},
	{name: "cidr", values: "'10.0.0.0/8'"},
	{name: "macaddr", values: "'08:00:2b:01:02:03'"},
	{name: "macaddr8", values: "'08:00:2b:01:02:03:04:05'"},
	{name: "jsonb", values: `'{"b": 1.50, "a": [null]}' | 'null' | '"x"'`},
	{name: "pg_lsn", values: "'16/B374D848'"},
	{name: "xid8", values: "'18446744073709551615'"},
	{name: "tsvector", values: "'a:1 b:2'"},
	{name: "regclass", values: "'pg_class'", logged: "k::oid::text"},
	{name: "array", typ: "text[]", values: `'{}' | '{a,NULL,"b c"}' | '{{1,2},{3,4}}'`},
	{name: "float array", typ: "float8[]", values: "'{0.1,0.30000000000000004}'"},
	{name: "timestamptz array", typ: "timestamptz[]", values: "'{2024-02-03 04:05:06+01,infinity}'"},
	{name: "int range", typ: "int4range", values: "'[1,5)' | 'empty' | '(,)'"},
	{name: "timestamptz range", typ: "tstzrange", values: "'[2024-02-03 04:05:06+01,)'"},
	{name: "date multirange", typ: "datemultirange", values: "'{[2024-02-03,2024-03-04),[2025-01-01,)}'"},
	{name: "enum", typ: "mood", values: "'good' | 'so so'"},
	{name: "enum array", typ: "mood[]", values: "'{good,so so}'"},
	{name: "domain", typ: "day", values: "'2024-02-03'"},
	{name: "domain of a domain of an array", typ: "days", values: "'{2024-02-03}'"},
	{name: "own range", typ: "moments", values: "'[2024-02-03 04:05:06+01,2024-02-04)'"},
	{name: "composite", typ: "pair", values: "row(0.30000000000000004, '2024-02-03')::pair | row(null, null)::pair"},
	{name: "array of composites", typ: "pair[]", values: "array[row(0.1, '2024-02-03')::pair]"},
}

// pinned are the settings under which keys are logged; odd ones are as different as can be.
const (
	pinned = `set datestyle = 'ISO'; set timezone = 'UTC'; set extra_float_digits = 1; set bytea_output = 'hex'; set intervalstyle = 'postgres'`
	odd    = `set datestyle = 'SQL, DMY'; set timezone = 'Asia/Kolkata'; set extra_float_digits = 0; set bytea_output = 'escape';
		set intervalstyle = 'sql_standard'; set search_path = public, pg_catalog`
	odder = `set datestyle = 'German'; set timezone = '-13:30'; set extra_float_digits = -15; set bytea_output = 'escape'; set intervalstyle = 'iso_8601'`
)

// typesOfTheUsers are those that are not built in.
const typesOfTheUsers = `create type mood as enum ('good', 'so so'); create domain day as date; create domain days as day[];
	create type moments as range (subtype = timestamptz); create type pair as (f float8, d day)`

// session returns a connection with settings.
func session(t *testing.T, pool *pgxpool.Pool, settings string) *pgxpool.Conn {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	t.Cleanup(conn.Release)
	_, err = conn.Exec(t.Context(), settings)
	require.NoError(t, err)
	return conn
}

// TestKeyTypes writes keys of every type, by triggers of both kinds, in a session with odd settings, and reads the logged
// texts in one with other settings.
func TestKeyTypes(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, typesOfTheUsers)
	writer, oracle, reader := session(t, pool, odd), session(t, pool, pinned), session(t, pool, odder)
	for i, k := range keyTypes {
		if k.typ == "" {
			k.typ = k.name
		}
		if k.logged == "" {
			k.logged = "k::text"
		}
		plain, parted := fmt.Sprintf("plain%d", i), fmt.Sprintf("parted%d", i)
		exec(t, pool, fmt.Sprintf(`create table %[1]s (k %[3]s primary key, v int);
			create table %[2]s (k %[3]s, v int default 0, primary key (k, v)) partition by range (v);
			create table %[2]s_0 partition of %[2]s for values from (0) to (10)`, plain, parted, k.typ))
		install(t, pool, table(plain, "k"), table(parted, "k", "v"))
		_, err := writer.Exec(t.Context(), fmt.Sprintf("insert into %[1]s (k) values (%[3]s); insert into %[2]s (k) select k from %[1]s",
			plain, parted, strings.ReplaceAll(k.values, " | ", "), (")))
		require.NoError(t, err, k.name)
		want := column[string](t, oracle, fmt.Sprintf("select %s from %s", k.logged, plain))
		got, _ := loggedKeys(t, pool, plain, 1)
		require.Len(t, got, len(want), k.name)
		gotParted, _ := loggedKeys(t, pool, parted, 2)
		for _, text := range want {
			require.True(t, got[fmt.Sprintf("%q", []string{text})], "%s: %s is not in %v", k.name, text, got)
			require.True(t, gotParted[fmt.Sprintf("%q", []string{text, "0"})], "%s: %s is not in %v", k.name, text, gotParted)
			found := value[int](t, reader, fmt.Sprintf("select count(*) from %s where k = '%s'::%s", plain, strings.ReplaceAll(text, "'", "''"), k.typ))
			require.Equal(t, 1, found, "%s: %s does not lead back to its row", k.name, text)
		}
	}
}

// TestLoggedTypes has values of every type logged behind a key, as TestKeyTypes has keys.
func TestLoggedTypes(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, pool, typesOfTheUsers)
	writer, oracle := session(t, pool, odd), session(t, pool, pinned)
	for i, k := range keyTypes {
		if k.typ == "" {
			k.typ = k.name
		}
		if k.logged == "" {
			k.logged = "k::text"
		}
		plain, parted := fmt.Sprintf("plain%d", i), fmt.Sprintf("parted%d", i)
		exec(t, pool, fmt.Sprintf(`create table %[1]s (k %[3]s, id serial primary key);
			create table %[2]s (k %[3]s, id int primary key) partition by range (id);
			create table %[2]s_0 partition of %[2]s for values from (0) to (1000)`, plain, parted, k.typ))
		install(t, pool, with(table(plain, "id"), "k"), with(table(parted, "id"), "k"))
		_, err := writer.Exec(t.Context(), fmt.Sprintf("insert into %[1]s (k) values (%[3]s), (null); insert into %[2]s select * from %[1]s",
			plain, parted, strings.ReplaceAll(k.values, " | ", "), (")))
		require.NoError(t, err, k.name)
		want := column[string](t, oracle, fmt.Sprintf("select id || ' ' || coalesce('=' || %s, '-') from %s order by 1", k.logged, plain))
		for _, name := range []string{plain, parted} {
			rows, all := loggedRows(t, pool, with(table(name, "id"), "k"))
			require.False(t, all, k.name)
			var got []string
			for _, row := range rows {
				got = append(got, strings.Join(row, " "))
			}
			require.ElementsMatch(t, want, got, k.name)
		}
		_, err = writer.Exec(t.Context(), fmt.Sprintf("delete from socksync.change; update %[1]s set k = null; update %[2]s set k = null", plain, parted))
		require.NoError(t, err, k.name)
		for _, name := range []string{plain, parted} {
			got := takeTypes(t, pool, name)
			require.Subset(t, got, want, "%s: the values before", k.name)
			require.Len(t, got, 2*len(want)-1, "%s: and the keys with NULL", k.name)
		}
	}
}

// takeTypes returns what is in the log for a table, each row once.
func takeTypes(t *testing.T, db executor, name string) []string {
	t.Helper()
	rows, _ := loggedRows(t, db, with(table(name, "id"), "k"))
	set := make(map[string]bool)
	for _, row := range rows {
		set[strings.Join(row, " ")] = true
	}
	return slices.Collect(maps.Keys(set))
}
