package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/server"
)

// scene is a list that is followed, of a table that changes its shape, and a list
// of another table that must not notice.
type scene struct {
	t             *testing.T
	pool          *pgxpool.Pool
	address       string
	follower      *follower
	other         *follower
	otherVersions int
}

const othersTable = `CREATE TABLE others (id bigint PRIMARY KEY, n int, note text); INSERT INTO others VALUES (1, 0, NULL);`

func newScene(t *testing.T, pool *pgxpool.Pool) *scene {
	t.Helper()
	exec(t, pool, itemsTable+othersTable)
	_, address := serve(t, pool, &server.Config{Migrate: true},
		listItem(), listItem(binding.Name("others"), binding.Table("others")), countItems())
	return &scene{
		t: t, pool: pool, address: address,
		follower: follow(t, address, "items", 0, 5), other: follow(t, address, "others", 0, 5),
	}
}

// serves checks that the other list is served as if nothing was.
func (s *scene) serves(about string) {
	s.t.Helper()
	s.otherVersions++
	exec(s.t, s.pool, "UPDATE others SET n = $1", s.otherVersions)
	s.other.shows(answerOf[item](s.t, s.pool, "SELECT id, n, note FROM others", 0, 5))
	require.Zero(s.t, s.other.refusals, about)
}

// recovers checks that the page is as in the database, is answered when asked for,
// and follows changes.
func (s *scene) recovers(about string) {
	s.t.Helper()
	s.follower.asks(about+": an answer", isPage)
	s.follower.shows(answerOf[item](s.t, s.pool, fromItems, 0, 5))
	exec(s.t, s.pool, "INSERT INTO items (id, n, note) VALUES (-1, -1, $1)", about)
	s.follower.shows(answerOf[item](s.t, s.pool, fromItems, 0, 5))
	exec(s.t, s.pool, "DELETE FROM items WHERE id = -1")
	s.follower.shows(answerOf[item](s.t, s.pool, fromItems, 0, 5))
	fresh := follow(s.t, s.address, "items", 1, 3)
	fresh.shows(answerOf[item](s.t, s.pool, fromItems, 1, 3))
	require.NoError(s.t, fresh.conn.CloseNow())
}

// TestTableGoesAway takes away what the list needs, in every way, and gives it back.
// Meanwhile the list is refused, and the page that is held does not change.
func TestTableGoesAway(t *testing.T) {
	t.Parallel()
	for about, c := range map[string]struct{ away, back string }{
		"table dropped":       {"DROP TABLE items", itemsTable + "DELETE FROM items WHERE id > 7"},
		"table renamed":       {"ALTER TABLE items RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO items"},
		"table moved":         {"CREATE SCHEMA s; ALTER TABLE items SET SCHEMA s", "ALTER TABLE s.items SET SCHEMA public"},
		"column dropped":      {"ALTER TABLE items DROP COLUMN note", "ALTER TABLE items ADD COLUMN note text DEFAULT 'new'"},
		"column renamed":      {"ALTER TABLE items RENAME COLUMN note TO remark", "ALTER TABLE items RENAME COLUMN remark TO note"},
		"order dropped":       {"ALTER TABLE items DROP COLUMN n", "ALTER TABLE items ADD COLUMN n int; UPDATE items SET n = -id"},
		"another of its name": {"ALTER TABLE items RENAME TO elsewhere", "CREATE TABLE items (note text, id bigint PRIMARY KEY, n int); INSERT INTO items VALUES ('x', 3, 3)"},
		"column of a type":    {"ALTER TABLE items ALTER note TYPE bytea USING note::bytea", "ALTER TABLE items ALTER note TYPE text USING 'back'"},
	} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, pgtest.New(t))
			held := s.follower.state
			exec(t, s.pool, c.away)
			if about != "column of a type" { // rows of which one value cannot be read are still rows
				s.follower.asks("a refusal", isRefusal)
				require.True(t, s.follower.state.equal(held), "the page stands still")
				fresh := dial(t, s.address)
				fresh.send(`{"func":"subscribe","type":"list","name":"items"}`)
				fresh.send(`{"func":"get","type":"list","name":"items"}`)
				fresh.refused(8)
			}
			s.serves(about)
			exec(t, s.pool, c.back)
			s.recovers(about)
			s.serves(about)
		})
	}
}

// TestTableChangesShape has DDL change data that no trigger sees.
func TestTableChangesShape(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t))
	for _, ddl := range []string{
		"ALTER TABLE items ALTER note TYPE varchar(300) USING upper(note)",
		"ALTER TABLE items ALTER n TYPE bigint USING -n",
		"ALTER TABLE items ALTER n TYPE int USING n / 3",
		"ALTER TABLE items ALTER note TYPE text COLLATE \"C\" USING note || '!'",
		"ALTER TABLE items ADD COLUMN extra int DEFAULT 7",
		"ALTER TABLE items DROP COLUMN note, DROP COLUMN extra, ADD COLUMN note text DEFAULT 'default'",
		"TRUNCATE items",
		"INSERT INTO items SELECT g, g % 4, 'back ' || g FROM generate_series(1, 9) g",
		"BEGIN; TRUNCATE items; INSERT INTO items VALUES (7, 7, 'seven'); COMMIT",
		"CLUSTER items USING items_pkey",
		"DO $$BEGIN FOR i IN 100..140 LOOP INSERT INTO items VALUES (i, i, NULL); END LOOP; END$$",
		"ALTER TABLE items DISABLE TRIGGER USER",
		"ALTER TABLE items SET UNLOGGED",
	} {
		exec(t, s.pool, ddl)
		s.follower.shows(answerOf[item](t, s.pool, fromItems, 0, 5))
		s.recovers(ddl)
	}
	s.serves("after all")
}

