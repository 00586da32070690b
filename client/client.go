package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/protocol"
)

// Errors of a client that has ended.
var (
	// ErrClosed says that the client was closed, or, from a call, that the
	// connection was lost before the result came.
	ErrClosed = peer.ErrClosed
	// ErrRefused says that the server refuses the credentials. The client does
	// not try again with the same.
	ErrRefused = errors.New("credentials refused")
)

// Client is one connection to a server, made anew whenever it is lost. Its
// methods may be called by any goroutine.
type Client struct {
	cfg      Config
	registry peer.Registry
	dialer   *peer.Dialer
	cancel   context.CancelCauseFunc
	running  sync.WaitGroup
	done     chan struct{}

	mu       sync.Mutex // guards all below; never held across I/O
	peer     *peer.Peer // nil: there is no connection
	online   chan struct{}
	followed []peer.Remote // in the order in which they were followed
	err      error         // why the client has ended
	retries  retries
}

// Dial connects to a server: url is a ws, wss, http or https URL. The first
// attempt decides: if it fails, so does Dial. From then on the client connects
// again by itself until it is closed, or the server refuses the credentials.
// Whether it does may show only after Dial has returned; see [Client.Done].
//
// ctx bounds this first attempt only. Its values are in the context of the
// functions that the client provides. A nil Config is the zero Config.
func Dial(ctx context.Context, url string, cfg *Config) (*Client, error) {
	c := &Client{cfg: cfg.withDefaults(), done: make(chan struct{}), online: make(chan struct{})}
	c.retries.intervals = c.cfg.backOff()
	if err := c.registry.Add(c.cfg.Provide...); err != nil {
		return nil, fmt.Errorf("client: provide: %w", err)
	}
	c.dialer = peer.NewDialer(url, c.cfg.HTTPClient, c.cfg.PingInterval, c.cfg.subprotocols())
	first, err := c.connect(ctx)
	if err != nil {
		c.dialer.Stop()
		return nil, fmt.Errorf("client: dial: %w", err)
	}
	run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	c.cancel = cancel
	c.enter(first)
	c.running.Go(func() { c.run(run, first) })
	return c, nil
}

// connection is one that was made, or is to be run.
type connection struct {
	peer *peer.Peer
	conn peer.Conn
	// answer waits for what the server says of the token of the handshake; nil if
	// that was not sent again.
	answer  func(context.Context) (time.Duration, error)
	expired chan struct{} // holds a word that the credentials have ended
}

// connect makes one attempt.
func (c *Client) connect(ctx context.Context) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	header, token, err := c.proof(ctx)
	if err != nil {
		return nil, err
	}
	made := &connection{expired: make(chan struct{}, 1)}
	made.peer = peer.New(&peer.Config{
		Registry: &c.registry, Limits: c.cfg.Limits, CallTimeout: c.cfg.CallTimeout,
		OnError: func(e *protocol.Error, taken bool) { c.onError(made, e, taken) }, Resume: true, Log: c.cfg.Log,
	})
	made.conn, err = c.dialer.Dial(ctx, made.peer, header)
	switch peer.HandshakeStatus(err) {
	case http.StatusUnauthorized, http.StatusForbidden:
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err != nil {
		return nil, err
	}
	if c.cfg.Token != nil && made.peer.Version() == protocol.V2 {
		made.answer, err = made.peer.BeginAuthenticate(token)
	}
	return made, err
}

// run lives through one connection after the other.
func (c *Client) run(ctx context.Context, now *connection) {
	delays := c.cfg.backOff()
	for {
		began := time.Now()
		err := c.live(ctx, now)
		if time.Since(began) > c.cfg.MaxBackOff {
			delays.Reset()
		}
		for now = nil; now == nil; {
			if reason := final(ctx, err); reason != nil {
				c.finish(reason)
				return
			}
			c.pause(ctx, delays.NextBackOff())
			now, err = c.again(ctx)
		}
		c.enter(now)
	}
}

// final returns why there is to be no other connection, or nil.
func final(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrRefused):
		return err
	case peer.CloseCode(err) == protocol.CloseRefused:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// again makes one attempt to connect, after a connection was lost.
func (c *Client) again(ctx context.Context) (*connection, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	made, err := c.connect(ctx)
	if err != nil {
		c.cfg.Log.Debug("socksync: cannot connect", "error", err)
		return nil, err
	}
	return made, nil
}

