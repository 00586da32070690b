package main

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/socksync/socksync/auth/jwtauth"
)

const issuer = "socksync example"

var method = jwt.SigningMethodHS256

// passwords are those of the users. A program that is more than an example keeps
// hashes of them, or leaves all of this to a service for sign-ins.
var passwords = map[string]string{"ann": "ann's", "bob": "bob's"}

// desk gives out tokens: for a name and a password, and for a token that is still
// good, which is where a program would look whether the user is still welcome.
type desk struct {
	tokens   *jwtauth.Authenticator
	key      []byte
	lifetime time.Duration
}

var errPassword = errors.New("no such name and password")

// ServeHTTP implements http.Handler.
func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, err := d.user(r)
	if err != nil {
		http.Error(w, "name or password is wrong", http.StatusUnauthorized)
		return
	}
	token, err := jwt.NewWithClaims(method, jwt.MapClaims{
		"iss": issuer, "sub": user, "exp": float64(time.Now().Add(d.lifetime).UnixMilli()) / 1000,
	}).SignedString(d.key)
	if err != nil {
		http.Error(w, "no token could be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]string{"token": token}) // nobody is there to be told of an error
}

// user finds out who asks for a token.
func (d *desk) user(r *http.Request) (string, error) {
	who, err := d.tokens.Authenticate(r)
	if identity, ok := who.(*jwtauth.Identity); ok {
		return identity.Subject, nil
	}
	if err != nil {
		return "", err
	}
	name := r.PostFormValue("name")
	password, known := passwords[name]
	if !known || subtle.ConstantTimeCompare([]byte(password), []byte(r.PostFormValue("password"))) != 1 {
		return "", errPassword
	}
	return name, nil
}
