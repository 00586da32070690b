// JWT shows everybody's own notes, live, to pages that sign in by a JSON Web Token
// which ends soon and is renewed over the open connection. It starts a Postgres of
// its own if it is given no database.
package main

import (
	"crypto/rand"
	"embed"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/socksync/socksync/auth/jwtauth"
	"github.com/socksync/socksync/internal/example"
	"github.com/socksync/socksync/server"
)

//go:embed index.html
var page embed.FS

// lifetime is how long a token is good for. A connection outlives its tokens: what
// they say of a user is never older than this.
const lifetime = time.Minute

func main() { program(lifetime).Main() }

func program(lifetime time.Duration) *example.Program {
	return &example.Program{
		Name: "jwt", Schema: schema,
		Build: func(pool *pgxpool.Pool) (*server.Server, http.Handler, error) { return build(pool, lifetime) },
	}
}

// build makes the server. The key of the tokens is as old as the program.
func build(pool *pgxpool.Pool, lifetime time.Duration) (*server.Server, http.Handler, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	// A browser's WebSocket has no headers of its own, so everybody is let in as
	// nobody, and the page's first message is its token.
	tokens, err := jwtauth.New(&jwtauth.Config{Methods: []string{method.Alg()}, Key: key, Issuer: issuer, Anonymous: true})
	if err != nil {
		return nil, nil, err
	}
	live, err := server.New(pool, &server.Config{
		Migrate:           true,
		Authenticate:      tokens.Authenticate,
		AuthenticateToken: tokens.AuthenticateToken,
	}, definitions(pool)...)
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(page))
	mux.Handle("POST /token", &desk{tokens: tokens, key: key, lifetime: lifetime})
	mux.Handle("GET /ws/socksync/", live)
	return live, mux, nil
}
