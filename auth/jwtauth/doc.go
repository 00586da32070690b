// Package jwtauth lets in who has a JSON Web Token, for package server.
//
//	tokens, err := jwtauth.New(&jwtauth.Config{
//		Methods: []string{"HS256"}, Key: secret, Issuer: "example.org",
//		Claims: map[string]string{"tenant": "tenant"},
//	})
//	live, err := server.New(pool, &server.Config{
//		Authenticate:      tokens.Authenticate,      // Authorization: Bearer …, at the handshake
//		AuthenticateToken: tokens.AuthenticateToken, // the message authenticate, on the connection
//	}, …)
//
// The identity is an [*Identity]: the token's subject is the value @user_id in the
// where of lists and vars, and Config.Claims names further ones. It ends with the
// token; a client of version 2 renews it by sending the next one.
//
// A browser cannot give its WebSocket a header. Either let it in as nobody
// (Config.Anonymous) and have the page send its token as the first message, or, for
// peers that cannot, take the token out of a query parameter
// (Config.QueryParameter). The first is to be preferred: addresses end up in logs.
//
// No token is ever part of an error or a log line of this package.
package jwtauth
