package server_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/lifecycle"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/migrations"
	"github.com/socksync/socksync/server"
)

// newServer makes a server that is stopped at the end of the test.
func newServer(t testing.TB, pool *pgxpool.Pool, config *server.Config, defs ...binding.Definition) *server.Server {
	t.Helper()
	live, err := server.New(pool, config, defs...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, live.Stop(context.Background())) })
	return live
}

// TestStartWithoutDatabase checks the error of a database that is not there, or is
// not the one that is meant.
func TestStartWithoutDatabase(t *testing.T) {
	t.Parallel()
	missing := pgtest.New(t).Config()
	missing.ConnConfig.Database = "no_such_database"
	nowhere := missing.Copy()
	nowhere.ConnConfig.Host = filepath.Join(t.TempDir(), "nobody")
	for about, config := range map[string]*pgxpool.Config{"no database": missing, "no server": nowhere} {
		pool, err := pgxpool.NewWithConfig(within(t), config)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		live := newServer(t, pool, &server.Config{Migrate: true}, listItem())
		for range 2 {
			require.ErrorContains(t, live.Start(within(t)), "the database cannot be reached", about)
			require.ErrorIs(t, live.Ready(), server.ErrNotStarted, about)
		}
		require.NoError(t, live.Stop(within(t)), about)
	}
}

// Structs that do not fit the table.
type (
	unscannable struct {
		_    struct{} `socksync:"table=items; list=unscannable"`
		ID   int64    `db:"id" json:"id" socksync:"pk"`
		Note struct {
			X int
		} `db:"note" json:"note"`
	}
	mistyped struct {
		_    struct{} `socksync:"table=items; list=mistyped"`
		ID   int64    `db:"id" json:"id" socksync:"pk"`
		Note int      `db:"note" json:"note"`
	}
	lacking struct {
		_     struct{} `socksync:"table=items; list=lacking; order=color"`
		ID    int64    `db:"id" json:"id" socksync:"pk"`
		Color string   `db:"color" json:"color"`
	}
	keyless struct {
		_ struct{} `socksync:"table=keyless; list=keyless"`
		N int      `db:"n" json:"n" socksync:"pk"`
	}
)

func variable(name, query string, tables ...string) binding.Definition {
	return binding.Var[int64](binding.Name(name), binding.Query(query, tables...))
}

// misfits are definitions that do not fit the database, and what Start says of each.
var misfits = []struct {
	def  binding.Definition
	says []string
}{
	{listItem(binding.Table("nowhere")), []string{`list "items"`, "nowhere", "does not exist"}},
	{listItem(binding.Table("nowhere.items")), []string{`list "items"`, "nowhere", "does not exist"}},
	{listItem(binding.Table(`"Items"`)), []string{`list "items"`, "Items", "does not exist"}},
	{binding.List[lacking](), []string{`list "lacking"`, "items", `"color"`}},
	{binding.List[mistyped](), []string{`list "mistyped"`, `"note"`, "text", "mistyped.Note", "int"}},
	{binding.List[unscannable](), []string{`list "unscannable"`, `"note"`, "unscannable.Note"}},
	{binding.List[keyless](), []string{"keyless"}},
	{listItem(binding.Table("items_view")), []string{"items_view"}},
	{listItem(binding.Where("paint = 'red'")), []string{`list "items"`, "paint"}},
	{listItem(binding.Where("n >")), []string{`list "items"`, "syntax error"}},
	{listItem(binding.Where("note")), []string{`list "items"`, "boolean"}},
	{variable("none", "SELECT count(*) FROM nowhere", "items"), []string{`var "none"`, "nowhere"}},
	{variable("depends", "SELECT 1::bigint", "nowhere"), []string{`var "depends"`, "nowhere"}},
	{variable("keyless", "SELECT count(*) FROM keyless", "keyless"), []string{`var "keyless"`, "keyless", "primary key"}},
	{variable("two", "SELECT id, id FROM items", "items"), []string{`var "two"`, "2 columns"}},
	{variable("no", "SELECT FROM items", "items"), []string{`var "no"`, "0 columns"}},
	{variable("type", "SELECT note FROM items", "items"), []string{`var "type"`, "text", "int64"}},
	{variable("syntax", "SELEC 1", "items"), []string{`var "syntax"`, "syntax error"}},
	{variable("statements", "SELECT 1; SELECT 2", "items"), []string{`var "statements"`}},
	{variable("write", "DELETE FROM items", "items"), []string{`var "write"`}},
	{binding.Var[item](binding.Name("object"), binding.Query("SELECT 1 AS id", "items")), []string{`var "object"`, `"n"`, `"note"`}},
}

