package jwtauth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/auth/jwtauth"
)

// secret is a key for HS256.
var secret = []byte("0123456789abcdef0123456789abcdef")

// claims are those of a token that is taken, with changes. A nil takes a claim out.
func claims(changes jwt.MapClaims) jwt.MapClaims {
	all := jwt.MapClaims{
		"sub": "hidden-ann", "exp": time.Now().Add(time.Hour).Unix(), "iss": "issuer", "aud": []string{"other", "audience"},
	}
	for name, value := range changes {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return all
}

func sign(t *testing.T, method jwt.SigningMethod, key any, c jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, c).SignedString(key)
	require.NoError(t, err)
	return token
}

func authenticator(t *testing.T, config *jwtauth.Config) *jwtauth.Authenticator {
	t.Helper()
	if config.Methods == nil {
		config.Methods, config.Key = []string{"HS256"}, secret
	}
	a, err := jwtauth.New(config)
	require.NoError(t, err)
	return a
}

// bearer is a request with a token.
func bearer(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/ws/socksync/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// keys are one pair for each kind of algorithm.
func keys(t *testing.T) map[string][2]any {
	t.Helper()
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return map[string][2]any{
		"HS256": {secret, secret}, "RS256": {big, &big.PublicKey}, "PS256": {big, &big.PublicKey},
		"ES256": {curve, &curve.PublicKey}, "EdDSA": {private, public},
	}
}

// TestMethods checks each kind of signature, and that none passes for another.
func TestMethods(t *testing.T) {
	t.Parallel()
	all := keys(t)
	for method, pair := range all {
		a := authenticator(t, &jwtauth.Config{Methods: []string{method}, Key: pair[1], Issuer: "issuer", Audience: "audience"})
		for other, with := range all {
			identity, err := a.Authenticate(bearer(sign(t, jwt.GetSigningMethod(other), with[0], claims(nil))))
			if other != method {
				require.ErrorIs(t, err, jwt.ErrTokenSignatureInvalid, "%s for %s", other, method)
				require.Nil(t, identity)
				continue
			}
			require.NoError(t, err, method)
			ann, ok := identity.(*jwtauth.Identity)
			require.True(t, ok)
			require.Equal(t, "hidden-ann", ann.Subject)
			require.Equal(t, map[string]any{"user_id": "hidden-ann"}, ann.IdentityValues())
			require.IsType(t, json.Number(""), ann.Claims["exp"])
		}
	}
}

// TestForgeries checks tokens that somebody without the key can make.
func TestForgeries(t *testing.T) {
	t.Parallel()
	pair := keys(t)["RS256"]
	public, err := x509.MarshalPKIXPublicKey(pair[1])
	require.NoError(t, err)
	valid := sign(t, jwt.SigningMethodRS256, pair[0], claims(nil))
	parts := strings.Split(valid, ".")
	other := strings.Split(sign(t, jwt.SigningMethodRS256, pair[0], claims(jwt.MapClaims{"sub": "hidden-bob"})), ".")
	forgeries := []string{
		sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(nil)),
		sign(t, jwt.SigningMethodHS256, public, claims(nil)),
		parts[0] + "." + parts[1] + ".",
		parts[0] + "." + parts[1] + "." + other[2],
		parts[0] + "." + other[1] + "." + parts[2],
		encoded(`{"alg":"none","typ":"JWT"}`) + "." + parts[1] + ".",
		encoded(`{"alg":"None"}`) + "." + parts[1] + "." + parts[2],
		encoded(`{"alg":null}`) + "." + parts[1] + "." + parts[2],
		encoded(`{"alg":["RS256"]}`) + "." + parts[1] + "." + parts[2],
		encoded(`{"alg":"RS256"}`) + "." + encoded(`{"sub":"hidden-ann","exp":"hidden"}`) + "." + parts[2],
		valid + ".", valid + ".x", parts[0] + "." + parts[1], parts[1], "", ".", "..", "hidden", strings.Repeat(".", 1<<16),
	}
	for _, a := range []*jwtauth.Authenticator{
		authenticator(t, &jwtauth.Config{Methods: []string{"RS256"}, Key: pair[1]}),
		authenticator(t, &jwtauth.Config{
			Methods: []string{"RS256", "HS256"}, Keyfunc: func(*jwt.Token) (any, error) { return pair[1], nil },
		}),
	} {
		_, err := a.Verify(valid)
		require.NoError(t, err)
		for _, token := range forgeries {
			requireRefused(t, a, token)
		}
	}
}

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// requireRefused checks that a token is refused however it comes, and that the error shows nothing of it.
func requireRefused(t *testing.T, a *jwtauth.Authenticator, token string) error {
	t.Helper()
	identity, err := a.AuthenticateToken(t.Context(), nil, token)
	require.Error(t, err, token)
	require.True(t, identity == nil, "a typed nil is somebody")
	requireSilent(t, err, token)
	identity, err = a.Authenticate(bearer(token))
	require.Error(t, err, token)
	require.True(t, identity == nil)
	requireSilent(t, err, token)
	return err
}

