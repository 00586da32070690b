package listen

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// TestKeys checks what the Drainer is told of each kind of change, exactly.
func TestKeys(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.agrees(t)
	for _, c := range []struct {
		sql  string
		keys []string
	}{
		{"insert into flights values (1), (2), (3)", []string{"1", "2", "3"}},
		{"update flights set v = 1 where id = 2", []string{"2"}},
		{"update flights set id = 20 where id = 2", []string{"2", "20"}},
		{"delete from flights where id = 3", []string{"3"}},
		{"insert into flights select g from generate_series(100, 999) g", series("", 100, 999)},
		{"begin; update flights set v = 5; rollback", nil},
		{"begin; savepoint a; update flights set v = 5 where id < 150; rollback to a; delete from flights where id = 1; commit", []string{"1"}},
	} {
		f.forget()
		_, err := f.pool.Exec(t.Context(), c.sql)
		require.NoError(t, err)
		f.agrees(t)
		want := make(map[string]bool)
		for _, key := range c.keys {
			want[key] = true
		}
		require.Equal(t, want, f.keysOf("flights"), c.sql)
		require.Empty(t, f.past().alls, c.sql)
	}
	f.forget()
	exec(t, f.pool, "truncate flights")
	f.agrees(t)
	require.Positive(t, f.past().alls["flights"])
}

func series(prefix string, from, to int) []string {
	var all []string
	for i := from; i <= to; i++ {
		all = append(all, prefix+itoa(i))
	}
	return all
}

// TestTransactionOpenThroughout has a transaction stay open while others commit: nothing waits for it, and it is not
// missed in the end.
func TestTransactionOpenThroughout(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) { c.tuning.second = never })
	f.agrees(t)
	tx, err := f.pool.Begin(t.Context())
	require.NoError(t, err)
	exec(t, tx, "insert into flights values (1)")
	for i := 2; i < 50; i++ {
		exec(t, f.pool, "insert into flights values ($1)", i)
		if i%10 == 0 {
			f.agrees(t)
		}
	}
	require.NoError(t, tx.Commit(t.Context()))
	f.agrees(t)
	require.Equal(t, 1, f.past().alls["flights"], "only the first drain reads everything")
}

func TestKickDrainsWithoutChange(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) { c.tuning.second = never })
	f.sleeps(t)
	f.forget()
	f.feed.Kick()
	f.wait(t, "a drain", func() bool { return len(f.changes) == 1 })
	require.Empty(t, f.past().changes[0].Tables)
}

// TestDrainerError has the same keys come again after an error of the Drainer.
func TestDrainerError(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) { c.tuning.second = never })
	f.agrees(t)
	f.forget()
	fail := 3
	f.setInterfere(func(context.Context, pgx.Tx, *Drain) error {
		fail--
		if fail >= 0 {
			return context.DeadlineExceeded
		}
		return nil
	})
	exec(t, f.pool, "insert into flights values (1), (2)")
	f.wait(t, "three errors", func() bool { return len(f.aborts) == 3 })
	f.agrees(t)
	require.Equal(t, map[string]bool{"1": true, "2": true}, f.keysOf("flights"))
	require.ErrorIs(t, f.past().aborts[0], context.DeadlineExceeded)
	require.Empty(t, f.past().downs)
	require.Len(t, f.past().pids, 1, "the connection is kept")
	require.NoError(t, f.feed.Ready())
}

// TestDrainerHidesError has a Drainer go on after a statement failed, so that the transaction cannot commit.
func TestDrainerHidesError(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *Config) { c.tuning.second = never })
	f.agrees(t)
	f.forget()
	first := true
	f.setInterfere(func(ctx context.Context, tx pgx.Tx, _ *Drain) error {
		if first {
			first = false
			_, _ = tx.Exec(ctx, "select 1/0")
			f.recorder.tables = nil // read nothing more
			return nil
		}
		f.recorder.tables = []Table{{Name: "flights", Key: []string{"id"}}}
		return nil
	})
	exec(t, f.pool, "insert into flights values (1)")
	f.agrees(t)
	require.Len(t, f.past().aborts, 1)
}
