package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/store"
)

func TestReadsBackWhatItWrites(t *testing.T) {
	t.Parallel()
	m, db := flights(t)
	ctx := t.Context()

	row := flight{Number: "SK 1", Delay: new(5)}
	require.NoError(t, m.Insert(ctx, &row))
	require.Equal(t, flight{ID: 1, Number: "SK 1", Delay: new(5)}, row, "the identity is filled in")
	got, err := m.Get(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, row, got)

	row.Delay, row.Gate = nil, new("B7")
	require.NoError(t, m.Update(ctx, &row))
	var gate string
	require.NoError(t, db.GetContext(ctx, &gate, "SELECT gate FROM flights WHERE id = 1 AND delay_minutes IS NULL"))
	require.Equal(t, "B7", gate)

	require.NoError(t, m.Delete(ctx, 1))
	_, err = m.Get(ctx, 1)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.EqualError(t, err, `store: get from "flights": no such row`)
}

func TestUpdateWritesOnlyTheColumnsThatAreNamed(t *testing.T) {
	t.Parallel()
	m, db := flights(t, flight{Number: "SK 1", Gate: new("A1")})
	ctx := t.Context()
	_, err := db.ExecContext(ctx, "UPDATE flights SET gate = 'B2'") // by somebody else
	require.NoError(t, err)

	row := flight{ID: 1, Number: "not written", Delay: new(30), Gate: new("A1")}
	require.NoError(t, m.Update(ctx, &row, "delay_minutes"))
	require.Equal(t, flight{ID: 1, Number: "SK 1", Delay: new(30), Gate: new("B2")}, row)
}

