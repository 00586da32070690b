package wsconn

import (
	"fmt"
	"net/http"
	"path"
	"time"
)

// Defaults of Config and NewWheel.
const (
	DefaultReadLimit    = 1 << 20
	DefaultStallTimeout = 10 * time.Second
	DefaultCloseTimeout = 5 * time.Second
	DefaultPingInterval = 30 * time.Second
)

// Config says how a connection works. It is not modified and not kept. A nil
// Config is the zero Config.
type Config struct {
	// Next appends the messages that are due now to buf and returns it. It is
	// called after Flush, by one goroutine at a time, until it appends nothing,
	// and not again before what it returned was written. The payloads must not
	// change until the next call of Next, or until Read has failed. They are only
	// read, so they may be shared. Next must not wait for Read. Nil: no messages
	// are sent.
	Next func(buf [][]byte) [][]byte

	// ReadLimit is the greatest size of a message from the peer, in bytes; a
	// greater one closes the connection with 1009. 0: DefaultReadLimit.
	// Negative: no limit.
	ReadLimit int64

	// StallTimeout is how long the kernel may take no byte at all of a write
	// before the connection is closed with 4008. 0: DefaultStallTimeout.
	StallTimeout time.Duration

	// CloseTimeout is how long closing may take: to write what is being written
	// and the close frame, and until the peer's close frame is here.
	// 0: DefaultCloseTimeout.
	CloseTimeout time.Duration

	// Wheel pings the connection. Nil: no pings are sent.
	Wheel *Wheel

	// Subprotocols are the subprotocols to choose from (Accept, the first that
	// the peer offers too) or to offer (Dial), best first.
	Subprotocols []string

	// OriginPatterns are the origins, other than the request's own host, that a
	// browser may connect from (Accept): patterns of path.Match for the host, or
	// for scheme://host if they contain "://".
	OriginPatterns []string

	// InsecureSkipVerify turns the check of the origin off (Accept).
	InsecureSkipVerify bool

	// Header is sent with the handshake (Dial).
	Header http.Header

	// HTTPClient makes the handshake (Dial). Nil: http.DefaultClient.
	HTTPClient *http.Client
}

// Validate reports the first mistake in the Config. Accept and Dial call it.
func (c *Config) Validate() error {
	if c == nil {
		return nil
	}
	for _, p := range c.OriginPatterns {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("wsconn: origin pattern %q: %w", p, err)
		}
	}
	if c.StallTimeout < 0 || c.CloseTimeout < 0 {
		return fmt.Errorf("wsconn: negative timeout (stall %v, close %v)", c.StallTimeout, c.CloseTimeout)
	}
	return nil
}

// withDefaults returns a checked copy in which every zero that stands for a
// default is filled in.
func (c *Config) withDefaults() (Config, error) {
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	var out Config
	if c != nil {
		out = *c
	}
	if out.ReadLimit == 0 {
		out.ReadLimit = DefaultReadLimit
	}
	if out.StallTimeout == 0 {
		out.StallTimeout = DefaultStallTimeout
	}
	if out.CloseTimeout == 0 {
		out.CloseTimeout = DefaultCloseTimeout
	}
	if out.HTTPClient == nil {
		out.HTTPClient = http.DefaultClient
	}
	return out, nil
}
