package localpg_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/localpg"
)

const (
	patience = time.Minute
	tick     = 20 * time.Millisecond

	// childEnv makes the test binary a program that starts a server in the folder of this name.
	childEnv = "LOCALPG_TEST_CHILD"
)

// runChild starts a server, says so with the server's directory, and waits to be killed.
func runChild() {
	server, err := localpg.Start(context.Background(), &localpg.Config{TempDir: os.Getenv(childEnv)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(server.Dir())
	select {}
}

// child starts the test binary again as a program of its own.
func child(t *testing.T, dir string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return cmd, bufio.NewReader(out)
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Process.Kill())
	require.ErrorContains(t, cmd.Wait(), "killed")
}

func requireSoonEmpty(t *testing.T, dir string) {
	t.Helper()
	require.Eventually(t, func() bool {
		entries, err := os.ReadDir(dir)
		return err == nil && len(entries) == 0
	}, patience, tick)
}

func TestServerEndsWithAKilledParent(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cmd, out := child(t, dir)
	server, err := out.ReadString('\n')
	require.NoError(t, err)
	pidFile, err := os.ReadFile(filepath.Join(strings.TrimSpace(server), "data", "postmaster.pid"))
	require.NoError(t, err)
	first, _, _ := strings.Cut(string(pidFile), "\n")
	pid, err := strconv.Atoi(first)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, 0), "the postmaster runs")

	kill(t, cmd)
	requireSoonEmpty(t, dir)
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "the postmaster ended before its directory was removed")
}

func TestNothingStaysWhenTheParentIsKilledWhileStarting(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cmd, _ := child(t, dir)
	require.Eventually(t, func() bool {
		found, err := filepath.Glob(filepath.Join(dir, "*", "data", "PG_VERSION"))
		return err == nil && len(found) == 1
	}, patience, tick/10, "initdb is at work")
	kill(t, cmd)
	requireSoonEmpty(t, dir)
}