func TestInsertLeavesColumnsToTheirDefaults(t *testing.T) {
	t.Parallel()
	type note struct {
		_     struct{} `socksync:"table=notes"`
		ID    string   `db:"id" socksync:"pk"`
		Text  string   `db:"text"`
		Stars int      `db:"stars"`
	}
	_, db := open(t, `CREATE TABLE notes (
		id uuid PRIMARY KEY DEFAULT gen_random_uuid(), text text NOT NULL, stars int NOT NULL DEFAULT 3)`)
	m := model[note](t, db)
	ctx := t.Context()

	all := note{Text: "zero stars"}
	require.NoError(t, m.Insert(ctx, &all))
	require.Len(t, all.ID, 36)
	require.Zero(t, all.Stars, "zero is a value, but for keys")
	some := note{Text: "no stars"}
	require.NoError(t, m.Insert(ctx, &some, "text"))
	require.Equal(t, 3, some.Stars)
	require.NotEqual(t, all.ID, some.ID)

	mine := note{ID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}
	require.NoError(t, m.Insert(ctx, &mine))
	require.Equal(t, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", mine.ID)
}

func TestWithoutRow(t *testing.T) {
	t.Parallel()
	m, _ := flights(t)
	ctx := t.Context()
	_, err := m.Get(ctx, 7)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.ErrorIs(t, m.Update(ctx, &flight{ID: 7, Number: "x"}), store.ErrNotFound)
	require.ErrorIs(t, m.Delete(ctx, 7), store.ErrNotFound)
	_, err = m.Get(ctx, nil)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.ErrorContains(t, m.Insert(ctx, nil), "the row is nil")
	require.ErrorContains(t, m.Upsert(ctx, nil), "the row is nil")
	require.ErrorContains(t, m.Update(ctx, nil), "the row is nil")
}

func TestUpsert(t *testing.T) {
	t.Parallel()
	m, _ := flights(t, flight{Number: "SK 1"})
	ctx := t.Context()
	require.NoError(t, m.Upsert(ctx, &flight{ID: 1, Number: "SK 2"}))
	fresh := flight{Number: "SK 3"}
	require.NoError(t, m.Upsert(ctx, &fresh))
	require.Equal(t, int64(2), fresh.ID)
	rows, err := m.List(ctx, store.Query{})
	require.NoError(t, err)
	require.Equal(t, []string{"SK 2", "SK 3"}, numbers(rows))
}

// A table that is all key: nothing is left to update.
func TestAllKey(t *testing.T) {
	t.Parallel()
	type member struct {
		_     struct{} `socksync:"table=members"`
		Group int      `db:"group" socksync:"pk"`
		User  int      `db:"user" socksync:"pk"`
	}
	_, db := open(t, `CREATE TABLE members ("group" int, "user" int, PRIMARY KEY ("group", "user"))`)
	m := model[member](t, db)
	ctx := t.Context()
	row := member{Group: 0, User: 2}
	require.NoError(t, m.Insert(ctx, &row), "zero is a value where there is no default")
	require.NoError(t, m.Upsert(ctx, &row))
	require.ErrorContains(t, m.Update(ctx, &row), "no columns to write")
	got, err := m.Get(ctx, 0, 2)
	require.NoError(t, err)
	require.Equal(t, row, got)
	_, err = m.Get(ctx, 2, 0)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = m.Get(ctx, 0)
	require.EqualError(t, err, `store: get from "members": 1 key values for the key ["group" "user"]`)
	require.Error(t, m.Delete(ctx, 0, 2, 3))
	require.NoError(t, m.Delete(ctx, 0, 2))
}

// A table of which the database fills everything.
func TestAllGenerated(t *testing.T) {
	t.Parallel()
	type ticket struct {
		_      struct{} `socksync:"table=tickets"`
		ID     int      `db:"id" socksync:"pk"`
		Double int      `db:"double"`
		Serial int      `db:"serial"`
	}
	_, db := open(t, `CREATE TABLE tickets (
		id int PRIMARY KEY DEFAULT 21, double int GENERATED ALWAYS AS (id * 2) STORED,
		serial int GENERATED ALWAYS AS IDENTITY (START 5))`)
	m := model[ticket](t, db)
	ctx := t.Context()
	row := ticket{Double: 1, Serial: 1}
	require.NoError(t, m.Insert(ctx, &row))
	require.Equal(t, ticket{ID: 21, Double: 42, Serial: 5}, row)
	row = ticket{ID: 1}
	require.NoError(t, m.Upsert(ctx, &row))
	require.Equal(t, ticket{ID: 1, Double: 2, Serial: 6}, row)
	require.Error(t, m.Insert(ctx, &ticket{ID: 2}, "id", "double"))
}

// Update leaves alone what only the database can fill.
func TestUpdateOfGeneratedColumns(t *testing.T) {
	t.Parallel()
	type ticket struct {
		_      struct{} `socksync:"table=tickets"`
		ID     int      `db:"id" socksync:"pk"`
		Price  int      `db:"price"`
		Double int      `db:"double"`
		Serial int      `db:"serial"`
	}
	_, db := open(t, `CREATE TABLE tickets (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, price int,
		double int GENERATED ALWAYS AS (price * 2) STORED, serial int GENERATED ALWAYS AS IDENTITY)`)
	m := model[ticket](t, db)
	row := ticket{Price: 10}
	require.NoError(t, m.Insert(t.Context(), &row))
	require.Equal(t, ticket{ID: 1, Price: 10, Double: 20, Serial: 1}, row)
	row.Price, row.Double, row.Serial = 30, 7, 7
	require.NoError(t, m.Update(t.Context(), &row))
	require.Equal(t, ticket{ID: 1, Price: 30, Double: 60, Serial: 1}, row)
}

func TestEmbeddedStructs(t *testing.T) {
	t.Parallel()
	type Place struct {
		Gate *string `db:"gate"`
	}
	type base struct {
		ID     int64  `db:"id" socksync:"pk"`
		Number string `db:"number"`
		Gate   int    `db:"gate"` // hidden by the one above it
	}
	type nested struct {
		_ struct{} `socksync:"table=flights"`
		base
		*Place `db:"-"`
		Gate   string `db:"gate"`
		Delay  *int   `db:"delay_minutes"`
		number string // not a column
		Title  string // not a column
	}
	_, db := open(t, createFlights)
	m := model[nested](t, db)
	ctx := t.Context()
	row := nested{base: base{Number: "SK 1"}, Gate: "B7", number: "kept", Title: "kept"}
	require.NoError(t, m.Insert(ctx, &row))
	require.Equal(t, nested{base: base{ID: 1, Number: "SK 1"}, Gate: "B7", number: "kept", Title: "kept"}, row)

	type optional struct {
		_ struct{} `socksync:"table=flights"`
		base2
		*Place
	}
	o := model[optional](t, db)
	got, err := o.Get(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, new("B7"), got.Gate)
	require.NoError(t, o.Update(ctx, &optional{base2: base2{ID: 1, Number: "SK 2"}}), "NULL below a nil pointer")
	got, err = o.Get(ctx, 1)
	require.NoError(t, err)
	require.Nil(t, got.Gate)
}

type base2 struct {
	ID     int64  `db:"id" socksync:"pk"`
	Number string `db:"number"`
}

// Names are data: nothing in them reaches Postgres as SQL.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	type row struct {
		_     struct{} `socksync:"table=\"Odd; DROP TABLE other; --\".\"a\"\"b ? $1 :x\""`
		Key   string   `db:"k\"; DROP TABLE other; --" socksync:"pk"`
		Value string   `db:"select $2 ?"`
		Dots  string   `db:"a.b"`
		Upper *string  `db:"NOT \\ lower"`
		Plain string   `db:"table"`
	}
	_, db := open(t,
		"CREATE TABLE other (id int)",
		`CREATE SCHEMA "Odd; DROP TABLE other; --"`,
		`CREATE TABLE "Odd; DROP TABLE other; --"."a""b ? $1 :x" ("k""; DROP TABLE other; --" text PRIMARY KEY,
			"select $2 ?" text, "a.b" text, "NOT \ lower" text, "table" text)`)
	m := model[row](t, db)
	ctx := t.Context()
	want := row{Key: `'; DROP TABLE other; --`, Value: "$1", Dots: "?", Plain: `\'`}
	require.NoError(t, m.Insert(ctx, &want))
	require.NoError(t, m.Upsert(ctx, &want))
	want.Upper = new("\" ' \\ ; --")
	require.NoError(t, m.Update(ctx, &want, "NOT \\ lower"))
	rows, err := m.List(ctx, store.Query{
		Where: store.And(
			store.In("k\"; DROP TABLE other; --", want.Key, "' OR true --"),
			store.Or(store.Eq("select $2 ?", "$1"), store.Ne("a.b", "?"))),
		Order: `-"a.b", "select $2 ?" nulls first`, Limit: 2,
	})
	require.NoError(t, err)
	require.Equal(t, []row{want}, rows)
	require.NoError(t, m.Delete(ctx, want.Key))
	_, err = db.ExecContext(ctx, "SELECT FROM other")
	require.NoError(t, err)
}