// TestDefinitionsAgainstTheTable checks that what does not fit the database is an
// error of Start that names the definition, and what is wrong with it.
func TestDefinitionsAgainstTheTable(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable+`CREATE TABLE keyless (n int); CREATE VIEW items_view AS SELECT * FROM items;`)
	for _, c := range misfits {
		live := newServer(t, pool, &server.Config{Migrate: true}, c.def)
		err := live.Start(within(t))
		require.Error(t, err, c.def)
		for _, says := range c.says {
			require.ErrorContains(t, err, says, c.def)
		}
	}
	live := newServer(t, pool, &server.Config{Migrate: true}, listItem(binding.Table("nowhere")),
		listItem(binding.Name("other"), binding.Where("paint")), variable("third", "SELEC", "items"),
		variable("fourth", "SELECT 1::bigint", "nowhere", "items", "neverwhere"))
	err := live.Start(within(t))
	for _, says := range []string{`"items"`, `"other"`, `"third"`, `"fourth"`, `"neverwhere"`} {
		require.ErrorContains(t, err, says, "every mistake is said")
	}
	require.NotContains(t, err.Error(), "aborted", "and nothing that only follows from one")
}

// TestKeysDiffer checks that two definitions cannot follow a table by different keys.
func TestKeysDiffer(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, "CREATE TABLE pairs (a int, b text NOT NULL UNIQUE, v text, PRIMARY KEY (a, b))")
	live := newServer(t, pool, &server.Config{Migrate: true},
		listPair(binding.Name("whole")), listPair(binding.Name("half"), binding.PrimaryKey("b")))
	err := live.Start(within(t))
	require.ErrorContains(t, err, `list "half"`)
	require.ErrorContains(t, err, "pairs")
}

// TestStartUnmigrated checks that nothing is migrated unasked, and what Start says.
func TestStartUnmigrated(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	live := newServer(t, pool, nil, listItem())
	err := live.Start(within(t))
	require.ErrorIs(t, err, migrations.ErrNoSchema)
	require.ErrorContains(t, err, "Config.Migrate")
	var there bool
	require.NoError(t, pool.QueryRow(within(t), "SELECT to_regnamespace('socksync') IS NOT NULL").Scan(&there))
	require.False(t, there)

	require.NoError(t, migrations.Up(within(t), pool))
	err = live.Start(within(t))
	require.ErrorContains(t, err, "items")
	require.ErrorContains(t, err, "trigger")
	require.ErrorContains(t, err, "Config.Migrate")
	require.NoError(t, migrations.Install(within(t), pool, []migrations.Table{{Name: "items", Key: []string{"id"}}}))
	require.NoError(t, live.Start(within(t)))
}

// TestStartTwice checks that a server is started once however often it is told to,
// and can be started again.
func TestStartTwice(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	live, err := server.New(pool, &server.Config{Migrate: true}, listItem(), countItems())
	require.NoError(t, err)
	require.NoError(t, live.Stop(within(t)), "before Start")
	address := mount(t, live)
	for range 3 {
		started := make(chan error, 4)
		for range cap(started) {
			go func() { started <- live.Start(within(t)) }()
		}
		for range cap(started) {
			require.NoError(t, await(t, started, "Start"))
		}
		f := follow(t, address, "items", 0, 5)
		before := dial(t, address).value("count")
		exec(t, pool, "INSERT INTO items SELECT max(id) + 1, 0, NULL FROM items")
		f.shows(answerOf[item](t, pool, fromItems, 0, 5))
		require.NotEqual(t, before, dial(t, address).value("count"), "it was read since")

		require.NoError(t, live.Stop(within(t)))
		require.NoError(t, live.Stop(within(t)), "twice")
		require.Equal(t, 4010, f.ended())
		allReturned(t, pool)
		exec(t, pool, "UPDATE items SET n = n + 1") // the pool is the caller's
	}
}

func countItems() *binding.VarDef {
	return binding.Var[int64](binding.Name("count"), binding.Query("SELECT count(*) FROM items", "items"))
}

