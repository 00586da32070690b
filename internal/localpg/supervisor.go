package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// supervisorScript reads process ids, one per line, until its standard input ends. Then it stops the last process that
// was named (0: none) and removes the directory in its argument. An immediate shutdown is enough, because nothing of
// the directory is kept. Signals for a whole terminal or job must not end it before its work is done.
const supervisorScript = `trap '' HUP INT QUIT TERM
cd /
pid=0
while read -r line; do pid=$line; done
if [ "$pid" -gt 0 ] && kill -QUIT "$pid" 2>/dev/null; then
	tries=0
	while [ "$tries" -lt 100 ] && kill -0 "$pid" 2>/dev/null; do
		sleep 0.05
		tries=$((tries + 1))
	done
	kill -KILL "$pid" 2>/dev/null
fi
tries=0
until rm -rf -- "$1" 2>/dev/null || [ "$tries" -ge 100 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
`

// announceScript names its own process to the supervisor (file descriptor 3) and becomes the command in its arguments.
// The process is known before it does anything, so there is no moment at which our death would leave it behind.
const announceScript = `echo "$$" >&3; exec "$@" 3>&-`

// supervisor is the process that outlives us. Its methods may be called from any goroutine.
type supervisor struct {
	pipe   *os.File // the only write end
	close  sync.Once
	exited chan struct{}
}

// startSupervisor starts the process that removes dir after the pipe has ended.
func startSupervisor(dir string) (*supervisor, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to the supervisor: %w", err)
	}
	cmd := exec.Command("/bin/sh", "-c", supervisorScript, "localpg-supervisor", dir)
	cmd.Env = serverEnvironment()
	cmd.Stdin = read
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	closeErr := read.Close()
	if err = errors.Join(err, closeErr); err != nil {
		return nil, fmt.Errorf("start the supervisor: %w", errors.Join(err, write.Close()))
	}
	s := &supervisor{pipe: write, exited: make(chan struct{})}
	go func() {
		defer close(s.exited)
		_ = cmd.Wait() // its exit code says nothing: Stop looks at the directory instead
	}()
	return s, nil
}

// forget tells the supervisor that the last announced process has ended, so that its id may belong to another one.
// An error means that the supervisor is gone or told to finish; either way it has nothing to forget.
func (s *supervisor) forget() {
	_, _ = s.pipe.WriteString("0\n")
}

// finish makes the supervisor do its work and waits for it. It may be called again after ctx has ended.
func (s *supervisor) finish(ctx context.Context) error {
	s.close.Do(func() { _ = s.pipe.Close() })
	select {
	case <-s.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the supervisor: %w", context.Cause(ctx))
	}
}

// command prepares a command of the server's account, announced to the supervisor, in a session of its own.
func (s *supervisor) command(account *syscall.Credential, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", append([]string{"-c", announceScript, "localpg", name}, args...)...)
	cmd.Dir = dir
	cmd.Env = serverEnvironment()
	cmd.ExtraFiles = []*os.File{s.pipe}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: account}
	return cmd
}

// serverEnvironment is all that the server and its tools see of our environment. PGDATA, PGPORT, LANG and the like
// would change what they do.
func serverEnvironment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}
