package window

import (
	"errors"

	"github.com/socksync/socksync/protocol"
)

// MaxDepth is how deep the JSON of one row may be nested, so that every message
// that carries it is accepted.
const MaxDepth = protocol.MaxDepth - 3

// Depth returns how deep a JSON text is nested.
func Depth(json []byte) int { return protocol.Depth(json) }

// Refusal returns the error with which a source answers a get that it cannot serve
// now. The message reaches the peer.
func Refusal(message string) error {
	return &protocol.Error{Code: protocol.Other, Message: message}
}

// IsRefusal reports whether an error, or one that it wraps, is fit for the peer.
func IsRefusal(err error) bool {
	var refusal *protocol.Error
	return errors.As(err, &refusal)
}
