package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDelayFlight(t *testing.T) {
	t.Parallel()
	pool := small(t)
	w := serveDemo(t, pool).dial(t)
	m := w.call("delay_flight", `{"id":5,"minutes":77}`)
	require.Equal(t, "return", m.Func, m.Message)
	require.JSONEq(t, one[string](t, pool, "SELECT "+flightJSON+"::text FROM flights WHERE id = 5"), string(m.Value))
	require.Equal(t, 77, one[int](t, pool, "SELECT delay_minutes FROM flights WHERE id = 5"))

	m = w.call("delay_flight", `{"id":5,"minutes":-3}`)
	require.Equal(t, "return", m.Func, m.Message)
	require.Equal(t, -3, one[int](t, pool, "SELECT delay_minutes FROM flights WHERE id = 5"))
}

func TestDelayFlightRefuses(t *testing.T) {
	t.Parallel()
	pool := small(t)
	w := serveDemo(t, pool).dial(t)
	const rows = "SELECT string_agg(f::text, ',' ORDER BY id) FROM flights f"
	before := one[string](t, pool, rows)

	m := w.call("delay_flight", `{"id":987654321,"minutes":5}`)
	require.Equal(t, 8, m.Code)
	require.Contains(t, m.Message, "no flight 987654321")
	for _, args := range []string{
		`{}`, `{"id":5}`, `{"minutes":5}`, `{"id":5,"minutes":null}`, `{"id":"5","minutes":5}`, `{"id":5,"minutes":"5"}`,
		`{"id":5,"minutes":1.5}`, `{"id":5,"minutes":2147483648}`, `{"id":1e30,"minutes":5}`, `{"ID":5,"Minutes":[]}`, `[5,5]`,
	} {
		m := w.call("delay_flight", args)
		require.Equal(t, []any{"error", 8}, []any{m.Func, m.Code}, args)
		require.NotEmpty(t, m.Message)
		require.NotContains(t, m.Message, "json:", args)
		require.NotContains(t, m.Message, "main.", args)
	}
	require.Equal(t, before, one[string](t, pool, rows), "nothing was written")
}

func TestBroadcastNotice(t *testing.T) {
	t.Parallel()
	d := serveDemo(t, small(t))
	quick := d.visit(t, visitor{notice: returns})
	other := d.visit(t, visitor{notice: returns, presence: `{"name":"Ada"}`})
	d.visit(t, visitor{notice: refuses})
	silent := d.visit(t, visitor{notice: ignores})

	m := d.dial(t).call("broadcast_notice", `{"text":"Boarding, \"all\" rows: 东京"}`)
	require.Equal(t, "return", m.Func, m.Message)
	require.Equal(t, "2", string(m.Value))
	for _, v := range []*visitor{quick, other, silent} {
		require.JSONEq(t, `{"text":"Boarding, \"all\" rows: 东京"}`, <-v.told)
	}
}

func TestBroadcastNoticeRefuses(t *testing.T) {
	t.Parallel()
	w := serveDemo(t, small(t)).dial(t)
	for _, args := range []string{`{}`, `{"text":null}`, `{"text":5}`, `"text"`} {
		m := w.call("broadcast_notice", args)
		require.Equal(t, []any{"error", 8}, []any{m.Func, m.Code}, args)
		require.NotEmpty(t, m.Message)
	}
}
