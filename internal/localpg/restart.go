package localpg

import (
	"context"
	"syscall"
)

// Halt stops the server like a clean shutdown ("fast": open transactions are rolled back, connections end) and keeps
// its directory. It does nothing when the server is halted already. After Stop it returns ErrStopped.
func (s *Server) Halt(ctx context.Context) error {
	return s.change(ctx, func(st *state) error { return st.halt(ctx) })
}

// Kill ends the postmaster and every backend with SIGKILL, as the loss of power would, and keeps the directory. It does
// nothing when the server is halted already. After Stop it returns ErrStopped.
func (s *Server) Kill(ctx context.Context) error {
	return s.change(ctx, func(st *state) error { return st.kill(ctx) })
}

// StartAgain starts a server that Halt or Kill has ended, or that ended by itself, and waits until it accepts
// connections; after Kill it recovers first. It returns ErrRunning when the server runs and ErrStopped after Stop.
func (s *Server) StartAgain(ctx context.Context) error {
	return s.change(ctx, func(st *state) error { return s.startAgain(ctx, st) })
}

// Restart is Halt and StartAgain.
func (s *Server) Restart(ctx context.Context) error {
	return s.change(ctx, func(st *state) error {
		if err := st.halt(ctx); err != nil {
			return err
		}
		return s.startAgain(ctx, st)
	})
}

// Crash is Kill and StartAgain: unlogged tables are empty afterwards.
func (s *Server) Crash(ctx context.Context) error {
	return s.change(ctx, func(st *state) error {
		if err := st.kill(ctx); err != nil {
			return err
		}
		return s.startAgain(ctx, st)
	})
}

// change runs one change of the state; others wait.
func (s *Server) change(ctx context.Context, f func(*state) error) error {
	st, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer func() { s.state <- st }()
	if st.stopped {
		return ErrStopped
	}
	return f(st)
}

func (s *Server) startAgain(ctx context.Context, st *state) error {
	if st.running != nil && !st.running.hasExited() {
		return ErrRunning
	}
	p, err := s.launch(ctx)
	st.running = p
	return err
}

func (st *state) halt(ctx context.Context) error {
	return st.drop(func(p *postmaster) error { return p.end(ctx, syscall.SIGINT) })
}

func (st *state) kill(ctx context.Context) error {
	return st.drop(func(p *postmaster) error { return p.kill(ctx) })
}

// drop ends the running postmaster by f, and keeps it when f fails.
func (st *state) drop(f func(*postmaster) error) error {
	if st.running == nil {
		return nil
	}
	if err := f(st.running); err != nil {
		return err
	}
	st.running = nil
	return nil
}
