package jwtauth

import (
	"errors"
	"maps"
	"reflect"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/socksync/socksync/server"
)

// Identity is who a token was made for.
type Identity struct {
	// Subject is the claim "sub", empty if there is none.
	Subject string
	// Claims are all claims of the token. Its numbers are json.Number. They must
	// not be changed.
	Claims map[string]any

	values  map[string]any
	expires time.Time
}

var errClaims = errors.New("jwtauth: a claim that has a fixed type has another one")

// newIdentity takes what is needed out of the claims of a valid token.
func (a *Authenticator) newIdentity(claims jwt.MapClaims) (*Identity, error) {
	subject, err := claims.GetSubject()
	if err != nil {
		return nil, errClaims // the library's error may hold the value
	}
	end, err := claims.GetExpirationTime()
	if err != nil {
		return nil, errClaims
	}
	identity := &Identity{Subject: subject, Claims: claims, values: map[string]any{}}
	for claim, name := range a.values {
		if value, ok := claims[claim]; ok {
			identity.values[name] = value
		}
	}
	if end != nil {
		identity.expires = end.Add(a.config.Leeway) // until then the token is taken
	}
	return identity, nil
}

// IdentityValues implements server.Valuer.
func (i *Identity) IdentityValues() map[string]any { return i.values }

// Same implements server.Comparer: a token for the same with the same claims, but
// for when and under which number it was made and when it ends.
func (i *Identity) Same(other server.Identity) bool {
	o, ok := other.(*Identity)
	return ok && reflect.DeepEqual(i.lasting(), o.lasting())
}

// lasting are the claims that the next token for the same has too.
func (i *Identity) lasting() map[string]any {
	claims := maps.Clone(i.Claims)
	for _, name := range []string{"exp", "iat", "nbf", "jti"} {
		delete(claims, name)
	}
	return claims
}

// Expires implements server.Expirer.
func (i *Identity) Expires() time.Time { return i.expires }
