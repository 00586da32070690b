package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
)

const (
	// patience is how long a test waits for what must come; it is never waited out
	// when all is well.
	patience = time.Minute
	// tick is how often a condition is tried that gives no signal.
	tick = 10 * time.Millisecond
)

// programEnv makes the test binary the program itself.
const programEnv = "DASHBOARD_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		main()
		return
	}
	pgtest.Main(m)
}

// demo is the program, run by a test.
type demo struct {
	addr string
	log  *journal
	stop func() // ends the program and waits for it; it may be called again
}

// start runs the program until the test ends. By then it must have had nothing to
// complain of, unless the test has emptied its log.
func start(t *testing.T, o options) *demo {
	t.Helper()
	if o.addr == "" {
		o.addr = "127.0.0.1:0"
	}
	d := &demo{log: &journal{}}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- run(ctx, o, slog.New(slog.NewTextHandler(d.log, nil)), func(addr string) { ready <- addr })
	}()
	d.stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-ended) // not require, which a function that runs once does not survive
		assert.Empty(t, d.log.complaints())
	})
	t.Cleanup(func() { d.stop() })
	select {
	case d.addr = <-ready:
	case err := <-ended:
		ended <- err
		require.NoError(t, err)
	}
	return d
}

// serveDemo runs the program on a database.
func serveDemo(t *testing.T, pool *pgxpool.Pool) *demo {
	t.Helper()
	return start(t, options{database: pool.Config().ConnString()})
}

// small returns a database with few rows, which the program takes as they are.
func small(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.New(t)
	require.NoError(t, migrate(t.Context(), pool))
	execute(t, pool, `INSERT INTO airports VALUES
		('AAA', 'Alpha Field', 'Alpha', 'AK', 'USA', 60.5, -150.25),
		('BBB', 'Bravo Municipal', NULL, NULL, 'USA', 30, -90),
		('CCC', 'Alpha Field', 'Charlie', 'CA', 'USA', 35.125, -120)`)
	execute(t, pool, `INSERT INTO flights (departs_at, origin, destination, delay_minutes, distance_miles, note)
		SELECT timestamp '2001-01-01' + n * interval '1 hour', 'AAA', CASE WHEN n % 2 = 0 THEN 'BBB' ELSE 'CCC' END, n * 10 - 20, n / 5 * 100,
			CASE WHEN n % 3 = 0 THEN 'note ' || n END
		FROM generate_series(1, 20) n`)
	return pool
}

func execute(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	_, err := pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err, sql)
}

// one reads a single value.
func one[T any](t *testing.T, pool *pgxpool.Pool, sql string, args ...any) T {
	t.Helper()
	var value T
	require.NoError(t, pool.QueryRow(t.Context(), sql, args...).Scan(&value), sql)
	return value
}

// get asks for a file of the page and returns the status.
func (d *demo) get(t *testing.T, path string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.addr+path, http.NoBody)
	require.NoError(t, err)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

// journal is a log.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// take empties the log and returns its warnings and errors.
func (j *journal) take() []string {
	defer func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.text.Reset()
	}()
	return j.complaints()
}

// complaints are the warnings and errors, but for advice about what people choose in the page.
func (j *journal) complaints() []string {
	return j.lines(func(line string) bool {
		advice := strings.Contains(line, "CREATE INDEX") && (strings.Contains(line, byChoice) || strings.Contains(line, explored))
		return !advice && !strings.Contains(line, "level=INFO") && !strings.Contains(line, "level=DEBUG")
	})
}

// lines are those lines that fit.
func (j *journal) lines(fit func(line string) bool) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var lines []string
	for line := range strings.Lines(j.text.String()) {
		if fit(line) {
			lines = append(lines, line)
		}
	}
	return lines
}
