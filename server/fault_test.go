package server_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/localpg"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/listen"
	"github.com/socksync/socksync/server"
)

// ticks is how often a condition is tried while patience lasts.
const ticks = 1000

// eventually waits for a condition for which there is no signal.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 10*patience, patience/ticks, what)
}

// retry runs a statement until it succeeds: connections of the pool may be dead.
func retry(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	eventually(t, sql, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_, err := pool.Exec(ctx, sql, args...)
		return err == nil
	})
}

// TestTerminatedBackends ends all connections of the server to the database, again
// and again, while commits go on.
func TestTerminatedBackends(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(8))
	exec(t, pool, itemsTable)
	live, address := serve(t, pool, &server.Config{Migrate: true}, listItem(), countItems())
	var followers []*follower
	for i := range 4 {
		followers = append(followers, follow(t, address, "items", i, 3))
	}
	admin, err := pgx.Connect(within(t), pool.Config().ConnString())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close(context.Background())) })

	for i := range 12 {
		_, err := admin.Exec(within(t), "UPDATE items SET n = (n * 7 + $1) % 31, note = 'round ' || $1::int", i)
		require.NoError(t, err)
		_, err = admin.Exec(within(t), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`)
		require.NoError(t, err)
		_, err = admin.Exec(within(t), "INSERT INTO items VALUES (100 + $1::int, $1, 'between')", i)
		require.NoError(t, err)
		if i%3 == 0 {
			followers[0].shows(answerOf[item](t, admin, fromItems, 0, 3))
		}
	}
	eventually(t, "the server is ready", func() bool { return live.Ready() == nil })
	for i, f := range followers {
		f.shows(answerOf[item](t, admin, fromItems, i, 3))
		require.Zero(t, f.refusals)
	}
	follow(t, address, "items", 2, 2).shows(answerOf[item](t, admin, fromItems, 2, 2))
}

// faulty is a server with a database of its own, which goes away.
type faulty struct {
	t        *testing.T
	postgres *localpg.Server
	pool     *pgxpool.Pool
	live     *server.Server
	address  string
	follower *follower
	counter  *browser
}

func newFaulty(t *testing.T) *faulty {
	t.Helper()
	f := &faulty{t: t, postgres: pgtest.Server(t, nil)}
	f.pool = pgtest.On(t, f.postgres, pgtest.MaxConns(8))
	exec(t, f.pool, itemsTable)
	f.live, f.address = serve(t, f.pool, &server.Config{Migrate: true}, listItem(), countItems())
	f.follower, f.counter = follow(t, f.address, "items", 0, 5), dial(t, f.address)
	require.Equal(t, "12", f.counter.value("count"))
	eventually(t, "the server is ready", func() bool { return f.live.Ready() == nil })
	return f
}

// away checks what is served while the database is away.
func (f *faulty) away() {
	f.t.Helper()
	eventually(f.t, "the server says that it is not ready", func() bool { return errors.Is(f.live.Ready(), listen.ErrDown) })
	held := f.follower.state
	f.follower.get()
	m := f.follower.take()
	require.Equal(f.t, "set_all", m.Func, "what is known is served")
	require.NoError(f.t, f.follower.state.apply(m))
	require.True(f.t, f.follower.state.equal(held), "the page stands still")
	f.counter.send(`{"func":"get","type":"var","name":"count"}`)
	require.Equal(f.t, "12", f.counter.set("count"))
	for range 2 { // the first one may have been under way
		f.unknown().refused(8, "a page that nobody has read")
	}
	require.ErrorIs(f.t, f.live.Ready(), listen.ErrDown)
}

// unknown asks for a page that nobody holds.
func (f *faulty) unknown() *browser {
	b := dial(f.t, f.address)
	b.send(`{"func":"subscribe","type":"list","name":"items"}`)
	b.send(`{"func":"get","type":"list","name":"items","page":2,"page_size":4}`)
	return b
}

// back checks that everything converges, on the connections that were there before.
func (f *faulty) back() {
	f.t.Helper()
	f.follower.shows(answerOf[item](f.t, f.pool, fromItems, 0, 5))
	require.Zero(f.t, f.follower.refusals)
	require.Equal(f.t, "13", f.counter.set("count"))
	eventually(f.t, "the server is ready", func() bool { return f.live.Ready() == nil })
	fresh := follow(f.t, f.address, "items", 2, 4)
	fresh.shows(answerOf[item](f.t, f.pool, fromItems, 2, 4))
	retry(f.t, f.pool, "UPDATE items SET note = 'alive'")
	fresh.shows(answerOf[item](f.t, f.pool, fromItems, 2, 4))
	f.follower.shows(answerOf[item](f.t, f.pool, fromItems, 0, 5))
}

// TestDatabaseHalted halts the database, and starts it again.
func TestDatabaseHalted(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	require.NoError(t, f.postgres.Halt(context.Background()))
	f.away()
	require.NoError(t, f.postgres.StartAgain(context.Background()))
	retry(t, f.pool, "INSERT INTO items VALUES (0, -1, 'while it was away')")
	f.back()
}

// TestDatabaseCrashed kills the database under a list and a writer. What triggers
// had logged is gone with it.
func TestDatabaseCrashed(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	exec(t, f.pool, "UPDATE items SET note = 'before the crash' WHERE id < 4")
	require.NoError(t, f.postgres.Kill(context.Background()))
	eventually(t, "the server notices", func() bool { return f.live.Ready() != nil })
	require.NoError(t, f.postgres.StartAgain(context.Background()))
	retry(t, f.pool, "INSERT INTO items VALUES (0, -1, 'after the crash') ON CONFLICT DO NOTHING")
	f.back()
}

// TestStopWhileDown stops a server whose database is away, and starts it when that
// is back.
func TestStopWhileDown(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	require.NoError(t, f.postgres.Halt(context.Background()))
	f.away()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, f.live.Stop(ctx))
	require.Equal(t, 4010, f.follower.ended())
	require.ErrorContains(t, f.live.Start(within(t)), "the database cannot be reached")
	require.NoError(t, f.postgres.StartAgain(context.Background()))
	eventually(t, "Start", func() bool { return f.live.Start(within(t)) == nil })
	follow(t, f.address, "items", 0, 5).shows(answerOf[item](t, f.pool, fromItems, 0, 5))
}
