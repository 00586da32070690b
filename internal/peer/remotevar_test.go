package peer

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

func param(name, value string) []protocol.Condition {
	return []protocol.Condition{{Column: name, Operator: protocol.OpEq, Value: json.RawMessage(value)}}
}

// A var is followed with one set of parameters after the other, and what was refused is not followed.
func TestVarWithParameters(t *testing.T) {
	t.Parallel()
	p := newV2(t, nil)
	var errs []error
	v := NewRemoteVar("v", &VarOptions{Params: param("airport", `"OSL"`), OnError: func(err error) { errs = append(errs, err) }})
	subscribe, get := p.opens(v)
	require.JSONEq(t, `{"airport":{"eq":"OSL"}}`, string(get.Filter))
	p.takes(ok(subscribe), head("set", get, true)+`"value":1}`, head("set", get, false)+`"value":2}`)
	last, known := v.Value()
	require.True(t, known)
	require.Equal(t, "2", string(last))

	choose := func(params []protocol.Condition) func(context.Context) (protocol.Page, error) {
		return func(ctx context.Context) (protocol.Page, error) {
			value, err := v.Choose(ctx, params)
			return protocol.Page{Items: []json.RawMessage{value}}, err
		}
	}
	next, done := p.begins(choose(param("airport", `"BGO"`)))
	require.Equal(t, get.View, next.View)
	p.takes(head("set", get, false) + `"value":3}`)
	require.Empty(t, done, "that is still the other one")
	p.takes(head("set", next, true) + `"value":4}`)
	require.Equal(t, raws("4"), (<-done).page.Items)

	bad, done := p.begins(choose(param("gate", "1")))
	p.takes(refuses(bad, protocol.Other, "gate: no such parameter"))
	require.ErrorContains(t, (<-done).err, "gate")
	require.Len(t, errs, 1)
	v.Retry()
	require.Empty(t, p.says())
	_, err := v.Get(dead(t))
	require.Error(t, err)
	again := p.one()
	require.JSONEq(t, `{"airport":{"eq":"BGO"}}`, string(again.Filter))

	p.takes(head("set", again, true) + `"no value":4}`)
	require.Equal(t, protocol.MissingField, p.one().Code)
	require.Len(t, errs, 2)
	p.takes(halts(get, protocol.Forbidden))
	_, known = v.Value()
	require.False(t, known)
	require.Len(t, errs, 3)
	require.Empty(t, p.asked.queries)
}
