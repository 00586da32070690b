package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/socksync/socksync/server"
)

// Authenticator finds out whose token it is. It is made by [New]; its methods may
// be called by any goroutine.
type Authenticator struct {
	config Config
	parser *jwt.Parser
	values map[string]string // the identity values' names by claim
}

// New makes an authenticator. Every mistake in the configuration is in the error.
func New(config *Config) (*Authenticator, error) {
	var own Config
	if config != nil {
		own = *config
	}
	values, err := own.values()
	if err := errors.Join(own.check(), err); err != nil {
		return nil, fmt.Errorf("jwtauth config: %w", err)
	}
	return &Authenticator{config: own, parser: jwt.NewParser(own.options()...), values: values}, nil
}

var (
	// ErrNoToken says that a request has no token.
	ErrNoToken = errors.New("jwtauth: no token: send it as Authorization: Bearer")

	errHeader = errors.New("jwtauth: the Authorization header is not one Bearer token")
	errTwice  = errors.New("jwtauth: more than one token")
)

// Authenticate is a Config.Authenticate of package server: it returns the
// [*Identity] of the request's token, from the header Authorization or, if the
// configuration names one, from a query parameter.
func (a *Authenticator) Authenticate(r *http.Request) (server.Identity, error) {
	token, err := a.find(r)
	if errors.Is(err, ErrNoToken) && a.config.Anonymous {
		return nil, nil //nolint:nilnil // nobody, and no error
	}
	if err != nil {
		return nil, err
	}
	return a.identify(token)
}

// AuthenticateToken is a Config.AuthenticateToken of package server: it returns the
// [*Identity] of a token that a client has sent over its connection.
func (a *Authenticator) AuthenticateToken(_ context.Context, _ *server.Conn, token string) (server.Identity, error) {
	return a.identify(token)
}

// identify is Verify without a typed nil beside an error.
func (a *Authenticator) identify(token string) (server.Identity, error) {
	identity, err := a.Verify(token)
	if err != nil {
		return nil, err
	}
	return identity, nil
}

// find returns the request's token.
func (a *Authenticator) find(r *http.Request) (string, error) {
	headers := r.Header.Values("Authorization")
	var parameters []string
	if a.config.QueryParameter != "" {
		parameters = r.URL.Query()[a.config.QueryParameter]
	}
	switch {
	case len(headers)+len(parameters) > 1:
		return "", errTwice
	case len(parameters) == 1:
		return parameters[0], nil
	case len(headers) == 0:
		return "", ErrNoToken
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", errHeader
	}
	return strings.TrimSpace(token), nil
}

// Verify returns the identity of a token that is valid now, also for the plain
// requests of an application. The error says what is wrong and does not hold the
// token; it is one of package jwt where that has one for it, such as
// jwt.ErrTokenExpired.
func (a *Authenticator) Verify(token string) (*Identity, error) {
	claims := jwt.MapClaims{}
	var noKey error
	_, err := a.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (key any, err error) {
		if a.config.Keyfunc == nil {
			return a.config.Key, nil
		}
		key, noKey = a.config.Keyfunc(t)
		return key, noKey
	})
	switch {
	case noKey != nil:
		return nil, fmt.Errorf("jwtauth: find the token's key: %w", noKey)
	case err != nil:
		return nil, fmt.Errorf("jwtauth: %w", reason(err))
	}
	return a.newIdentity(claims)
}

// reason is what is wrong with a token. The errors of the library can have parts of
// it in their texts, its sentinels cannot.
func reason(err error) error {
	for _, known := range []error{
		jwt.ErrTokenMalformed, jwt.ErrTokenSignatureInvalid, jwt.ErrTokenExpired, jwt.ErrTokenNotValidYet,
		jwt.ErrTokenRequiredClaimMissing, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenInvalidAudience,
		jwt.ErrTokenUnverifiable, jwt.ErrTokenInvalidClaims,
	} {
		if errors.Is(err, known) {
			return known
		}
	}
	return errors.New("token is invalid")
}
