package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// program is the program as a process of its own, with a Postgres of its own.
type program struct {
	cmd        *exec.Cmd
	out        *bufio.Reader
	temp       string // its temporary files, and nothing else
	postmaster int    // its Postgres
}

var postmasterLine = regexp.MustCompile(`msg="private postgres started" dir=(\S+) pid=(\d+)`)

// launch starts the program without a database.
func launch(t *testing.T) *program {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	temp, err := os.MkdirTemp("", "dashboard-") // t.TempDir would be too long for a socket, and closed to Postgres's user
	require.NoError(t, err)
	require.NoError(t, os.Chmod(temp, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(temp)) })
	cmd := exec.CommandContext(t.Context(), self, "-addr", "127.0.0.1:0", "-simulate", "50")
	cmd.Env = append(os.Environ(), programEnv+"=1", "DATABASE_URL=", "REDIS_URL=", "TMPDIR="+temp)
	read, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = write, write
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = read.Close() })
	return &program{cmd: cmd, out: bufio.NewReader(read), temp: temp}
}

// line reads what the program says up to a line with the text.
func (p *program) line(t *testing.T, text string) string {
	t.Helper()
	for {
		line, err := p.out.ReadString('\n')
		require.NoError(t, err, "before %q", text)
		if strings.Contains(line, text) {
			return line
		}
	}
}

// open waits until the program serves.
func (p *program) open(t *testing.T) {
	t.Helper()
	found := postmasterLine.FindStringSubmatch(p.line(t, "private postgres started"))
	require.NotNil(t, found)
	require.Equal(t, p.temp, filepath.Dir(found[1]))
	var err error
	p.postmaster, err = strconv.Atoi(found[2])
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(p.postmaster, 0), "Postgres runs")
	p.line(t, "Open http://127.0.0.1:")
	go func() { _, _ = io.Copy(io.Discard, p.out) }() // until the test closes it
}

// end sends a signal and returns how the process ended.
func (p *program) end(t *testing.T, signal syscall.Signal) error {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(signal))
	return p.cmd.Wait()
}

func (p *program) files(t *testing.T) []os.DirEntry {
	t.Helper()
	files, err := os.ReadDir(p.temp)
	require.NoError(t, err)
	return files
}

func TestProgramEndsWhenTold(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"terminate": syscall.SIGTERM, "ctrl-c": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := launch(t)
			p.open(t)
			require.NoError(t, p.end(t, signal), "it exits with 0")
			require.Empty(t, p.files(t))
			require.ErrorIs(t, syscall.Kill(p.postmaster, 0), syscall.ESRCH)
		})
	}
}

func TestProgramEndsWhenToldWhileItStarts(t *testing.T) {
	t.Parallel()
	p := launch(t)
	p.line(t, "private postgres started")
	go func() { _, _ = io.Copy(io.Discard, p.out) }()
	require.NoError(t, p.end(t, syscall.SIGINT))
	require.Empty(t, p.files(t))
}

func TestProgramIsKilled(t *testing.T) {
	t.Parallel()
	p := launch(t)
	p.open(t)
	require.ErrorContains(t, p.end(t, syscall.SIGKILL), "killed")
	require.Eventually(t, func() bool { return len(p.files(t)) == 0 }, patience, tick)
	require.ErrorIs(t, syscall.Kill(p.postmaster, 0), syscall.ESRCH)
}
