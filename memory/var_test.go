package memory_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

type notice struct {
	Text string `json:"text"`
}

func TestVar(t *testing.T) {
	t.Parallel()
	v := memory.NewVar("board", &notice{"<hello>"})
	require.NoError(t, v.Check())
	require.Equal(t, "board", v.Name())
	var r varRecorder
	sub := v.Subscribe(&r, window.Options{})
	require.Empty(t, r.takeValues(), "a subscription alone says nothing")

	sub.Get(nil)
	require.Equal(t, []string{`{"text":"<hello>"}`}, r.takeValues())
	require.Equal(t, 1, r.gets)

	require.NoError(t, v.Set(&notice{"<hello>"}))
	require.Empty(t, r.takeValues(), "the same value is no change")
	require.NoError(t, v.Set(nil))
	require.NoError(t, v.Set(&notice{"bye"}))
	require.Equal(t, []string{`null`, `{"text":"bye"}`}, r.takeValues())
	require.Equal(t, &notice{"bye"}, v.Get())

	sub.Close()
	require.NoError(t, v.Set(nil))
	require.Empty(t, r.takeValues())
	require.Nil(t, v.Get())
}

func TestVarThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, memory.NewVar("v", math.Inf(1)).Check(), "encode float64")

	v := memory.NewVar("v", 1.5)
	var r varRecorder
	defer v.Subscribe(&r, window.Options{}).Close()
	require.Error(t, v.Set(math.NaN()))
	require.InDelta(t, 1.5, v.Get(), 0)
	require.Empty(t, r.takeValues())

	text := memory.NewVar("v", json.RawMessage(`1`))
	require.ErrorIs(t, text.Set(json.RawMessage("\"\xff\"")), protocol.ErrInvalidUTF8)
}

// A message is nested no deeper than 64, its own braces included.
func TestDepth(t *testing.T) {
	t.Parallel()
	nested := func(n int) json.RawMessage {
		return json.RawMessage(strings.Repeat("[", n) + strings.Repeat("]", n))
	}
	v := memory.NewVar("v", json.RawMessage(`1`))
	require.NoError(t, v.Set(nested(63)))
	require.Error(t, v.Set(nested(64)))

	l := memory.NewList[json.RawMessage]("l", nil)
	require.NoError(t, l.Append(nested(61)))
	require.Error(t, l.Append(nested(62)))
	require.Equal(t, 1, l.Len())
}
