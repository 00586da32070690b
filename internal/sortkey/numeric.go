package sortkey

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Classes of numeric values in their order. Negative and positive ones are followed by a magnitude.
const (
	numericNegInfinity byte = iota + 1
	numericNegative
	numericZero
	numericPositive
	numericInfinity
	numericNaN
)

// Signs in the wire format.
const (
	signPositive    = 0x0000
	signNegative    = 0x4000
	signNaN         = 0xc000
	signInfinity    = 0xd000
	signNegInfinity = 0xf000
)

const (
	numericHeader = 8 // number of digits, weight, sign, display scale: 2 bytes each
	numericBase   = 10_000
)

// magnitude is a number without its sign: the sum of the i-th digit × 10000^(weight-i), i counted from 0.
type magnitude struct {
	weight int
	digits []byte // two bytes each, big-endian, below numericBase
}

func appendNumeric(dst, value []byte) ([]byte, error) {
	if len(value) < numericHeader {
		return nil, fmt.Errorf("%d bytes, less than the header", len(value))
	}
	count := int(binary.BigEndian.Uint16(value))
	weight := int(int16(binary.BigEndian.Uint16(value[2:]))) //nolint:gosec // it is signed
	sign := binary.BigEndian.Uint16(value[4:])
	// The display scale, value[6:8], does not matter: 1.0 and 1.00 are equal.
	digits := value[numericHeader:]
	if len(digits) != 2*count {
		return nil, fmt.Errorf("%d bytes for %d digits", len(digits), count)
	}
	switch sign {
	case signNaN:
		return append(dst, numericNaN), nil
	case signInfinity:
		return append(dst, numericInfinity), nil
	case signNegInfinity:
		return append(dst, numericNegInfinity), nil
	case signPositive, signNegative:
		return appendFinite(dst, sign == signNegative, magnitude{weight, digits})
	}
	return nil, fmt.Errorf("sign %#x", sign)
}

// appendFinite encodes a number that is neither NaN nor infinite.
func appendFinite(dst []byte, negative bool, n magnitude) ([]byte, error) {
	n = n.normalized()
	switch {
	case len(n.digits) == 0:
		return append(dst, numericZero), nil
	case n.weight < math.MinInt16:
		return nil, errors.New("leading zeros below the least weight")
	case negative:
		dst = append(dst, numericNegative)
		start := len(dst)
		dst, err := n.append(dst)
		if err == nil {
			invert(dst[start:])
		}
		return dst, err
	}
	return n.append(append(dst, numericPositive))
}

// normalized drops the zeros at both ends, so that equal numbers have equal digits.
func (n magnitude) normalized() magnitude {
	for len(n.digits) > 0 && n.digits[0] == 0 && n.digits[1] == 0 {
		n.digits = n.digits[2:]
		n.weight--
	}
	for last := len(n.digits); last > 0 && n.digits[last-1] == 0 && n.digits[last-2] == 0; last -= 2 {
		n.digits = n.digits[:last-2]
	}
	return n
}

// append appends the magnitude of a number that has digits.
func (n magnitude) append(dst []byte) ([]byte, error) {
	dst = binary.BigEndian.AppendUint16(dst, uint16(n.weight-math.MinInt16)) //nolint:gosec // from 0 to the maximum
	for i := 0; i < len(n.digits); i += 2 {
		digit := binary.BigEndian.Uint16(n.digits[i:])
		if digit >= numericBase {
			return nil, fmt.Errorf("digit %d", digit)
		}
		dst = binary.BigEndian.AppendUint16(dst, digit+1) // 0 is the end
	}
	return append(dst, 0, 0), nil
}
