package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/lifecycle"
	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/internal/wsconn"
	"github.com/socksync/socksync/listen"
	"github.com/socksync/socksync/protocol"
	"github.com/socksync/socksync/store/view"
)

// ErrNotStarted says that the server does not serve: it has not been started, or
// has been stopped.
var ErrNotStarted = errors.New("server is not started")

// Server binds definitions to connections. It is made by [New]; its methods may be
// called by any goroutine.
//
// Each connection has a goroutine that reads. The feed has a goroutine of
// its own, which owns all live lists. Stop ends both and waits for them.
type Server struct {
	config   Config
	log      *slog.Logger
	pool     *pgxpool.Pool
	registry peer.Registry
	engine   *view.Engine // nil without a database
	service  lifecycle.Service

	mu      sync.Mutex // guards all below
	serving bool
	open    map[*Conn]struct{}
	conns   sync.WaitGroup // requests and connections being served; Add only while serving
	feed    *listen.Feed
	wheel   *wsconn.Wheel
}

// New makes a server of definitions. Every mistake in them, and in the
// configuration, is in the error. The pool is the caller's: it is never closed,
// and the server takes a connection or two out of it for the change feed; it may be
// nil if no definition needs a database. A nil config is the zero Config.
func New(pool *pgxpool.Pool, config *Config, definitions ...binding.Definition) (*Server, error) {
	full, err := config.withDefaults()
	s := &Server{config: full, log: full.Log, pool: pool, open: map[*Conn]struct{}{}}
	if err := errors.Join(err, binding.Check(definitions...)); err != nil {
		return nil, err
	}
	if pool != nil {
		s.engine = view.New(&view.Config{
			Pool: pool, Log: s.log, Grace: full.Grace,
			Views: full.MaxTotalViews, Rows: full.MaxTotalViewRows, KeptRows: full.MaxKeptRows,
			MaxVarInstances: full.MaxVarInstances,
		})
	}
	for _, d := range definitions {
		item, itemErr := s.item(d)
		if itemErr == nil {
			itemErr = s.registry.Add(item)
		}
		err = errors.Join(err, itemErr)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// item makes what a peer can use of a definition.
func (s *Server) item(d binding.Definition) (peer.Item, error) {
	if f, ok := d.(*binding.FuncDef); ok {
		return function{f}, nil
	}
	if s.engine == nil {
		return nil, fmt.Errorf("%s needs a database, and the pool is nil", d)
	}
	switch d := d.(type) {
	case *binding.ListDef:
		return s.engine.List(d.WithDefaults()), nil
	case *binding.VarDef:
		return s.engine.Var(d), nil
	}
	return nil, fmt.Errorf("unknown definition %T", d)
}

// Provide adds in-memory items, of package memory, to what the server provides. It
// may be called at any time. It is an error if a name is taken.
func (s *Server) Provide(items ...peer.Item) error {
	return s.registry.Add(items...)
}

// Conns returns the connections that are open now.
func (s *Server) Conns() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*Conn, 0, len(s.open))
	for c := range s.open {
		conns = append(conns, c)
	}
	return conns
}

// Ready returns nil if the server serves and its lists follow the database, and
// otherwise why they do not. Pages then stand still; they converge by themselves.
func (s *Server) Ready() error {
	s.mu.Lock()
	serving, feed := s.serving, s.feed
	s.mu.Unlock()
	if !serving {
		return ErrNotStarted
	}
	if feed != nil {
		return feed.Ready()
	}
	return nil
}

// enter counts a request in, unless the server does not serve.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving {
		s.conns.Add(1)
	}
	return s.serving
}

// add notes a connection; it is false if the server has stopped meanwhile.
func (s *Server) add(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving {
		s.open[c] = struct{}{}
	}
	return s.serving
}

func (s *Server) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// closeAll closes every connection and lets no more in.
func (s *Server) closeAll() {
	s.mu.Lock()
	s.serving = false
	conns := make([]*Conn, 0, len(s.open))
	for c := range s.open {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.Close(protocol.CloseShutdown, shuttingDown) // it may have ended
	}
}

// shuttingDown is the reason that clients are told with 4010.
const shuttingDown = "server is shutting down"

// watch waits for the end and then takes everything down, connections first.
func (s *Server) watch(ctx context.Context) error {
	<-ctx.Done()
	s.closeAll()
	s.conns.Wait()
	return s.release()
}
