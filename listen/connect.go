package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

// connectTimeout bounds one try to connect, if the pool's configuration does not.
const connectTimeout = 30 * time.Second

// connect makes a connection as the pool makes its own. It is not one of the pool: a pool that is busy cannot hold the
// feed up, and only a connection made here can have its notifications counted while queries run on it.
func connect(ctx context.Context, pool *pgxpool.Pool, notified func()) (*pgx.Conn, error) {
	config := pool.Config()
	c := config.ConnConfig
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = connectTimeout
	}
	if config.BeforeConnect != nil {
		if err := config.BeforeConnect(ctx, c); err != nil {
			return nil, fmt.Errorf("before connect: %w", err)
		}
	}
	c.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) { notified() }
	c.Tracer = nil // a trace for each of some hundred polls a second helps nobody
	c.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: conn.Conn()} // a wait ends without harm to the connection
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	if config.AfterConnect != nil {
		if err := config.AfterConnect(ctx, conn); err != nil {
			return nil, errors.Join(fmt.Errorf("after connect: %w", err), conn.Close(ctx))
		}
	}
	keepAlive(conn.PgConn().Conn())
	return conn, nil
}

// keepAlive has the death of the server's machine noticed within seconds. It is an improvement only, so that an error
// does not matter.
func keepAlive(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3})
	}
}

// closeConn closes a connection and waits until nothing of it is left, in any state that it may be in.
func closeConn(conn *pgx.Conn, within time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_ = conn.Close(ctx) // nobody could do anything about an error
	select {
	case <-conn.PgConn().CleanupDone():
	case <-ctx.Done():
	}
}

// dial connects while functions run.
func (f *Feed) dial(ctx context.Context, notified func()) (*pgx.Conn, error) {
	type result struct {
		conn *pgx.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := connect(ctx, f.config.Pool, notified)
		done <- result{conn, err}
	}()
	for {
		select {
		case r := <-done:
			if r.err != nil {
				return nil, fmt.Errorf("connect to the database: %w", r.err)
			}
			return r.conn, nil
		case <-f.inbox.wake:
			f.runFunctions()
		}
	}
}
