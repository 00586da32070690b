package wsconn

import (
	"errors"
	"fmt"
)

// Close codes of RFC 6455 that are used here, and the one that this package
// adds.
const (
	StatusNormal         = 1000
	StatusGoingAway      = 1001
	StatusProtocolError  = 1002
	StatusUnsupported    = 1003 // a binary message
	StatusNoCode         = 1005 // never sent: the peer's close frame had no code
	StatusAbnormal       = 1006 // never sent: the connection ended without a close frame
	StatusInvalidPayload = 1007 // invalid UTF-8
	StatusTooBig         = 1009
	StatusInternalError  = 1011
	StatusTooSlow        = 4008 // a write stalled
)

// ErrNoPong ends a connection whose peer sent nothing, not even a pong, for a
// whole ping interval after a ping.
var ErrNoPong = errors.New("wsconn: no answer to a ping")

// ErrNoCloseFrame ends a connection whose socket failed in writing and whose
// peer then sent neither a close frame nor the end of its stream in time.
var ErrNoCloseFrame = errors.New("wsconn: no close frame from the peer")

// errStalled is a write of which the kernel took nothing for StallTimeout.
var errStalled = errors.New("wsconn: write stalled")

// CloseError says with which close frame a connection ended.
type CloseError struct {
	Code   int
	Reason string
	Remote bool // the peer closed it; otherwise this end did
}

// Error implements error.
func (e *CloseError) Error() string {
	by := "this end"
	if e.Remote {
		by = "the peer"
	}
	return fmt.Sprintf("wsconn: closed by %s: code %d, reason %q", by, e.Code, e.Reason)
}

// CloseStatus returns the close code in an error of Read: the code of its
// CloseError, StatusAbnormal if it has none, 0 if err is nil.
func CloseStatus(err error) int {
	var ce *CloseError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ce):
		return ce.Code
	default:
		return StatusAbnormal
	}
}

// HandshakeError is the error of a Dial that the server answered with another
// HTTP status than 101, or with a bad handshake.
type HandshakeError struct {
	StatusCode int // HTTP
	Err        error
}

// Error implements error.
func (e *HandshakeError) Error() string {
	return fmt.Sprintf("wsconn: handshake answered with HTTP status %d: %v", e.StatusCode, e.Err)
}

// Unwrap returns the cause.
func (e *HandshakeError) Unwrap() error { return e.Err }
