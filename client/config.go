package client

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/protocol"
)

// Item is something to provide: a var, list or function of package memory.
type Item = peer.Item

// Limits bound what the other end may use of one connection.
type Limits = peer.Limits

// Config is what a client is made of. The zero Config is fine.
type Config struct {
	// Provide holds items of package memory that the server may follow and call.
	Provide []Item
	// Header returns what is sent with each handshake, such as credentials. It is
	// asked before every attempt, so it may renew them. Nil for nothing.
	Header func(context.Context) (http.Header, error)
	// Token returns a proof of whose connection it is, such as a JWT, with how long
	// it lasts inside. It is sent with each handshake, as "Authorization: Bearer",
	// in place of such a field of Header, and over the connection as often as it
	// has to be: before the credentials end, as far as the server says when, and
	// when it says that they have. So it is asked before every attempt to connect
	// and every time that a new one is due. What the connection may see then is
	// what the new token says: pages change in one step. Version 1 has the
	// handshake only; a server closes such a connection when the credentials end,
	// and the client connects again with a new token. Nil for none.
	Token func(context.Context) (string, error)
	// HTTPClient makes the handshake. Nil means http.DefaultClient.
	HTTPClient *http.Client
	// DialTimeout bounds one attempt to connect. 0 means 30 seconds.
	DialTimeout time.Duration
	// MinBackOff and MaxBackOff bound the delay before an attempt to connect
	// again, and before something that the server could not give is asked for
	// again. The delay doubles with every failure, and is varied by half of it at
	// random. 0 means 500 milliseconds and 30 seconds.
	MinBackOff, MaxBackOff time.Duration
	// Version1 keeps to version 1 of the protocol. Otherwise the client speaks
	// version 2 with a server that does.
	Version1 bool
	// PingInterval is how often a connection is tested, and after how much silence
	// it is given up. 0 means 30 seconds.
	PingInterval time.Duration
	// CallTimeout ends calls whose context has no deadline. 0 means 30 seconds.
	CallTimeout time.Duration
	// Limits bound what the server may use.
	Limits Limits
	// OnConnect is called after each connection is made, OnDisconnect after it has
	// ended, with the reason. They must not block; the client waits for them
	// before it goes on.
	OnConnect    func()
	OnDisconnect func(error)
	// Log gets what is nobody's result. Nil means slog.Default().
	Log *slog.Logger
}

func (c *Config) withDefaults() Config {
	var out Config
	if c != nil {
		out = *c
	}
	out.DialTimeout = positive(out.DialTimeout, 30*time.Second)
	out.MinBackOff = positive(out.MinBackOff, 500*time.Millisecond)
	out.MaxBackOff = max(positive(out.MaxBackOff, 30*time.Second), out.MinBackOff)
	out.CallTimeout = positive(out.CallTimeout, 30*time.Second)
	if out.Log == nil {
		out.Log = slog.Default()
	}
	return out
}

// subprotocols are what is offered to the server; nil for all.
func (c *Config) subprotocols() []string {
	if c.Version1 {
		return []string{protocol.SubprotocolV1}
	}
	return nil
}

func positive(d, standard time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return standard
}

// backOff returns a sequence of delays.
func (c *Config) backOff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = c.MinBackOff, c.MaxBackOff
	b.Multiplier, b.RandomizationFactor = 2, 0.5
	b.Reset()
	return b
}