func (c *Client) pause(ctx context.Context, delay time.Duration) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// live runs a connection until it has ended, and says why it did. Functions that
// it called may still run then.
func (c *Client) live(ctx context.Context, now *connection) error {
	p := now.peer
	c.running.Go(func() { _ = p.Run(ctx, now.conn) }) // Err has the outcome
	if now.answer != nil {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		c.running.Go(func() { c.prove(ctx, now) })
	}
	if c.cfg.OnConnect != nil {
		c.cfg.OnConnect()
	}
	<-p.Done()
	c.leave()
	if c.cfg.OnDisconnect != nil {
		c.cfg.OnDisconnect(p.Err())
	}
	return p.Err()
}

// enter makes a connection known, and follows over it everything that is
// followed. What the version of the connection does not allow waits for another
// connection.
func (c *Client) enter(now *connection) {
	p := now.peer
	failed := make(map[peer.Remote]error)
	c.mu.Lock()
	c.peer = p
	for _, r := range c.followed {
		if err := p.Follow(r); err != nil {
			failed[r] = err
		}
	}
	close(c.online)
	c.mu.Unlock()
	for r, err := range failed {
		c.cfg.Log.Error("socksync: cannot follow", "type", r.Kind(), "name", r.Name(), "error", err)
		r.Fail(err)
	}
}

func (c *Client) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peer = nil
	c.online = make(chan struct{})
}

// finish ends the client. Whoever waits gets the reason.
func (c *Client) finish(reason error) {
	c.mu.Lock()
	c.err = reason
	followed := slices.Clone(c.followed)
	c.retries.stop()
	c.mu.Unlock()
	for _, r := range followed {
		r.Abandon(reason)
	}
	c.dialer.Stop()
	close(c.done)
}

// Done is closed when the client has ended: it was closed, or refused.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the client has ended: ErrClosed or ErrRefused. It is nil before
// Done is closed.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close closes the connection and waits until everything has ended, functions
// that the server called included. If ctx ends first, its error is returned, and
// Close may be called again to wait on. Further calls do no harm.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	p := c.peer
	c.mu.Unlock()
	if p != nil {
		_ = p.Close(1000, "") // it may have ended
	}
	c.cancel(ErrClosed)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.running.Wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("client: close: %w", context.Cause(ctx))
	}
}

// Provide adds items of package memory to what the client provides. The server
// may have been told before that they are not there, so what it is to find when
// it connects belongs into Config.Provide.
func (c *Client) Provide(items ...Item) error {
	if err := c.registry.Add(items...); err != nil {
		return fmt.Errorf("client: provide: %w", err)
	}
	return nil
}

// Follow is called by [FollowVar] and [FollowList].
func (c *Client) Follow(r peer.Remote) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return fmt.Errorf("client: follow %s %q: %w", r.Kind(), r.Name(), c.err)
	}
	if c.cfg.Version1 && slices.ContainsFunc(c.followed, func(f peer.Remote) bool {
		return f.Kind() == r.Kind() && f.Name() == r.Name()
	}) {
		return fmt.Errorf("client: follow %s %q: %w", r.Kind(), r.Name(), peer.ErrFollowed)
	}
	if c.peer != nil {
		if err := c.peer.Follow(r); err != nil && !errors.Is(err, peer.ErrClosed) {
			return fmt.Errorf("client: %w", err)
		}
	}
	c.followed = append(c.followed, r)
	return nil
}

// Unfollow is called by the Close of what is followed.
func (c *Client) Unfollow(r peer.Remote) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.followed = slices.DeleteFunc(c.followed, func(f peer.Remote) bool { return f == r })
	if c.peer != nil {
		c.peer.Unfollow(r)
	}
	r.Abandon(ErrClosed)
}

// Call calls a function of the server with arguments in JSON. Without a
// connection it waits for one. A call whose connection is lost is not repeated,
// because nobody knows whether it was run. See the function [Call] for typed
// arguments and results.
func (c *Client) Call(ctx context.Context, function string, args json.RawMessage) (json.RawMessage, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.cfg.CallTimeout)
		defer cancel()
	}
	p, err := c.connection(ctx)
	if err != nil {
		return nil, fmt.Errorf("client: call %q: %w", function, err)
	}
	value, err := p.Call(ctx, function, args)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return value, nil
}

// connection waits for a connection.
func (c *Client) connection(ctx context.Context) (*peer.Peer, error) {
	for {
		c.mu.Lock()
		p, online, err := c.peer, c.online, c.err
		c.mu.Unlock()
		if p != nil || err != nil {
			return p, err
		}
		select {
		case <-online:
		case <-c.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
