package sortkey_test

import (
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/socksync/socksync/internal/sortkey"
)

// BenchmarkAppend encodes a row of a timestamp, a text, a numeric and a bigint.
func BenchmarkAppend(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	columns := []sortkey.Column{
		{OID: pgtype.TimestampOID, Desc: true},
		{OID: pgtype.TextOID, ByteOrdered: true},
		{OID: pgtype.NumericOID, NullsFirst: true},
		{OID: pgtype.Int8OID},
	}
	wire := [][]byte{integer(8)(r).wire, []byte("some words of text"), {0, 2, 0, 1, 0, 0, 0, 2, 0, 12, 13, 14}, integer(8)(r).wire}
	var key []byte
	b.ReportAllocs()
	for b.Loop() {
		key = key[:0]
		for i, c := range columns {
			var err error
			if key, err = sortkey.Append(key, c, wire[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
}
