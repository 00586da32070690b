package store_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/store"
)

// cell is a table of one value of Postgres type "value", read into T.
type cell[T any] struct {
	_     struct{} `socksync:"table=cells"`
	ID    int      `db:"id" socksync:"pk"`
	Value T        `db:"value"`
}

// roundTrip checks that a value that Postgres made is read as pgx itself reads it,
// and that it comes out of the table again when it is written by the model.
func roundTrip[T any](t *testing.T, shared *pgxpool.Pool, pgType, literal string) {
	t.Helper()
	t.Run(fmt.Sprintf("%s %s into %T", pgType, literal, *new(T)), func(t *testing.T) {
		pool, db := schema(t, shared, "CREATE TABLE cells (id int PRIMARY KEY, value "+pgType+")",
			"INSERT INTO cells VALUES (1, "+literal+"), (2, NULL), (3, "+literal+")")
		ctx := t.Context()
		m := model[cell[T]](t, db)
		var want T
		require.NoError(t, pool.QueryRow(ctx, "SELECT value FROM cells WHERE id = 1").Scan(&want))
		got, err := m.Get(ctx, 1)
		require.NoError(t, err)
		equal(t, want, got.Value)

		copied := cell[T]{ID: 4, Value: got.Value}
		require.NoError(t, m.Insert(ctx, &copied))
		equal(t, want, copied.Value)
		require.NoError(t, m.Update(ctx, &cell[T]{ID: 2, Value: got.Value}))
		var same int
		require.NoError(t, db.GetContext(ctx, &same, "SELECT count(DISTINCT value::text) FROM cells"))
		require.Equal(t, 1, same)

		rows, err := m.List(ctx, store.Query{})
		require.NoError(t, err)
		for _, row := range rows {
			equal(t, want, row.Value)
		}
	})
}

// equal compares times as instants: pgx reads them in the local zone.
func equal[T any](t *testing.T, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got,
		cmpopts.EquateApproxTime(0), cmpopts.EquateNaNs(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}),
		cmp.Comparer(func(a, b pgtype.Numeric) bool { return number(a) == number(b) }),
		cmp.AllowUnexported(grade{}),
	); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func number(n pgtype.Numeric) string {
	v, err := n.Value()
	return fmt.Sprint(v, err)
}

type color string

type point struct {
	X int `json:"x"`
	Y int `json:"y"`
}

func TestTypes(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	roundTrip[bool](t, pool, "bool", "true")
	roundTrip[int16](t, pool, "int2", "-32768")
	roundTrip[int](t, pool, "int4", "2147483647")
	roundTrip[uint32](t, pool, "int8", "4294967295")
	roundTrip[*int64](t, pool, "int8", "-9223372036854775808")
	roundTrip[float32](t, pool, "float4", "0.1")
	roundTrip[float64](t, pool, "float8", "'NaN'")
	roundTrip[float64](t, pool, "numeric(10,2)", "12345678.90")
	roundTrip[pgtype.Numeric](t, pool, "numeric", "123456789012345678901234567890.1234567890")
	roundTrip[pgtype.Numeric](t, pool, "numeric", "'NaN'")
	roundTrip[string](t, pool, "numeric", "1.500")
	roundTrip[string](t, pool, "text", "E'a\\nb ''\"\\\\ \U0001F600'")
	roundTrip[color](t, pool, "varchar(5)", "'red'")
	roundTrip[*color](t, pool, "char(5)", "'red'")
	roundTrip[[]byte](t, pool, "bytea", `'\x00ff5c'`)
	roundTrip[string](t, pool, "uuid", "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'")
	roundTrip[[16]byte](t, pool, "uuid", "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'")
	roundTrip[pgtype.UUID](t, pool, "uuid", "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'")
	roundTrip[netip.Prefix](t, pool, "inet", "'10.0.0.0/8'")
	roundTrip[netip.Addr](t, pool, "inet", "'::1'")
	roundTrip[time.Duration](t, pool, "interval", "'1 hour 2 seconds'")
	roundTrip[time.Duration](t, pool, "int8", "1000")
	roundTrip[pgtype.Interval](t, pool, "interval", "'1 month 2 days'")
	roundTrip[pgtype.Range[pgtype.Int4]](t, pool, "int4range", "'[1,5)'")
}

func TestTimes(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	roundTrip[time.Time](t, pool, "date", "'2026-02-28'")
	roundTrip[time.Time](t, pool, "timestamp", "'1999-12-31 23:59:59.999999'")
	roundTrip[time.Time](t, pool, "timestamptz", "'2026-07-01 12:00:00.000001+02'")
	roundTrip[*time.Time](t, pool, "timestamptz", "'0001-01-01 00:00:00+00'")
	roundTrip[sql.NullTime](t, pool, "timestamptz", "'2026-07-01 12:00:00+02'")
	roundTrip[sql.Null[time.Time]](t, pool, "timestamptz", "'2026-07-01 12:00:00+02'")
	roundTrip[pgtype.Timestamptz](t, pool, "timestamptz", "'infinity'")
	roundTrip[pgtype.Timestamptz](t, pool, "timestamptz", "'2026-07-01 12:00:00+02'")
	roundTrip[pgtype.Date](t, pool, "date", "'-infinity'")
	roundTrip[pgtype.Time](t, pool, "time", "'12:34:56.789'")
}

