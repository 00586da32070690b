package listen

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
)

// SQL of a session. Everything in it is qualified, since the search path is the user's.
const (
	// identitySQL is what tells a server and a database from any other. It is fixed for the life of a backend.
	identitySQL = `pg_catalog.concat_ws('/',
		(select system_identifier from pg_catalog.pg_control_system()),
		(select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()),
		extract(epoch from pg_catalog.pg_postmaster_start_time()))`
	factsSQL = `select pg_catalog.pg_is_in_recovery(), ` + identitySQL + `,
		pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int4`
	// takeBitSQL locks the first bit of the doorbell that no other feed has.
	takeBitSQL = `select i from pg_catalog.generate_series(0, 15) i where pg_catalog.pg_try_advisory_lock(7305813, 16 + i) limit 1`
)

// errStandby says that the database takes no writes.
var errStandby = errors.New("the database is a standby; the feed needs the primary")

// session is the feed's connection. The feed goroutine owns it, but for the flag rung.
type session struct {
	feed *Feed
	conn *pgx.Conn
	// identity names the server and the database; empty behind a pooler, where each transaction has to ask.
	identity string
	bell     bell
	rung     atomic.Bool // a notification has arrived since it was last cleared

	worked   bool      // a drain was committed
	limit    uint64    // the triggers log below this transaction id; as the last drain saw it
	flag     int64     // bits of sleeping feeds; as the last drain saw them
	next     time.Time // when maintenance is due
	idle     time.Duration
	failures *backoff.ExponentialBackOff // of drains in a row
}

// newSession connects and sets the connection up.
func (f *Feed) newSession(ctx context.Context) (*session, error) {
	s := &session{feed: f, failures: newBackoff(f.config.tuning.retryMin, f.config.tuning.retryMax)}
	conn, err := f.dial(ctx, func() { s.rung.Store(true) })
	if err != nil {
		return nil, err
	}
	s.conn = conn
	if err := s.setUp(ctx); err != nil {
		closeConn(conn, f.config.tuning.setupTimeout)
		return nil, fmt.Errorf("set up the connection: %w", err)
	}
	if hook := f.config.tuning.hooks.session; hook != nil {
		hook(conn.PgConn().PID())
	}
	return s, nil
}

func (s *session) setUp(ctx context.Context) error {
	ctx, cancel := s.brief(ctx)
	defer cancel()
	if s.feed.config.PollOnly {
		return nil
	}
	var standby bool
	var prepared int
	b := &pgx.Batch{}
	b.Queue(set(s.feed.config.sessionSettings(), false))
	b.Queue("listen socksync")
	b.Queue(factsSQL).QueryRow(func(row pgx.Row) error { return row.Scan(&standby, &s.identity, &prepared) })
	if err := s.conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if standby {
		return errStandby
	}
	if prepared > 0 {
		return nil // PREPARE TRANSACTION refuses a transaction that has rung
	}
	return s.takeBit(ctx)
}

// takeBit gets a bit of the doorbell for this session. With all of them taken the feed polls.
func (s *session) takeBit(ctx context.Context) error {
	var bit int
	err := s.conn.QueryRow(ctx, takeBitSQL).Scan(&bit)
	if errors.Is(err, pgx.ErrNoRows) {
		s.feed.config.Log.Warn("all bits of the doorbell are taken; the change feed polls")
		return nil
	}
	if err != nil {
		return err
	}
	s.bell.bit = 1 << bit
	return nil
}

// brief bounds statements that must not take long.
func (s *session) brief(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.feed.config.tuning.setupTimeout)
}

// close leaves the database: the bit is cleared and everything that the session holds is released. The connection is
// closed beside the feed goroutine, since the end of a broken one may take time; Stop waits for it.
func (s *session) close(ctx context.Context) {
	timeout := s.feed.config.tuning.setupTimeout
	stopping := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	pid := s.conn.PgConn().PID()
	err := s.clearBit(ctx)
	s.feed.work.Go(func() { closeConn(s.conn, timeout) })
	if err == nil || !stopping {
		return // the next session clears what it finds set and not held
	}
	if err := s.feed.cleanUp(ctx, pid); err != nil {
		s.feed.config.Log.Warn("the doorbell's bit stays set until another feed clears it", "error", err)
	}
}

// endSQL ends a session of a feed that has not noticed that its connection is gone, and waits until it has ended.
const endSQL = `select pg_catalog.pg_terminate_backend(pid, 5000) from pg_catalog.pg_stat_activity
	where pid = $1 and application_name = '` + applicationName + `' and datname = pg_catalog.current_database()`

// cleanUp clears the bit of a session whose connection broke, on a new one.
func (f *Feed) cleanUp(ctx context.Context, pid uint32) error {
	conn, err := connect(ctx, f.config.Pool, func() {})
	if err != nil {
		return err
	}
	defer closeConn(conn, f.config.tuning.setupTimeout)
	if _, err := conn.Exec(ctx, endSQL, int32(pid)); err != nil { //nolint:gosec // a process id
		return err
	}
	return write(ctx, conn, queueClearOrphans)
}