// TestStartCanceled checks that Start gives up with its context, and leaves nothing.
func TestStartCanceled(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	live := newServer(t, pool, &server.Config{Migrate: true}, listItem())
	ctx, cancel := context.WithCancelCause(context.Background())
	reason := errors.New("no patience")
	cancel(reason)
	require.ErrorIs(t, live.Start(ctx), reason)
	require.ErrorIs(t, live.Ready(), server.ErrNotStarted)

	blocked, release := lock(t, pool)
	ctx, cancel = context.WithCancelCause(context.Background())
	started := make(chan error, 1)
	go func() { started <- live.Start(ctx) }()
	blocked()
	impatient, leave := context.WithCancel(context.Background())
	leave()
	require.ErrorIs(t, live.Start(impatient), context.Canceled, "who waits for another's start need not wait on")
	cancel(reason)
	require.ErrorIs(t, await(t, started, "Start"), reason)
	release()
	ctx, cancel = context.WithCancelCause(context.Background())
	address := mount(t, live)
	require.NoError(t, live.Start(ctx), "the next one is not concerned")
	cancel(reason)
	f := follow(t, address, "items", 0, 5)
	exec(t, pool, "DELETE FROM items WHERE id = 1")
	f.shows(answerOf[item](t, pool, fromItems, 0, 5)) // the context bounds the start only
}

// lock keeps triggers from being installed on the items. The first function waits
// until somebody waits for that, the second lets them.
func lock(t testing.TB, pool *pgxpool.Pool) (blocked, release func()) {
	t.Helper()
	tx, err := pool.Begin(within(t))
	require.NoError(t, err)
	_, err = tx.Exec(within(t), "LOCK TABLE items IN ROW EXCLUSIVE MODE")
	require.NoError(t, err)
	blocked = func() {
		t.Helper()
		require.Eventually(t, func() bool {
			var waits bool
			err := pool.QueryRow(within(t), `SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
				WHERE d.datname = current_database() AND NOT l.granted)`).Scan(&waits)
			return err == nil && waits
		}, patience, patience/1000)
	}
	return blocked, func() { require.NoError(t, tx.Rollback(within(t))) }
}

// TestStopDuringStart checks that Stop ends a Start that takes long.
func TestStopDuringStart(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	live := newServer(t, pool, &server.Config{Migrate: true}, listItem())
	blocked, release := lock(t, pool)
	started := make(chan error, 2)
	for range 2 {
		go func() { started <- live.Start(context.Background()) }()
	}
	blocked()
	require.NoError(t, live.Stop(within(t)))
	for range 2 {
		require.ErrorIs(t, await(t, started, "Start"), lifecycle.ErrStopped)
	}
	require.ErrorIs(t, live.Ready(), server.ErrNotStarted)
	release()
	require.NoError(t, live.Start(within(t)))
	follow(t, mount(t, live), "items", 0, 5)
}

// allReturned waits until no connection of the pool is taken. One whose query was
// canceled is closed, and given back, in the background.
func allReturned(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	require.Eventually(t, func() bool { return pool.Stat().AcquiredConns() == 0 }, patience, patience/1000)
}

// TestStartAndStopAtOnce has starts and stops meet at all moments. Whatever the
// outcome, the last Stop leaves nothing that serves, and, by the leak check of all
// tests, no goroutine.
func TestStartAndStopAtOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	for about, c := range map[string]struct {
		live   *server.Server
		rounds int
	}{
		"nothing to check": {newServer(t, nil, nil), 500},
		"a database":       {newServer(t, pool, &server.Config{Migrate: true}, listItem(), countItems()), 15},
	} {
		for round := range c.rounds {
			ctx, cancel := context.WithCancel(context.Background())
			started := make(chan error, 1)
			go func() { started <- c.live.Start(ctx) }()
			if round%2 == 0 {
				go cancel()
			}
			var err error
			for waits := round%3 > 0; waits; {
				select {
				case err = <-started:
					waits = false
				default:
					require.NoError(t, c.live.Stop(context.Background()))
				}
			}
			if round%3 == 0 {
				err = await(t, started, "Start")
			}
			if err != nil {
				ended := errors.Is(err, lifecycle.ErrStopped) || errors.Is(err, context.Canceled)
				require.True(t, ended, "%s: %v", about, err)
				require.ErrorIs(t, c.live.Ready(), server.ErrNotStarted, about)
			}
			require.NoError(t, c.live.Stop(within(t)))
			require.ErrorIs(t, c.live.Ready(), server.ErrNotStarted, about)
			cancel()
		}
	}
	allReturned(t, pool)
}
