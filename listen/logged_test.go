package listen

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/migrations"
)

// shown returns rows of values as texts, sorted.
func shown(rows [][]*string) []string {
	all := make([]string, 0, len(rows))
	for _, row := range rows {
		texts := make([]string, len(row))
		for i, value := range row {
			texts[i] = "NULL"
			if value != nil {
				texts[i] = "'" + *value + "'"
			}
		}
		all = append(all, strings.Join(texts, " "))
	}
	slices.Sort(all)
	return all
}

// loggedOf returns the rows of values that committed drains had for a table, sorted.
func (r *recorder) loggedOf(table string) []string {
	var rows [][]*string
	for _, d := range r.past().changes {
		if c := d.Tables[table]; c != nil {
			rows = append(rows, c.Logged...)
		}
	}
	return slices.Compact(shown(rows))
}

const loggedTables = `create table flights (id bigint primary key, origin text, v int not null default 0, destination text);
	create table parted (id bigint primary key, origin text, v int not null default 0, destination text) partition by range (id);
	create table parted1 partition of parted for values from (0) to (10)`

// startLogged runs a feed on tables of which it wants other columns.
func startLogged(t testing.TB, change ...func(*Config)) *fixture {
	t.Helper()
	pool := pgtest.New(t)
	_, err := pool.Exec(t.Context(), loggedTables)
	require.NoError(t, err)
	tables := []Table{{Name: "flights", Key: []string{"id"}, Logged: []string{"origin", "destination"}}, {Name: "parted", Key: []string{"id"}, Logged: []string{"origin", "destination"}}}
	return startOn(t, pool, tables, change...)
}

// TestLogged checks what the Drainer is told of the values of other columns, exactly.
func TestLogged(t *testing.T) {
	t.Parallel()
	f := startLogged(t)
	f.agrees(t)
	for _, table := range []string{"flights", "parted"} {
		for _, c := range []struct {
			sql          string
			keys, logged []string
		}{
			{"insert into % values (1, 'LHR', 0, 'CDG'), (2, 'LHR', 0, 'CDG'), (3, null, 0, '')", []string{"1", "2", "3"}, []string{"'LHR' 'CDG'", "NULL ''"}},
			{"update % set v = 1 where id = 2", []string{"2"}, []string{"'LHR' 'CDG'"}},
			{"update % set origin = 'JFK' where id = 2", []string{"2"}, []string{"'JFK' 'CDG'", "'LHR' 'CDG'"}},
			{"begin; update % set origin = null where id = 2; update % set origin = 'AMS' where id = 2; commit", []string{"2"}, []string{"'AMS' 'CDG'", "'JFK' 'CDG'", "NULL 'CDG'"}},
			{"update % set id = 4 where id = 3", []string{"3", "4"}, []string{"NULL ''"}},
			{"delete from % where id = 4", []string{"4"}, []string{"NULL ''"}},
			{"begin; update % set origin = 'X'; rollback", nil, []string{}},
		} {
			f.forget()
			_, err := f.pool.Exec(t.Context(), strings.ReplaceAll(c.sql, "%", table))
			require.NoError(t, err)
			f.agrees(t)
			want := make(map[string]bool)
			for _, key := range c.keys {
				want[key] = true
			}
			require.Equal(t, want, f.keysOf(table), c.sql)
			require.Equal(t, c.logged, f.loggedOf(table), c.sql)
			require.Empty(t, f.past().alls, c.sql)
		}
		f.forget()
		exec(t, f.pool, "truncate "+table)
		f.agrees(t)
		require.Positive(t, f.past().alls[table])
		require.Empty(t, f.loggedOf(table))
	}
}

// TestLoggedInJoins has values change while a load is in progress.
func TestLoggedInJoins(t *testing.T) {
	t.Parallel()
	f := startLogged(t)
	exec(t, f.pool, "insert into flights values (1, 'LHR'), (2, 'JFK')")
	f.agrees(t)
	f.forget()
	err := f.feed.Load(t.Context(), "load", []string{"flights"}, func(context.Context, pgx.Tx) error {
		exec(t, f.pool, "update flights set origin = 'AMS' where id = 1")
		exec(t, f.pool, "delete from flights where id = 2")
		return nil
	})
	require.NoError(t, err)
	joined := f.past().joined
	require.Len(t, joined, 1)
	require.False(t, joined[0].Stale)
	require.Equal(t, []string{"'AMS' NULL", "'JFK' NULL", "'LHR' NULL"}, shown(joined[0].Tables["flights"].Logged))
	require.Len(t, joined[0].Tables["flights"].Keys, 2)
}