func TestStructuredTypes(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	roundTrip[[]string](t, pool, "text[]", `'{a,"b c",",","\""}'`)
	roundTrip[[]string](t, pool, "text[]", "'{}'")
	roundTrip[[]*string](t, pool, "text[]", "'{a,NULL}'")
	roundTrip[[]color](t, pool, "varchar(5)[]", "'{red}'")
	roundTrip[[]int32](t, pool, "int4[]", "'{1,2,3}'")
	roundTrip[[][]int64](t, pool, "int8[]", "'{{1,2},{3,4}}'")
	roundTrip[[]time.Time](t, pool, "date[]", "'{2026-02-28}'")
	roundTrip[[][16]byte](t, pool, "uuid[]", "'{6ba7b810-9dad-11d1-80b4-00c04fd430c8}'")
	roundTrip[pgtype.Array[bool]](t, pool, "bool[]", "'{t,f}'")
	roundTrip[point](t, pool, "jsonb", `'{"x": 1, "y": 2}'`)
	roundTrip[*point](t, pool, "json", `'{"x":1,"y":2}'`)
	roundTrip[[]point](t, pool, "jsonb", `'[{"x": 1, "y": 2}]'`)
	roundTrip[map[string]any](t, pool, "jsonb", `'{"a": [1, null, {}]}'`)
	roundTrip[json.RawMessage](t, pool, "jsonb", `'{"a": 1}'`)
	roundTrip[[]byte](t, pool, "jsonb", `'[1, 2]'`)
	roundTrip[string](t, pool, "jsonb", `'"text"'`)
	roundTrip[any](t, pool, "jsonb", `'{"a": 1}'`)
	roundTrip[any](t, pool, "int4", "7")
	roundTrip[any](t, pool, "text", "'x'")
	roundTrip[any](t, pool, "bytea", `'\x00'`)
}

func TestTypesOfTheDatabase(t *testing.T) {
	t.Parallel()
	_, db := open(t,
		"CREATE TYPE color AS ENUM ('red', 'green')",
		"CREATE DOMAIN positive AS int CHECK (value > 0)",
		"CREATE DOMAIN tags AS text[]",
		"CREATE TYPE pair AS (a int, b int)",
		"CREATE TABLE cells (id positive PRIMARY KEY, color color, tags tags, pair pair)",
		"INSERT INTO cells VALUES (1, 'green', '{a,b}', '(1,2)')")
	type row struct {
		_     struct{} `socksync:"table=cells"`
		ID    int      `db:"id" socksync:"pk"`
		Color color    `db:"color"`
		Tags  []string `db:"tags"`
		Pair  *string  `db:"pair"`
	}
	m := model[row](t, db)
	got, err := m.Get(t.Context(), 1)
	require.NoError(t, err)
	want := row{ID: 1, Color: "green", Tags: []string{"a", "b"}, Pair: new("(1,2)")}
	require.Equal(t, want, got)
	want.ID, want.Color = 2, "red"
	require.NoError(t, m.Insert(t.Context(), &want))
	require.Equal(t, color("red"), want.Color)
}

func TestTimesAreInUTC(t *testing.T) {
	t.Parallel()
	_, db := open(t, "CREATE TABLE cells (id int PRIMARY KEY, value timestamptz)",
		"INSERT INTO cells VALUES (1, '2026-07-01 12:00:00+02')")
	ctx := t.Context()
	want := time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)
	plain, err := model[cell[time.Time]](t, db).Get(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, want, plain.Value)
	pointer, err := model[cell[*time.Time]](t, db).Get(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, &want, pointer.Value)

	elsewhere := want.In(time.FixedZone("", 3600))
	written := cell[*time.Time]{ID: 2, Value: &elsewhere}
	require.NoError(t, model[cell[*time.Time]](t, db).Insert(ctx, &written))
	require.Equal(t, &want, written.Value)
	require.NotEqual(t, time.UTC, elsewhere.Location(), "what the caller pointed to is not touched")
}

