package memory_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

var _ peer.Function = (*memory.Func)(nil)

type delay struct {
	ID      int64 `json:"id"`
	Minutes *int  `json:"minutes"`
}

func TestFunc(t *testing.T) {
	t.Parallel()
	f := memory.NewFunc("double", func(_ context.Context, d delay) (delay, error) {
		d.ID *= 2
		return d, nil
	})
	require.Equal(t, "double", f.Name())
	result, err := f.Call(t.Context(), json.RawMessage(`{"id":4,"minutes":5}`))
	require.NoError(t, err)
	require.JSONEq(t, `{"id":8,"minutes":5}`, string(result))
	result, err = f.Call(t.Context(), nil)
	require.NoError(t, err)
	require.JSONEq(t, `{"id":0,"minutes":null}`, string(result))
}

func TestFuncErrors(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	f := memory.NewFunc("f", func(context.Context, struct{}) (any, error) { return nil, boom })
	_, err := f.Call(t.Context(), nil)
	require.ErrorIs(t, err, boom)

	f = memory.NewFunc("f", func(context.Context, struct{}) (any, error) { return make(chan int), nil })
	_, err = f.Call(t.Context(), nil)
	require.ErrorContains(t, err, "encode chan int")
}

// What is wrong with arguments is told to the peer, without types of the program.
func TestFuncArguments(t *testing.T) {
	t.Parallel()
	f := memory.NewFunc("f", func(context.Context, delay) (any, error) {
		t.Error("called with bad arguments")
		return nil, nil
	})
	for args, want := range map[string]string{
		`{"id":"4"}`:       "bad arguments: string does not fit id",
		`{"minutes":[]}`:   "bad arguments: array does not fit minutes",
		`{"id":1e99}`:      "bad arguments: number 1e99 does not fit id",
		`{"minutes":2.5}`:  "bad arguments: number 2.5 does not fit minutes",
		`[]`:               "bad arguments: array does not fit",
		`{"id":1,"id":{}}`: "bad arguments: object does not fit id",
	} {
		_, err := f.Call(t.Context(), json.RawMessage(args))
		var e *protocol.Error
		require.ErrorAs(t, err, &e, args)
		require.Equal(t, protocol.Other, e.Code)
		require.Equal(t, want, e.Message)
	}
}
