package peer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"time"
	"unicode/utf8"

	"github.com/socksync/socksync/protocol"
)

var errNoAuthentication = &protocol.Error{Code: protocol.Other, Message: "no authentication on this connection"}

// authenticate handles a message that changes the credentials. The reader has the turn.
func (p *Peer) authenticate(f *protocol.Frame) error {
	route, err := f.Route()
	if err != nil {
		return err
	}
	if p.cfg.Authenticate == nil {
		return errNoAuthentication
	}
	a, err := f.Authenticate()
	if err != nil {
		return err
	}
	c, err := p.identified(a.Token)
	if err != nil {
		p.cfg.Log.Debug("socksync: credentials refused", "error", err)
		return errForbidden
	}
	p.mute()
	p.change(c)
	p.confirmCredentials(route.ID, c.Expires)
	p.unmute()
	return nil
}

// identified calls Authenticate. A panic is an error.
func (p *Peer) identified(token string) (c Credentials, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if c, err = p.cfg.Authenticate(p.ctx, token); err == nil && c.ended() {
		err = errEnded
	}
	return c, err
}

// confirmCredentials answers an authenticate, if it has an id.
func (p *Peer) confirmCredentials(id string, expires time.Time) {
	if id == "" {
		return
	}
	message := protocol.AppendOK(nil, id)
	if !expires.IsZero() {
		seconds := min(max(int64(time.Until(expires)/time.Second), 1), protocol.MaxInteger)
		message = protocol.AppendOKExpires(nil, id, int(min(seconds, math.MaxInt)))
	}
	p.reply(message)
}

// Authenticate gives the other end a token, as a proof of whose connection this is from now on. It waits for the answer,
// and returns after what time the credentials end; 0 if they do not. The error is ErrVersion in version 1, ErrClosed if
// the connection has ended or does, the one of the context, or the [*protocol.Error] of the other end: Forbidden if it
// refuses the token. Then everything is as it was. A callback must not call it.
func (p *Peer) Authenticate(ctx context.Context, token string) (time.Duration, error) {
	answer, err := p.BeginAuthenticate(token)
	if err != nil {
		return 0, err
	}
	return answer(ctx)
}

// BeginAuthenticate is Authenticate that does not wait: the token is sent before everything that is asked for from now on.
// The function that it returns waits for the answer; it is called at most once.
func (p *Peer) BeginAuthenticate(token string) (func(context.Context) (time.Duration, error), error) {
	if p.version == protocol.V1 {
		return nil, fmt.Errorf("authenticate: %w", ErrVersion)
	}
	defer p.flush()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.why != nil {
		return nil, fmt.Errorf("authenticate: %w", ErrClosed)
	}
	if !utf8.ValidString(token) {
		return nil, errors.New("authenticate: the token is not UTF-8")
	}
	q := p.asked.begin(protocol.FuncAuthenticate, nil, nil)
	q.done = make(chan error, 1)
	p.out.reply(protocol.AppendAuthenticate(nil, token, q.id))
	return q.authenticated, nil
}

// authenticated waits for the answer to an authenticate.
func (q *query) authenticated(ctx context.Context) (time.Duration, error) {
	select {
	case err := <-q.done:
		if err != nil {
			return 0, fmt.Errorf("authenticate: %w", err)
		}
		return q.lasts, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("authenticate: %w", context.Cause(ctx))
	}
}
