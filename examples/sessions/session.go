package main

import (
	"crypto/subtle"
	"net/http"

	"github.com/alexedwards/scs/v2"
)

// userKey is where a session has the user's name.
const userKey = "user"

// passwords are those of the users. A program that is more than an example keeps
// hashes of them.
var passwords = map[string]string{"ann": "ann's", "bob": "bob's"}

// desk signs users in and out.
type desk struct{ sessions *scs.SessionManager }

func (d desk) signIn(w http.ResponseWriter, r *http.Request) {
	name := r.PostFormValue("name")
	password, known := passwords[name]
	if !known || subtle.ConstantTimeCompare([]byte(password), []byte(r.PostFormValue("password"))) != 1 {
		http.Error(w, "name or password is wrong", http.StatusUnauthorized)
		return
	}
	if err := d.sessions.RenewToken(r.Context()); err != nil { // or who knew the old one would be signed in too
		http.Error(w, "no session could be made", http.StatusInternalServerError)
		return
	}
	d.sessions.Put(r.Context(), userKey, name)
}

func (d desk) signOut(w http.ResponseWriter, r *http.Request) {
	if err := d.sessions.Destroy(r.Context()); err != nil {
		http.Error(w, "the session could not be ended", http.StatusInternalServerError)
	}
}