func requireSilent(t *testing.T, err error, token string) {
	t.Helper()
	require.NotContains(t, err.Error(), "hidden")
	for part := range strings.SplitSeq(token, ".") {
		require.False(t, part != "" && strings.Contains(err.Error(), part), "%q is in %q", part, err)
	}
}

// TestClaimsAreChecked checks what a token with a good signature is refused for.
func TestClaimsAreChecked(t *testing.T) {
	t.Parallel()
	past, future := time.Now().Add(-time.Minute).Unix(), time.Now().Add(time.Minute).Unix()
	strict := authenticator(t, &jwtauth.Config{Issuer: "issuer", Audience: "audience"})
	for _, c := range []struct {
		changes jwt.MapClaims
		want    error
	}{
		{jwt.MapClaims{"exp": past}, jwt.ErrTokenExpired},
		{jwt.MapClaims{"exp": 0}, jwt.ErrTokenExpired},
		{jwt.MapClaims{"exp": -1}, jwt.ErrTokenExpired},
		{jwt.MapClaims{"exp": nil}, jwt.ErrTokenRequiredClaimMissing},
		{jwt.MapClaims{"exp": "hidden"}, jwt.ErrTokenInvalidClaims},
		{jwt.MapClaims{"exp": json.RawMessage("null")}, jwt.ErrTokenInvalidClaims},
		{jwt.MapClaims{"nbf": future}, jwt.ErrTokenNotValidYet},
		{jwt.MapClaims{"iss": "hidden"}, jwt.ErrTokenInvalidIssuer},
		{jwt.MapClaims{"iss": nil}, jwt.ErrTokenRequiredClaimMissing},
		{jwt.MapClaims{"aud": "hidden"}, jwt.ErrTokenInvalidAudience},
		{jwt.MapClaims{"aud": nil}, jwt.ErrTokenRequiredClaimMissing},
		{jwt.MapClaims{"sub": []string{"hidden"}}, nil},
	} {
		err := requireRefused(t, strict, sign(t, jwt.SigningMethodHS256, secret, claims(c.changes)))
		if c.want != nil {
			require.ErrorIs(t, err, c.want, "%v", c.changes)
		}
	}
}

// TestErrorsAreFixedTexts checks that what a token is refused for is said in words that the token has no part in.
func TestErrorsAreFixedTexts(t *testing.T) {
	t.Parallel()
	a := authenticator(t, &jwtauth.Config{Issuer: "issuer"})
	for token, want := range map[string]error{
		"hidden.hidden.hidden":                                                               jwt.ErrTokenMalformed,
		sign(t, jwt.SigningMethodHS384, secret, claims(nil)):                                 jwt.ErrTokenSignatureInvalid,
		sign(t, jwt.SigningMethodHS256, secret, claims(jwt.MapClaims{"exp": true})):          jwt.ErrTokenInvalidClaims,
		sign(t, jwt.SigningMethodHS256, secret, claims(jwt.MapClaims{"iss": "x", "exp": 1})): jwt.ErrTokenExpired,
	} {
		require.EqualError(t, requireRefused(t, a, token), "jwtauth: "+want.Error())
	}
}