// With an empty search path only the schema that the tag names can find the table.
func TestEmptySearchPath(t *testing.T) {
	t.Parallel()
	type qualified struct {
		_      struct{} `socksync:"table=public.flights"`
		ID     int64    `db:"id" socksync:"pk"`
		Number string   `db:"number"`
	}
	_, db := openWith(t, []pgtest.Option{pgtest.EmptySearchPath()},
		"CREATE TABLE public.flights (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, number text)")
	m := model[qualified](t, db)
	ctx := t.Context()
	row := qualified{Number: "SK 1"}
	require.NoError(t, m.Insert(ctx, &row))
	require.NoError(t, m.Update(ctx, &row))
	n, err := m.Count(ctx, store.Eq("number", "SK 1"))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, m.Delete(ctx, row.ID))

	_, err = store.New[flight](ctx, db)
	require.ErrorContains(t, err, `the database has no table "flights"`)
}

func TestConflict(t *testing.T) {
	t.Parallel()
	m, _ := flights(t, flight{Number: "SK 1"}, flight{Number: "SK 2"})
	ctx := t.Context()
	for name, err := range map[string]error{
		"insert into": m.Insert(ctx, &flight{Number: "SK 1"}),
		"update":      m.Update(ctx, &flight{ID: 2, Number: "SK 1"}),
		"upsert into": m.Upsert(ctx, &flight{ID: 2, Number: "SK 1"}),
	} {
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg, name)
		require.Equal(t, "23505", pg.Code)
		require.Equal(t, "flights_number_key", pg.ConstraintName)
		require.EqualError(t, err, `store: `+name+` "flights": ERROR: duplicate key value violates unique constraint `+
			`"flights_number_key" (SQLSTATE 23505)`)
	}
}

