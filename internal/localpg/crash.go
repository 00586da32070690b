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
	"time"
)

// kill ends the postmaster and all of its children with SIGKILL and waits until they are gone: while one of them lives,
// a new postmaster refuses to use the data directory.
func (p *postmaster) kill(ctx context.Context) error {
	if err := p.signal(syscall.SIGSTOP); err != nil { // it must not fork between the look and the kill
		return err
	}
	all, err := processes(ctx)
	if err != nil {
		return errors.Join(err, p.signal(syscall.SIGCONT))
	}
	children := make(map[int]bool)
	for _, proc := range all {
		if proc.parent == p.pid && !proc.ended {
			children[proc.pid] = true
		}
	}
	err = p.end(ctx, syscall.SIGKILL)
	for pid := range children {
		if e := syscall.Kill(pid, syscall.SIGKILL); e != nil && !errors.Is(e, syscall.ESRCH) {
			err = errors.Join(err, fmt.Errorf("kill backend %d: %w", pid, e))
		}
	}
	return errors.Join(err, awaitGone(ctx, children))
}

// awaitGone returns when none of the processes runs any more. They are not our children, so nothing tells us.
func awaitGone(ctx context.Context, pids map[int]bool) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		all, err := processes(ctx)
		if err != nil {
			return err
		}
		running := 0
		for _, proc := range all {
			if pids[proc.pid] && !proc.ended {
				running++
			}
		}
		if running == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %d killed backends: %w", running, context.Cause(ctx))
		}
	}
}

// process is one line of the system's process table. One that has ended stays there until its parent looks.
type process struct {
	pid, parent int
	ended       bool
}

// processes reads the process table from /proc, or from ps on systems without it.
func processes(ctx context.Context) ([]process, error) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return processesFromPS(ctx)
	}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []process
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended since
		}
		if p, ok := parseStat(string(data)); ok {
			all = append(all, p)
		}
	}
	return all, nil
}

// parseStat reads "pid (command) state parent …". The command may hold spaces and parentheses.
func parseStat(line string) (process, bool) {
	open, closing := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || closing < 0 {
		return process{}, false
	}
	return parseProcess(line[:open] + line[closing+1:])
}

func processesFromPS(ctx context.Context) ([]process, error) {
	out, err := exec.CommandContext(ctx, "ps", "-A", "-o", "pid=,state=,ppid=").Output()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	return parsePS(string(out)), nil
}

func parsePS(output string) []process {
	var all []process
	for line := range strings.Lines(output) {
		if p, ok := parseProcess(line); ok {
			all = append(all, p)
		}
	}
	return all
}

// parseProcess reads "pid state parent".
func parseProcess(line string) (process, bool) {
	var p process
	var state string
	if _, err := fmt.Sscan(line, &p.pid, &state, &p.parent); err != nil {
		return process{}, false
	}
	p.ended = strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")
	return p, true
}