// TestSame checks that the next token of somebody is that of the same, unless it says something else of them.
func TestSame(t *testing.T) {
	t.Parallel()
	a := authenticator(t, &jwtauth.Config{})
	identity := func(changes jwt.MapClaims) *jwtauth.Identity {
		verified, err := a.Verify(sign(t, jwt.SigningMethodHS256, secret, claims(changes)))
		require.NoError(t, err)
		return verified
	}
	first := identity(nil)
	require.True(t, first.Same(identity(jwt.MapClaims{"exp": 4102444800, "iat": 1, "nbf": 2, "jti": "next"})))
	require.False(t, first.Same(identity(jwt.MapClaims{"sub": "hidden-bob"})))
	require.False(t, first.Same(identity(jwt.MapClaims{"scope": "less"})))
	require.False(t, first.Same(nil))
	require.NotNil(t, first.Claims["exp"], "it has been left alone")
}

// TestLeeway checks that an identity lasts as long as its token is taken.
func TestLeeway(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(-30 * time.Second).Truncate(time.Second)
	token := sign(t, jwt.SigningMethodHS256, secret, claims(jwt.MapClaims{"exp": end.Unix()}))
	requireRefused(t, authenticator(t, &jwtauth.Config{}), token)
	identity, err := authenticator(t, &jwtauth.Config{Leeway: time.Hour}).Verify(token)
	require.NoError(t, err)
	require.True(t, identity.Expires().Equal(end.Add(time.Hour)), identity.Expires())

	endless := sign(t, jwt.SigningMethodHS256, secret, claims(jwt.MapClaims{"exp": nil}))
	identity, err = authenticator(t, &jwtauth.Config{Leeway: time.Hour, AllowEndless: true}).Verify(endless)
	require.NoError(t, err)
	require.True(t, identity.Expires().IsZero())
}

// TestClaims checks which claims become values, and that each is exactly what the token says.
func TestClaims(t *testing.T) {
	t.Parallel()
	token := sign(t, jwt.SigningMethodHS256, secret, claims(jwt.MapClaims{
		"tenant": json.RawMessage("9007199254740993"), "https://example.org/teams": []any{"red", 7, nil},
		"admin": true, "plan": json.RawMessage("null"), "unnamed": "x",
	}))
	for name, c := range map[string]struct {
		claims map[string]string
		want   map[string]any
	}{
		"none": {nil, map[string]any{"user_id": "hidden-ann"}},
		"more": {
			map[string]string{"tenant": "tenant", "https://example.org/teams": "teams", "admin": "admin", "plan": "plan", "missing": "missing"},
			map[string]any{
				"user_id": "hidden-ann", "tenant": json.Number("9007199254740993"), "admin": true, "plan": nil,
				"teams": []any{"red", json.Number("7"), nil},
			},
		},
		"another name": {map[string]string{"sub": "owner"}, map[string]any{"owner": "hidden-ann"}},
		"left out":     {map[string]string{"sub": "", "admin": "user_id"}, map[string]any{"user_id": true}},
	} {
		identity, err := authenticator(t, &jwtauth.Config{Claims: c.claims}).Verify(token)
		require.NoError(t, err, name)
		require.Equal(t, c.want, identity.IdentityValues(), name)
	}
}

// TestKeyfunc checks keys that are found by the token, and what is said if there is none.
func TestKeyfunc(t *testing.T) {
	t.Parallel()
	errNone := errors.New("no such key")
	a := authenticator(t, &jwtauth.Config{Methods: []string{"HS256"}, Keyfunc: func(token *jwt.Token) (any, error) {
		if token.Header["kid"] == "1" {
			return secret, nil
		}
		return nil, errNone
	}})
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(nil))
	token.Header["kid"] = "1"
	text, err := token.SignedString(secret)
	require.NoError(t, err)
	_, err = a.Verify(text)
	require.NoError(t, err)
	require.ErrorIs(t, requireRefused(t, a, sign(t, jwt.SigningMethodHS256, secret, claims(nil))), errNone)
}

