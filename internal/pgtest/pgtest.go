package pgtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/socksync/socksync/internal/localpg"
)

// patience bounds every step that waits for the server, so that a fault fails a test instead of hanging it. It is long
// because many tests may share a slow machine.
const patience = time.Minute

// settings of the servers. Their data need not outlive the machine, and many tests connect at once.
var settings = map[string]string{
	"fsync":              "off",
	"full_page_writes":   "off",
	"shared_buffers":     "16MB",
	"max_connections":    "300",
	"log_min_messages":   "warning",
	"max_wal_size":       "1GB",
	"checkpoint_timeout": "1h", // a checkpoint only costs time here
}

// shared is the server of this test process. It is the one variable of the process, since testing has no other place
// that all tests of a binary can reach.
var shared struct {
	once   sync.Once
	server *localpg.Server
	err    error
	last   atomic.Int64 // number of the last database made
}

// Main runs the tests of a package, ends the shared server and then looks for goroutines that the tests left running.
// Options name goroutines that may stay; explain each where you give it. It does not return.
func Main(m *testing.M, options ...goleak.Option) {
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest: stop the server:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(options...); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func stopShared() error {
	shared.once.Do(func() { shared.err = errors.New("the tests are over") })
	if shared.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return shared.server.Stop(ctx)
}

// Option says how the database of a test is made.
type Option func(*options)

type options struct {
	database        []localpg.DatabaseOption
	emptySearchPath bool
	maxConns        int32
}

// ICU gives the database an ICU collation by default, such as "en-US", whose order is not that of bytes.
func ICU(locale string) Option {
	return func(o *options) { o.database = append(o.database, localpg.ICU(locale)) }
}

// EmptySearchPath makes connections find nothing without its schema, which catches unqualified names in SQL.
func EmptySearchPath() Option {
	return func(o *options) { o.emptySearchPath = true }
}

// MaxConns sets the size of the pool. The default is that of pgxpool: four, or the number of processors if it is larger.
func MaxConns(n int32) Option {
	return func(o *options) { o.maxConns = n }
}

// New returns a pool on a fresh database of the shared server, in the C.UTF-8 locale unless an option says otherwise.
// Both go away when the test ends. The pool's Config().ConnString() is the database's URL.
func New(t testing.TB, opts ...Option) *pgxpool.Pool {
	t.Helper()
	url, o := sharedDatabase(t, opts)
	return newPool(t, url, o)
}

// URL returns the address of a fresh database like that of New, for code that connects by itself.
func URL(t testing.TB, opts ...Option) string {
	t.Helper()
	url, _ := sharedDatabase(t, opts)
	return url
}

// Server starts a server for this test alone, which it may stop and crash. Config may be nil; its options come on top of
// those of the shared server. The server goes away when the test ends.
func Server(t testing.TB, config *localpg.Config) *localpg.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	server, err := start(ctx, config)
	if err != nil {
		t.Fatalf("start a postgres server: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Errorf("stop the postgres server: %v", err)
		}
	})
	return server
}

// On is New on a server that [Server] returned.
func On(t testing.TB, server *localpg.Server, opts ...Option) *pgxpool.Pool {
	t.Helper()
	_, url, o := newDatabase(t, server, opts)
	return newPool(t, url, o)
}

func sharedServer(t testing.TB) *localpg.Server {
	t.Helper()
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		shared.server, shared.err = start(ctx, nil)
	})
	if shared.err != nil {
		t.Fatalf("start the shared postgres server: %v", shared.err)
	}
	return shared.server
}

func start(ctx context.Context, config *localpg.Config) (*localpg.Server, error) {
	var c localpg.Config
	if config != nil {
		c = *config
	}
	all := maps.Clone(settings)
	maps.Copy(all, c.Options)
	c.Options = all
	return localpg.Start(ctx, &c)
}

func newPool(t testing.TB, url string, o options) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatalf("parse %q: %v", url, err)
	}
	if o.maxConns > 0 {
		config.MaxConns = o.maxConns
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		t.Fatalf("make a pool: %v", err)
	}
	t.Cleanup(func() { closePool(t, pool) })
	return pool
}

// closePool closes the pool. Close waits for connections that are in use, so a test that forgot one would hang.
func closePool(t testing.TB, pool *pgxpool.Pool) {
	closed := make(chan struct{})
	go func() { defer close(closed); pool.Close() }()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Errorf("the test did not give back %d connections", pool.Stat().AcquiredConns())
	}
}

// sharedDatabase makes a database of the shared server that is dropped when the test ends. Those of a test's own server
// go away with it, which a fault test may have left halted.
func sharedDatabase(t testing.TB, opts []Option) (string, options) {
	t.Helper()
	server := sharedServer(t)
	name, url, o := newDatabase(t, server, opts)
	t.Cleanup(func() { dropDatabase(t, server, name) })
	return url, o
}

// newDatabase makes a database, and returns its name and its URL.
func newDatabase(t testing.TB, server *localpg.Server, opts []Option) (name, url string, o options) {
	t.Helper()
	for _, opt := range opts {
		opt(&o)
	}
	name = databaseName(t.Name(), shared.last.Add(1))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := server.CreateDatabase(ctx, name, o.database...); err != nil {
		t.Fatal(err)
	}
	url = server.URL(name)
	if o.emptySearchPath {
		url += "&options=-c%20search_path%3D"
	}
	return name, url, o
}

func dropDatabase(t testing.TB, server *localpg.Server, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := server.DropDatabase(ctx, name); err != nil {
		t.Error(err)
	}
}

// databaseName tells in psql and in the server's log which test a database belongs to.
func databaseName(test string, number int64) string {
	const maxName = 63
	name := fmt.Sprintf("t%d_%s", number, strings.ToLower(strings.Map(func(r rune) rune {
		if r == '/' || r == '#' || r > 0x7e {
			return '_'
		}
		return r
	}, test)))
	return name[:min(len(name), maxName)]
}
