package wsconn

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"strings"
	"unicode/utf8"
)

// Bits of a frame's first two bytes (RFC 6455, 5.2).
const (
	finBit  = 0x80
	maskBit = 0x80
	opMask  = 0x0f
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa
)

const (
	maxHeader  = 14  // two bytes, eight of length, four of mask
	maxControl = 125 // payload of a control frame
	maxReason  = maxControl - 2
)

// maskKey is the key that a client's frame is masked with; nil on a server.
type maskKey *[4]byte

// newMaskKey returns a key that the peer cannot foresee.
func newMaskKey(client bool) maskKey {
	if !client {
		return nil
	}
	key := new([4]byte)
	_, _ = rand.Read(key[:]) // never fails
	return key
}

// appendHeader appends the header of a frame that is a whole message.
func appendHeader(dst []byte, op byte, size int, key maskKey) []byte {
	masked := byte(0)
	if key != nil {
		masked = maskBit
	}
	dst = append(dst, finBit|op)
	switch {
	case size <= maxControl:
		dst = append(dst, masked|byte(size)) //nolint:gosec // at most 125
	case size <= math.MaxUint16:
		dst = append(dst, masked|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(size))
	default:
		dst = append(dst, masked|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(size))
	}
	if key != nil {
		dst = append(dst, key[:]...)
	}
	return dst
}

// headerSize is the size of a server's header for a payload of that size.
func headerSize(size int) int {
	switch {
	case size <= maxControl:
		return 2
	case size <= math.MaxUint16:
		return 4
	default:
		return 10
	}
}

// appendControl appends a whole control frame.
func appendControl(dst []byte, op byte, payload []byte, client bool) []byte {
	key := newMaskKey(client)
	dst = appendHeader(dst, op, len(payload), key)
	dst = append(dst, payload...)
	if key != nil {
		mask(dst[len(dst)-len(payload):], key, 0)
	}
	return dst
}

// closeFrame returns the close frame for a code and a reason that fit in one.
func closeFrame(code int, reason string, client bool) []byte {
	payload := binary.BigEndian.AppendUint16(nil, uint16(code)) //nolint:gosec // a close code
	return appendControl(nil, opClose, append(payload, reason...), client)
}

// parseClose returns what a close frame says that the library made.
func parseClose(frame []byte) *CloseError {
	payload := frame[2:]
	if frame[1]&maskBit != 0 {
		key := [4]byte(frame[2:6])
		payload = append([]byte(nil), frame[6:]...)
		mask(payload, &key, 0)
	}
	if len(payload) < 2 {
		return &CloseError{Code: StatusNoCode}
	}
	return &CloseError{Code: int(binary.BigEndian.Uint16(payload)), Reason: string(payload[2:])}
}

// validCode reports whether a close frame may carry the code.
func validCode(code int) bool {
	switch code {
	case 1004, StatusNoCode, StatusAbnormal:
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}

// validReason cuts a reason down to what a close frame can hold: valid UTF-8 of
// at most maxReason bytes.
func validReason(reason string) string {
	reason = strings.ToValidUTF8(reason, "")
	if len(reason) <= maxReason {
		return reason
	}
	n := maxReason
	for !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}

// mask masks p, which begins at that offset of the payload, in place.
func mask(p []byte, key maskKey, offset int) {
	var k [8]byte
	for i := range k {
		k[i] = key[(offset+i)&3]
	}
	word := binary.NativeEndian.Uint64(k[:])
	for len(p) >= 8 {
		binary.NativeEndian.PutUint64(p, binary.NativeEndian.Uint64(p)^word)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= k[i]
	}
}
