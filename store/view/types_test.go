package view_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
)

// typed is a row with a column of some type.
type typed[V any] struct {
	ID int64 `db:"id" json:"id" socksync:"pk"`
	V  *V    `db:"v" json:"v"`
}

// orders are the lists over the column, and the same for the oracle.
var orders = map[string]string{
	"v":             "v",
	"-v":            "v DESC",
	"v nulls first": "v NULLS FIRST",
	"-v nulls last": "v DESC NULLS LAST",
}

// TestColumnTypes compares, for each type of column, where rows are put and what
// is published of them with what Postgres and pgx say. Where Go places the rows, the
// database does so afterwards.
func TestColumnTypes(t *testing.T) {
	t.Parallel()
	t.Run("smallint", columnType[int16]("smallint", "-32768", "-1", "0", "7", "32767"))
	t.Run("integer", columnType[int32]("integer", "-2147483648", "-1", "0", "2147483647"))
	t.Run("bigint", columnType[int64]("bigint", "-9223372036854775808", "-1", "0", "9223372036854775807"))
	t.Run("oid", columnType[uint32]("oid", "0", "1", "2147483648", "4294967295"))
	t.Run("boolean", columnType[bool]("boolean", "true", "false"))
	t.Run("real", columnType[float32]("real", "-0", "0", "1e-40", "3.5", "-1e30", "1e30"))
	t.Run("double precision", columnType[float64]("double precision", "-0", "0", "1e-310", "0.1", "-1e300", "1e300"))
	t.Run("numeric", columnType[pgtype.Numeric]("numeric", "0", "1", "1.0", "1.00", "-0.5", "12345678901234567890.123", "1e-20", "NaN"))
	t.Run("numeric scale", columnType[pgtype.Numeric]("numeric(12,2)", "0", "1", "-0.5", "99.99"))
	t.Run("money", columnType[string]("money", "-1", "0", "1000000"))
	t.Run("text C", columnType[string](`text COLLATE "C"`, words...))
	t.Run("text database", columnType[string]("text", words...))
	t.Run("text ICU", columnType[string](`text COLLATE "en-x-icu"`, words...))
	t.Run("text ucs_basic", columnType[string](`text COLLATE ucs_basic`, words...))
	t.Run("varchar C", columnType[string](`varchar(40) COLLATE "C"`, words...))
	t.Run("char(n)", columnType[string](`char(12) COLLATE "C"`, "a", "a ", "b", "", "ab"))
	t.Run("name", columnType[string]("name", "a", "B", "b", ""))
	t.Run("citext", columnType[string]("citext", "a", "A", "b", "B", "Ä"))
	t.Run("bytea", columnType[[]byte]("bytea", `\x`, `\x00`, `\x0000`, `\x00ff`, `\xff`, `\x01`))
	t.Run("uuid", columnType[pgtype.UUID]("uuid", "00000000-0000-0000-0000-000000000000",
		"123e4567-e89b-12d3-a456-426614174000", "ffffffff-ffff-ffff-ffff-ffffffffffff"))
	t.Run("date", columnType[pgtype.Date]("date", "-infinity", "4713-01-01 BC", "2001-01-01", "infinity"))
	t.Run("time", columnType[pgtype.Time]("time", "00:00", "12:34:56.789", "24:00"))
	t.Run("timetz", columnType[string]("timetz", "00:00+02", "00:00Z", "23:59:59-12", "01:00+03"))
	t.Run("timestamp", columnType[pgtype.Timestamp]("timestamp", "-infinity", "1999-12-31 23:59:59.999999", "2000-01-01", "infinity"))
	t.Run("timestamptz", columnType[time.Time]("timestamptz", "1999-12-31 23:59:59.999999+00", "2000-01-01 02:00+02", "2000-01-01 00:00:00.000001Z"))
	t.Run("interval", columnType[pgtype.Interval]("interval", "1 month", "30 days", "29 days", "720:00:00", "-1 day"))
	t.Run("json key order", columnType[json.RawMessage]("jsonb", "1", `"a"`, `{"a":1}`, `{"b":0}`, "[]", "null", "true"))
	t.Run("inet", columnType[netip.Prefix]("inet", "10.0.0.1", "10.0.0.0/8", "::1", "192.168.0.1/24"))
	t.Run("cidr", columnType[netip.Prefix]("cidr", "10.0.0.0/8", "10.0.0.0/16", "::/0"))
	t.Run("macaddr", columnType[string]("macaddr", "08:00:2b:01:02:03", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"))
	t.Run("integer[]", columnType[[]int32]("integer[]", "{}", "{1}", "{1,2}", "{2}", "{3,1}"))
	t.Run("text[]", columnType[[]string]("text[]", "{}", "{a}", "{a,b}", "{B}", `{"a b"}`))
	t.Run("range", columnType[pgtype.Range[pgtype.Int4]]("int4range", "[1,5)", "[1,9)", "empty", "(,3)", "[2,)"))
	t.Run("bit varying", columnType[pgtype.Bits]("bit varying", "0", "1", "01", "10"))
	t.Run("enum", columnType[string]("mood", "sad", "ok", "happy"))
	t.Run("domain over integer", columnType[int32]("positive", "1", "2", "30"))
	t.Run("domain over text", columnType[string]("label", words...))
}

// encodedTypes are those whose rows Go places; the others are Postgres's.
var encodedTypes = []string{
	"smallint", "integer", "bigint", "oid", "boolean", "real", "double precision", "numeric", "numeric(12,2)",
	`text COLLATE "C"`, "text", "text COLLATE ucs_basic", `varchar(40) COLLATE "C"`, "name", "bytea", "uuid",
	"date", "time", "timestamp", "timestamptz", "macaddr",
}

var words = []string{"", "a", "A", "b", "B", "ä", "Ä", "a b", "ab", "a-b", "zebra", "Zebra", "é", "e\u0301", "\U0001F600", "\uFFFD", "ss", "ß", "10", "9"}

const makeTypes = `
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('happy', 'ok', 'sad');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN label AS text;
CREATE TABLE t (id bigint PRIMARY KEY, v %s);`

func columnType[V any](sqlType string, values ...string) func(*testing.T) {
	return func(t *testing.T) {
		t.Parallel()
		pool := pgtest.New(t, pgtest.MaxConns(6))
		_, err := pool.Exec(context.Background(), fmt.Sprintf(makeTypes, sqlType))
		require.NoError(t, err)
		c := &columnTest[V]{values: values, sqlType: sqlType}
		c.fill(t, pool.Config().ConnString())
		var lists []*binding.ListDef
		for order := range orders {
			lists = append(lists, binding.List[typed[V]](binding.Name(order), binding.Table("t"), binding.Order(order)))
		}
		l, sources := start(t, pool, lists...)
		for _, s := range sources {
			c.sinks = append(c.sinks, follow(t, s, 0, 100))
		}
		c.compare(l, lists)
		c.change(l, lists, 8)
		encoded := slices.Contains(encodedTypes, sqlType)
		for order := range orders {
			require.Equal(t, encoded, l.engine.Encoded(order), "places by encoded keys")
			if encoded {
				l.engine.PlaceByPostgres(order)
			}
		}
		if encoded {
			c.change(l, lists, 4)
			require.False(t, l.engine.Encoded("v"), "places by encoded keys")
		}
		require.Zero(t, l.engine.Unreadable())
	}
}

type columnTest[V any] struct {
	sqlType string
	values  []string
	sinks   []*sink
}

// fill inserts each value twice and NULL three times.
func (c *columnTest[V]) fill(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	for i, v := range append(c.values, c.values...) {
		_, err := conn.Exec(context.Background(), "INSERT INTO t VALUES ($1, "+quote(v)+")", i)
		require.NoError(t, err, v)
	}
	_, err = conn.Exec(context.Background(), "INSERT INTO t VALUES (-1, NULL), (-2, NULL), (-3, NULL)")
	require.NoError(t, err)
}

func quote(s string) string { return "'" + s + "'" }

// change moves single rows and groups of rows from value to value, and compares
// after each.
func (c *columnTest[V]) change(l *live, lists []*binding.ListDef, rounds int) {
	seed := rand.Uint64()
	l.t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range rounds {
		v := quote(c.values[random.IntN(len(c.values))])
		id := random.IntN(2*len(c.values)+3) - 3
		l.exec("UPDATE t SET v = "+v+" WHERE id = $1", id)
		l.exec("UPDATE t SET v = NULL WHERE id = $1", id+1)
		c.compare(l, lists)
		l.exec("UPDATE t SET v = "+v+" WHERE id % 7 = $1", random.IntN(7))
		l.exec("INSERT INTO t VALUES ($1, "+v+")", 1000+random.Int64N(1<<40))
		c.compare(l, lists)
	}
}

// compare holds every list against the database's own order and pgx's own values.
func (c *columnTest[V]) compare(l *live, lists []*binding.ListDef) {
	l.t.Helper()
	for i, def := range lists {
		rows, err := l.pool.Query(context.Background(), "SELECT id, v FROM t ORDER BY "+orders[def.Name]+", id")
		require.NoError(l.t, err)
		all, err := pgx.CollectRows(rows, pgx.RowToStructByName[typed[V]])
		require.NoError(l.t, err)
		want := make([]string, len(all))
		for j, row := range all {
			if at, ok := any(row.V).(*time.Time); ok && at != nil {
				*at = at.UTC()
			}
			want[j] = encode(l.t, row)
		}
		c.sinks[i].rows(want, c.sqlType+" ordered by "+def.Name)
	}
}
