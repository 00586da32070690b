package sortkey

import (
	"bytes"
	"errors"
)

// The second byte after a 0 in the encoding of a bytea: the end is below everything that may follow.
const (
	byteaEnd  = 0x01
	byteaZero = 0xff
)

// appendText encodes text, which has no zero bytes.
func appendText(dst, value []byte) ([]byte, error) {
	if bytes.IndexByte(value, 0) >= 0 {
		return nil, errors.New("a zero byte in text")
	}
	return append(append(dst, value...), 0), nil
}

func appendBytea(dst, value []byte) []byte {
	for {
		zero := bytes.IndexByte(value, 0)
		if zero < 0 {
			return append(append(dst, value...), 0, byteaEnd)
		}
		dst = append(append(dst, value[:zero]...), 0, byteaZero)
		value = value[zero+1:]
	}
}
