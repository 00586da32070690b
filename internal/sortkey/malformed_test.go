package sortkey_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/sortkey"
)

// supported are all types that are supported, with the size of the wire format where it is fixed.
var supported = map[uint32]int{
	pgtype.Int2OID: 2, pgtype.Int4OID: 4, pgtype.Int8OID: 8, pgtype.OIDOID: 4, pgtype.BoolOID: 1, pgtype.UUIDOID: 16,
	pgtype.DateOID: 4, pgtype.TimeOID: 8, pgtype.TimestampOID: 8, pgtype.TimestamptzOID: 8, pgtype.Float4OID: 4,
	pgtype.Float8OID: 8, pgtype.QCharOID: 1, pgtype.MacaddrOID: 6, pgtype.Macaddr8OID: 8, pgtype.XID8OID: 8, 3220: 8,
	pgtype.ByteaOID: 0, pgtype.TextOID: 0, pgtype.VarcharOID: 0, pgtype.NameOID: 0, pgtype.NumericOID: 0,
}

func TestSupported(t *testing.T) {
	t.Parallel()
	byCollation := map[uint32]bool{pgtype.TextOID: true, pgtype.VarcharOID: true, pgtype.NameOID: true}
	for oid := range uint32(6000) {
		_, want := supported[oid]
		require.Equal(t, want, sortkey.Supported(oid, true), "oid %d", oid)
		require.Equal(t, want && !byCollation[oid], sortkey.Supported(oid, false), "oid %d", oid)
		if !want {
			_, err := sortkey.Append(nil, sortkey.Column{OID: oid, ByteOrdered: true}, nil)
			require.ErrorIs(t, err, sortkey.ErrUnsupported, "oid %d", oid)
		}
	}
	_, err := sortkey.Append(nil, sortkey.Column{OID: pgtype.TextOID}, []byte("a"))
	require.ErrorIs(t, err, sortkey.ErrUnsupported, "text of an unknown collation")
}

func TestMalformedSize(t *testing.T) {
	t.Parallel()
	for oid, size := range supported {
		if size == 0 {
			continue
		}
		for _, wrong := range []int{0, size - 1, size + 1, 100} {
			_, err := sortkey.Append(nil, sortkey.Column{OID: oid}, make([]byte, wrong))
			require.ErrorIs(t, err, sortkey.ErrMalformed, "oid %d, %d bytes", oid, wrong)
		}
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		oid  uint32
		wire []byte
	}{
		{"a bool of 2", pgtype.BoolOID, []byte{2}},
		{"a zero byte in text", pgtype.TextOID, []byte("a\x00b")},
		{"an empty numeric", pgtype.NumericOID, []byte{}},
		{"half a header", pgtype.NumericOID, []byte{0, 0, 0, 0, 0, 0, 0}},
		{"digits missing", pgtype.NumericOID, []byte{0, 1, 0, 0, 0, 0, 0, 0}},
		{"half a digit", pgtype.NumericOID, []byte{0, 1, 0, 0, 0, 0, 0, 0, 0}},
		{"more digits than said", pgtype.NumericOID, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
		{"a digit of 10000", pgtype.NumericOID, []byte{0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10}},
		{"a negative count", pgtype.NumericOID, []byte{0xff, 0xff, 0, 0, 0, 0, 0, 0}},
		{"an unknown sign", pgtype.NumericOID, []byte{0, 1, 0, 0, 0x80, 0, 0, 0, 0, 1}},
		{"a weight out of range", pgtype.NumericOID, []byte{0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
	} {
		for _, desc := range []bool{false, true} {
			_, err := sortkey.Append(nil, sortkey.Column{OID: tt.oid, Desc: desc, ByteOrdered: true}, tt.wire)
			require.ErrorIs(t, err, sortkey.ErrMalformed, tt.name)
			require.ErrorContains(t, err, fmt.Sprint(tt.oid))
		}
	}
}

// FuzzAppend: whatever the bytes, there is no panic, and what is accepted keeps the rules that make concatenation and
// DESC work.
func FuzzAppend(f *testing.F) {
	oids := slices.Sorted(maps.Keys(supported))
	for i, oid := range oids {
		size := supported[oid]
		f.Add(uint8(i), make([]byte, size), bytes.Repeat([]byte{0xff}, size))
		f.Add(uint8(i), []byte{0, 1, 0, 0, 0x40, 0, 0, 0, 0, 1}, []byte{0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2})
	}
	f.Fuzz(func(t *testing.T, typ uint8, a, b []byte) {
		oid := oids[int(typ)%len(oids)]
		up := sortkey.Column{OID: oid, ByteOrdered: true}
		down := sortkey.Column{OID: oid, ByteOrdered: true, Desc: true}
		upA, errA := sortkey.Append(nil, up, a)
		upB, errB := sortkey.Append(nil, up, b)
		downA, errDownA := sortkey.Append(nil, down, a)
		downB, errDownB := sortkey.Append(nil, down, b)
		require.Equal(t, errA == nil, errDownA == nil)
		require.Equal(t, errB == nil, errDownB == nil)
		if errA != nil || errB != nil {
			return
		}
		require.Equal(t, bytes.Compare(upA, upB), bytes.Compare(downB, downA))
		if !bytes.Equal(upA, upB) {
			require.False(t, bytes.HasPrefix(upA, upB) || bytes.HasPrefix(upB, upA), "%x and %x", upA, upB)
			require.False(t, bytes.HasPrefix(downA, downB) || bytes.HasPrefix(downB, downA), "%x and %x", downA, downB)
		}
	})
}
