package peer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/socksync/socksync/internal/wsconn"
	"github.com/socksync/socksync/protocol"
)

// Dialer makes connections for peers that dial. It has one goroutine, which
// pings. Its methods may be called by any goroutine.
type Dialer struct {
	url          string
	client       *http.Client
	subprotocols []string
	wheel        *wsconn.Wheel
}

// NewDialer returns a Dialer for a URL (ws, wss, http or https) and starts it. A
// nil client is http.DefaultClient, an interval of 0 the default one. It offers
// the subprotocols, best first; nil means all that there are.
func NewDialer(url string, client *http.Client, pingInterval time.Duration, subprotocols []string) *Dialer {
	if subprotocols == nil {
		subprotocols = protocol.Subprotocols()
	}
	d := &Dialer{url: url, client: client, subprotocols: subprotocols, wheel: wsconn.NewWheel(pingInterval)}
	d.wheel.Start()
	return d
}

// Stop stops pinging and waits for the goroutine. Connections stay.
func (d *Dialer) Stop() { d.wheel.Stop() }

// Dial connects the peer, which then speaks the version that was agreed on: give
// the result to [Peer.Run]. The header is sent with the handshake. The context
// bounds the handshake only.
func (d *Dialer) Dial(ctx context.Context, p *Peer, header http.Header) (Conn, error) {
	conn, err := wsconn.Dial(ctx, d.url, &wsconn.Config{
		Next:         p.Next,
		ReadLimit:    p.cfg.Limits.MessageBytes,
		Wheel:        d.wheel,
		Subprotocols: d.subprotocols,
		Header:       header,
		HTTPClient:   d.client,
	})
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	p.Speak(protocol.VersionOf(conn.Subprotocol()))
	return conn, nil
}

// CloseCode returns the close code in an error of [Peer.Run]: 1006 if the
// connection ended without one, 0 for a nil error.
func CloseCode(err error) int { return wsconn.CloseStatus(err) }

// HandshakeStatus returns the HTTP status with which a server refused a
// handshake, from an error of [Dialer.Dial]; 0 if it was not refused.
func HandshakeStatus(err error) int {
	var refused *wsconn.HandshakeError
	if errors.As(err, &refused) {
		return refused.StatusCode
	}
	return 0
}
