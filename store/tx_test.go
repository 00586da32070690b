package store_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/store"
)

// How long to wait for what the server does by itself, and how often to look.
const (
	eventually = 30 * time.Second
	poll       = 5 * time.Millisecond
)

func TestInTxCommits(t *testing.T) {
	t.Parallel()
	m, db := flights(t)
	ctx := t.Context()
	err := store.InTx(ctx, db, func(tx *sqlx.Tx) error {
		in := m.With(tx)
		if err := in.Insert(ctx, &flight{Number: "SK 1"}); err != nil {
			return err
		}
		inside, err := in.Count(ctx, nil)
		require.NoError(t, err)
		outside, err := m.Count(ctx, nil)
		require.NoError(t, err)
		require.Equal(t, []int{1, 0}, []int{inside, outside})
		return in.Insert(ctx, &flight{Number: "SK 2"})
	})
	require.NoError(t, err)
	n, err := m.Count(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, 2, n)
}

func TestInTxRollsBack(t *testing.T) {
	t.Parallel()
	m, db := flights(t)
	ctx := t.Context()
	insert := func(tx *sqlx.Tx) { require.NoError(t, m.With(tx).Insert(ctx, &flight{Number: "SK 1"})) }
	mine := errors.New("mine")

	require.Same(t, mine, store.InTx(ctx, db, func(tx *sqlx.Tx) error { insert(tx); return mine }))
	require.PanicsWithValue(t, "mine", func() {
		_ = store.InTx(ctx, db, func(tx *sqlx.Tx) error { insert(tx); panic("mine") })
	})
	ended, cancel := context.WithCancel(ctx)
	err := store.InTx(ended, db, func(tx *sqlx.Tx) error {
		insert(tx)
		cancel()
		over := func() bool { _, err := tx.ExecContext(ctx, "SELECT"); return errors.Is(err, sql.ErrTxDone) }
		require.Eventually(t, over, eventually, poll)
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, store.InTx(ended, db, nil), context.Canceled)

	n, err := m.Count(ctx, nil)
	require.NoError(t, err)
	require.Zero(t, n)
}

// A failed statement spoils the transaction even if fn does not mind.
func TestInTxDoesNotCommitWhatFailed(t *testing.T) {
	t.Parallel()
	m, db := flights(t, flight{Number: "SK 1"})
	ctx := t.Context()
	err := store.InTx(ctx, db, func(tx *sqlx.Tx) error {
		require.NoError(t, m.With(tx).Insert(ctx, &flight{Number: "SK 2"}))
		require.Error(t, m.With(tx).Insert(ctx, &flight{Number: "SK 1"}))
		return nil
	})
	require.ErrorContains(t, err, "store: commit")
	n, err := m.Count(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// A handle of database/sql that the program has already is as good, also one
// connection of it.
func TestOtherHandles(t *testing.T) {
	t.Parallel()
	db, err := sqlx.Open("pgx", pgtest.URL(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.MapperFunc(func(name string) string { return "x_" + name })
	_, err = db.Exec(createFlights)
	require.NoError(t, err)
	conn, err := db.Connx(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	m := model[flight](t, conn)
	require.NoError(t, m.Insert(t.Context(), &flight{Number: "SK 1"}))
	rows, err := m.With(db).List(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Equal(t, []string{"SK 1"}, numbers(rows))
	_, err = store.New[flight](t.Context(), db)
	require.NoError(t, err, "whatever the mapper of the handle")
}
