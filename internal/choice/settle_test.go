package choice_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// TestSettleKnows has values of which Go is sure: nobody is asked.
func TestSettleKnows(t *testing.T) {
	t.Parallel()
	s := newSample(t, 1, "")
	for _, w := range []window.Choice{
		filter("j integer", "eq", `5`),
		filter("j integer", "in", `[5, "6", null, -2147483648]`),
		filter("j smallint", "gt", `32767`),
		filter("j bigint", "lt", `-9223372036854775808`),
		filter("j oid", "eq", `4294967295`),
		filter("j boolean", "eq", `true`),
		filter("j uuid", "eq", `"123E4567-E89B-12D3-A456-426614174000"`),
		filter("j text", "gte", `"ä"`),
		filter("j varchar", "eq", `"ä"`),
		filter("j citext", "prefix", `"ä"`),
		filter("j text", "contains", `"ä"`),
		filter("j timestamptz", "null", `true`),
		filter("j timestamptz", "in", `[]`),
		{Search: "ä ö", Sort: []string{"-j numeric"}},
	} {
		c, err := s.rules.Resolve(w, nil)
		require.NoError(t, err)
		settled, err := c.Settle(context.Background(), nil)
		require.NoError(t, err, "%+v", w)
		require.Same(t, c, settled)
	}
}

// TestSettleRefuses has values that their types refuse: error 8 that names the column.
func TestSettleRefuses(t *testing.T) {
	t.Parallel()
	s := newSample(t, 1, "")
	for _, c := range []struct{ column, operator, value string }{
		{"integer", "eq", `"five"`},
		{"integer", "eq", `2.5`},
		{"integer", "lt", `2147483648`},
		{"integer", "in", `[1,true]`},
		{"smallint", "eq", `32768`},
		{"bigint", "eq", `9223372036854775808`},
		{"oid", "eq", `4294967296`},
		{"boolean", "eq", `"maybe"`},
		{"boolean", "eq", `2`},
		{"uuid", "eq", `"123e4567-e89b-12d3-a456-42661417400"`},
		{"uuid", "eq", `"g23e4567-e89b-12d3-a456-426614174000"`},
		{"uuid", "eq", `"123e4567ae89ba12d3aa456a426614174000"`},
		{"timestamptz", "gt", `"yesterday evening"`},
		{"timestamptz", "gt", `"2001-02-30"`},
		{"numeric", "eq", `"1e400000"`},
		{"double", "eq", `1e400`},
		{"enum", "eq", `"Happy"`},
		{"domain_enum", "lt", `"gloomy"`},
		{"jsonb", "eq", `"\u0000"`},
		{"int_array", "eq", `"{1"`},
		{"composite", "eq", `"(1)"`},
		{"regclass", "eq", `"nowhere"`},
		{"regclass", "eq", `"no.where"`},
		{"inet", "in", `["10.0.0.1", "300.0.0.1"]`},
	} {
		column := "j " + c.column
		w := filter("j timestamp", "eq", `"now"`) // of which there is nothing to say
		w.Filter = append(w.Filter, filter(column, c.operator, c.value).Filter...)
		resolved, err := s.rules.Resolve(w, nil)
		if err == nil {
			s.begin(func(ctx context.Context, tx pgx.Tx) { _, err = resolved.Settle(ctx, tx) })
		}
		var refusal *protocol.Error
		require.ErrorAs(t, err, &refusal, "%+v", c)
		require.Equal(t, protocol.Other, refusal.Code)
		require.Contains(t, refusal.Message, "filter: "+column+": ", "%+v", c)
		require.Less(t, len(refusal.Message), 100, "nothing of the database's own message")
	}
}

// TestSettleFails has failures that are nobody's fault: they are no refusals.
func TestSettleFails(t *testing.T) {
	t.Parallel()
	s := newSample(t, 1, "")
	c, err := s.rules.Resolve(filter("j timestamptz", "lt", `"now"`), nil)
	require.NoError(t, err)
	s.begin(func(ctx context.Context, tx pgx.Tx) {
		canceled, cancel := context.WithCancel(ctx)
		cancel()
		_, err := c.Settle(canceled, tx)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorContains(t, err, "settle a choice: filter: j timestamptz")
	})
	s.exec("DROP TYPE mood CASCADE")
	c, err = s.rules.Resolve(filter("j enum", "lt", `"sad"`), nil)
	require.NoError(t, err)
	s.begin(func(ctx context.Context, tx pgx.Tx) {
		_, err := c.Settle(ctx, tx)
		var refusal *protocol.Error
		require.False(t, errors.As(err, &refusal), "the table has changed: %v", err)
		var e *pgconn.PgError
		require.ErrorAs(t, err, &e)
		require.Equal(t, "42704", e.Code)
	})
}