// TestWhereTheTokenIs checks the places of a request that may hold a token.
func TestWhereTheTokenIs(t *testing.T) {
	t.Parallel()
	token := sign(t, jwt.SigningMethodHS256, secret, claims(nil))
	for _, c := range []struct {
		headers           []string
		query             string
		strict, anonymous string // how it ends without and with anonymous and the query parameter
	}{
		{nil, "", "none", "nobody"},
		{[]string{"Bearer " + token}, "", "ann", "ann"},
		{[]string{"bearer  " + token + " "}, "", "ann", "ann"},
		{[]string{"Bearer " + token, "Bearer " + token}, "", "bad", "bad"},
		{[]string{"Basic " + token}, "", "bad", "bad"},
		{[]string{token}, "", "bad", "bad"},
		{[]string{""}, "", "bad", "bad"},
		{[]string{"Bearer"}, "", "bad", "bad"},
		{[]string{"Bearer x"}, "", "bad", "bad"},
		{nil, "?token=" + token, "none", "ann"},
		{nil, "?token=", "none", "bad"},
		{nil, "?token=x", "none", "bad"},
		{nil, "?token=" + token + "&token=" + token, "none", "bad"},
		{[]string{"Bearer " + token}, "?token=" + token, "ann", "bad"},
		{nil, "?Token=" + token, "none", "nobody"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/"+c.query, http.NoBody)
		r.Header["Authorization"] = c.headers
		require.Equal(t, c.strict, outcome(t, authenticator(t, &jwtauth.Config{}), r), "%q %q", c.headers, c.query)
		lax := authenticator(t, &jwtauth.Config{Anonymous: true, QueryParameter: "token"})
		require.Equal(t, c.anonymous, outcome(t, lax, r), "%q %q", c.headers, c.query)
	}
}

func outcome(t *testing.T, a *jwtauth.Authenticator, r *http.Request) string {
	t.Helper()
	identity, err := a.Authenticate(r)
	switch {
	case errors.Is(err, jwtauth.ErrNoToken):
		return "none"
	case err != nil:
		return "bad"
	case identity == nil:
		return "nobody"
	}
	return strings.TrimPrefix(identity.(*jwtauth.Identity).Subject, "hidden-")
}

// TestConfig checks that a configuration that would refuse everybody, or let in anybody, is refused.
func TestConfig(t *testing.T) {
	t.Parallel()
	all := keys(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	hs := []string{"HS256"}
	for want, config := range map[string]*jwtauth.Config{
		"no Methods":                         {Key: secret},
		"either Key or Keyfunc":              {Methods: hs},
		"either":                             {Methods: hs, Key: secret, Keyfunc: func(*jwt.Token) (any, error) { return secret, nil }},
		`method "none"`:                      {Methods: []string{"none"}, Key: secret},
		`method "HS257"`:                     {Methods: []string{"HS256", "HS257"}, Key: secret},
		"HS512: the Key has 32 bytes":        {Methods: []string{"HS256", "HS512"}, Key: secret},
		"HS256: the Key is to be a []byte":   {Methods: hs, Key: string(secret)},
		"HS256: the Key is to be a []byte, ": {Methods: []string{"RS256", "HS256"}, Key: all["RS256"][1]},
		"not *rsa.PrivateKey":                {Methods: []string{"RS256"}, Key: all["RS256"][0]},
		"1024 bits":                          {Methods: []string{"PS256"}, Key: &small.PublicKey},
		"of 384 bits":                        {Methods: []string{"ES384"}, Key: all["ES256"][1]},
		"ed25519.PublicKey":                  {Methods: []string{"EdDSA"}, Key: all["EdDSA"][0]},
		"Leeway is negative":                 {Methods: hs, Key: secret, Leeway: -1},
		`are both the value "user_id"`:       {Methods: hs, Key: secret, Claims: map[string]string{"email": "user_id"}},
	} {
		_, err := jwtauth.New(config)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), string(secret))
	}
	_, err = jwtauth.New(nil)
	require.Error(t, err)
}
