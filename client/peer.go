package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/protocol"
)

// Peer is whoever provides what is followed and called: the server, through a
// [*Client], or a client, through its connection at the server.
type Peer interface {
	// Follow and Unfollow are called by the functions of this package.
	Follow(peer.Remote) error
	Unfollow(peer.Remote)
	// Call calls a function with arguments in JSON.
	Call(ctx context.Context, function string, args json.RawMessage) (json.RawMessage, error)
}

// Errors of what is followed.
var (
	// ErrFollowed says that the item is followed already over this connection, and
	// the connection is of version 1.
	ErrFollowed = peer.ErrFollowed
	// ErrVersion says that version 1 of the protocol, which the other end speaks,
	// cannot express what was asked for.
	ErrVersion = peer.ErrVersion
	// ErrSuperseded says that another Get took the place of the one that waited.
	ErrSuperseded = peer.ErrSuperseded
)

// Errors of the other end about the credentials of the connection, in version 2. They stand for every
// [*protocol.Error] with their code: errors.Is(err, ErrForbidden). In version 1 an item that may not be used is one that
// the other end does not provide.
var (
	// ErrForbidden says that the credentials do not allow it. Of something that is followed, OnError is told so when that
	// ends because the credentials have changed: the page or value is gone, and Get asks for it again.
	ErrForbidden error = &protocol.Error{Code: protocol.Forbidden}
	// ErrExpired says that the credentials had ended, and there were no others yet. With Config.Token others are sent at
	// once.
	ErrExpired error = &protocol.Error{Code: protocol.CredentialsExpired}
)

// Call calls a function. args are encoded by encoding/json, to an object or to
// null for none; the result is decoded by it, and is the zero R if the function
// has none. If the context has no deadline, the call ends after the peer's
// CallTimeout. What the other end answers instead of a result is a
// [*protocol.Error].
func Call[A, R any](ctx context.Context, p Peer, function string, args A) (R, error) {
	var result R
	raw, err := json.Marshal(args)
	if err != nil {
		return result, fmt.Errorf("client: call %q: arguments: %w", function, err)
	}
	if bytes.Equal(raw, []byte("null")) {
		raw = nil
	}
	value, err := p.Call(ctx, function, raw)
	if err != nil || len(value) == 0 {
		return result, err
	}
	if err := json.Unmarshal(value, &result); err != nil {
		return result, fmt.Errorf("client: call %q: result: %w", function, err)
	}
	return result, nil
}
