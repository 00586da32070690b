package localpg_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/socksync/socksync/internal/localpg"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		runChild()
	}
	goleak.VerifyTestMain(m)
}

// folder returns a folder that the server's account may enter, which t.TempDir is not for root.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "localpg-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func start(t *testing.T, config *localpg.Config) *localpg.Server {
	t.Helper()
	server, err := localpg.Start(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	return server
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server may have ended it
	return conn
}

// query returns the one value of a statement as text.
func query(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var value string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

func execute(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func TestStartIsPrivateAndStopRemovesEverything(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	server, err := localpg.Start(t.Context(), &localpg.Config{TempDir: dir})
	require.NoError(t, err)
	conn := connect(t, server.URL(""))
	require.Equal(t, "C.UTF-8", query(t, conn, "SELECT datcollate FROM pg_database WHERE datname = 'template0'"))
	require.Empty(t, query(t, conn, "SHOW listen_addresses"))

	info, err := os.Stat(server.Dir())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	owner, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	require.NotZero(t, owner.Uid, "postgres does not run as root")

	require.NoError(t, server.Stop(t.Context()))
	requireEmpty(t, dir)
	_, err = pgx.Connect(t.Context(), server.URL(""))
	require.Error(t, err)
	require.NoError(t, server.Stop(t.Context()), "a second Stop")
	require.ErrorIs(t, server.StartAgain(t.Context()), localpg.ErrStopped)
}

func TestURLWorksForPsql(t *testing.T) {
	t.Parallel()
	server := start(t, nil)
	const name = `odd "name" 100%/é`
	require.NoError(t, server.CreateDatabase(t.Context(), name))
	require.Equal(t, name, query(t, connect(t, server.URL(name)), "SELECT current_database()"))

	psql := exec.CommandContext(t.Context(), "psql", "-XAtc", "SELECT current_database()", server.URL(name))
	psql.Env = append(os.Environ(), "PGPORT=1", "PGHOST=nowhere", "PGUSER=nobody") // the URL leaves nothing to them
	out, err := psql.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, name, strings.TrimSpace(string(out)))
}

func TestDatabases(t *testing.T) {
	t.Parallel()
	server := start(t, nil)
	const smaller = "SELECT min(v) FROM (VALUES ('a'), ('B')) AS x (v)"
	require.NoError(t, server.CreateDatabase(t.Context(), "bytes"))
	require.Equal(t, "B", query(t, connect(t, server.URL("bytes")), smaller))
	require.NoError(t, server.CreateDatabase(t.Context(), "english", localpg.ICU("en-US")))
	require.Equal(t, "a", query(t, connect(t, server.URL("english")), smaller))

	require.ErrorContains(t, server.CreateDatabase(t.Context(), "english"), "already exists")
	require.NoError(t, server.DropDatabase(t.Context(), "english"), "although a connection is open")
	require.NoError(t, server.DropDatabase(t.Context(), "english"), "although it is gone")
	require.NoError(t, server.CreateDatabase(t.Context(), "english"))
}

func TestOptions(t *testing.T) {
	t.Parallel()
	server := start(t, &localpg.Config{Options: map[string]string{
		"application_name": `it's \ odd`, "jit": "", "listen_addresses": "*",
	}})
	conn := connect(t, server.URL(""))
	require.Equal(t, `it's \ odd`, query(t, conn, "SHOW application_name"))
	require.Equal(t, "on", query(t, conn, "SHOW jit"), "the setting of postgres itself")
	require.Empty(t, query(t, conn, "SHOW listen_addresses"), "options do not open the server to the network")
}

func TestStartFailures(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancelCause(t.Context())
	cancel(os.ErrDeadlineExceeded)
	for _, test := range []struct {
		name   string
		ctx    context.Context
		config localpg.Config
		want   string
	}{
		{"binaries missing", t.Context(), localpg.Config{BinDir: "/nonexistent"}, "/nonexistent/initdb"},
		{"unknown locale", t.Context(), localpg.Config{Locale: "xx_XX"}, "invalid locale name"},
		{"unknown setting", t.Context(), localpg.Config{Options: map[string]string{"no_such": "1"}}, "no_such"},
		{"canceled", canceled, localpg.Config{}, os.ErrDeadlineExceeded.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.config.TempDir = folder(t)
			_, err := localpg.Start(test.ctx, &test.config)
			require.ErrorContains(t, err, test.want)
			requireEmpty(t, test.config.TempDir)
		})
	}
}

func TestStartRefusesLongSocketPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), strings.Repeat("x", 80))
	require.NoError(t, os.Mkdir(dir, 0o755))
	_, err := localpg.Start(t.Context(), &localpg.Config{TempDir: dir})
	require.ErrorContains(t, err, "choose a shorter TempDir")
	requireEmpty(t, dir)
}
