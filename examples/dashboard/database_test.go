package main

import (
	"context"
	"encoding/csv"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/testdata"
)

func TestPrepareLoadsTheFiles(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	require.NoError(t, prepare(t.Context(), pool))
	for _, file := range []struct{ text, query string }{
		{testdata.Flights, `SELECT to_char(departs_at, 'YYYY-MM-DD HH24:MI'), origin, destination, coalesce(delay_minutes::text, ''), distance_miles::text
			FROM flights ORDER BY id`},
		{testdata.Airports, `SELECT iata, name, coalesce(city, ''), coalesce(state, ''), country, latitude::text, longitude::text
			FROM airports ORDER BY iata COLLATE "C"`},
	} {
		want, err := csv.NewReader(strings.NewReader(file.text)).ReadAll()
		require.NoError(t, err)
		rows, err := pool.Query(t.Context(), file.query)
		require.NoError(t, err)
		got, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]string, error) {
			record := make([]string, len(want[0]))
			into := make([]any, len(record))
			for i := range record {
				into[i] = &record[i]
			}
			return record, row.Scan(into...)
		})
		require.NoError(t, err)
		require.Equal(t, want[1:], got)
	}
	require.Equal(t, [2]int{20000, 3376}, [2]int{
		one[int](t, pool, "SELECT count(*) FROM flights"), one[int](t, pool, "SELECT count(*) FROM airports"),
	})
	require.Equal(t, [2]int{1, 20000}, [2]int{one[int](t, pool, "SELECT min(id) FROM flights"), one[int](t, pool, "SELECT max(id) FROM flights")})
	require.Zero(t, one[int](t, pool, "SELECT count(*) FROM flights WHERE (id % 3 = 0) <> (note IS NOT NULL)"))
	require.Zero(t, one[int](t, pool, "SELECT count(*) FROM flights WHERE note = '' OR length(note) > 30"), "short notes")
	require.Len(t, passengers, one[int](t, pool, "SELECT count(DISTINCT user_name) FROM bookings WHERE user_name = ANY ($1)", passengers))
	require.Equal(t, []int{10, 10}, one[[]int](t, pool, `SELECT ARRAY[min(n), max(n)] FROM (SELECT count(*) n FROM bookings GROUP BY user_name) users`))
	require.Equal(t, 20001, one[int](t, pool, `INSERT INTO flights (departs_at, origin, destination, distance_miles)
		VALUES (now(), 'DTW', 'LAS', 1) RETURNING id`))
}

func TestPrepareMakesTheTablesOfTheContract(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	require.NoError(t, migrate(t.Context(), pool))
	const columns = `SELECT string_agg(concat_ws(' ', column_name, data_type, nullif(is_nullable, 'YES'), nullif(is_identity, 'NO'), identity_generation), ', '
		ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1`
	for table, want := range map[string]string{
		"airports": "iata text NO, name text NO, city text, state text, country text NO, latitude double precision NO, longitude double precision NO",
		"flights": "id bigint NO YES BY DEFAULT, departs_at timestamp without time zone NO, origin text NO, destination text NO, " +
			"delay_minutes integer, distance_miles integer NO, note text",
		"board":    "id integer NO, title text NO, message text NO",
		"bookings": "user_name text NO, flight_id bigint NO",
	} {
		require.Equal(t, want, one[string](t, pool, columns, table))
	}
	require.Equal(t, []string{
		"FOREIGN KEY (destination) REFERENCES airports(iata) ON UPDATE CASCADE ON DELETE CASCADE",
		"FOREIGN KEY (flight_id) REFERENCES flights(id) ON DELETE CASCADE",
		"FOREIGN KEY (origin) REFERENCES airports(iata) ON UPDATE CASCADE ON DELETE CASCADE",
		"PRIMARY KEY (iata)", "PRIMARY KEY (id)", "PRIMARY KEY (id)", "PRIMARY KEY (user_name, flight_id)",
	}, one[[]string](t, pool, `SELECT array_agg(d ORDER BY d) FROM (SELECT pg_get_constraintdef(oid) d FROM pg_constraint
		WHERE contype IN ('p', 'f') AND conrelid IN ('airports'::regclass, 'flights'::regclass, 'board'::regclass, 'bookings'::regclass)) definitions`))
	require.Equal(t, 1, one[int](t, pool, "SELECT id FROM board"))
}

func TestPrepareLoadsOnce(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"both have rows":                  "UPDATE flights SET note = 'mine' WHERE id = 1",
		"no flights":                      "TRUNCATE flights CASCADE",
		"one airport, no one flies there": "TRUNCATE flights CASCADE; DELETE FROM airports WHERE iata <> 'DTW'",
		"one flight":                      "DELETE FROM flights WHERE id > 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t)
			require.NoError(t, prepare(t.Context(), pool))
			execute(t, pool, change)
			const rows = `SELECT (SELECT md5(string_agg(f::text, ',' ORDER BY id)) FROM flights f) || (SELECT md5(string_agg(a::text, ',' ORDER BY iata)) FROM airports a)`
			before := one[*string](t, pool, rows)
			require.NoError(t, prepare(t.Context(), pool))
			require.Equal(t, before, one[*string](t, pool, rows))
		})
	}
}

func TestPrepareByTwoAtOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	var both errgroup.Group
	for range 2 {
		both.Go(func() error { return prepare(t.Context(), pool) })
	}
	require.NoError(t, both.Wait())
	require.Equal(t, 20000, one[int](t, pool, "SELECT count(*) FROM flights"))
}

// A transaction that writes does not hold the start up.
func TestPrepareBesideAWriter(t *testing.T) {
	t.Parallel()
	pool := small(t)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.Background())) }()
	_, err = tx.Exec(t.Context(), "UPDATE flights SET note = 'not yet'")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, prepare(ctx, pool))
}

func TestRunWithoutADatabase(t *testing.T) {
	t.Parallel()
	d := start(t, options{})
	w := d.dial(t)
	w.follow("var", "board")
	require.Contains(t, w.value("board"), "Welcome")
	w.send(`{"func":"subscribe","type":"list","name":"departures"}`)
	require.Equal(t, 20000, w.page("departures", "").Total)
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	never := func(string) { t.Error("it serves") }
	err := run(t.Context(), options{addr: "127.0.0.1:0", database: "postgres://nobody@127.0.0.1:1/nothing"}, log, never)
	require.ErrorContains(t, err, "failed to connect")
	err = run(t.Context(), options{addr: "127.0.0.1:0", database: "postgres://what is this"}, log, never)
	require.ErrorContains(t, err, "database URL")
	pool := small(t)
	busy := serveDemo(t, pool)
	err = run(t.Context(), options{addr: busy.addr, database: pool.Config().ConnString()}, log, never)
	require.ErrorContains(t, err, "address already in use")
}

func TestRunIgnoresRedis(t *testing.T) {
	t.Parallel()
	d := start(t, options{database: small(t).Config().ConnString(), redis: "redis://127.0.0.1:1"})
	warnings := d.log.take()
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "Redis")
	w := d.dial(t)
	w.follow("var", "totals")
	w.value("totals")
}
