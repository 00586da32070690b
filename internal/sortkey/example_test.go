package sortkey_test

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/socksync/socksync/internal/sortkey"
)

// Rows of a smallint and a text, as ORDER BY 1 DESC, 2 puts them.
func ExampleAppend() {
	columns := []sortkey.Column{
		{OID: pgtype.Int2OID, Desc: true, NullsFirst: true},
		{OID: pgtype.TextOID, ByteOrdered: true},
	}
	rows := [][][]byte{
		{{0, 1}, []byte("b")},
		{{0, 1}, []byte("a")},
		{{0, 2}, nil},
		{{0, 2}, []byte("c")},
		{nil, []byte("d")},
	}
	key := func(row [][]byte) (key []byte) {
		for i, c := range columns {
			key, _ = sortkey.Append(key, c, row[i]) // the values are well formed
		}
		return key
	}
	slices.SortFunc(rows, func(a, b [][]byte) int { return bytes.Compare(key(a), key(b)) })
	for _, row := range rows {
		fmt.Printf("%v %q\n", row[0], row[1])
	}
	// Output:
	// [] "d"
	// [0 2] "c"
	// [0 2] ""
	// [0 1] "a"
	// [0 1] "b"
}