// TestLoggedOverflow has more keys and values than are handed over one by one.
func TestLoggedOverflow(t *testing.T) {
	t.Parallel()
	f := startLogged(t, func(c *Config) { c.MaxKeys = 20 })
	f.agrees(t)
	f.forget()
	exec(t, f.pool, "insert into flights select g, 'same' from generate_series(1, 19) g")
	f.agrees(t)
	require.Empty(t, f.past().alls, "19 keys and a row of values")
	exec(t, f.pool, "insert into flights select g, g::text from generate_series(20, 30) g")
	f.agrees(t)
	require.Equal(t, 1, f.past().alls["flights"], "11 keys and 11 rows of values")
}

// TestLoggedWhileLocked keeps values for a table that cannot be read.
func TestLoggedWhileLocked(t *testing.T) {
	t.Parallel()
	f := startLogged(t, often)
	exec(t, f.pool, "insert into flights values (1, 'LHR')")
	f.agrees(t)
	f.forget()
	f.setInterfere(func(_ context.Context, _ pgx.Tx, d *Drain) error {
		if d.Tables["flights"] != nil {
			return &TableError{Table: "flights", Err: errors.New("locked")}
		}
		return nil
	})
	exec(t, f.pool, "update flights set origin = 'AMS'")
	f.wait(t, "an attempt", func() bool { return len(f.aborts) > 0 })
	exec(t, f.pool, "update flights set origin = null")
	f.arrive(t)
	require.Empty(t, f.loggedOf("flights"))
	f.setInterfere(nil)
	exec(t, f.pool, "update flights set origin = 'JFK'")
	f.wait(t, "the locked table", func() bool { return f.copies["flights"]["1"] == "(1,JFK,0,)" })
	require.Equal(t, []string{"'AMS' NULL", "'JFK' NULL", "'LHR' NULL", "NULL NULL"}, f.loggedOf("flights"))
	require.Empty(t, f.past().alls)
}

// repairs notes what a feed asks to be repaired, and does it if it may.
type repairs struct {
	mu      sync.Mutex
	allowed bool
	asked   map[string][]string // the columns to be logged, by table
}

func (r *repairs) repair(pool *pgxpool.Pool) func(context.Context, []Table) error {
	return func(ctx context.Context, tables []Table) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, table := range tables {
			r.asked[table.Name] = table.Logged
		}
		if !r.allowed {
			return errors.New("not yet")
		}
		return installTriggers(ctx, pool, tables)
	}
}

func (r *repairs) allow(allowed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.allowed = allowed
}

// wait returns when a table was to be repaired with these columns.
func (r *repairs) wait(t *testing.T, table string, logged ...string) {
	t.Helper()
	require.Eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return slices.Equal(r.asked[table], logged)
	}, patience, time.Millisecond)
}

// TestOthersColumns has another process install the triggers for columns of its own. What is wanted is found among them;
// what is not has the table read again, until the triggers are mended for both.
func TestOthersColumns(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"flights", "parted"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			r := &repairs{asked: make(map[string][]string)}
			f := startLogged(t, often, func(c *Config) { c.Repair = r.repair(c.Pool) })
			f.agrees(t)
			others := func(logged ...string) {
				f.forget()
				require.NoError(t, installTriggers(t.Context(), f.pool, []Table{{Name: table, Key: []string{"id"}, Logged: logged}}))
				f.wait(t, "the new triggers", func() bool { return f.alls[table] > 0 })
				f.agrees(t)
				f.forget()
			}
			others("v", "destination", "id", "origin")
			r.wait(t, table, "v", "destination", "id", "origin")
			exec(t, f.pool, "insert into "+table+" values (1, 'LHR', 7, 'CDG')")
			f.agrees(t)
			require.Equal(t, []string{"'LHR' 'CDG'"}, f.loggedOf(table))
			require.Empty(t, f.past().alls)

			others("v", "origin")
			r.wait(t, table, "destination", "origin", "v")
			exec(t, f.pool, "update "+table+" set origin = 'JFK'")
			f.agrees(t)
			require.Positive(t, f.past().alls[table], "what is not known is everything")
			require.Empty(t, f.loggedOf(table))
			require.NoError(t, f.feed.Ready(), "nothing goes unnoticed")
			f.forget()
			r.allow(true)
			f.wait(t, "the new triggers", func() bool { return f.alls[table] > 0 })
			f.forget()
			exec(t, f.pool, "update "+table+" set origin = 'AMS'")
			f.agrees(t)
			require.Equal(t, []string{"'AMS' 'CDG'", "'JFK' 'CDG'"}, f.loggedOf(table))
		})
	}
}

