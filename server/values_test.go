package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/server"
)

type (
	letters string
	slim    int16
	rung    int // has a text of its own
	hushed  string
	digit   uint8
)

// String implements fmt.Stringer.
func (r rung) String() string { return fmt.Sprintf("rung %d", int(r)) }

// MarshalText implements encoding.TextMarshaler.
func (s hushed) MarshalText() ([]byte, error) { return nil, errors.New("not " + string(s)) }

func pointerTo[T any](v T) *T { return &v }

// TestIdentityValues checks that Postgres reads of a value what it was.
func TestIdentityValues(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	berlin := time.FixedZone("", 3600)
	for i, c := range []struct {
		value   any
		kind    string
		literal string // what it is, in SQL
	}{
		{nil, "text", "NULL"},
		{(*string)(nil), "text", "NULL"},
		{(*time.Time)(nil), "timestamptz", "NULL"},
		{"", "text", "''"},
		{"NULL", "text", "'NULL'"},
		{`it's "one" \ {two}, `, "text", `'it''s "one" \ {two}, '`},
		{letters("ann"), "text", "'ann'"},
		{pointerTo("bob"), "text", "'bob'"},
		{pointerTo(pointerTo(7)), "int", "7"},
		{int64(math.MinInt64), "bigint", "'-9223372036854775808'"},
		{uint64(math.MaxUint64), "numeric", "18446744073709551615"},
		{slim(-5), "smallint", "-5"},
		{rung(3), "text", "'rung 3'"},
		{true, "bool", "true"},
		{false, "bool", "false"},
		{0.1, "float8", "0.1"},
		{float32(0.1), "float4", "0.1"},
		{math.Inf(1), "float8", "'infinity'"},
		{math.Inf(-1), "float8", "'-infinity'"},
		{math.NaN(), "float8", "'NaN'"},
		{1e300, "float8", "1e300"},
		{time.Date(2026, 1, 2, 3, 4, 5, 678901000, berlin), "timestamptz", "'2026-01-02 03:04:05.678901+01'"},
		{90 * time.Minute, "interval", "'1:30'"},
		{netip.MustParseAddr("10.0.0.1"), "inet", "'10.0.0.1'"},
		{[]byte{0, 255, '\\'}, "bytea", `'\x00ff5c'`},
		{[2]byte{1, 2}, "bytea", `'\x0102'`},
		{[]digit{1, 2}, "int[]", `'{1,2}'`},
		{json.Number("9007199254740993"), "bigint", "9007199254740993"},
		{[]any{json.Number("1e2"), true}, "text[]", "ARRAY['1e2', 'true']"},
		{[]string{}, "text[]", "'{}'"},
		{[]string(nil), "text[]", "'{}'"},
		{[]string{"a", "", "NULL", `b"`, `c\`, "d,e", "{f}", " g "}, "text[]", `ARRAY['a', '', 'NULL', 'b"', 'c\', 'd,e', '{f}', ' g ']`},
		{[]*string{nil, pointerTo("x")}, "text[]", "ARRAY[NULL, 'x']"},
		{[]any{1, nil, "2"}, "int[]", "ARRAY[1, NULL, 2]"},
		{[2]int64{4, 5}, "bigint[]", "ARRAY[4, 5]"},
		{[][]byte{{1}, {2}}, "bytea[]", `ARRAY['\x01'::bytea, '\x02']`},
		{[]rung{1}, "text[]", "ARRAY['rung 1']"},
		{[]time.Time{time.Unix(0, 0)}, "timestamptz[]", "ARRAY['1970-01-01 00:00Z'::timestamptz]"},
	} {
		texts, err := server.IdentityTexts(server.Principal{Values: map[string]any{"it": c.value}})
		require.NoError(t, err, "%d: %#v", i, c.value)
		require.Contains(t, texts, "it", "NULL is a value too")
		var same bool
		query := fmt.Sprintf("SELECT $1::text::%[1]s IS NOT DISTINCT FROM %[2]s::%[1]s", c.kind, c.literal)
		require.NoError(t, pool.QueryRow(t.Context(), query, texts["it"]).Scan(&same), "%d: %#v", i, c.value)
		require.True(t, same, "%d: %#v became %v", i, c.value, texts["it"])
	}
}

// TestIdentityValuesRefused checks what is no value, and that the error does not hold it.
func TestIdentityValuesRefused(t *testing.T) {
	t.Parallel()
	for i, value := range []any{
		"hidden\x00", "hidden\xff",
		[]string{"fine", "hidden\x00"},
		letters("hidden\x00"),
		hushed("hidden"),
		[]hushed{"hidden"},
		struct{ Name string }{"hidden"},
		map[string]string{"hidden": "hidden"},
		map[string]string(nil),
		func() {}, make(chan int), complex(1, 2), errors.New("hidden"),
		[][]string{{"hidden"}},
		[]any{[]int{1}},
		[]any{&[]int{1}},
		[]*[1]int{{1}},
	} {
		_, err := server.IdentityTexts(server.Principal{Values: map[string]any{"team": value, "fine": 1}})
		require.ErrorContains(t, err, `identity value "team" of type`, "%d", i)
		require.NotContains(t, err.Error(), "hidden", "%d", i)
	}
}

// visit is an identity around another one.
type visit struct {
	of    server.Identity
	until time.Time
	renew func(context.Context) (server.Identity, error)
}

// Unwrap implements server.Wrapper.
func (s visit) Unwrap() server.Identity { return s.of }

// Expires implements server.Expirer.
func (s visit) Expires() time.Time { return s.until }

// Renew implements server.Renewer.
func (s visit) Renew(ctx context.Context) (server.Identity, error) { return s.renew(ctx) }

// TestWhoseValues checks which identity speaks where one is inside another.
func TestWhoseValues(t *testing.T) {
	t.Parallel()
	ann := server.Principal{Name: "ann", Values: map[string]any{"user": "ann"}}
	for _, identity := range []server.Identity{ann, &ann, visit{of: ann}, &visit{of: visit{of: &ann}}} {
		texts, err := server.IdentityTexts(identity)
		require.NoError(t, err)
		require.Equal(t, map[string]*string{"user": pointerTo("ann")}, texts, "%T", identity)
	}
	for _, identity := range []server.Identity{nil, user{"ann"}, visit{}, visit{of: user{"ann"}}, server.Principal{}} {
		texts, err := server.IdentityTexts(identity)
		require.NoError(t, err)
		require.Empty(t, texts, "%T", identity)
	}
}
