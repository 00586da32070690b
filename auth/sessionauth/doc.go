// Package sessionauth lets in who has a session, for package server, with any
// session library that is a middleware of net/http.
//
//	sessions := scs.New()
//	users, err := sessionauth.New(&sessionauth.Config{
//		Middleware: sessions.LoadAndSave,
//		Identify: func(r *http.Request) (server.Identity, error) {
//			name := sessions.GetString(r.Context(), "user")
//			if name == "" {
//				return nil, errors.New("nobody is signed in")
//			}
//			return server.Principal{Name: name, Values: map[string]any{"user_id": name}}, nil
//		},
//	})
//	live, err := server.New(pool, &server.Config{Authenticate: users.Authenticate}, …)
//
// The application is given the identity that Identify returned. As long as a
// connection is open it is found out again and again, with the same cookie: who
// signs out, or whose rights change, is another one, or nobody, on all connections
// within Config.Recheck. A program that wants it at once calls
// [server.Conn.SetIdentity], or closes the connections. A session store that cannot
// be asked ends connections as a session that is gone does: a client that connects
// again is let in when it can.
//
// A page of another site can open a WebSocket with the cookies of its visitor's:
// the server's Config.Origins, which is empty, is what keeps it out.
package sessionauth
