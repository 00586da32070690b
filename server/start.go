package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/socksync/socksync/internal/wsconn"
	"github.com/socksync/socksync/listen"
	"github.com/socksync/socksync/migrations"
)

// Start checks the definitions against the database, migrates if the configuration
// says so, and begins to serve. It returns when requests are taken; the lists load
// in the background, and their first page is answered when they have. ctx bounds
// the start only. An error says what to do; the server can be started again.
// Starting a started server does nothing.
func (s *Server) Start(ctx context.Context) error {
	check := func(ctx context.Context) error {
		err := s.begin(ctx)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			return fmt.Errorf("start given up: %w: %w", cause, err)
		}
		return err
	}
	return s.service.Launch(ctx, check, s.watch)
}

// Stop closes every connection with 4010, waits until all have ended, hooks and
// functions included, and releases what the server took; the pool stays open. It
// ends a Start that is under way. When ctx ends first the error says so, and Stop
// may be called again. Stopping a server that is not started does nothing. It must
// not be called by a hook or a function, for which it would wait.
func (s *Server) Stop(ctx context.Context) error { return s.service.Stop(ctx) }

func (s *Server) begin(ctx context.Context) error {
	if s.engine != nil {
		if err := s.follow(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wheel = wsconn.NewWheel(s.config.PingInterval)
	s.wheel.Start()
	s.serving = true
	return nil
}

// follow checks, migrates and starts the feed.
func (s *Server) follow(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("the database cannot be reached; check its address and that it runs: %w", err)
	}
	if err := s.engine.Check(ctx); err != nil {
		return err
	}
	tables := s.engine.Tables()
	if len(tables) == 0 {
		return nil
	}
	if err := s.migrate(ctx, tables); err != nil {
		return err
	}
	feed, err := listen.New(&listen.Config{
		Pool: s.pool, Tables: tables, Log: s.log, Repair: s.repair(),
		PollOnly: s.config.PollOnly, PollInterval: s.config.PollInterval, LockTimeout: s.config.LockTimeout,
	}, s.engine)
	if err != nil {
		return err
	}
	s.engine.Start(feed) // before the feed, which calls the engine from its start on
	if err := startFeed(ctx, feed); err != nil {
		s.engine.Stop()
		return err
	}
	s.mu.Lock()
	s.feed = feed
	s.mu.Unlock()
	return nil
}

// startFeed starts the feed. ctx bounds the start and not, as for the feed itself,
// all of its run.
func startFeed(ctx context.Context, feed *listen.Feed) error {
	run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unbind := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	err := feed.Start(run)
	if unbind() {
		return err
	}
	return errors.Join(context.Cause(ctx), err, feed.Stop(context.WithoutCancel(ctx)))
}

// migrate installs schema and triggers, or checks that they are there.
func (s *Server) migrate(ctx context.Context, tables []listen.Table) error {
	list := installed(tables)
	if s.config.Migrate {
		if err := migrations.Up(ctx, s.pool); err != nil {
			return err
		}
		return migrations.Install(ctx, s.pool, list)
	}
	status, err := migrations.Status(ctx, s.pool, list)
	if err != nil {
		return err
	}
	if err := status.Err(); err != nil {
		return fmt.Errorf("%w; set Config.Migrate, or run the files that migrations.WriteFiles writes", err)
	}
	return nil
}

func installed(tables []listen.Table) []migrations.Table {
	list := make([]migrations.Table, len(tables))
	for i, t := range tables {
		list[i] = migrations.Table{Name: t.Name, Key: t.Key, Logged: t.Logged}
	}
	return list
}

// repair is how the feed mends triggers that went missing, nil if it may not.
func (s *Server) repair() func(context.Context, []listen.Table) error {
	if !s.config.Migrate {
		return nil
	}
	return func(ctx context.Context, tables []listen.Table) error {
		return migrations.Install(ctx, s.pool, installed(tables))
	}
}

// release ends the background work, after the connections.
func (s *Server) release() error {
	s.mu.Lock()
	feed, wheel := s.feed, s.wheel
	s.feed, s.wheel = nil, nil
	s.mu.Unlock()
	wheel.Stop()
	if feed == nil {
		return nil
	}
	err := feed.Stop(context.Background())
	s.engine.Stop()
	return errors.Join(err)
}
