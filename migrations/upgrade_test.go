package migrations_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/migrations"
)

// atVersion returns a database whose schema is at an older version, and in which triggers log.
func atVersion(t *testing.T, version int64) (pool *pgxpool.Pool, dir string) {
	t.Helper()
	pool, dir = pgtest.New(t), t.TempDir()
	writeFiles(t, dir)
	pipeline(t, pool, dir, func(ctx context.Context, p *goose.Provider) error { _, err := p.UpTo(ctx, version); return err })
	raiseLimit(t, pool)
	return pool, dir
}

const upgradeTables = `create table plain (id int primary key, v int); create table parted (id int primary key, v int) partition by range (id);
	create table parted1 partition of parted for values from (0) to (1000); insert into plain values (0, 0); insert into parted values (0, 0)`

// busy has a writer change rows of both tables until the test stops it, and returns how many times it did.
func busy(t *testing.T, pool *pgxpool.Pool) (stop func() (times int)) {
	t.Helper()
	var over atomic.Bool
	done, started := make(chan struct{}), make(chan struct{})
	times := 0
	go func() {
		defer close(done)
		for ; !over.Load(); times++ {
			if _, err := pool.Exec(context.Background(), "update plain set v = v + 1; update parted set v = v + 1"); err != nil {
				t.Error(err)
				return
			}
			if times == 0 {
				close(started)
			}
		}
	}()
	<-started
	return func() int {
		over.Store(true)
		<-done
		return times
	}
}

// TestUpgrade brings a database that is written to from version 3 to 4 and back. What is installed stays, unless it logs
// values; no write fails and none of a table that is followed throughout is missed.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	pool, dir := atVersion(t, 3)
	exec(t, pool, upgradeTables)
	exec(t, pool, "select socksync.install('plain', '{id}'), socksync.install('parted', '{id}')")
	before := triggersOf(t, pool)
	tables := []migrations.Table{table("plain", "id"), table("parted", "id")}
	require.ErrorIs(t, migrations.Install(t.Context(), pool, tables), migrations.ErrNoSchema)

	stop := busy(t, pool)
	require.NoError(t, migrations.Up(t.Context(), pool))
	install(t, pool, tables...)
	require.Equal(t, before, triggersOf(t, pool), "nothing was touched")
	install(t, pool, tables[0], with(tables[1], "v"))
	require.Subset(t, triggersOf(t, pool), before[len(before)-5:], "those of plain")
	times := stop()
	require.Equal(t, times, value[int](t, pool, "select count(*) from socksync.change where relation = 'plain'::regclass"))
	require.Equal(t, times, value[int](t, pool, "select count(*) from socksync.change where relation = 'parted1'::regclass"))
	exec(t, pool, "select socksync.install('plain', '{id}')") // as a file or a server of version 3 does
	require.NoError(t, status(t, pool, tables[0], with(tables[1], "v")).Err())

	stop = busy(t, pool)
	pipeline(t, pool, dir, up) // its own record of what it did
	pipeline(t, pool, dir, func(ctx context.Context, p *goose.Provider) error { _, err := p.DownTo(ctx, 3); return err })
	stop()
	require.Subset(t, triggersOf(t, pool), before[len(before)-5:], "those of plain")
	require.Equal(t, []string{"installed"}, column[string](t, pool, "select distinct state from socksync.trigger_status('plain', '{id}')"))
	require.Equal(t, []string{"missing"}, column[string](t, pool, "select distinct state from socksync.trigger_status('parted', '{id}')"))
	exec(t, pool, "delete from socksync.change; update plain set v = 0; update parted set v = 0")
	require.Equal(t, []entry{{"plain", []string{"0"}}}, logged(t, pool))
	exec(t, pool, "select socksync.install('parted', '{id}'); delete from socksync.change; update parted set v = 1")
	require.Equal(t, []entry{{"parted", []string{"0"}}}, logged(t, pool))

	require.NoError(t, migrations.Up(t.Context(), pool))
	install(t, pool, tables[0], with(tables[1], "v"))
	require.NoError(t, migrations.Down(t.Context(), pool))
	exec(t, pool, "update plain set v = 0; update parted set v = 0")
}

// TestFilesAfterAnUpgrade has files of version 3 in the folder, and then what a call of this version adds.
func TestFilesAfterAnUpgrade(t *testing.T) {
	t.Parallel()
	pool, dir := atVersion(t, 3)
	exec(t, pool, upgradeTables)
	exec(t, pool, "select socksync.install('plain', '{id}'), socksync.install('parted', '{id}')")
	before := triggersOf(t, pool)
	require.Equal(t, []string{"00005_socksync_triggers.sql"}, writeFiles(t, dir, table("plain", "id"), table("parted", "id")))
	require.Equal(t, []string{"00006_socksync_triggers.sql"}, writeFiles(t, dir, table("plain", "id"), with(table("parted", "id"), "v")))
	pipeline(t, pool, dir, func(ctx context.Context, p *goose.Provider) error { _, err := p.UpTo(ctx, 5); return err })
	require.Equal(t, before, triggersOf(t, pool), "nothing was touched")
	pipeline(t, pool, dir, up)
	require.NoError(t, status(t, pool, table("plain", "id"), with(table("parted", "id"), "v")).Err())
	require.Empty(t, writeFiles(t, dir, table("plain", "id"), with(table("parted", "id"), "v")))
	pipeline(t, pool, dir, down)
	require.NoError(t, status(t, pool, table("plain", "id"), table("parted", "id")).Err())
}

// TestGrantAfterAnUpgrade has a server's role ask for what is installed.
func TestGrantAfterAnUpgrade(t *testing.T) {
	t.Parallel()
	pool, _ := atVersion(t, 3)
	exec(t, pool, upgradeTables)
	reader := as(t, pool, "reader")
	role := reader.Config().ConnConfig.RuntimeParams["role"]
	exec(t, pool, "select socksync.grant_use('"+role+"')")
	require.NoError(t, migrations.Up(t.Context(), pool))
	require.NoError(t, migrations.Grant(t.Context(), pool, role))
	install(t, pool, with(table("plain", "id"), "v"))
	require.NoError(t, status(t, reader, with(table("plain", "id"), "v")).Err())
	require.Zero(t, value[int](t, pool, `select count(*) from pg_proc where pronamespace = 'socksync'::regnamespace
		and (proacl is null or exists (select from aclexplode(proacl) a where a.grantee = 0))`), "functions that anyone may run")
}
