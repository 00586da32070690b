// Package server serves live tables, vars and functions over WebSockets.
//
// A [Server] is made of definitions (package binding) and a pool of database
// connections. Start checks the definitions against the database, installs the
// change log if asked to, and follows it; the server itself is the
// [http.Handler] for the WebSocket, at any path.
//
//	live, err := server.New(pool, &server.Config{Migrate: true}, binding.List[Flight]())
//	if err != nil { … }
//	if err := live.Start(ctx); err != nil { … }
//	defer live.Stop(context.Background())
//	http.Handle("/ws/socksync/", live)
//
// Config.Authenticate says whose a connection is: an [Identity], of which lists and
// vars may use the values (where=owner = @user_id), which can end, be renewed and be
// changed while the connection is open. Packages auth/jwtauth and auth/sessionauth
// are ready authenticators.
//
// A server without definitions that need a database takes a nil pool.
//
// Both ends of a connection have the same rights: a [Conn] follows what the
// connected peer provides, through package client.
package server
