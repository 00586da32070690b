// Sessions shows everybody's own notes, live, to pages that sign in by an ordinary
// session: a cookie, kept by a library for net/http. It starts a Postgres of its own
// if it is given no database.
package main

import (
	"embed"
	"errors"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/socksync/socksync/auth/sessionauth"
	"github.com/socksync/socksync/internal/example"
	"github.com/socksync/socksync/server"
)

//go:embed index.html
var page embed.FS

// recheck is how long a connection may outlive the session at most.
const recheck = 10 * time.Second

func main() { program(recheck).Main() }

func program(recheck time.Duration) *example.Program {
	return &example.Program{
		Name: "sessions", Schema: schema,
		Build: func(pool *pgxpool.Pool) (*server.Server, http.Handler, error) { return build(pool, recheck) },
	}
}

// user is who is signed in.
type user struct{ name string }

// IdentityValues makes the name @user_id in the where of lists.
func (u user) IdentityValues() map[string]any { return map[string]any{"user_id": u.name} }

// build makes the server. The sessions are as old as the program.
func build(pool *pgxpool.Pool, recheck time.Duration) (*server.Server, http.Handler, error) {
	sessions := scs.New()
	users, err := sessionauth.New(&sessionauth.Config{
		Middleware: sessions.LoadAndSave, Recheck: recheck,
		Identify: func(r *http.Request) (server.Identity, error) {
			if name := sessions.GetString(r.Context(), userKey); name != "" {
				return user{name}, nil
			}
			return nil, errors.New("nobody is signed in")
		},
	})
	if err != nil {
		return nil, nil, err
	}
	live, err := server.New(pool, &server.Config{Migrate: true, Authenticate: users.Authenticate}, definitions(pool)...)
	if err != nil {
		return nil, nil, err
	}
	desk := desk{sessions}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(page))
	mux.HandleFunc("POST /sign-in", desk.signIn)
	mux.HandleFunc("POST /sign-out", desk.signOut)
	mux.Handle("GET /ws/socksync/", live)
	return live, sessions.LoadAndSave(mux), nil
}
