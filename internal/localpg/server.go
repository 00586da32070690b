package localpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
)

// superuser is the role that owns the server. Authentication is "trust": who can enter the directory may connect.
const superuser = "postgres"

// port is only a part of the socket's file name: the server listens on no network address.
const port = "5432"

// Errors of the methods that change a server's state.
var (
	// ErrStopped says that Stop was called, so that the server cannot start again.
	ErrStopped = errors.New("private postgres was stopped")
	// ErrRunning says that the server runs already.
	ErrRunning = errors.New("private postgres is running already")
)

// Config says how a server is set up. The zero value is good.
type Config struct {
	// Options are server settings by name, such as "max_connections": "300". They go before the package's own, which
	// keep the server small; setting one to "" takes the package's setting away. Nil means none.
	Options map[string]string
	// TempDir is the folder in which the server's directory is made. When running as root, other accounts must be able
	// to enter it. Its path must be short, because the path of a Unix socket is. Empty means os.TempDir(), or /tmp when
	// running as root and that one is private.
	TempDir string
	// Locale of the cluster and of databases without a locale of their own. Empty means C.UTF-8.
	Locale string
	// BinDir is the folder of the server binaries. Empty means FindBinaries.
	BinDir string
	// Log gets what happens to the server. Nil means nothing is logged.
	Log *slog.Logger
}

// Server is a private PostgreSQL server. Its methods may be called from any goroutine; those that change its state
// (Stop, Halt, StartAgain, Restart, Kill, Crash) wait for each other.
type Server struct {
	dir        string
	binDir     string
	account    *syscall.Credential // nil: ours
	log        *slog.Logger
	supervisor *supervisor

	state chan *state // holds one value; who took it out may change it
}

// state is what the state-changing methods hand to each other.
type state struct {
	running *postmaster // nil: halted
	stopped bool        // Stop was called
}

// Start makes a new server in a new directory and waits until it accepts connections. The context limits starting only.
// It returns ErrNoBinaries when the machine has no PostgreSQL. When it fails, nothing stays behind.
func Start(ctx context.Context, config *Config) (*Server, error) {
	if config == nil {
		config = &Config{}
	}
	s, err := newServer(config)
	if err != nil {
		return nil, err
	}
	p, err := s.firstLaunch(ctx, config)
	if err != nil {
		return nil, errors.Join(err, s.supervisor.finish(context.WithoutCancel(ctx)))
	}
	s.state <- &state{running: p}
	s.log.Info("private postgres started", "dir", s.dir, "pid", p.pid)
	return s, nil
}

// newServer makes the directory and the supervisor that will remove it.
func newServer(config *Config) (*Server, error) {
	s := &Server{binDir: config.BinDir, log: config.Log, state: make(chan *state, 1)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.binDir == "" {
		if s.binDir, err = FindBinaries(); err != nil {
			return nil, err
		}
	}
	if s.account, err = serverAccount(); err != nil {
		return nil, err
	}
	if s.dir, err = makeDir(config.TempDir, s.account); err != nil {
		return nil, err
	}
	if s.supervisor, err = startSupervisor(s.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

func (s *Server) firstLaunch(ctx context.Context, config *Config) (*postmaster, error) {
	if err := s.initdb(ctx, config.Locale); err != nil {
		return nil, err
	}
	if err := s.configure(config.Options); err != nil {
		return nil, err
	}
	return s.launch(ctx)
}

// Stop ends the server and removes its directory. It may be called more than once, also after ctx has ended; the server
// goes away in any case.
func (s *Server) Stop(ctx context.Context) error {
	st, err := s.take(ctx)
	if err != nil {
		return err
	}
	st.stopped = true
	s.state <- st
	if err := s.supervisor.finish(ctx); err != nil {
		return err
	}
	if st.running != nil {
		if err := st.running.end(ctx, syscall.SIGKILL); err != nil { // only if the supervisor was killed
			return err
		}
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove the server's directory: %w", err)
	}
	s.log.Info("private postgres stopped", "dir", s.dir)
	return nil
}

// take takes the state out; the caller must put it back.
func (s *Server) take(ctx context.Context) (*state, error) {
	select {
	case st := <-s.state:
		return st, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("another change of the server is under way: %w", context.Cause(ctx))
	}
}

// URL returns the address of a database, which psql (libpq) and pgx both take. An empty name means "postgres".
func (s *Server) URL(database string) string {
	if database == "" {
		database = "postgres"
	}
	return fmt.Sprintf("postgresql:///%s?host=%s&port=%s&user=%s",
		url.PathEscape(database), url.PathEscape(s.dir), port, superuser)
}

// Dir returns the server's directory. It holds the socket, the data and the log.
func (s *Server) Dir() string { return s.dir }

func (s *Server) dataDir() string { return filepath.Join(s.dir, "data") }

func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

// logTail returns the end of the server's log, for error messages.
func (s *Server) logTail() string {
	const limit = 4096
	data, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-limit):])
}
