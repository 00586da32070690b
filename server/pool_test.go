package server_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/listen"
	"github.com/socksync/socksync/server"
)

// TestSmallPool serves everything from a pool of one connection, also while somebody
// else has that.
func TestSmallPool(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(1))
	exec(t, pool, itemsTable+othersTable)
	_, address := serve(t, pool, &server.Config{Migrate: true}, listItem(), countItems(),
		listItem(binding.Name("others"), binding.Table("others")), listItem(binding.Name("down"), binding.Order("-n nulls last, note")),
		binding.Func("delay", delay(pool)))
	others, down, counter := follow(t, address, "others", 0, 5), follow(t, address, "down", 1, 5), dial(t, address)
	f := follow(t, address, "items", 0, 5)
	require.Equal(t, "12", counter.value("count"))
	f.send(`{"func":"subscribe","type":"function","name":"delay"}`)
	f.send(`{"func":"call","type":"function","name":"delay","id":"1","args":{"id":1,"minutes":1000}}`)
	for returned := false; !returned; {
		m := f.take()
		if returned = m.Func == "return"; !returned {
			require.NoError(t, f.state.apply(m))
		}
	}
	f.shows(answerOf[item](t, pool, fromItems, 0, 5))

	beside, err := pgx.Connect(within(t), pool.Config().ConnString())
	require.NoError(t, err)
	defer func() { require.NoError(t, beside.Close(context.Background())) }()
	taken, err := pool.Acquire(within(t))
	require.NoError(t, err)
	_, err = beside.Exec(within(t), "DELETE FROM items WHERE id = 2; UPDATE others SET n = 7")
	require.NoError(t, err)
	f.shows(answerOf[item](t, beside, fromItems, 0, 5))
	others.shows(answerOf[item](t, beside, "SELECT id, n, note FROM others", 0, 5))
	down.shows(answerOf[item](t, beside, "SELECT id, n, note FROM items ORDER BY n DESC NULLS LAST, note, id", 1, 5))
	taken.Release()
	require.Equal(t, "11", counter.set("count"), "a query of a var has waited for the connection")
}

// TestPoolWithoutTables gives a pool to a server that has no use for it.
func TestPoolWithoutTables(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	live, address := serve(t, pool, nil, whoami())
	require.NoError(t, live.Ready())
	b := dial(t, address)
	b.send(`{"func":"subscribe","type":"function","name":"whoami"}`)
	require.Equal(t, "nobody", b.callFails("whoami"))
}

// TestTwoServers has two servers follow the same tables, of which one stops.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(8))
	exec(t, pool, itemsTable)
	first, at := serve(t, pool, &server.Config{Migrate: true}, listItem())
	_, alsoAt := serve(t, pool, &server.Config{Migrate: true}, listItem(binding.Order("-id")))
	a, b := follow(t, at, "items", 0, 5), follow(t, alsoAt, "items", 0, 5)
	const fromDown = "SELECT id, n, note FROM items ORDER BY id DESC"
	for range 10 {
		exec(t, pool, "INSERT INTO items SELECT max(id) + 1, -max(id), NULL FROM items")
		a.shows(answerOf[item](t, pool, fromItems, 0, 5))
		b.shows(answerOf[item](t, pool, fromDown, 0, 5))
	}
	require.NoError(t, first.Stop(within(t)))
	for range 10 {
		exec(t, pool, "INSERT INTO items SELECT max(id) + 1, -max(id), NULL FROM items")
		b.shows(answerOf[item](t, pool, fromDown, 0, 5))
	}
}

// TestMissingTriggers checks that a server that may not migrate says so when the
// triggers are gone, and shows what it can.
func TestMissingTriggers(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	migrator := newServer(t, pool, &server.Config{Migrate: true}, listItem())
	require.NoError(t, migrator.Start(within(t)))
	require.NoError(t, migrator.Stop(within(t)))
	live, address := serve(t, pool, nil, listItem())
	f := follow(t, address, "items", 0, 5)
	eventually(t, "the server is ready", func() bool { return live.Ready() == nil })

	exec(t, pool, "DROP TABLE items;"+itemsTable+"DELETE FROM items WHERE id < 3")
	f.shows(answerOf[item](t, pool, fromItems, 0, 5))
	eventually(t, "the server misses the triggers", func() bool { return errors.Is(live.Ready(), listen.ErrTriggers) })
	require.NoError(t, migrator.Start(within(t)))
	eventually(t, "the triggers are back", func() bool { return live.Ready() == nil })
	exec(t, pool, "DELETE FROM items WHERE id < 5")
	f.shows(answerOf[item](t, pool, fromItems, 0, 5))
}

// TestStopWhileLoading stops a server whose list waits for a lock.
func TestStopWhileLoading(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(8))
	exec(t, pool, itemsTable)
	live := newServer(t, pool, &server.Config{Migrate: true}, listItem(), countItems())
	address := mount(t, live)
	require.NoError(t, live.Start(within(t)))
	f := follow(t, address, "items", 0, 5)
	counter := dial(t, address)
	require.Equal(t, "12", counter.value("count"))

	exec(t, pool, "TRUNCATE items")
	require.Equal(t, "0", counter.set("count"))
	tx, err := pool.Begin(within(t))
	require.NoError(t, err)
	_, err = tx.Exec(within(t), "LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	f.get()
	require.NoError(t, live.Stop(within(t)))
	require.Equal(t, 4010, f.ended())
	require.NoError(t, tx.Rollback(within(t)))
	allReturned(t, pool)
}
