package sortkey_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/sortkey"
)

// value is a value in the wire format with what the oracle compares.
type value struct {
	wire []byte // nil is NULL
	of   any
}

// domain is a type as the oracle sees it: random values, and how two of them compare, told without encoding anything.
type domain struct {
	oid     uint32
	random  func(*rand.Rand) value
	compare func(a, b any) int
}

// domains has one domain for each way to encode.
var domains = map[string]domain{
	"int2":    {pgtype.Int2OID, integer(2), ordered[int64]},
	"int4":    {pgtype.Int4OID, integer(4), ordered[int64]},
	"int8":    {pgtype.Int8OID, integer(8), ordered[int64]},
	"oid":     {pgtype.OIDOID, randomOID, ordered[uint32]},
	"bool":    {pgtype.BoolOID, randomBool, ordered[int]},
	"uuid":    {pgtype.UUIDOID, randomUUID, ordered[string]},
	"float4":  {pgtype.Float4OID, randomFloat4, compareFloats},
	"float8":  {pgtype.Float8OID, randomFloat8, compareFloats},
	"text":    {pgtype.TextOID, bytesOf("\x01\x02aAz\xc3\xa9\xff"), ordered[string]},
	"bytea":   {pgtype.ByteaOID, bytesOf("\x00\x00\x01\x02\xfe\xffa"), ordered[string]},
	"numeric": {pgtype.NumericOID, randomNumeric, compareNumerics},
}

// ordered compares values of which Go knows the order.
func ordered[T cmp.Ordered](a, b any) int {
	return cmp.Compare(a.(T), b.(T))
}

func integer(size int) func(*rand.Rand) value {
	return func(r *rand.Rand) value {
		n := int64(r.Uint64()) >> (64 - 8*size) >> r.IntN(8*size) // any magnitude
		wire := binary.BigEndian.AppendUint64(nil, uint64(n))
		return value{wire[8-size:], n}
	}
}

func randomOID(r *rand.Rand) value {
	n := r.Uint32() >> r.IntN(32)
	return value{binary.BigEndian.AppendUint32(nil, n), n}
}

func randomBool(r *rand.Rand) value {
	n := r.IntN(2)
	return value{[]byte{byte(n)}, n}
}

func randomUUID(r *rand.Rand) value {
	wire := make([]byte, 16)
	wire[r.IntN(16)] = byte(r.Uint32())
	return value{wire, string(wire)}
}

func randomFloat4(r *rand.Rand) value {
	bits := r.Uint32()
	switch r.IntN(6) {
	case 0:
		bits = bits&(1<<31) | 0x7f800000 // infinity
	case 1:
		bits |= 0x7f800000 // nearly always some NaN, of either sign
	case 2:
		bits &= 1 << 31 // 0 and -0
	case 3:
		bits &= 1<<31 | 0xff // small, subnormal
	}
	return value{binary.BigEndian.AppendUint32(nil, bits), float64(math.Float32frombits(bits))}
}

func randomFloat8(r *rand.Rand) value {
	bits := r.Uint64()
	switch r.IntN(6) {
	case 0:
		bits = bits&(1<<63) | 0x7ff<<52
	case 1:
		bits |= 0x7ff << 52
	case 2:
		bits &= 1 << 63
	case 3:
		bits &= 1<<63 | 0xff
	}
	return value{binary.BigEndian.AppendUint64(nil, bits), math.Float64frombits(bits)}
}

// compareFloats orders NaN last, and all NaNs level, as Postgres does. Go's cmp puts it first.
func compareFloats(a, b any) int {
	return -cmp.Compare(-a.(float64), -b.(float64))
}

func bytesOf(alphabet string) func(*rand.Rand) value {
	return func(r *rand.Rand) value {
		wire := make([]byte, r.IntN(5))
		for i := range wire {
			wire[i] = alphabet[r.IntN(len(alphabet))]
		}
		return value{wire, string(wire)}
	}
}

// special is a numeric that is no number: -1 and 1 are the infinities, 2 is NaN.
type special int

func randomNumeric(r *rand.Rand) value {
	switch r.IntN(12) {
	case 0:
		return value{[]byte{0, 0, 0, 0, 0xc0, 0, 0, 0}, special(2)}
	case 1:
		return value{[]byte{0, 0, 0, 0, 0xd0, 0, 0, 0x20}, special(1)}
	case 2:
		return value{[]byte{0, 0, 0, 0, 0xf0, 0, 0, 0x20}, special(-1)}
	}
	return finiteNumeric(r)
}

// finiteNumeric makes digits that begin and end with zeros at times, and their sum by the definition of the format.
func finiteNumeric(r *rand.Rand) value {
	weight := r.IntN(7) - 3
	negative := r.IntN(2) == 1
	digits := make([]uint16, r.IntN(5))
	for i := range digits {
		digits[i] = []uint16{0, 0, 1, 255, 256, 9999, uint16(r.IntN(10_000))}[r.IntN(7)]
	}
	wire := binary.BigEndian.AppendUint16(nil, uint16(len(digits)))
	wire = binary.BigEndian.AppendUint16(wire, uint16(weight))
	wire = append(wire, 0, 0, 0, byte(r.IntN(20))) // positive, any display scale
	if negative {
		wire[4] = 0x40
	}
	sum := new(big.Rat)
	for i, digit := range digits {
		wire = binary.BigEndian.AppendUint16(wire, digit)
		sum.Add(sum, new(big.Rat).Mul(new(big.Rat).SetInt64(int64(digit)), powerOfBase(weight-i)))
	}
	if negative {
		sum.Neg(sum)
	}
	return value{wire, sum}
}

