package peer

import (
	"time"

	"github.com/socksync/socksync/internal/window"
)

// Credentials say whose connection it is. The zero value is nobody, for ever.
type Credentials struct {
	// Owner is handed to Authorize and CallContext.
	Owner any
	// Identity is what the items may know of the owner.
	Identity window.Identity
	// Expires is when they end; the zero time is never.
	Expires time.Time
}
