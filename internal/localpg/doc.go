// Package localpg runs a private PostgreSQL server from the binaries that the machine already has, for the demo and
// for tests. The server listens on a Unix socket only, in a temporary directory that no other user can enter, and both
// go away with the process that started them, also when that process is killed with SIGKILL.
//
// Three kinds of process take part:
//
//   - this process starts the postmaster, watches it and signals it;
//   - the postmaster runs in a session of its own, so that a Ctrl-C in the terminal does not reach it;
//   - the supervisor, a small shell script, holds the read end of a pipe. Its write end lives in this process alone.
//     When the pipe ends, because Stop closed it or because this process died, the supervisor stops the postmaster and
//     removes the directory. Both ends of a server are thus the same code.
//
// PostgreSQL refuses to run as root. A root process therefore runs it as the user postgres or, where there is none, as
// nobody.
package localpg
