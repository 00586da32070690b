package server

import (
	"context"
	"reflect"
	"time"
)

// Identity is who a connection belongs to: any value of the application, as
// Config.Authenticate found it; nil is nobody. It is what Config.Authorize,
// Conn.Identity and IdentityFrom give back. It must not change; a connection gets
// another one by Conn.SetIdentity.
//
// What the package may know of it, it says by its methods: [Valuer], [Expirer],
// [Renewer], [Comparer] and [Wrapper]. [Principal] is a ready one.
type Identity any

// Valuer is an identity that the where, query and settings of lists and vars may
// refer to: @name is the value of that name. An item that names a value which the
// identity does not have is refused; nil is a value, NULL.
//
// A value is a string, bool, number, [time.Time], [encoding.TextMarshaler] or
// [fmt.Stringer], a []byte for a bytea, a slice of these for an array, or a
// pointer to one. Postgres reads its text as whatever type the place has. The
// method is called once each time that the identity is given to a connection. A
// value that is none of these, or that Postgres cannot hold (a NUL byte, text that
// is not UTF-8), refuses the identity.
type Valuer interface {
	IdentityValues() map[string]any
}

// Expirer is an identity that ends. From then on nothing is published to its
// connection and nothing of it is answered, until it is renewed: by the identity,
// if it is a [Renewer], or by the client, if there is a Config.AuthenticateToken.
// It is closed with 4002 after Config.ExpiryGrace, and at once if it speaks version
// 1, which knows no renewal.
type Expirer interface {
	// Expires is when the identity ends; the zero time is never.
	Expires() time.Time
}

// Renewer is an identity that, when it expires, is asked for the one that follows
// it: an equal one with a later end, or another one whose rights have changed. An
// error means that there is none. The context ends with the connection and after
// Config.ExpiryGrace.
type Renewer interface {
	Renew(context.Context) (Identity, error)
}

// Comparer is an identity that says whether another one is of the same owner with
// the same rights, as one is that only ends later. The result of a function that
// was called before a connection's identity changed is given to the same only.
// Without it two are the same that [reflect.DeepEqual] holds equal.
type Comparer interface {
	Same(Identity) bool
}

// Wrapper is an identity that adds methods to another one, as a session that is
// looked up again from time to time adds an end to the user that it found. The
// application is given the inner identity everywhere. The inner one's values count
// if the outer one is no [Valuer]; for the rest the outer one speaks.
type Wrapper interface {
	Unwrap() Identity
}

// inner returns the application's own identity.
func inner(identity Identity) Identity {
	for {
		w, ok := identity.(Wrapper)
		if !ok {
			return identity
		}
		identity = w.Unwrap()
	}
}

// Principal is a ready identity with a name for the application, values for lists
// and vars, and an end.
type Principal struct {
	// Name is the application's name for who it is; nothing here reads it.
	Name string
	// Values are what lists and vars may know, see [Valuer].
	Values map[string]any
	// Until is when it ends; the zero time is never.
	Until time.Time
}

// IdentityValues implements [Valuer].
func (p Principal) IdentityValues() map[string]any { return p.Values }

// Same implements [Comparer]: it is the same until another time.
func (p Principal) Same(other Identity) bool {
	if q, ok := other.(*Principal); ok && q != nil {
		other = *q
	}
	q, ok := other.(Principal)
	return ok && p.Name == q.Name && reflect.DeepEqual(p.Values, q.Values)
}

// Expires implements [Expirer].
func (p Principal) Expires() time.Time { return p.Until }
