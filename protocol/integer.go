package protocol

import "math"

// MaxInteger is the greatest integer of the protocol, 2^53-1: the last up to
// which every integer is exact in a JavaScript number.
const MaxInteger = 1<<53 - 1

// integer reads an integer: a JSON number without fraction or exponent, or a
// string of decimal digits, from 0 to MaxInteger (and no more than an int of
// the machine holds). It never goes through a float, which would round.
func integer(raw []byte) (int, bool) {
	if raw[0] == '"' {
		text, ok := unquote(raw)
		if !ok {
			return 0, false
		}
		return digits(text)
	}
	if len(raw) == 2 && raw[0] == '-' && raw[1] == '0' {
		return 0, true // the only number with a sign that is not below 0
	}
	return digits(raw)
}

// digits reads a number written in nothing but decimal digits. It stops at the
// first digit that takes it past MaxInteger.
func digits(text []byte) (int, bool) {
	if len(text) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
		if n > MaxInteger || n > math.MaxInt {
			return 0, false
		}
	}
	return int(n), true
}