// A deferred constraint fails at the end of the statement, after the row has come
// back.
func TestDeferredConflict(t *testing.T) {
	t.Parallel()
	_, db := open(t, createFlights, "ALTER TABLE flights ADD UNIQUE (gate) DEFERRABLE INITIALLY DEFERRED")
	m := model[flight](t, db)
	ctx := t.Context()
	require.NoError(t, m.Insert(ctx, &flight{Number: "SK 1", Gate: new("A1")}))
	err := m.Insert(ctx, &flight{Number: "SK 2", Gate: new("A1")})
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Equal(t, "23505", pg.Code)
	n, err := m.Count(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func TestDeferredForeignKey(t *testing.T) {
	t.Parallel()
	_, db := open(t, createFlights,
		"CREATE TABLE bags (flight bigint REFERENCES flights DEFERRABLE INITIALLY DEFERRED)")
	m := model[flight](t, db)
	ctx := t.Context()
	require.NoError(t, m.Insert(ctx, &flight{Number: "SK 1"}))
	_, err := db.ExecContext(ctx, "INSERT INTO bags VALUES (1)")
	require.NoError(t, err)
	require.ErrorContains(t, m.Delete(ctx, 1), "23503")
}

func TestTriggerKeepsTheRowOut(t *testing.T) {
	t.Parallel()
	_, db := open(t, createFlights,
		"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
		"CREATE TRIGGER refuse BEFORE INSERT ON flights FOR EACH ROW EXECUTE FUNCTION refuse()")
	err := model[flight](t, db).Insert(t.Context(), &flight{Number: "SK 1"})
	require.ErrorContains(t, err, "did not let the row in")
	require.NotErrorIs(t, err, store.ErrNotFound)
}

// What the struct calls the key may not be one: of a view, for instance.
func TestKeyOfSeveralRows(t *testing.T) {
	t.Parallel()
	type gate struct {
		_    struct{} `socksync:"table=gates"`
		Gate string   `db:"gate" socksync:"pk"`
	}
	_, db := open(t, "CREATE VIEW gates AS SELECT 'A1' AS gate FROM generate_series(1, 2)")
	_, err := model[gate](t, db).Get(t.Context(), "A1")
	require.ErrorContains(t, err, "several rows")
}

func TestContext(t *testing.T) {
	t.Parallel()
	m, db := flights(t, flight{Number: "SK 1"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := m.Get(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
	_, err = m.Count(ctx, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, m.Insert(ctx, &flight{Number: "SK 2"}), context.Canceled)
	_, err = store.New[flight](ctx, db)
	require.ErrorIs(t, err, context.Canceled)
	n, err := m.Count(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, 1, n, "the handle still works")
}

// A statement that waits ends with its context.
func TestContextEndsWait(t *testing.T) {
	t.Parallel()
	m, db := flights(t, flight{Number: "SK 1"})
	tx, err := db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback()) }()
	require.NoError(t, m.With(tx).Update(t.Context(), &flight{ID: 1, Number: "locked"}))

	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Delete(ctx, 1) }()
	waiting := func() bool {
		var n int
		err := db.GetContext(t.Context(), &n, `SELECT count(*) FROM pg_stat_activity
			WHERE wait_event_type = 'Lock' AND datname = current_database()`)
		return err == nil && n == 1
	}
	require.Eventually(t, waiting, eventually, poll)
	cancel(errors.New("enough"))
	require.ErrorIs(t, <-done, context.Canceled)
}

func TestPoolStaysOpen(t *testing.T) {
	t.Parallel()
	pool, _ := open(t, createFlights)
	db := store.Open(pool)
	_, err := model[flight](t, db).Count(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.Zero(t, pool.Stat().AcquiredConns())
	require.NoError(t, pool.Ping(t.Context()))
}

func TestDefinitionMistakes(t *testing.T) {
	t.Parallel()
	type noKey struct {
		_  struct{} `socksync:"table=flights"`
		ID int      `db:"id"`
	}
	type missing struct {
		_    struct{} `socksync:"table=flights"`
		ID   int64    `db:"id" socksync:"pk"`
		Gone string   `db:"gone" json:"x"`
		Away string   `db:"tableoid"` // a system column is not one of the table
	}
	type unfit struct {
		_      struct{}       `socksync:"table=flights"`
		ID     bool           `db:"id" socksync:"pk"`
		Number map[string]int `db:"number"`
	}
	type elsewhere struct {
		_  struct{} `socksync:"table=nowhere.flights"`
		ID int64    `db:"id" socksync:"pk"`
	}
	_, db := open(t, createFlights)
	ctx := t.Context()
	check := func(err error, texts ...string) {
		t.Helper()
		var mistake *binding.DefinitionError
		require.ErrorAs(t, err, &mistake)
		for _, text := range texts {
			require.ErrorContains(t, err, text)
		}
	}
	_, err := store.New[noKey](ctx, db)
	check(err, "store_test.noKey", "missing primary key")
	_, err = store.New[int](ctx, db)
	check(err, "int is not a struct")
	_, err = store.New[missing](ctx, db)
	check(err, `store_test.missing: field Gone: tag db:"gone" json:"x": table "flights" has no column "gone"`,
		`has no column "tableoid"`)
	_, err = store.New[unfit](ctx, db)
	check(err, `field ID: tag db:"id" socksync:"pk": column "id" of type int8 cannot be read into bool`,
		`column "number" of type text cannot be read into map[string]int`)
	_, err = store.New[elsewhere](ctx, db)
	check(err, `the database has no table "nowhere"."flights"`)
}

func TestTableMayNotBeRead(t *testing.T) {
	t.Parallel()
	_, db := open(t, createFlights, "CREATE ROLE nobody_store")
	err := store.InTx(t.Context(), db, func(tx *sqlx.Tx) error {
		if _, err := tx.Exec("SET LOCAL ROLE nobody_store"); err != nil {
			return err
		}
		_, err := store.New[flight](t.Context(), tx)
		return err
	})
	require.ErrorContains(t, err, `look at table "flights": ERROR: permission denied for table flights (SQLSTATE 42501)`)
}
