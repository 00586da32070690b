package localpg_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/localpg"
)

// limited is the context of a step that would wait forever if it failed.
func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestRestart(t *testing.T) {
	t.Parallel()
	server := start(t, nil)
	before := connect(t, server.URL(""))
	execute(t, before, "CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS v")
	require.NoError(t, server.Restart(limited(t)))

	require.Error(t, before.Ping(t.Context()), "the restart ended the connection")
	require.Equal(t, "1", query(t, connect(t, server.URL("")), "SELECT max(v)::text FROM fleeting"))
}

func TestHaltAndStartAgain(t *testing.T) {
	t.Parallel()
	server := start(t, nil)
	require.ErrorIs(t, server.StartAgain(t.Context()), localpg.ErrRunning)
	require.NoError(t, server.Halt(limited(t)))
	require.NoError(t, server.Halt(limited(t)), "halted already")
	_, err := pgx.Connect(t.Context(), server.URL(""))
	require.Error(t, err)
	require.NoError(t, server.StartAgain(t.Context()))
	connect(t, server.URL(""))
}

// A busy backend does not notice by itself that its postmaster has died, and keeps a new one from starting.
func TestCrashWithBusyBackend(t *testing.T) {
	t.Parallel()
	server := start(t, nil)
	conn := connect(t, server.URL(""))
	execute(t, conn, "CREATE TABLE lasting AS SELECT 1 AS v")
	execute(t, conn, "CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS v")
	busy := connect(t, server.URL(""))
	ended := make(chan error, 1)
	go func() {
		_, err := busy.Exec(t.Context(), "SELECT count(*) FROM generate_series(1, 1000000000000)")
		ended <- err
	}()
	require.Eventually(t, func() bool {
		return query(t, conn, "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE '%generate_series(1,%' "+
			"AND state = 'active' AND pid <> pg_backend_pid()") == "1"
	}, patience, tick)

	require.NoError(t, server.Crash(limited(t)))
	require.Error(t, <-ended)
	after := connect(t, server.URL(""))
	require.Equal(t, "1", query(t, after, "SELECT count(*)::text FROM lasting"))
	require.Equal(t, "0", query(t, after, "SELECT count(*)::text FROM fleeting"), "a clean restart would keep the row")
}

func TestKillAndStartAgain(t *testing.T) {
	t.Parallel()
	server := start(t, nil)
	require.NoError(t, server.Kill(limited(t)))
	_, err := pgx.Connect(t.Context(), server.URL(""))
	require.Error(t, err)
	require.NoError(t, server.StartAgain(t.Context()))
	connect(t, server.URL(""))
}
