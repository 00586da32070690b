package peer

import (
	"errors"

	"github.com/socksync/socksync/protocol"
)

// request is a message to the provider of an item, with where it belongs in version 2.
type request struct {
	*protocol.Frame
	route protocol.Route
	bad   error // of the route
}

// badView reports whether the view is not one. A bad id is decided later: see [protocol.Frame.Route].
func (r *request) badView() bool {
	var e *protocol.Error
	return errors.As(r.bad, &e) && e.Code != protocol.BadID
}

// place is where the other end is subscribed: to an item, or to a view of it.
type place struct {
	key
	view string // "" is a view of its own
}
