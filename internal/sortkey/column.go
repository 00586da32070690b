package sortkey

import (
	"errors"
	"fmt"
)

// ErrUnsupported means that the order of a column's type is not known here. See [Supported].
var ErrUnsupported = errors.New("sortkey: type not supported")

// ErrMalformed means that a value is not the binary format of its type.
var ErrMalformed = errors.New("sortkey: malformed value")

// Column says how a column is ordered. The zero value is of no use: OID must be set.
type Column struct {
	// OID is the type, as in pg_type.
	OID uint32
	// Desc is true for descending order.
	Desc bool
	// NullsFirst says where NULL goes. Note that in Postgres its default is the value of Desc.
	NullsFirst bool
	// ByteOrdered says that the column's collation orders text by its bytes, as C and POSIX do. It has a meaning only for
	// text, varchar and name, which are not supported without.
	ByteOrdered bool
}

// Marks of a column. NULL is not affected by Desc.
const (
	nullFirst byte = iota
	notNull
	nullLast
)

// Supported says whether values of a type can be encoded. ByteOrdered is as in [Column].
func Supported(oid uint32, byteOrdered bool) bool {
	f := formatOf(oid)
	return f.kind != unsupported && (f.kind != text || byteOrdered)
}

// Append appends the encoding of one column of a row to dst. Value is in the binary wire format; nil is NULL. The error
// is [ErrUnsupported] or [ErrMalformed] with what is wrong; dst is then returned as it was.
func Append(dst []byte, c Column, value []byte) ([]byte, error) {
	if !Supported(c.OID, c.ByteOrdered) {
		return dst, fmt.Errorf("%w: oid %d", ErrUnsupported, c.OID)
	}
	if value == nil {
		return append(dst, c.null()), nil
	}
	before := dst
	dst = append(dst, notNull)
	start := len(dst)
	dst, err := formatOf(c.OID).encode(dst, value)
	if err != nil {
		return before, fmt.Errorf("%w of the type with oid %d: %w", ErrMalformed, c.OID, err)
	}
	if c.Desc {
		invert(dst[start:])
	}
	return dst, nil
}

func (c Column) null() byte {
	if c.NullsFirst {
		return nullFirst
	}
	return nullLast
}

func invert(key []byte) {
	for i := range key {
		key[i] = ^key[i]
	}
}
