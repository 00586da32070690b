package client

import (
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/socksync/socksync/protocol"
)

// onError takes an error message of the server over a connection.
func (c *Client) onError(now *connection, e *protocol.Error, taken bool) {
	switch e.Code {
	case protocol.Other, protocol.InvalidFunc, protocol.TooManyRequests:
		c.mu.Lock()
		if c.err == nil {
			c.retries.schedule(c.retry)
		}
		c.mu.Unlock()
	case protocol.CredentialsExpired:
		select {
		case now.expired <- struct{}{}:
		default: // it has been said
		}
	}
	if !taken {
		c.cfg.Log.Debug("socksync: error that answers nothing known", "error", e)
	}
}

// retry asks again for everything that was asked for and has not come.
func (c *Client) retry() {
	c.mu.Lock()
	c.retries.fired()
	followed := slices.Clone(c.followed)
	c.mu.Unlock()
	for _, r := range followed {
		r.Retry()
	}
}

// retries are the times at which to ask again for what the server could not give.
type retries struct {
	intervals *backoff.ExponentialBackOff
	timer     *time.Timer // nil: none is scheduled
	last      time.Time
}

// schedule has retry called after a while, unless it is going to be.
func (r *retries) schedule(retry func()) {
	if r.timer != nil {
		return
	}
	if time.Since(r.last) > 2*r.intervals.MaxInterval {
		r.intervals.Reset() // that was another trouble
	}
	r.timer = time.AfterFunc(r.intervals.NextBackOff(), retry)
}

func (r *retries) fired() { r.timer, r.last = nil, time.Now() }

func (r *retries) stop() {
	if r.timer != nil {
		r.timer.Stop()
	}
}
