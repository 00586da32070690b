package server_test

import (
	"encoding/gob"
	"fmt"
	"os"
	process "os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// roleVariable is the environment variable that makes this program, started again, another process of a benchmark.
const roleVariable = "SOCKSYNC_TEST_ROLE"

// roles are what such a process does. It hears from the benchmark and tells it.
var roles = map[string]func(hear *gob.Decoder, tell *gob.Encoder) error{
	"subscribers": subscribeAll,
	"writer":      writeAll,
}

// helper is the benchmark's end of another process.
type helper struct {
	b    *testing.B
	to   *gob.Encoder
	from *gob.Decoder
}

// startHelper starts this program in a role. It ends with the benchmark, also when that dies.
func startHelper(b *testing.B, role string) *helper {
	b.Helper()
	cmd := process.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	require.NoError(b, err)
	output, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = input.Close()
		_ = cmd.Wait() // what went wrong is on stderr
	})
	return &helper{b: b, to: gob.NewEncoder(input), from: gob.NewDecoder(output)}
}

func (h *helper) tell(what any) {
	h.b.Helper()
	require.NoError(h.b, h.to.Encode(what))
}

func (h *helper) hear(what any) {
	h.b.Helper()
	require.NoError(h.b, h.from.Decode(what))
}

// runRole does what a role is for, if this process has one.
func runRole() bool {
	role := os.Getenv(roleVariable)
	if role == "" {
		return false
	}
	input, stop, err := os.Pipe()
	if err == nil {
		go func() {
			_, _ = stop.ReadFrom(os.Stdin) // it ends when the benchmark does, or gives up
			os.Exit(0)
		}()
		err = roles[role](gob.NewDecoder(input), gob.NewEncoder(os.Stdout))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, role+":", err)
	}
	return true
}