// What a field holds before it is read does not show in the value.
func TestReadReplacesValues(t *testing.T) {
	t.Parallel()
	_, db := open(t, "CREATE TABLE cells (id int PRIMARY KEY, value jsonb)",
		"CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.value = '{\"y\": 2}'; RETURN NEW; END $$",
		"CREATE TRIGGER other BEFORE INSERT ON cells FOR EACH ROW EXECUTE FUNCTION other()")
	ctx := t.Context()
	given := map[string]int{"x": 1}
	m := cell[map[string]int]{ID: 1, Value: given}
	require.NoError(t, model[cell[map[string]int]](t, db).Insert(ctx, &m))
	require.Equal(t, map[string]int{"y": 2}, m.Value)
	require.Equal(t, map[string]int{"x": 1}, given)
	p := cell[point]{ID: 2, Value: point{X: 1}}
	require.NoError(t, model[cell[point]](t, db).Insert(ctx, &p))
	require.Equal(t, point{Y: 2}, p.Value)
}

// grade is a type of the program that reads and writes itself.
type grade struct{ stars int }

func (g *grade) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return errors.New("not a string")
	}
	g.stars = strings.Count(text, "*")
	return nil
}

func (g grade) Value() (driver.Value, error) { return strings.Repeat("*", g.stars), nil }

func TestNulls(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	null[*int](t, pool, "int4", nil)
	null[*string](t, pool, "text", nil)
	null[*grade](t, pool, "text", nil)
	null[**string](t, pool, "text", nil)
	null[sql.Null[int32]](t, pool, "int4", sql.Null[int32]{})
	null[pgtype.Numeric](t, pool, "numeric", pgtype.Numeric{})
	null[[]string](t, pool, "text[]", nil)
	null[map[string]int](t, pool, "jsonb", nil)
	null[*point](t, pool, "jsonb", nil)
	null[any](t, pool, "jsonb", nil)
	null[any](t, pool, "int4", nil)
	null[[]byte](t, pool, "bytea", nil)
	roundTrip[*grade](t, pool, "text", "'***'")
	roundTrip[grade](t, pool, "text", "'***'")
}

func null[T any](t *testing.T, shared *pgxpool.Pool, pgType string, want T) {
	t.Helper()
	t.Run(fmt.Sprintf("%s into %T", pgType, want), func(t *testing.T) {
		_, db := schema(t, shared, "CREATE TABLE cells (id int PRIMARY KEY, value "+pgType+")",
			"INSERT INTO cells VALUES (1, NULL)")
		m := model[cell[T]](t, db)
		got, err := m.Get(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, want, got.Value)
		require.NoError(t, m.Insert(t.Context(), &cell[T]{ID: 2}))
		n, err := m.Count(t.Context(), store.IsNull("value"))
		require.NoError(t, err)
		require.Equal(t, 2, n)
	})
}

func TestValuesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	type row struct {
		_     struct{} `socksync:"table=cells"`
		ID    int16    `db:"id" socksync:"pk"`
		Text  string   `db:"text"`
		JSON  point    `db:"json"`
		Grade grade    `db:"number"`
	}
	_, db := open(t, "CREATE TABLE cells (id int PRIMARY KEY, text text, json jsonb, number text)",
		`INSERT INTO cells VALUES (424242, '', '{}', ''), (2, NULL, '{}', ''), (3, '', '"secret"', ''), (4, '', '{}', NULL)`)
	m := model[row](t, db)
	for id, want := range map[int]string{
		424242: `column "id": a value of type int4 cannot be read into int16`,
		2:      `column "text": NULL cannot be read into string`,
		3:      `column "json": a value of type jsonb cannot be read into store_test.point`,
		4:      `column "number": NULL cannot be read into store_test.grade`,
	} {
		_, err := m.Get(t.Context(), id)
		require.EqualError(t, err, `store: get from "cells": `+want)
		require.Error(t, errors.Unwrap(errors.Unwrap(err)), "the cause can be had")
	}
	_, err := m.List(t.Context(), store.Query{})
	require.ErrorContains(t, err, `store: list "cells": column "text": NULL`)
}

func TestValuesThatCannotBeSent(t *testing.T) {
	t.Parallel()
	m, db := flights(t, flight{Number: "SK 1"})
	ctx := t.Context()
	get := func(key any) error { _, err := m.Get(ctx, key); return err }
	for _, err := range []error{
		get("424242x"), get(uint64(math.MaxUint64 - 424242)), get(struct{ secret string }{"424242"}),
		get(failing{}), get("424242\x00"),
		m.Insert(ctx, &flight{Number: "424242\x00"}),
		m.Delete(ctx, "424242x"),
	} {
		require.Error(t, err)
		require.NotContains(t, err.Error(), "424242")
		require.Contains(t, err.Error(), "a value ")
		require.NotContains(t, err.Error(), "18446744073709127373")
	}
	require.ErrorIs(t, get(failing{}), errFailing)
	_, err := m.List(ctx, store.Query{Where: store.In("id", make([]int, 70000)...)})
	require.ErrorContains(t, err, "65535")
	require.NoError(t, db.PingContext(context.WithoutCancel(ctx)))
}

var errFailing = errors.New("424242")

type failing struct{}

func (failing) Value() (driver.Value, error) { return nil, errFailing }
