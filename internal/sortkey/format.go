package sortkey

import "fmt"

// The OIDs of the supported types. They are fixed in Postgres.
const (
	oidBool        = 16
	oidBytea       = 17
	oidChar        = 18 // "char", a single byte
	oidName        = 19
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidText        = 25
	oidOID         = 26
	oidFloat4      = 700
	oidFloat8      = 701
	oidMacaddr8    = 774
	oidMacaddr     = 829
	oidVarchar     = 1043
	oidDate        = 1082
	oidTime        = 1083
	oidTimestamp   = 1114
	oidTimestamptz = 1184
	oidNumeric     = 1700
	oidUUID        = 2950
	oidPgLSN       = 3220
	oidXid8        = 5069
)

// kind is a way to encode.
type kind uint8

const (
	unsupported kind = iota
	signed           // two's complement, most significant byte first
	unsigned         // ordered by its bytes, of which there is a fixed number
	boolean
	float
	text
	bytea
	numeric
)

// format is how values of a type are encoded. Size is the number of bytes of the wire format where that is fixed.
type format struct {
	kind kind
	size int
}

// formatOf returns the format of a type. Text is supported only in a byte order, which is not checked here.
func formatOf(oid uint32) format {
	switch oid {
	case oidInt2:
		return format{signed, 2}
	case oidInt4, oidDate: // infinite dates are the ends of the range
		return format{signed, 4}
	case oidInt8, oidTime, oidTimestamp, oidTimestamptz: // likewise
		return format{signed, 8}
	case oidChar:
		return format{unsigned, 1}
	case oidOID:
		return format{unsigned, 4}
	case oidMacaddr:
		return format{unsigned, 6}
	case oidXid8, oidPgLSN, oidMacaddr8:
		return format{unsigned, 8}
	case oidUUID:
		return format{unsigned, 16}
	case oidBool:
		return format{boolean, 1}
	case oidFloat4:
		return format{float, 4}
	case oidFloat8:
		return format{float, 8}
	case oidText, oidVarchar, oidName:
		return format{kind: text}
	case oidBytea:
		return format{kind: bytea}
	case oidNumeric:
		return format{kind: numeric}
	}
	return format{}
}

// encode appends the ascending encoding of a value that is not NULL. The encodings of a type are such that none is the
// beginning of another.
func (f format) encode(dst, value []byte) ([]byte, error) {
	if f.size > 0 && len(value) != f.size {
		return nil, fmt.Errorf("%d bytes, not %d", len(value), f.size)
	}
	switch f.kind {
	case signed:
		return append(append(dst, value[0]^signBit), value[1:]...), nil
	case unsigned:
		return append(dst, value...), nil
	case boolean:
		return appendBool(dst, value[0])
	case float:
		return appendFloat(dst, value), nil
	case text:
		return appendText(dst, value)
	case bytea:
		return appendBytea(dst, value), nil
	case numeric:
		return appendNumeric(dst, value)
	}
	return nil, ErrUnsupported
}
