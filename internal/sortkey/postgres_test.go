package sortkey_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/sortkey"
)

const valuesPerType = 200

// fillTable makes a table with one column of each type, called c0, c1 and so on in the order of pgTypes, and as many
// rows. Each column has its values in an order of its own, with NULLs among them.
func fillTable(t *testing.T, r *rand.Rand, pool *pgxpool.Pool) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `CREATE TABLE public.value (id int PRIMARY KEY)`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `INSERT INTO public.value SELECT generate_series(0, $1::int - 1)`, valuesPerType)
	require.NoError(t, err)
	for i, typ := range pgTypes {
		_, err = pool.Exec(t.Context(), fmt.Sprintf(`ALTER TABLE public.value ADD COLUMN c%d %s`, i, typ.sql))
		require.NoError(t, err)
		fill := fmt.Sprintf(`UPDATE public.value SET c%d = v.t::%s
			FROM unnest($1::text[]) WITH ORDINALITY AS v (t, n) WHERE id = n - 1`, i, typ.cast())
		_, err = pool.Exec(t.Context(), fill, typ.values(r))
		require.NoError(t, err, typ.sql)
	}
}

// sortColumn is a column of the table in an ORDER BY.
type sortColumn struct {
	typ              int // in pgTypes
	desc, nullsFirst bool
}

// variant returns one of the four orders of a type.
func variant(typ, n int) sortColumn {
	return sortColumn{typ: typ, desc: n&1 != 0, nullsFirst: n&2 != 0}
}

func (c sortColumn) String() string {
	s := fmt.Sprintf("c%d ASC", c.typ)
	if c.desc {
		s = fmt.Sprintf("c%d DESC", c.typ)
	}
	if c.nullsFirst {
		return s + " NULLS FIRST"
	}
	return s + " NULLS LAST"
}

// compareOrder reads all rows in Postgres's order and demands that the keys ascend where its rank does, and are equal
// where that is.
func compareOrder(ctx context.Context, t *testing.T, db pgx.Tx, columns ...sortColumn) {
	t.Helper()
	var names, order string
	for i, c := range columns {
		names += fmt.Sprintf("c%d, ", c.typ)
		if i > 0 {
			order += ", "
		}
		order += c.String()
	}
	query := fmt.Sprintf(`SELECT %sdense_rank() OVER (ORDER BY %s) AS rank FROM public.value ORDER BY rank`, names, order)
	formats := make(pgx.QueryResultFormats, len(columns)+1)
	for i := range formats {
		formats[i] = pgx.BinaryFormatCode
	}
	rows, err := db.Query(ctx, query, formats)
	require.NoError(t, err)
	defer rows.Close()
	compareRows(t, rows, order, columns)
}

func compareRows(t *testing.T, rows pgx.Rows, order string, columns []sortColumn) {
	t.Helper()
	var lastKey, lastRank, lastRow []byte
	count := 0
	for ; rows.Next(); count++ {
		raw := rows.RawValues()
		var key []byte
		for i, c := range columns {
			key = mustAppend(t, key, sortkey.Column{
				OID: rows.FieldDescriptions()[i].DataTypeOID, Desc: c.desc, NullsFirst: c.nullsFirst, ByteOrdered: true,
			}, value{wire: raw[i]})
		}
		rank := bytes.Clone(raw[len(columns)])
		if got, want := bytes.Compare(lastKey, key), bytes.Compare(lastRank, rank); count > 0 && got != want {
			t.Fatalf("order by %s: %s, then %x: keys compare as %d, Postgres says %d", order, lastRow, raw, got, want)
		}
		lastKey, lastRank, lastRow = key, rank, fmt.Appendf(nil, "%x", raw)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, valuesPerType, count)
}

// newTable returns a transaction on a database with the table filled.
func newTable(t *testing.T, r *rand.Rand) pgx.Tx {
	pool := pgtest.New(t)
	fillTable(t, r, pool)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }) // only read from
	return tx
}

// TestPostgresOneColumn compares each type, in all its orders, with ORDER BY.
func TestPostgresOneColumn(t *testing.T) {
	t.Parallel()
	db := newTable(t, newRand(t))
	for i := range pgTypes {
		for v := range 4 {
			compareOrder(t.Context(), t, db, variant(i, v))
		}
	}
}

// TestPostgresTwoColumns compares each type followed by some others, in all orders of both, with ORDER BY.
func TestPostgresTwoColumns(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	db := newTable(t, r)
	for first := range pgTypes {
		for range 3 {
			second := r.IntN(len(pgTypes))
			for v := range 16 {
				compareOrder(t.Context(), t, db, variant(first, v&3), variant(second, v>>2))
			}
		}
	}
}

// TestPostgresTypes: the table has a column of every type that is supported.
func TestPostgresTypes(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	missing := make(map[uint32]int, len(supported))
	for oid, size := range supported {
		missing[oid] = size
	}
	for _, typ := range pgTypes {
		var oid uint32
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT $1::text::regtype::oid`, typ.cast()).Scan(&oid))
		delete(missing, oid)
	}
	require.Empty(t, missing)
}