// powerOfBase returns 10000^n.
func powerOfBase(n int) *big.Rat {
	power := new(big.Int).Exp(big.NewInt(10_000), big.NewInt(int64(max(n, -n))), nil)
	if n < 0 {
		return new(big.Rat).SetFrac(big.NewInt(1), power)
	}
	return new(big.Rat).SetInt(power)
}

func compareNumerics(a, b any) int {
	x, xNumber := a.(*big.Rat)
	y, yNumber := b.(*big.Rat)
	if xNumber && yNumber {
		return x.Cmp(y)
	}
	rank := func(v any) special {
		s, _ := v.(special) // a number is between -1 and 1
		return s
	}
	return cmp.Compare(rank(a), rank(b))
}

// randomColumn draws a domain and an order.
func randomColumn(r *rand.Rand, names []string) (domain, sortkey.Column) {
	d := domains[names[r.IntN(len(names))]]
	return d, sortkey.Column{OID: d.oid, Desc: r.IntN(2) == 1, NullsFirst: r.IntN(2) == 1, ByteOrdered: true}
}

// compareValues is ORDER BY of one column.
func compareValues(d domain, c sortkey.Column, a, b value) int {
	if a.wire == nil || b.wire == nil {
		null := func(v value) int {
			if (v.wire == nil) == c.NullsFirst {
				return 0
			}
			return 1
		}
		return cmp.Compare(null(a), null(b))
	}
	if c.Desc {
		return d.compare(b.of, a.of)
	}
	return d.compare(a.of, b.of)
}

// orNull makes a value NULL at times.
func orNull(r *rand.Rand, v value) value {
	if r.IntN(8) == 0 {
		return value{}
	}
	return v
}

func mustAppend(t testing.TB, key []byte, c sortkey.Column, v value) []byte {
	t.Helper()
	key, err := sortkey.Append(key, c, v.wire)
	if err != nil {
		t.Fatalf("%+v of %x: %v", c, v.wire, err)
	}
	return key
}

// TestRows compares random rows of one to three columns, which often agree in the first ones.
func TestRows(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	names := make([]string, 0, len(domains))
	for name := range domains {
		names = append(names, name)
	}
	for range 60_000 {
		var left, right []byte
		want, said := 0, ""
		for range 1 + r.IntN(3) {
			d, c := randomColumn(r, names)
			a, b := orNull(r, d.random(r)), orNull(r, d.random(r))
			if r.IntN(2) == 0 {
				b = a
			}
			left, right = mustAppend(t, left, c, a), mustAppend(t, right, c, b)
			if want == 0 {
				want = compareValues(d, c, a, b)
			}
			said += fmt.Sprintf("%+v %x %x; ", c, a.wire, b.wire)
		}
		if got := bytes.Compare(left, right); got != want {
			t.Fatalf("%d, want %d: %skeys %x and %x", got, want, said, left, right)
		}
	}
}

// TestOneColumn compares many values of each type with each other.
func TestOneColumn(t *testing.T) {
	t.Parallel()
	for name, d := range domains {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRand(t)
			values := make([]value, 120)
			for i := range values {
				values[i] = orNull(r, d.random(r))
			}
			for variant := range 4 {
				c := sortkey.Column{OID: d.oid, Desc: variant&1 != 0, NullsFirst: variant&2 != 0, ByteOrdered: true}
				compareAll(t, d, c, values)
			}
		})
	}
}

func compareAll(t *testing.T, d domain, c sortkey.Column, values []value) {
	t.Helper()
	keys := make([][]byte, len(values))
	for i, v := range values {
		keys[i] = mustAppend(t, nil, c, v)
	}
	for i, a := range values {
		for j, b := range values {
			if got, want := bytes.Compare(keys[i], keys[j]), compareValues(d, c, a, b); got != want {
				t.Fatalf("%+v: %x against %x is %d, want %d: keys %x and %x", c, a.wire, b.wire, got, want, keys[i], keys[j])
			}
			if len(keys[i]) < len(keys[j]) && bytes.HasPrefix(keys[j], keys[i]) {
				t.Fatalf("%+v: the key %x of %x begins the key %x of %x", c, keys[i], a.wire, keys[j], b.wire)
			}
		}
	}
}

// TestAppends: the key goes behind what is there, and an error leaves that as it was.
func TestAppends(t *testing.T) {
	t.Parallel()
	c := sortkey.Column{OID: pgtype.Int2OID, Desc: true}
	before := []byte("before")
	key, err := sortkey.Append(before, c, []byte{0, 1})
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(key, before))
	require.Greater(t, len(key), len(before))

	key, err = sortkey.Append(before, c, []byte{0, 1, 2})
	require.ErrorIs(t, err, sortkey.ErrMalformed)
	require.Equal(t, before, key)
}
