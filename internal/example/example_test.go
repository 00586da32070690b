package example_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/socksync/socksync/internal/example"
	"github.com/socksync/socksync/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program answers with the number of rows in its table.
func program(stale *pgxpool.Pool) *example.Program {
	return &example.Program{
		Name: "probe", Schema: "CREATE TABLE IF NOT EXISTS rows (n int); INSERT INTO rows VALUES (1)",
		Build: func(pool *pgxpool.Pool) (*server.Server, http.Handler, error) {
			if stale != nil {
				return nil, nil, errors.New("not built")
			}
			live, err := server.New(pool, nil)
			return live, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var n int
				if err := pool.QueryRow(r.Context(), "SELECT count(*) FROM rows").Scan(&n); err != nil || live.Ready() != nil {
					n = http.StatusInternalServerError - http.StatusOK
				}
				w.WriteHeader(http.StatusOK + n)
			}), err
		},
	}
}

// TestRun runs a program on a private Postgres from its start to its end.
func TestRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var status int
	err := program(nil).Run(ctx, example.Options{Addr: "127.0.0.1:0"}, func(addr string) {
		go func() {
			defer cancel()
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, "http://"+addr, http.NoBody)
			if err != nil {
				return
			}
			if response, err := client.Do(request); err == nil {
				status = response.StatusCode
				_ = response.Body.Close()
			}
		}()
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK+1, status)
}

// TestRunFails checks that what keeps a program from starting is said, and nothing of it stays.
func TestRunFails(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	ready := func(string) { t.Error("it runs") }
	require.Error(t, program(nil).Run(t.Context(), example.Options{Addr: taken.Addr().String()}, ready))
	require.ErrorContains(t, program(&pgxpool.Pool{}).Run(t.Context(), example.Options{}, ready), "not built")
	require.ErrorContains(t, program(nil).Run(t.Context(), example.Options{Database: "nonsense://"}, ready), "database URL")
}
