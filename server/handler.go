package server

import (
	"context"
	"net/http"
	"strings"

	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/internal/wsconn"
	"github.com/socksync/socksync/protocol"
)

// ServeHTTP upgrades the request to a WebSocket, which is served until it ends by a
// goroutine of its own: a handler that has returned leaves net/http nothing to keep
// for the connection. It may be mounted at any path. Before Start and after Stop it
// answers 503.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "not serving", http.StatusServiceUnavailable)
		return
	}
	c, err := s.accept(w, r)
	if err != nil {
		s.conns.Done()
		return
	}
	go func() {
		defer s.conns.Done()
		s.serve(r, c)
	}()
}

// accept makes the connection, or answers why not.
func (s *Server) accept(w http.ResponseWriter, r *http.Request) (*Conn, error) {
	credentials, err := s.authenticate(r)
	if err != nil {
		s.refuse(w, r, err)
		return nil, err
	}
	c := &Conn{server: s, request: r}
	c.peer = peer.New(s.peerConfig(c, credentials))
	c.socket, err = wsconn.Accept(w, r, s.config.wsconn(c.peer, s.wheel))
	if err != nil {
		s.log.Debug("request is no WebSocket", "error", err) // Accept has answered it
		return nil, err
	}
	c.peer.Speak(protocol.VersionOf(c.socket.Subprotocol()))
	return c, nil
}

// refuse answers a request without an identity. A browser cannot see the status of
// a failed handshake, so a socksync peer gets a close code instead.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, reason error) {
	s.log.Info("request refused", "error", reason)
	if !offersSocksync(r) {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	conn, err := wsconn.Accept(w, r, s.config.wsconn(nil, nil))
	if err != nil {
		return
	}
	_ = conn.Close(protocol.CloseRefused, refused) // Read has the outcome
	for err == nil {
		_, err = conn.Read()
	}
}

func offersSocksync(r *http.Request) bool {
	for _, header := range r.Header.Values("Sec-WebSocket-Protocol") {
		for offer := range strings.SplitSeq(header, ",") {
			if strings.HasPrefix(strings.TrimSpace(offer), "socksync.") {
				return true
			}
		}
	}
	return false
}

func (s *Server) peerConfig(c *Conn, credentials peer.Credentials) *peer.Config {
	config := &peer.Config{
		Registry: &s.registry, Limits: s.config.limits(),
		Credentials: credentials, Renew: c.renew, CallContext: withCaller, ExpiryGrace: s.config.ExpiryGrace,
		CallTimeout: s.config.CallTimeout, Log: s.log,
	}
	if s.config.AuthenticateToken != nil {
		config.Authenticate = c.authenticateToken
	}
	if s.config.Authorize != nil {
		config.Authorize = c.authorize
	}
	config.OnError = func(e *protocol.Error, taken bool) {
		if !taken {
			s.log.Debug("error from a peer", "error", e)
		}
	}
	return config
}

// serve runs a connection and its hooks to their end.
func (s *Server) serve(r *http.Request, c *Conn) {
	ctx, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(r.Context()), contextKey{}, c))
	defer cancel()
	if !s.add(c) {
		_ = c.Close(protocol.CloseShutdown, shuttingDown) // Run has the outcome
	}
	if s.config.OnConnect != nil {
		c.hooks.Go(func() { c.connected(ctx) })
	}
	err := c.peer.Run(ctx, c.socket)
	cancel()
	c.hooks.Wait()
	s.remove(c)
	if s.config.OnDisconnect != nil {
		s.config.OnDisconnect(c, err)
	}
}