// TestSettleFixes has a value that means another one each time it is read.
func TestSettleFixes(t *testing.T) {
	t.Parallel()
	s := newSample(t, 1, "")
	s.exec("UPDATE samples SET timestamptz = now()")
	c, err := s.rules.Resolve(filter("j timestamptz", "gt", `"now"`), nil)
	require.NoError(t, err)
	var settled *choice.Choice
	s.begin(func(ctx context.Context, tx pgx.Tx) {
		settled, err = c.Settle(ctx, tx)
		require.NoError(t, err)
		var now string
		require.NoError(t, tx.QueryRow(ctx, "SELECT now()::text").Scan(&now))
		_, args := settled.Where(1)
		require.Equal(t, []any{now}, args)
		again, err := settled.Settle(ctx, nil)
		require.NoError(t, err)
		require.Same(t, settled, again)
	})
	require.Equal(t, c.Key(), settled.Key())
	s.exec("UPDATE samples SET timestamptz = now()") // after that time
	included := func() (included bool) {
		s.begin(func(ctx context.Context, tx pgx.Tx) {
			s.match(ctx, tx, []*choice.Choice{settled}, func(_ int32, m *choice.Match) { included = m.Includes(settled) })
		})
		return included
	}
	require.True(t, included(), "later than the time that was fixed")
}

// counter counts what is sent.
type counter struct{ queries, batches atomic.Int32 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.queries.Add(1)
	return ctx
}
func (*counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *counter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	c.batches.Add(1)
	return ctx
}
func (*counter) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*counter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// TestSettleAsksOnce has many values of many types: they go in one batch.
func TestSettleAsksOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newSample(t, 1, "")
	count := &counter{}
	config := s.pool.Config().ConnConfig.Copy()
	config.Tracer = count
	conn, err := pgx.ConnectConfig(ctx, config)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(ctx)) }()
	var w window.Choice
	for _, one := range []window.Choice{
		filter("j enum", "in", `["sad","happy"]`), filter("j numeric", "lt", `1.00`), filter("j date", "gte", `"today"`),
		filter("j timestamptz", "eq", `"2000-01-01"`), filter("j integer", "eq", `1`),
	} {
		w.Filter = append(w.Filter, one.Filter...)
	}
	c, err := s.rules.Resolve(w, nil)
	require.NoError(t, err)
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(ctx) }()
	before := count.queries.Load()
	_, err = c.Settle(ctx, tx)
	require.NoError(t, err)
	require.Equal(t, before, count.queries.Load())
	require.EqualValues(t, 1, count.batches.Load())
}

// TestSettleOtherEncodings has a database that cannot hold every text: what it cannot hold is refused, not an error
// later.
func TestSettleOtherEncodings(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	_, err := pool.Exec(ctx, `CREATE DATABASE choice_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`)
	require.NoError(t, err)
	config := pool.Config().ConnConfig.Copy()
	config.Database = "choice_latin1"
	config.RuntimeParams["client_encoding"] = "UTF8"
	conn, err := pgx.ConnectConfig(ctx, config)
	require.NoError(t, err)
	defer func() {
		require.NoError(t, conn.Close(ctx))
		_, err := pool.Exec(ctx, "DROP DATABASE choice_latin1")
		require.NoError(t, err)
	}()
	def, columns := flights(everything)
	column := columns["origin"]
	column.Unicode, column.OID = false, pgtype.TextOID
	columns["origin"] = column
	rules, err := newRules(def, columns)
	require.NoError(t, err)
	settle := func(w window.Choice) error {
		c, err := rules.Resolve(w, nil)
		require.NoError(t, err)
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			_, err := c.Settle(ctx, tx)
			return err
		})
	}
	for _, value := range []string{`"abc"`, `"ä"`} {
		require.NoError(t, settle(filter("from", "eq", value)))
		require.NoError(t, settle(filter("from", "prefix", value)))
	}
	require.NoError(t, settle(window.Choice{Search: "abc ä"}))
	for w, name := range map[*window.Choice]string{
		{Filter: filter("from", "eq", `"日"`).Filter}:       "filter: from",
		{Filter: filter("from", "contains", `"日"`).Filter}: "filter: from",
		{Search: "日"}: "search",
	} {
		var refusal *protocol.Error
		require.ErrorAs(t, settle(*w), &refusal)
		require.Equal(t, name+": not a value of the column's type", refusal.Message)
	}
}
