package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/protocol"
)

// proof is what a handshake says of whose connection it is.
func (c *Client) proof(ctx context.Context) (header http.Header, token string, err error) {
	if c.cfg.Header != nil {
		if header, err = c.cfg.Header(ctx); err != nil {
			return nil, "", fmt.Errorf("header: %w", err)
		}
	}
	if c.cfg.Token == nil {
		return header, "", nil
	}
	if token, err = c.cfg.Token(ctx); err != nil {
		return nil, "", fmt.Errorf("token: %w", err)
	}
	if header = header.Clone(); header == nil {
		header = make(http.Header)
	}
	header.Set("Authorization", "Bearer "+token)
	return header, token, nil
}

// prove sees to it that the credentials of a connection do not end, as long as it lasts, which is as long as ctx. The token
// of the handshake has been sent again, over the connection, for the server to say when that is.
func (c *Client) prove(ctx context.Context, now *connection) {
	delays := c.cfg.backOff()
	lasts, err := now.answer(ctx)
	for ctx.Err() == nil {
		delay, due := renewal(lasts), lasts > 0
		if err != nil {
			c.cfg.Log.Debug("socksync: token not taken", "error", err)
			delay, due = delays.NextBackOff(), !errors.Is(err, errOther)
		}
		if !now.awaitRenewal(ctx, delay, due) {
			return
		}
		if lasts, err = c.authenticate(ctx, now.peer); err == nil {
			delays.Reset()
			c.retry()
		}
	}
}

// errOther is what a server answers that takes no tokens over a connection.
var errOther = &protocol.Error{Code: protocol.Other}

// renewal is after what time credentials are renewed.
func renewal(lasts time.Duration) time.Duration { return lasts / 4 * 3 }

// awaitRenewal waits until other credentials are needed: after a delay, if they are due then, or because the server says
// so. It is false if the connection has ended.
func (n *connection) awaitRenewal(ctx context.Context, delay time.Duration, due bool) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	after := timer.C
	if !due {
		after = nil
	}
	select {
	case <-after:
	case <-n.expired:
	case <-ctx.Done():
		return false
	}
	return true
}

// authenticate sends a new token, and returns how long it lasts.
func (c *Client) authenticate(ctx context.Context, p *peer.Peer) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	token, err := c.cfg.Token(ctx)
	if err != nil {
		return 0, fmt.Errorf("token: %w", err)
	}
	return p.Authenticate(ctx, token)
}
