package sessionauth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/socksync/socksync/server"
)

// Config says how the identity of a request is found.
type Config struct {
	// Middleware is the session library's, and whatever else Identify needs. It is
	// run with a copy of the request that opened the connection, without its body
	// and the headers of the WebSocket, and what it answers is discarded, with the
	// cookies that it sets: a library that gives a session a new id with every
	// request does not fit. It may be nil, if Identify reads the request itself.
	Middleware func(http.Handler) http.Handler
	// Identify returns whose request it is, inside the middleware. An error refuses
	// it; a nil identity is nobody, who is let in. It is required.
	Identify func(*http.Request) (server.Identity, error)
	// Recheck is how long an identity counts before it is found out again. To the
	// session library that is one more request, which may prolong the session.
	// Each time is up to a quarter less, so that connections that were made at the
	// same time are not asked about at the same time. Default: 1 minute.
	Recheck time.Duration
}

// defaultRecheck is taken for 0.
const defaultRecheck = time.Minute

// Authenticator finds out whose session a connection belongs to. It is made by
// [New]; its methods may be called by any goroutine.
type Authenticator struct {
	config  Config
	handler func(http.Handler) http.Handler
}

// New makes an authenticator.
func New(config *Config) (*Authenticator, error) {
	if config == nil || config.Identify == nil {
		return nil, errors.New("sessionauth config: Identify is to be set")
	}
	if config.Recheck < 0 {
		return nil, errors.New("sessionauth config: Recheck is negative")
	}
	a := &Authenticator{config: *config, handler: config.Middleware}
	if a.config.Recheck == 0 {
		a.config.Recheck = defaultRecheck
	}
	if a.handler == nil {
		a.handler = func(next http.Handler) http.Handler { return next }
	}
	return a, nil
}

// Authenticate is a Config.Authenticate of package server. The identity that it
// returns wraps that of Identify: the server hands that one to the application, and
// has the session looked up again when it is time.
func (a *Authenticator) Authenticate(r *http.Request) (server.Identity, error) {
	return a.find(r.Context(), r)
}

// find runs the middleware around Identify.
func (a *Authenticator) find(ctx context.Context, opened *http.Request) (server.Identity, error) {
	outcome := make(chan result, 1) // the middleware may use a goroutine of its own
	answer := &discard{header: http.Header{}, status: http.StatusOK}
	a.handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		identity, err := a.config.Identify(r)
		select {
		case outcome <- result{identity, err}:
		default: // it is called twice; the first one counts
		}
	})).ServeHTTP(answer, probe(ctx, opened))
	select {
	case found := <-outcome:
		if found.err != nil {
			return nil, fmt.Errorf("sessionauth: %w", found.err)
		}
		return a.session(opened, found.identity), nil
	default:
		return nil, fmt.Errorf("sessionauth: the middleware has answered the request itself, with status %d", answer.status)
	}
}

// result is what Identify returned.
type result struct {
	identity server.Identity
	err      error
}

// session is an identity that is looked up again.
type session struct {
	by       *Authenticator
	opened   *http.Request // as it came
	identity server.Identity
	until    time.Time
}

// session makes the identity of a request one that is to be looked up again in time.
func (a *Authenticator) session(opened *http.Request, identity server.Identity) *session {
	wait := a.config.Recheck - rand.N(a.config.Recheck/4+1) //nolint:gosec // nobody gains by guessing it
	s := &session{by: a, opened: opened, identity: identity, until: time.Now().Add(wait)}
	if e, ok := identity.(server.Expirer); ok {
		if end := e.Expires(); !end.IsZero() && end.Before(s.until) {
			s.until = end
		}
	}
	return s
}

// Unwrap implements server.Wrapper.
func (s *session) Unwrap() server.Identity { return s.identity }

// Expires implements server.Expirer: it is when the session is looked up again, or
// when the identity itself ends.
func (s *session) Expires() time.Time { return s.until }

// Renew implements server.Renewer.
func (s *session) Renew(ctx context.Context) (server.Identity, error) {
	return s.by.find(ctx, s.opened)
}
