package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/localpg"
	"github.com/socksync/socksync/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestNewGivesEachTestItsOwnDatabase(t *testing.T) {
	t.Parallel()
	for range 3 {
		pool := pgtest.New(t)
		_, err := pool.Exec(t.Context(), "CREATE TABLE public.thing (id int)")
		require.NoError(t, err)
	}
}

func TestNewOrdersTextByBytes(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	require.Equal(t, []string{"B", "a"}, sorted(t, pool))
}

func TestICUOrdersTextByLanguage(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.ICU("en-US"))
	require.Equal(t, []string{"a", "B"}, sorted(t, pool))
}

func sorted(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), "SELECT v FROM (VALUES ('a'), ('B')) AS x (v) ORDER BY v")
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return values
}

func TestSearchPath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		opts []pgtest.Option
		want string
	}{
		{"default", nil, `"$user", public`},
		{"empty", []pgtest.Option{pgtest.EmptySearchPath()}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, err := pgx.Connect(t.Context(), pgtest.URL(t, test.opts...))
			require.NoError(t, err)
			var path string
			require.NoError(t, conn.QueryRow(t.Context(), "SHOW search_path").Scan(&path))
			require.NoError(t, conn.Close(t.Context()))
			require.Equal(t, test.want, path)
		})
	}
}

func TestServerHasItsOwnSettings(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, &localpg.Config{Options: map[string]string{"max_prepared_transactions": "5"}})
	pool := pgtest.On(t, server, pgtest.MaxConns(1))
	var prepared, fsync string
	err := pool.QueryRow(t.Context(),
		"SELECT current_setting('max_prepared_transactions'), current_setting('fsync')").Scan(&prepared, &fsync)
	require.NoError(t, err)
	require.Equal(t, "5", prepared)
	require.Equal(t, "off", fsync)
	require.EqualValues(t, 1, pool.Config().MaxConns)
}