// TestLoggedColumnReplaced renames a wanted column and gives its name to another.
func TestLoggedColumnReplaced(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"flights", "parted"} {
		f := startLogged(t, often)
		exec(t, f.pool, "insert into "+table+" values (1, 'LHR', 7, 'CDG')")
		f.agrees(t)
		f.forget()
		exec(t, f.pool, "alter table "+table+" rename origin to was")
		f.wait(t, "the loss of a column", func() bool {
			return slices.ContainsFunc(f.changes, func(d Drain) bool {
				c := d.Tables[table]
				return c != nil && c.Missing != nil && contains(c.Missing.Error(), "column origin")
			})
		})
		exec(t, f.pool, "alter table "+table+" add origin text default 'AMS'")
		f.wait(t, "the column", func() bool { return f.alls[table] > 0 })
		f.agrees(t)
		f.forget()
		exec(t, f.pool, "update "+table+" set v = 8")
		f.agrees(t)
		require.Equal(t, 1, f.past().alls[table])
		require.NoError(t, installTriggers(t.Context(), f.pool, f.tables))
		f.wait(t, "the new triggers", func() bool { return f.alls[table] > 1 })
		f.forget()
		exec(t, f.pool, "update "+table+" set origin = 'JFK'")
		f.agrees(t)
		require.Equal(t, []string{"'AMS' 'CDG'", "'JFK' 'CDG'"}, f.loggedOf(table))
	}
}

// TestUpgradeUnderAFeed brings the schema from version 3 to 4 while a feed runs and rows change. Nothing is read again;
// that happens when the triggers are replaced.
func TestUpgradeUnderAFeed(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	_, err := pool.Exec(t.Context(), loggedTables)
	require.NoError(t, err)
	installVersion3(t, pool)
	exec(t, pool, "select socksync.install('flights', '{id}')")
	f := newFixture(t, pool, []Table{{Name: "flights", Key: []string{"id"}}}, often)
	require.NoError(t, f.feed.Start(context.WithoutCancel(t.Context())))
	f.agrees(t)
	f.forget()
	stop := writing(t, pool)
	require.NoError(t, migrations.Up(t.Context(), pool))
	require.NoError(t, installTriggers(t.Context(), pool, f.tables))
	f.arrive(t)
	require.Empty(t, f.past().alls)
	require.Empty(t, f.past().downs)

	wanted := []Table{{Name: "flights", Key: []string{"id"}, Logged: []string{"origin"}}}
	other := newFixture(t, pool, wanted, often)
	require.NoError(t, other.feed.Start(context.WithoutCancel(t.Context())))
	other.arrive(t)
	require.NoError(t, installTriggers(t.Context(), pool, wanted))
	f.wait(t, "the new triggers", func() bool { return f.alls["flights"] > 0 })
	other.wait(t, "values", func() bool {
		return slices.ContainsFunc(other.changes, func(d Drain) bool { return d.Tables["flights"] != nil && d.Tables["flights"].Logged != nil })
	})
	stop()
	f.agrees(t)
	other.agrees(t)
	require.Equal(t, 1, f.past().alls["flights"])
}

// installVersion3 makes the schema as an older version of the program did.
func installVersion3(t *testing.T, pool *pgxpool.Pool) {
	dir := t.TempDir()
	_, err := migrations.WriteFiles(dir, nil)
	require.NoError(t, err)
	db := stdlib.OpenDBFromPool(pool)
	defer func() { require.NoError(t, db.Close()) }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS(dir))
	require.NoError(t, err)
	_, err = provider.UpTo(t.Context(), 3)
	require.NoError(t, err)
}

// writing has rows of flights written until the test stops it.
func writing(t *testing.T, pool *pgxpool.Pool) (stop func()) {
	var writer sync.WaitGroup
	done := make(chan struct{})
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			_, err := pool.Exec(context.Background(), "insert into flights values ($1, 'LHR') on conflict (id) do update set origin = $2", i%10, "O"+itoa(i))
			if err != nil {
				t.Error(err)
			}
		}
	})
	return func() {
		close(done)
		writer.Wait()
	}
}
