package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// maxSocketPath keeps the socket's path below the limit of every system (104 bytes on macOS, 108 on Linux).
const maxSocketPath = 99

// makeDir makes the server's directory, which only the server's account may enter.
func makeDir(parent string, account *syscall.Credential) (string, error) {
	dir, err := os.MkdirTemp(tempDir(parent, account), "socksync-pg-")
	if err != nil {
		return "", fmt.Errorf("make the server's directory: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", fmt.Errorf("path of the server's directory: %w", err)
	}
	if socket := filepath.Join(dir, ".s.PGSQL."+port); len(socket) > maxSocketPath {
		err = fmt.Errorf("the path of the server's socket has %d bytes, more than %d: %s: choose a shorter TempDir",
			len(socket), maxSocketPath, socket)
	} else if account != nil {
		err = os.Chown(dir, int(account.Uid), int(account.Gid))
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(dir))
	}
	return dir, nil
}

// tempDir returns the folder for temporary files. That of root may be private, and then the server cannot use it.
func tempDir(configured string, account *syscall.Credential) string {
	switch {
	case configured != "":
		return configured
	case account != nil && !openToAll(os.TempDir()):
		return "/tmp"
	default:
		return os.TempDir()
	}
}

// openToAll says whether every account may enter the folder and all folders above it.
func openToAll(folder string) bool {
	for {
		info, err := os.Stat(folder)
		if err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return true
		}
		folder = parent
	}
}

// initdb makes the data directory.
func (s *Server) initdb(ctx context.Context, locale string) error {
	if locale == "" {
		locale = "C.UTF-8"
	}
	cmd := s.supervisor.command(s.account, s.dir, filepath.Join(s.binDir, "initdb"), "-D", s.dataDir(), "-U", superuser,
		"--encoding=UTF8", "--locale="+locale, "--auth=trust", "--no-sync", "--no-instructions")
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	err := runContext(ctx, cmd)
	s.supervisor.forget()
	if err == nil {
		return nil
	}
	if s.account != nil && errors.Is(err, os.ErrPermission) {
		err = fmt.Errorf("the server's account (user id %d) cannot enter the folder: %w", s.account.Uid, err)
	}
	return fmt.Errorf("initdb in %s: %w\n%s", s.dir, err, output.String())
}

// runContext runs a command and kills it when the context ends.
func runContext(ctx context.Context, cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}
