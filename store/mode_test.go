package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/store"
)

// A pooler between program and database may allow no prepared statements.
func TestWithoutPreparedStatements(t *testing.T) {
	t.Parallel()
	type row struct {
		_    struct{} `socksync:"table=cells"`
		ID   int      `db:"id" socksync:"pk"`
		Text string   `db:"text"`
		Tags []string `db:"tags"`
	}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			config := pgtest.New(t).Config()
			config.ConnConfig.DefaultQueryExecMode = mode
			pool, err := pgxpool.NewWithConfig(t.Context(), config)
			require.NoError(t, err)
			t.Cleanup(pool.Close)
			run(t, pool, []string{"CREATE TABLE cells (id int PRIMARY KEY DEFAULT 7, text text, tags text[])"})
			m := model[row](t, handle(t, pool))
			want := row{Text: `' \ $1 "`, Tags: []string{"a", `"`}}
			require.NoError(t, m.Insert(t.Context(), &want))
			rows, err := m.List(t.Context(), store.Query{Where: store.Eq("text", want.Text), Limit: 1})
			require.NoError(t, err)
			require.Equal(t, []row{want}, rows)
			require.Equal(t, 7, want.ID)
			for _, key := range []any{"42x", struct{ secret string }{"42x"}} {
				_, err = m.Get(t.Context(), key)
				require.ErrorContains(t, err, "a value ")
				require.NotContains(t, err.Error(), "42x")
			}
		})
	}
}
