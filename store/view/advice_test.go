package view

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/pgtest"
)

// adviser asks for advice as the engine does, in transactions that only read.
type adviser struct {
	t    *testing.T
	pool *pgxpool.Pool
}

func (a *adviser) exec(sql string) {
	a.t.Helper()
	_, err := a.pool.Exec(context.Background(), sql)
	require.NoError(a.t, err, sql)
}

func (a *adviser) ask(f func(context.Context, pgx.Tx) (string, error)) string {
	a.t.Helper()
	ctx := context.Background()
	var advice string
	err := pgx.BeginTxFunc(ctx, a.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		advice, err = f(ctx, tx)
		require.NoError(a.t, err)
		var settings string
		const show = `select string_agg(name || '=' || setting, ' ') from pg_settings where name like 'enable\_%' and setting = 'off' and boot_val = 'on'`
		require.NoError(a.t, tx.QueryRow(ctx, "select coalesce(("+show+"), '')").Scan(&settings))
		require.Empty(a.t, settings, "what is asked afterwards runs as always")
		return nil
	})
	require.NoError(a.t, err)
	return advice
}

func (a *adviser) order(table, order string) string {
	a.t.Helper()
	name, err := binding.ParseTable(table)
	require.NoError(a.t, err)
	terms, err := binding.ParseOrder(order)
	require.NoError(a.t, err)
	return a.ask(func(ctx context.Context, tx pgx.Tx) (string, error) { return orderAdvice(ctx, tx, name, "", terms) })
}

func (a *adviser) search(table string, columns ...string) string {
	a.t.Helper()
	name, err := binding.ParseTable(table)
	require.NoError(a.t, err)
	return a.ask(func(ctx context.Context, tx pgx.Tx) (string, error) {
		read, err := readColumns(ctx, tx, name.SQL(), false)
		require.NoError(a.t, err)
		var searched []choice.Column
		for _, c := range columns {
			searched = append(searched, read[c].choosable(c))
		}
		return searchAdvice(ctx, tx, name, searched)
	})
}

const makeAdviceTables = `
CREATE TABLE flights (id int PRIMARY KEY, delay int, origin text, "Gate" text, "select" text, note varchar(80), code char(4), part int);
INSERT INTO flights SELECT g, g % 7, 'o' || g % 5, 'g', 's', 'note ' || g, 'c', g % 3 FROM generate_series(1, 2000) g;
CREATE SCHEMA "Odd ""S";
CREATE TABLE "Odd ""S"."Ta ble" (id int, "a""b" int);
CREATE TABLE parts (id int, p int, note text, PRIMARY KEY (id, p)) PARTITION BY LIST (p);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF parts FOR VALUES IN (2);
ANALYZE;`

// TestOrderAdvice takes the advice and sees it vanish.
func TestOrderAdvice(t *testing.T) {
	t.Parallel()
	a := &adviser{t, pgtest.New(t)}
	a.exec(makeAdviceTables)
	require.Empty(t, a.order("flights", "id"))
	require.Empty(t, a.order("flights", "-id"), "backward")
	require.Empty(t, a.order("parts", "id, p"), "merged from the partitions")
	for _, c := range []struct{ table, order, want string }{
		{"flights", "delay, id", "CREATE INDEX ON flights (delay, id)"},
		{"flights", "-origin, id", "CREATE INDEX ON flights (origin DESC, id)"},
		{"flights", "-delay nulls last, origin nulls first, id", "CREATE INDEX ON flights (delay DESC NULLS LAST, origin NULLS FIRST, id)"},
		{"flights", "delay nulls last, -part nulls first, -id", "CREATE INDEX ON flights (delay, part DESC, id DESC)"},
		{"public.flights", `"Gate", "select", note, id`, `CREATE INDEX ON public.flights ("Gate", "select", note, id)`},
		{`"Odd ""S"."Ta ble"`, `-"a""b", id`, `CREATE INDEX ON "Odd ""S"."Ta ble" ("a""b" DESC, id)`},
		{"parts", "note, id, p", "CREATE INDEX ON parts (note, id, p)"},
	} {
		require.Equal(t, c.want, a.order(c.table, c.order))
		a.exec(c.want)
		require.Empty(t, a.order(c.table, c.order), c.want)
	}
	require.Empty(t, a.order("flights", "-delay, id desc"), "the whole order backward")
	require.Equal(t, "CREATE INDEX ON flights (delay, id DESC)", a.order("flights", "delay, -id"), "half of it backward")
	require.Equal(t, "CREATE INDEX ON flights (delay, origin, id)", a.order("flights", "delay, origin, id"), "the beginning only")
	a.exec("CREATE INDEX ON flights (part, id) WHERE part > 0")
	require.Equal(t, "CREATE INDEX ON flights (part, id)", a.order("flights", "part, id"), "of some rows only")
	for where, want := range map[string]string{
		"part > 1 -- and so on": "", // which the index's rows are
		"part > -1":             "CREATE INDEX ON flights (part, id)",
	} {
		require.Equal(t, want, a.ask(func(ctx context.Context, tx pgx.Tx) (string, error) {
			order := []binding.OrderTerm{{Column: "part"}, {Column: "id"}}
			return orderAdvice(ctx, tx, binding.TableName{Name: "flights"}, where, order)
		}), where)
	}
}

