package jwtauth

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Config says which tokens are taken. Methods, and Key or Keyfunc, are required.
type Config struct {
	// Methods are the signature algorithms that are taken, such as "HS256",
	// "RS256", "ES256" or "EdDSA". A token names its own algorithm, so this list is
	// what keeps it from choosing one. "none" is refused.
	Methods []string
	// Key verifies signatures: a []byte at least as long as the hash for HS…, an
	// *rsa.PublicKey of at least 2048 bits for RS… and PS…, an *ecdsa.PublicKey of
	// the right curve for ES…, an ed25519.PublicKey for EdDSA. It must fit all
	// Methods.
	Key any
	// Keyfunc finds the key of a token instead, for example by the token's "kid" in
	// a set of keys that change. Connections wait for it; it may be called by any
	// goroutine.
	Keyfunc jwt.Keyfunc
	// Issuer, if set, must be the token's "iss", and Audience among its "aud".
	Issuer, Audience string
	// Leeway is by how much the clocks of who made the token and of this server may
	// differ. Default: 0.
	Leeway time.Duration
	// Claims are the claims that lists and vars may refer to: a claim's name to the
	// name of the identity value. Strings, numbers, booleans, null and arrays of
	// them can be used. A claim that a token lacks is a value that the identity
	// lacks. "sub" is user_id if it is not named here; name it "" to leave it out.
	Claims map[string]string
	// QueryParameter, if set, is the parameter of the request's address that may
	// hold the token instead of the header. Addresses end up in logs of proxies and
	// in histories: use it for tokens that end soon only.
	QueryParameter string
	// Anonymous lets in who has no token, with a nil identity, which may send one
	// later. A token that is not valid is refused all the same.
	Anonymous bool
	// AllowEndless takes tokens without "exp" too, whose identity never ends.
	AllowEndless bool
}

// values returns the names of the values by claim, without those that are left out.
func (c *Config) values() (map[string]string, error) {
	names := map[string]string{"sub": "user_id"}
	maps.Copy(names, c.Claims)
	maps.DeleteFunc(names, func(_, name string) bool { return name == "" })
	taken := map[string]string{}
	for _, claim := range slices.Sorted(maps.Keys(names)) {
		name := names[claim]
		if other, ok := taken[name]; ok {
			return nil, fmt.Errorf("claims %q and %q are both the value %q: give one of them another name", other, claim, name)
		}
		taken[name] = claim
	}
	return names, nil
}

// check returns every mistake in the configuration.
func (c *Config) check() error {
	var errs []error
	if len(c.Methods) == 0 {
		errs = append(errs, errors.New(`no Methods: name the algorithm that the tokens are signed with, such as "HS256"`))
	}
	if (c.Key == nil) == (c.Keyfunc == nil) {
		errs = append(errs, errors.New("either Key or Keyfunc is to be set"))
	}
	if c.Leeway < 0 {
		errs = append(errs, errors.New("the Leeway is negative"))
	}
	for _, method := range c.Methods {
		errs = append(errs, c.checkMethod(method))
	}
	return errors.Join(errs...)
}

func (c *Config) checkMethod(name string) error {
	method := jwt.GetSigningMethod(name)
	if name == jwt.SigningMethodNone.Alg() || method == nil {
		return fmt.Errorf("method %q is not a signature algorithm that is taken", name)
	}
	if c.Key == nil {
		return nil
	}
	if err := checkKey(method, c.Key); err != nil {
		return fmt.Errorf("method %s: %w", name, err)
	}
	return nil
}

func (c *Config) options() []jwt.ParserOption {
	options := []jwt.ParserOption{
		jwt.WithValidMethods(c.Methods), jwt.WithLeeway(c.Leeway),
		jwt.WithJSONNumber(), // a number is the text that it was
	}
	if !c.AllowEndless {
		options = append(options, jwt.WithExpirationRequired())
	}
	if c.Issuer != "" {
		options = append(options, jwt.WithIssuer(c.Issuer))
	}
	if c.Audience != "" {
		options = append(options, jwt.WithAudience(c.Audience))
	}
	return options
}
