package sortkey

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

const signBit = 0x80 // of the first byte

func appendBool(dst []byte, value byte) ([]byte, error) {
	if value > 1 {
		return nil, fmt.Errorf("byte %d for a bool", value)
	}
	return append(dst, value), nil
}

// appendFloat encodes a float of four or eight bytes. The bits of positive floats ascend with the value, those of
// negative ones descend.
func appendFloat(dst, value []byte) []byte {
	start := len(dst)
	switch f := decodeFloat(value); {
	case f == 0: // also -0
		dst = append(dst, make([]byte, len(value))...)
	case math.IsNaN(f): // one of all NaNs: positive, with all bits set, so behind Infinity
		dst = append(dst, bytes.Repeat([]byte{0xff}, len(value))...)
		dst[start] &^= signBit
	default:
		dst = append(dst, value...)
	}
	if dst[start]&signBit != 0 {
		invert(dst[start:])
	} else {
		dst[start] |= signBit
	}
	return dst
}

func decodeFloat(value []byte) float64 {
	if len(value) == 4 {
		return float64(math.Float32frombits(binary.BigEndian.Uint32(value)))
	}
	return math.Float64frombits(binary.BigEndian.Uint64(value))
}
