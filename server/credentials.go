package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"runtime/debug"

	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/protocol"
)

// credentialsOf are what the connection's engine knows of an identity. The error is
// the application's mistake and is logged as such.
func (s *Server) credentialsOf(identity Identity) (peer.Credentials, error) {
	values, err := identityValues(identity)
	if err != nil {
		s.log.Error("an identity has a value that no list or var can use; nobody is let in by it", "error", err)
		return peer.Credentials{}, err
	}
	c := peer.Credentials{Owner: owner{identity}, Identity: values}
	if e, ok := identity.(Expirer); ok {
		c.Expires = e.Expires()
	}
	return c, nil
}

// owner is what the connection's engine knows an identity as.
type owner struct{ outer Identity }

// identityOf returns the application's own identity.
func identityOf(of any) Identity {
	o, _ := of.(owner)
	return inner(o.outer)
}

// Same reports whether what is under way for one owner may go to the other one, for
// whom the connection is by then.
func (o owner) Same(other any) bool {
	a, b := inner(o.outer), identityOf(other)
	c, ok := a.(Comparer)
	if !ok {
		return reflect.DeepEqual(a, b)
	}
	same, err := guard(func() (bool, error) { return c.Same(b), nil })
	return same && err == nil
}

// guard calls a function of the application and makes a panic an error: it must not
// take down the connection's reader, nor leave a request counted that has ended.
func guard[T any](call func() (T, error)) (result T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return call()
}

// authenticate finds out whose request it is.
func (s *Server) authenticate(r *http.Request) (peer.Credentials, error) {
	if s.config.Authenticate == nil {
		return s.credentialsOf(nil)
	}
	return guard(func() (peer.Credentials, error) {
		identity, err := s.config.Authenticate(r)
		if err != nil {
			return peer.Credentials{}, err
		}
		return s.credentialsOf(identity)
	})
}

// authenticateToken finds out whose token it is that the client has sent.
func (c *Conn) authenticateToken(ctx context.Context, token string) (peer.Credentials, error) {
	credentials, err := guard(func() (peer.Credentials, error) {
		identity, err := c.server.config.AuthenticateToken(ctx, c, token)
		if err != nil {
			return peer.Credentials{}, err
		}
		return c.server.credentialsOf(identity)
	})
	if err != nil {
		c.server.log.Info("token refused", "error", err)
	}
	return credentials, err
}

// errNotRenewed says that an identity has no other to follow it.
var errNotRenewed = errors.New("the identity does not renew itself")

// renew asks an expired identity for the one that follows it.
func (c *Conn) renew(ctx context.Context, expired peer.Credentials) (peer.Credentials, error) {
	o, _ := expired.Owner.(owner)
	renewer, ok := o.outer.(Renewer)
	if !ok {
		return peer.Credentials{}, errNotRenewed
	}
	credentials, err := guard(func() (peer.Credentials, error) {
		identity, err := renewer.Renew(withCaller(ctx, o))
		if err != nil {
			return peer.Credentials{}, err
		}
		return c.server.credentialsOf(identity)
	})
	if err != nil {
		c.server.log.Info("identity not renewed", "error", err)
	}
	return credentials, err
}

// SetIdentity gives the connection another identity, and returns when it has taken
// effect: from then on nothing is published that the new one may not see, its
// windows change in one step, and what it may not use at all ends. A client of
// version 2 is told error 9 of each such item, one of version 1 error 3. Error 9
// also takes the place of the results of functions that run: these are for who
// called (see [Comparer]).
//
// The error is that the identity has a value which cannot be used (see [Valuer]);
// the connection is then closed with 4001, since it is not to go on as who it was.
//
// A function may call it for its own connection, but does not get its result across
// then. Config.Authenticate, AuthenticateToken, Authorize and a [Renewer] must not
// call it: it would wait for them.
func (c *Conn) SetIdentity(identity Identity) error {
	credentials, err := c.server.credentialsOf(identity)
	if err != nil {
		_ = c.Close(protocol.CloseRefused, refused) // it may have ended
		return err
	}
	c.peer.SetCredentials(credentials)
	return nil
}

// refused is the reason that clients are told with 4001.
const refused = "credentials refused"

// caller is who a context belongs to. It is a type so that nobody can be told from
// no answer.
type caller struct{ identity Identity }

type callerKey struct{}

// withCaller notes whose call it is, which stays so when the connection's identity
// changes meanwhile.
func withCaller(ctx context.Context, of any) context.Context {
	return context.WithValue(ctx, callerKey{}, caller{identityOf(of)})
}

// IdentityFrom returns the identity that a context belongs to: in a function that
// of the caller when it called, in Authorize that which is asked about, elsewhere
// that of the connection now. It is nil for nobody, and for a context of nothing
// here.
func IdentityFrom(ctx context.Context) Identity {
	if c, ok := ctx.Value(callerKey{}).(caller); ok {
		return c.identity
	}
	if c := ConnFrom(ctx); c != nil {
		return c.Identity()
	}
	return nil
}