// TestConditionThatFails has one row make the condition of a list an error.
func TestConditionThatFails(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	_, address := serve(t, pool, &server.Config{Migrate: true}, listItem(),
		listItem(binding.Name("inverse"), binding.Where("100 / n >= 1")),
		binding.Var[int64](binding.Name("sum"), binding.Query("SELECT sum(100 / n) FROM items", "items")))
	const from = "SELECT id, n, note FROM items WHERE n <> 0 AND 100 / n >= 1 ORDER BY n, id"
	f, all, sum := follow(t, address, "inverse", 0, 5), follow(t, address, "items", 0, 5), dial(t, address)
	before := sum.value("sum")

	exec(t, pool, "INSERT INTO items VALUES (0, 0, 'breaks it')")
	f.asks("a refusal", isRefusal)
	for m := (message{}); m.Func != "error"; m = sum.take() {
		sum.send(`{"func":"get","type":"var","name":"sum"}`)
	}
	all.shows(answerOf[item](t, pool, fromItems, 0, 5))
	exec(t, pool, "UPDATE items SET note = 'the other list goes on' WHERE id = 1")
	all.shows(answerOf[item](t, pool, fromItems, 0, 5))

	exec(t, pool, "DELETE FROM items WHERE id = 0")
	f.asks("an answer", isPage)
	f.shows(answerOf[item](t, pool, from, 0, 5))
	require.Equal(t, before, dial(t, address).value("sum"))
}

// TestLockedTable holds a table ACCESS EXCLUSIVE. Its list stands still, others go on.
func TestLockedTable(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t, pgtest.MaxConns(8)))
	held := s.follower.state
	tx, err := s.pool.Begin(within(t))
	require.NoError(t, err)
	_, err = tx.Exec(within(t), "LOCK TABLE items IN ACCESS EXCLUSIVE MODE; UPDATE items SET n = 100 - n, note = 'locked'")
	require.NoError(t, err)
	unread := dial(t, s.address)
	unread.send(`{"func":"subscribe","type":"list","name":"items"}`)
	unread.send(`{"func":"get","type":"list","name":"items","page":1,"page_size":7}`)
	unread.refused(8, "a page that must be read")
	for range 20 {
		s.serves("during the lock")
	}
	s.follower.get()
	m := s.follower.take()
	require.Equal(t, "set_all", m.Func, "what is known is served")
	require.NoError(t, s.follower.state.apply(m))
	require.True(t, s.follower.state.equal(held))
	require.NoError(t, tx.Commit(within(t)))
	s.follower.shows(answerOf[item](t, s.pool, fromItems, 0, 5))
	s.recovers("unlocked")
}

// TestLockedAtStart starts a server while a table cannot be read.
func TestLockedAtStart(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(8))
	exec(t, pool, itemsTable)
	config := &server.Config{Migrate: true}
	first := newServer(t, pool, config, listItem())
	require.NoError(t, first.Start(within(t)))
	require.NoError(t, first.Stop(within(t)))

	live := newServer(t, pool, &server.Config{}, listItem(), countItems())
	address := mount(t, live)
	require.NoError(t, live.Start(within(t)))
	tx, err := pool.Begin(within(t))
	require.NoError(t, err)
	_, err = tx.Exec(within(t), "LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	b := dial(t, address)
	b.send(`{"func":"subscribe","type":"list","name":"items"}`)
	b.send(`{"func":"get","type":"list","name":"items"}`)
	m := b.take() // it may have been loaded before the lock
	if m.Func == "error" {
		require.Equal(t, 8, m.ErrorCode)
	}
	require.NoError(t, tx.Rollback(within(t)))
	f := &follower{browser: b, name: "items", size: 50}
	f.asks("an answer", isPage)
	f.shows(answerOf[item](t, pool, fromItems, 0, 50))
}

// TestBulk changes so much at once that the list is loaded anew, while others write.
func TestBulk(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t, pgtest.ICU("en-US")))
	for i := range 2 {
		exec(t, s.pool, "INSERT INTO items SELECT g, g % 1000, md5(g::text) FROM generate_series($1::bigint, $1 + 20999) g", 1000+30000*i)
		s.serves(fmt.Sprint("bulk ", i))
		s.follower.shows(answerOf[item](t, s.pool, fromItems, 0, 5))
	}
	exec(t, s.pool, "UPDATE items SET n = -n, note = $1", strings.Repeat("bulk ", 3))
	s.serves("update")
	s.recovers("updated")
}
