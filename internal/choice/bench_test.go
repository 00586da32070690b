package choice_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/pgtest"
)

// BenchmarkMatch makes a matcher of so many different choices, and reads one row that has changed and decides which of
// them show it. A quarter of the choices each compare for equality, for order, search, or look for a part of a text.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkMatch(b, n) })
	}
}

func benchmarkMatch(b *testing.B, n int) {
	ctx := context.Background()
	pool := pgtest.New(b)
	_, err := pool.Exec(ctx, `CREATE TABLE notes (id bigint PRIMARY KEY, origin text, delay int, at timestamptz, note text);
		INSERT INTO notes SELECT g, 'AP' || g, g, now(), 'a note of some words about flight ' || g FROM generate_series(1, 1000) g`)
	require.NoError(b, err)
	columns := map[string]choice.Column{
		"id": builtin(pgtype.Int8OID, "bigint"), "origin": text(pgtype.TextOID, "text", ""), "delay": builtin(pgtype.Int4OID, "integer"),
		"at": builtin(pgtype.TimestamptzOID, "timestamp with time zone"), "note": text(pgtype.TextOID, "text", ""),
	}
	def := &binding.ListDef{
		Name: "notes", Table: "notes", Key: []string{"id"}, Filter: []binding.FilterRule{{Column: "*"}}, Sort: []string{"*"}, Search: []string{"note", "origin"},
	}
	for name, c := range columns {
		c.Name, c.JSON = name, name
		columns[name] = c
		def.Columns = append(def.Columns, binding.Column{Name: name, JSON: name})
	}
	rules := rulesFrom(b, def, columns)
	choices := make([]*choice.Choice, n)
	for i := range choices {
		fields := [...]string{`,"filter":{"origin":"AP%d"}`, `,"filter":{"delay":{"gte":%d}}`, `,"search":"flight %d"`, `,"filter":{"note":{"contains":"t %d"}}`}[i%4]
		choices[i] = resolve(b, rules, fmt.Sprintf(fields, i))
	}
	b.Run("make", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rules.Matcher(choices, 2)
		}
	})
	b.Run("match", func(b *testing.B) { matchRows(b, pool, rules, choices) })
}

func matchRows(b *testing.B, pool *pgxpool.Pool, rules *choice.Rules, choices []*choice.Choice) {
	ctx := context.Background()
	conn, err := pool.Acquire(ctx)
	require.NoError(b, err)
	defer conn.Release()
	m := rules.Matcher(choices, 2)
	query := "SELECT id" + m.SQL() + " FROM notes WHERE id = $1"
	b.ReportAllocs()
	found := 0
	for i := 0; b.Loop(); i++ {
		rows, err := conn.Query(ctx, query, append([]any{int64(i%1000 + 1)}, m.Args()...)...)
		require.NoError(b, err)
		for rows.Next() {
			x, err := m.Match(conn.Conn().TypeMap(), rows.FieldDescriptions()[1:], rows.RawValues()[1:])
			require.NoError(b, err)
			for _, c := range choices {
				if x.Includes(c) {
					found++
				}
			}
		}
		require.NoError(b, rows.Err())
	}
	require.Positive(b, found)
}
