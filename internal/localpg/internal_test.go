package localpg

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNewestServer(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, version := range []string{"9", "15", "100"} {
		fakeServer(t, filepath.Join(root, version, "bin"))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(root, "200", "bin"), 0o755), "a version without a server")
	fakeServer(t, filepath.Join(root, "postgresql@16", "bin"))

	found, err := newestServer([]string{filepath.Join(root, "*", "bin")})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "100", "bin"), found)
	found, err = newestServer([]string{filepath.Join(root, "?", "bin"), filepath.Join(root, "postgresql*", "bin")})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "postgresql@16", "bin"), found)
}

func TestNoServerTellsWhatToInstall(t *testing.T) {
	t.Parallel()
	_, err := newestServer([]string{filepath.Join(t.TempDir(), "*")})
	require.ErrorIs(t, err, ErrNoBinaries)
	require.ErrorContains(t, err, "apt-get install postgresql")
}

func fakeServer(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"initdb", "postgres"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o755))
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		line string
		want process
		ok   bool
	}{
		{"12 (postgres) S 7 12 12 0 -1", process{pid: 12, parent: 7}, true},
		{"13 (odd) name (x) Z 8 12", process{pid: 13, parent: 8, ended: true}, true},
		{"14 (sh) X 9", process{pid: 14, parent: 9, ended: true}, true},
		{"", process{}, false},
		{"15 (sh", process{}, false},
		{"15 (sh) S", process{}, false},
	} {
		got, ok := parseStat(test.line)
		require.Equal(t, test.ok, ok, test.line)
		require.Equal(t, test.want, got, test.line)
	}
}

func TestParsePS(t *testing.T) {
	t.Parallel()
	require.Equal(t, []process{{pid: 1}, {pid: 40, parent: 1, ended: true}},
		parsePS("    1 Ss       0\n   40 Z+       1\n"))
}

func TestProcessesFindsItself(t *testing.T) {
	t.Parallel()
	all, err := processes(t.Context())
	require.NoError(t, err)
	require.Contains(t, all, process{pid: os.Getpid(), parent: os.Getppid()})
}

func TestOpenToAll(t *testing.T) {
	t.Parallel()
	private := t.TempDir()
	require.NoError(t, os.Chmod(private, 0o700))
	require.False(t, openToAll(private))
	require.False(t, openToAll(filepath.Join(private, "missing")))
	require.True(t, openToAll("/"))
}
