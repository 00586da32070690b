package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/internal/wsconn"
	"github.com/socksync/socksync/protocol"
)

// Item names something that a server provides.
type Item struct {
	Type protocol.ItemType
	Name string
}

// ErrForbidden is what an Authorize may return to refuse an item. Any other
// error refuses it too, and is logged.
var ErrForbidden = errors.New("forbidden")

// Config configures a Server. The zero Config is usable.
type Config struct {
	// Migrate lets Start create or upgrade the socksync schema and the triggers
	// of the bound tables. It needs the right to do so: a role that may create a
	// schema, and owns the tables. When it is false Start only checks that they
	// are there. Default: false, nothing is migrated unasked.
	Migrate bool

	// Authenticate finds out whose request it is, before the upgrade. An error
	// refuses it: a WebSocket that offers a socksync subprotocol is closed with
	// 4001, any other request gets 401. It is called by the request's goroutine.
	// Default: everybody is let in, with a nil Identity.
	Authenticate func(*http.Request) (Identity, error)

	// AuthenticateToken finds out whose token it is that a client of version 2
	// sends over the connection to renew or change its identity. An error refuses
	// it, and the identity stays what it was. It is called by the connection's
	// goroutine: nothing else is read meanwhile. Default: no token is taken.
	AuthenticateToken func(ctx context.Context, c *Conn, token string) (Identity, error)

	// ExpiryGrace is how long a connection whose identity has expired (see
	// [Expirer]) stays open for it to be renewed. Default: 10 s.
	ExpiryGrace time.Duration

	// Authorize decides whether an identity may use an item, when it subscribes,
	// and again for everything that it is subscribed to when the identity changes.
	// An error refuses it: a client of version 2 is told error 9, to one of
	// version 1 the item looks like one that does not exist. It is called by the
	// connection's goroutine. Default: everything is allowed that does not name
	// identity values which the identity lacks.
	Authorize func(context.Context, Identity, Item) error

	// OnConnect is called in a goroutine of its own for each connection. The
	// context ends with the connection, and the connection waits for the
	// function's return when it ends. A panic closes the connection with 1011.
	// Default: none.
	OnConnect func(context.Context, *Conn)

	// OnDisconnect is called once after a connection has ended and OnConnect has
	// returned, with the reason. Default: none.
	OnDisconnect func(*Conn, error)

	// Origins are the hosts, besides the request's own, whose pages may connect:
	// patterns as in path.Match, for the host or, with "://", for scheme and
	// host. "*" is every host. Default: none.
	Origins []string

	// MaxMessageBytes is the size of the largest message that is accepted; a
	// larger one closes the connection with 1009. Default: 1 MiB.
	MaxMessageBytes int64
	// MaxSubscriptions is how many items, or views of items, one connection may
	// follow. Default: 256.
	MaxSubscriptions int
	// MaxCalls is how many functions may run for one connection. Default: 32.
	MaxCalls int
	// MaxReplyBytes is how many bytes of errors and results may wait for one
	// connection before its messages are no longer read. Default: 1 MiB.
	MaxReplyBytes int
	// MaxViews is how many choices of its own (sort, filter, search) one connection
	// may have open at the same time. Default: 64.
	MaxViews int
	// MaxViewRows is how many rows the lists that one connection has chosen so may
	// have together when one is opened. Default: 1,000,000.
	MaxViewRows int

	// PingInterval is the time between pings; a connection that has not answered
	// one when the next is due is closed. Default: 30 s.
	PingInterval time.Duration
	// StallTimeout is how long a write may make no progress before the
	// connection is closed with 4008. Default: 10 s.
	StallTimeout time.Duration
	// CallTimeout bounds a call of a peer's function whose context has no
	// deadline. Default: 30 s.
	CallTimeout time.Duration

	// PollOnly reads the change log without LISTEN and without session state, for
	// poolers that share a session between clients, such as PgBouncer in
	// transaction mode. Default: false.
	PollOnly bool
	// PollInterval is how often the log is read where the doorbell cannot be used.
	// Default: 20 ms.
	PollInterval time.Duration
	// LockTimeout is how long a read waits for a lock before the table's changes
	// are left for later. Default: 50 ms.
	LockTimeout time.Duration

	// Grace is how long the view of a choice that nobody watches any more is kept,
	// and the window of a connection that was lost, for its subscriber to come
	// back to. Default: 30 s.
	Grace time.Duration
	// MaxTotalViews is how many choices of subscribers may be open on the server
	// at the same time, of all connections. What a list shows of itself does not
	// count, nor does what it shows to each identity where it names identity
	// values: there are as many of these as there are identities connected.
	// Default: 10,000.
	MaxTotalViews int
	// MaxTotalViewRows is how many rows these may have together when one is
	// opened. Default: 10,000,000, which take about 600 MB.
	MaxTotalViewRows int
	// MaxVarInstances is for how many sets of parameters and values of identities
	// the values of vars are kept, of all vars and connections. Default: 10,000.
	MaxVarInstances int
	// MaxKeptRows is how many rows the earlier states of windows may have
	// together, that are kept for subscribers who come back, and how many the
	// windows of lost connections. Default: 1,000,000, which take about 40 MB, and
	// the rows' JSON.
	MaxKeptRows int

	// Log takes what an operator should know. Default: slog.Default().
	Log *slog.Logger
}

func (c *Config) withDefaults() (Config, error) {
	var out Config
	if c != nil {
		out = *c
	}
	if out.Log == nil {
		out.Log = slog.Default()
	}
	if err := out.wsconn(nil, nil).Validate(); err != nil {
		return out, fmt.Errorf("server config: %w", err)
	}
	if out.MaxMessageBytes < 0 {
		return out, errNegativeLimit
	}
	for _, n := range []int{
		out.MaxSubscriptions, out.MaxCalls, out.MaxReplyBytes, out.MaxViews, out.MaxViewRows,
		out.MaxTotalViews, out.MaxTotalViewRows, out.MaxKeptRows, out.MaxVarInstances,
	} {
		if n < 0 {
			return out, errNegativeLimit
		}
	}
	for _, d := range []time.Duration{
		out.PingInterval, out.StallTimeout, out.CallTimeout, out.PollInterval, out.LockTimeout, out.Grace, out.ExpiryGrace,
	} {
		if d < 0 {
			return out, errors.New("server config: a duration is negative")
		}
	}
	return out, nil
}

var errNegativeLimit = errors.New("server config: a limit is negative")

func (c *Config) limits() peer.Limits {
	return peer.Limits{
		MessageBytes: c.MaxMessageBytes, Subscriptions: c.MaxSubscriptions,
		Calls: c.MaxCalls, ReplyBytes: c.MaxReplyBytes,
		Views: c.MaxViews, Rows: c.MaxViewRows,
	}.WithDefaults()
}

func (c *Config) wsconn(p *peer.Peer, wheel *wsconn.Wheel) *wsconn.Config {
	config := &wsconn.Config{
		ReadLimit:      c.limits().MessageBytes,
		StallTimeout:   c.StallTimeout,
		Subprotocols:   protocol.Subprotocols(),
		OriginPatterns: c.Origins,
		Wheel:          wheel,
	}
	if p != nil {
		config.Next = p.Next
	}
	return config
}
