package view_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
)

// moody is a value that some texts cannot be scanned into or encoded from.
type moody struct{ text string }

func (m *moody) Scan(value any) error {
	switch m.text, _ = value.(string); m.text {
	case "scan fails":
		return errors.New("will not")
	case "scan panics":
		var nobody *moody
		nobody.text = "" // a nil pointer
	}
	return nil
}

func (m moody) MarshalJSON() ([]byte, error) {
	switch m.text {
	case "encoding fails":
		return nil, errors.New("cannot")
	case "encoding panics":
		panic("no")
	case "no JSON":
		return []byte("{"), nil
	}
	return json.Marshal(m.text)
}

// moodyRow has everything that can be wrong with a row beside its key.
type moodyRow struct {
	ID     int64           `db:"id" json:"number" socksync:"pk"`
	Name   string          `db:"name" json:"name" socksync:"pk"`
	Flag   bool            `db:"flag" json:"flag" socksync:"pk"`
	Ratio  float64         `db:"ratio" json:"ratio" socksync:"pk"`
	Secret string          `db:"secret" json:"secret" socksync:"pk"`
	Mood   moody           `db:"mood" json:"mood"`
	Data   json.RawMessage `db:"data" json:"data"`
}

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// moodyRows are rows, and whether they can be published by the struct and without.
var moodyRows = []struct {
	mood, data     string
	typed, untyped bool
}{
	{"fine", "{}", true, true},
	{"scan fails", "{}", false, true},
	{"scan panics", "{}", false, true},
	{"encoding fails", "{}", false, true},
	{"encoding panics", "{}", false, true},
	{"no JSON", "{}", false, true},
	{"deep", nested(60), true, true},
	{"too deep", nested(61), false, false},
}

// moodyJSON is what is published of the row.
func moodyJSON(id int, mood, data string, readable bool) string {
	key := fmt.Sprintf(`{"number":%d,"name":"n\"%d","flag":true,"ratio":0.5,"secret":"x"`, id, id)
	if !readable {
		return key + "}"
	}
	return fmt.Sprintf(`%s,"mood":%q,"data":%s}`, key, mood, data)
}

// TestUnreadableRows has rows that cannot be scanned, encoded or sent: they are
// published with their key, and the list goes on.
func TestUnreadableRows(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(6))
	_, err := pool.Exec(context.Background(), `CREATE TABLE t (id bigint, name text, flag bool, ratio float8, secret text,
		mood text, data jsonb, PRIMARY KEY (id, name, flag, ratio, secret))`)
	require.NoError(t, err)
	plain := binding.List[moodyRow](binding.Name("plain"), binding.Table("t"))
	plain.Row = nil
	for i := range plain.Columns {
		plain.Columns[i].Field, plain.Columns[i].Type = nil, nil
	}
	l, sources := start(t, pool, binding.List[moodyRow](binding.Name("typed"), binding.Table("t")), plain)
	typed, untyped := trace(t, sources[0]), trace(t, sources[1])
	typed.get(0, 20)
	untyped.get(0, 20)
	n := len(moodyRows)
	want, wantPlain, mended := shownPage{size: 20, total: n}, shownPage{size: 20, total: n}, shownPage{size: 20, total: n}
	for i, c := range moodyRows {
		l.exec("INSERT INTO t VALUES ($1::bigint, 'n\"' || $1::bigint, true, 0.5, 'x', $2, $3)", i, c.mood, c.data)
		want.items = append(want.items, moodyJSON(i, c.mood, c.data, c.typed))
		wantPlain.items = append(wantPlain.items, moodyJSON(i, c.mood, c.data, c.untyped))
		mended.items = append(mended.items, moodyJSON(i, "fine", "{}", true))
	}
	typed.until(want)
	untyped.until(wantPlain)
	require.Positive(t, l.engine.Unreadable())
	l.exec("UPDATE t SET mood = 'fine', data = '{}'")
	typed.until(mended)
	untyped.until(mended)
	l.audit(typed, untyped)
}

