package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pollInterval is how often the state of the server's files and processes is looked at; they send no signal.
const pollInterval = 10 * time.Millisecond

// postmaster is one run of the server's main process.
type postmaster struct {
	pid    int
	exited chan struct{} // closed once the process was waited for and the supervisor forgot it
}

// launch starts a postmaster and waits until it accepts connections.
func (s *Server) launch(ctx context.Context) (*postmaster, error) {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	cmd := s.supervisor.command(s.account, s.dir, filepath.Join(s.binDir, "postgres"), "-D", s.dataDir())
	cmd.Stdout, cmd.Stderr = log, log
	err = errors.Join(cmd.Start(), log.Close()) // the process has its own copy of the log
	if err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	p := &postmaster{pid: cmd.Process.Pid, exited: make(chan struct{})}
	go s.reap(cmd, p)
	if err := s.awaitReady(ctx, p); err != nil {
		return nil, errors.Join(err, p.end(context.WithoutCancel(ctx), syscall.SIGQUIT))
	}
	return p, nil
}

// reap waits for the postmaster, whether it was told to end or failed.
func (s *Server) reap(cmd *exec.Cmd, p *postmaster) {
	err := cmd.Wait()
	s.supervisor.forget()
	s.log.Debug("private postgres ended", "pid", p.pid, "state", cmd.ProcessState.String(), "error", err)
	close(p.exited)
}

// awaitReady returns when the postmaster has said in its lock file that it accepts connections.
func (s *Server) awaitReady(ctx context.Context, p *postmaster) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !s.isReady(p) {
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("postgres ended while starting; the end of its log:\n%s", s.logTail())
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres to start: %w", context.Cause(ctx))
		}
	}
	return nil
}

// isReady reads postmaster.pid: the process id stands on its first line, the state on its eighth.
func (s *Server) isReady(p *postmaster) bool {
	data, err := os.ReadFile(filepath.Join(s.dataDir(), "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(data), "\n")
	return len(lines) >= 8 && strings.TrimSpace(lines[0]) == strconv.Itoa(p.pid) && strings.TrimSpace(lines[7]) == "ready"
}

// end sends a signal to the postmaster and waits until the process is gone.
func (p *postmaster) end(ctx context.Context, signal syscall.Signal) error {
	if err := p.signal(signal); err != nil {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for postgres to stop: %w", context.Cause(ctx))
	}
}

// signal sends a signal to the postmaster if it still runs.
func (p *postmaster) signal(signal syscall.Signal) error {
	if p.hasExited() {
		return nil
	}
	if err := syscall.Kill(p.pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %v to postgres: %w", signal, err)
	}
	return nil
}

func (p *postmaster) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}
