package protocol_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/protocol"
)

// seed adds everything that the vectors send, and everything they expect.
func seed(f *testing.F) {
	f.Helper()
	for _, v := range loadVectors(f) {
		for _, s := range v.Script {
			if data, ok := s.data(f); ok && len(data) < 1<<16 {
				f.Add(data)
			}
			for _, m := range s.Expect {
				f.Add([]byte(compact(m)))
			}
		}
	}
}

// FuzzDecode: whatever comes, Parse and the decoders do not panic; what they
// refuse is refused with a code; what they accept can be encoded, and comes out
// the same when that is decoded.
func FuzzDecode(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		encoded, err := decode(data)
		if err != nil {
			require.Equal(t, !utf8.Valid(data), codeOf(t, err) == -1)
			return
		}
		if encoded == nil {
			return
		}
		require.True(t, json.Valid(encoded), "%s", encoded)
		require.LessOrEqual(t, protocol.Depth(encoded), protocol.MaxDepth)
		again, err := decode(encoded)
		require.NoError(t, err)
		require.Equal(t, string(encoded), string(again))
		sameFields(t, data, encoded)
	})
}

// sameFields holds what was decoded to encoding/json, where the two must agree:
// a field that the encoded message has has the value of the last field of that
// name, integers written as strings and halves of surrogate pairs aside.
func sameFields(t *testing.T, data, encoded []byte) {
	t.Helper()
	var in, out map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &in))
	require.NoError(t, json.Unmarshal(encoded, &out))
	if string(out["func"]) == `"error"` {
		return
	}
	for name, value := range out {
		var a, b any
		require.NoError(t, json.Unmarshal(value, &b))
		if in[name] == nil || json.Unmarshal(in[name], &a) != nil {
			continue // the head of a message without a valid name, or a number past float64
		}
		_, number := b.(float64)
		_, text := a.(string)
		if number && text || name == "name" && string(value) == `""` {
			continue
		}
		require.True(t, reflect.DeepEqual(a, b), "%s: %s became %s", name, in[name], value)
	}
}

// FuzzPage: whatever a provider sends, a page stays whole: nothing is held when
// it says so, error 5 and only that loses it, and every message that is applied
// changes the number of items as it should.
func FuzzPage(f *testing.F) {
	f.Add([]byte(abc + "\n" + message("insert", `"index":1,"value":5`) + "\n" + message("delete", `"index":3`)))
	f.Add([]byte(message("set", `"index":0,"value":5`) + "\n" + abc + "\n" + message("set", `"index":9,"value":5`) + "\n" + abc))
	f.Fuzz(func(t *testing.T, script []byte) {
		var p protocol.Page
		for line := range bytes.Lines(script) {
			frame, err := protocol.Parse(line)
			if err != nil || frame.Type != protocol.TypeList {
				continue
			}
			held, before := p.Held, len(p.Items)
			applied, err := p.Apply(&frame)
			checkApplied(t, &frame, &p, held, before, applied, codeOf(t, err))
		}
	})
}

func checkApplied(t *testing.T, f *protocol.Frame, p *protocol.Page, held bool, before int, applied bool, code protocol.Code) {
	t.Helper()
	require.False(t, applied && code != 0)
	require.True(t, p.Held || len(p.Items) == 0)
	if code == protocol.BadIndex {
		require.False(t, p.Held)
		return
	}
	grown := map[protocol.Func]int{protocol.FuncInsert: 1, protocol.FuncDelete: -1}
	switch {
	case f.Func == protocol.FuncSetAll && applied:
		require.True(t, p.Held)
	case applied:
		require.Equal(t, held, p.Held)
		require.Len(t, p.Items, before+grown[f.Func])
	default:
		require.Equal(t, held, p.Held)
		require.Len(t, p.Items, before)
	}
}