// TestTimes has times in all kinds of fields: they are published in UTC, wherever the
// server runs.
func TestTimes(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(6))
	_, err := pool.Exec(context.Background(), `CREATE TABLE t (at timestamptz PRIMARY KEY, pointer timestamptz, "null" timestamptz,
		generic timestamptz, pgx timestamptz, pgx_pointer timestamptz, list timestamptz[], range tstzrange, any_type timestamptz, local timestamp)`)
	require.NoError(t, err)
	type row struct {
		At         time.Time                        `db:"at" json:"at" socksync:"pk"`
		Pointer    *time.Time                       `db:"pointer" json:"pointer"`
		Null       sql.NullTime                     `db:"null" json:"null"`
		Generic    sql.Null[time.Time]              `db:"generic" json:"generic"`
		Pgx        pgtype.Timestamptz               `db:"pgx" json:"pgx"`
		PgxPointer *pgtype.Timestamptz              `db:"pgx_pointer" json:"pgx_pointer"`
		List       []time.Time                      `db:"list" json:"list"`
		Range      pgtype.Range[pgtype.Timestamptz] `db:"range" json:"range"`
		Any        any                              `db:"any_type" json:"any"`
		Local      time.Time                        `db:"local" json:"local"`
	}
	l, sources := start(t, pool, binding.List[row](binding.Name("t"), binding.Table("t")))
	s := newSink(t)
	sub := sources[0].Subscribe(s, window.Options{})
	t.Cleanup(sub.Close)
	sub.Get(window.Want{Page: 0, Size: 5})
	l.exec(`INSERT INTO t SELECT at, at, at, at, at, at, array[at, at], tstzrange(at, at, '[]'), at, '2001-02-03 01:05:06'
		FROM (VALUES (timestamptz '2001-02-03 04:05:06+03')) v (at)`)
	utc := time.Date(2001, 2, 3, 1, 5, 6, 0, time.UTC)
	pgx := pgtype.Timestamptz{Time: utc, Valid: true}
	want := row{
		At: utc, Pointer: &utc, Null: sql.NullTime{Time: utc, Valid: true}, Generic: sql.Null[time.Time]{V: utc, Valid: true},
		Pgx: pgx, PgxPointer: &pgx, List: []time.Time{utc, utc}, Any: utc, Local: utc,
		Range: pgtype.Range[pgtype.Timestamptz]{Lower: pgx, Upper: pgx, LowerType: pgtype.Inclusive, UpperType: pgtype.Inclusive, Valid: true},
	}
	text := encode(t, want)
	require.Equal(t, 10, strings.Count(text, "T01:05:06Z")-2, "the test's own value") // list and range have two
	s.rows([]string{text}, "times")
}

// TestTextFormat has a pool that gets values as texts, as behind some poolers: where
// they cannot be encoded, Postgres places the rows.
func TestTextFormat(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, pgtest.MaxConns(6))
	_, err := pool.Exec(context.Background(), `CREATE TABLE items (id bigint PRIMARY KEY, v bigint, word text COLLATE "C")`)
	require.NoError(t, err)
	for _, mode := range []string{"exec", "simple_protocol", "cache_describe", "describe_exec"} {
		own, err := pgxpool.New(context.Background(), pool.Config().ConnString()+"&default_query_exec_mode="+mode)
		require.NoError(t, err)
		t.Cleanup(own.Close)
		t.Run(mode, func(t *testing.T) {
			_, err := pool.Exec(context.Background(), "TRUNCATE items")
			require.NoError(t, err)
			l, sources := start(t, own, binding.List[item](binding.Name("n"), binding.Table("items"), binding.Order("-v, id")),
				binding.List[item](binding.Name("w"), binding.Table("items"), binding.Order("word, -id")))
			n, w := trace(t, sources[0]), trace(t, sources[1])
			n.get(0, 3)
			w.get(1, 3)
			n.until(shownPage{0, 3, 0, []string{}}) // empty: how values come is not known yet
			for _, statement := range []string{
				"INSERT INTO items VALUES (1, 10, 'a')",
				"INSERT INTO items SELECT g, g % 5, chr(70 + g) FROM generate_series(2, 9) g",
				"UPDATE items SET v = 100, word = NULL WHERE id = 7",
				"UPDATE items SET v = -v WHERE id % 2 = 0",
				"DELETE FROM items WHERE id IN (1, 5)",
			} {
				_, err := pool.Exec(context.Background(), statement)
				require.NoError(t, err)
				for page, s := range []*tracer{n, w} {
					order := []string{"v DESC NULLS FIRST, id", "word, id DESC"}[page]
					rows := answerItems(t, pool, "SELECT * FROM items ORDER BY "+order)
					from := min(3*page, len(rows))
					s.until(shownPage{page, 3, len(rows), rows[from:min(from+3, len(rows))]})
				}
			}
			l.audit(n, w)
		})
	}
}
