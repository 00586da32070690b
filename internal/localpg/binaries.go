package localpg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNoBinaries says that the machine has no PostgreSQL server. Its text names the packages to install.
var ErrNoBinaries = errors.New("no PostgreSQL server binaries (initdb, postgres) found in PATH or in the usual folders: " +
	"install them with \"apt-get install postgresql\" (Debian, Ubuntu), \"dnf install postgresql-server\" (Fedora) " +
	"or \"brew install postgresql\" (macOS)")

// installFolders are patterns of the folders in which packages put the server binaries without adding them to PATH.
var installFolders = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/local/pgsql/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
}

// FindBinaries returns the folder of the PostgreSQL server binaries: the one in PATH, or else that of the newest
// version that a package installed. It returns ErrNoBinaries when there is none.
func FindBinaries() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil && hasServer(filepath.Dir(path)) {
		return filepath.Dir(path), nil
	}
	return newestServer(installFolders)
}

// newestServer returns the folder of the highest version that one of the patterns finds.
func newestServer(patterns []string) (string, error) {
	best, bestVersion := "", -1
	for _, pattern := range patterns {
		folders, err := filepath.Glob(pattern)
		if err != nil {
			return "", fmt.Errorf("pattern %q: %w", pattern, err)
		}
		for _, folder := range slices.DeleteFunc(folders, func(f string) bool { return !hasServer(f) }) {
			if v := folderVersion(folder); v > bestVersion {
				best, bestVersion = folder, v
			}
		}
	}
	if best == "" {
		return "", ErrNoBinaries
	}
	return best, nil
}

// folderVersion reads the major version out of a path such as /usr/lib/postgresql/17/bin; 0 when it holds none.
func folderVersion(folder string) int {
	name := filepath.Base(filepath.Dir(folder))
	digits := name[strings.LastIndexFunc(name, func(r rune) bool { return r < '0' || r > '9' })+1:]
	v, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return v
}

func hasServer(folder string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}