// TestSearchAdvice takes the advice and sees it vanish.
func TestSearchAdvice(t *testing.T) {
	t.Parallel()
	a := &adviser{t, pgtest.New(t)}
	a.exec(makeAdviceTables + `CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		CREATE TABLE sloppy (id int PRIMARY KEY, word text COLLATE insensitive);
		CREATE INDEX ON flights (lower(origin) text_pattern_ops)`)
	require.Empty(t, a.search("flights"))
	require.Empty(t, a.search("sloppy", "word"), "nothing can be done")
	if !a.available("pg_trgm") {
		t.Skip("this server has no pg_trgm")
	}
	const first = "CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE INDEX ON flights USING gin (lower(note) gin_trgm_ops, lower(origin) gin_trgm_ops)"
	require.Equal(t, first, a.search("flights", "note", "origin"))
	a.exec(first)
	require.Empty(t, a.search("flights", "note", "origin"))
	for _, c := range []struct{ table, columns, want string }{
		{"flights", "note,code,Gate", `CREATE INDEX ON flights USING gin (lower(code) gin_trgm_ops, lower("Gate") gin_trgm_ops)`},
		{"parts", "note", "CREATE INDEX ON parts USING gin (lower(note) gin_trgm_ops)"},
	} {
		columns := strings.Split(c.columns, ",")
		require.Equal(t, c.want, a.search(c.table, columns...))
		a.exec(c.want)
		require.Empty(t, a.search(c.table, columns...))
	}
	a.exec("CREATE TABLE part_3 PARTITION OF parts FOR VALUES IN (3)")
	require.Empty(t, a.search("parts", "note"), "a new partition gets the index")
}

// TestSearchAdviceOfPartitions has one partition with an index and one without.
func TestSearchAdviceOfPartitions(t *testing.T) {
	t.Parallel()
	a := &adviser{t, pgtest.New(t)}
	if !a.available("pg_trgm") {
		t.Skip("this server has no pg_trgm")
	}
	a.exec(makeAdviceTables + `CREATE SCHEMA "Ext"; CREATE EXTENSION pg_trgm SCHEMA "Ext";
		CREATE INDEX ON part_1 USING gin (lower(note) "Ext".gin_trgm_ops)`)
	const want = `CREATE INDEX ON parts USING gin (lower(note) "Ext".gin_trgm_ops)`
	require.Equal(t, want, a.search("parts", "note"))
	a.exec(want)
	require.Empty(t, a.search("parts", "note"))
}

func (a *adviser) available(extension string) bool {
	a.t.Helper()
	var n int
	err := a.pool.QueryRow(context.Background(), "SELECT count(*) FROM pg_available_extensions WHERE name = $1", extension).Scan(&n)
	require.NoError(a.t, err)
	return n > 0
}

// TestAdviceFails has a table that is not there: the error says what was looked for.
func TestAdviceFails(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		_, err := orderAdvice(ctx, tx, binding.TableName{Name: "nowhere"}, "", []binding.OrderTerm{{Column: "id"}})
		require.ErrorContains(t, err, `look for an index of "nowhere"`)
		var one int
		return tx.QueryRow(ctx, "SELECT 1").Scan(&one) // the transaction is still of use
	})
	require.NoError(t, err)
	require.NoError(t, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		_, err := searchAdvice(ctx, tx, binding.TableName{Name: "nowhere"}, []choice.Column{{Name: "n", Deterministic: true}})
		require.ErrorContains(t, err, `look for an index of "nowhere"`)
		return nil
	}))
	require.Equal(t, "x DESC NULLS LAST", fmt.Sprint("x", indexDirection(binding.OrderTerm{Desc: true, Nulls: binding.NullsLast})))
}
