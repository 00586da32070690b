package protocol_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/protocol"
)

// FuzzDecodeV2 is FuzzDecode for version 2: steps, choices, routes.
func FuzzDecodeV2(f *testing.F) {
	seed(f)
	for _, m := range messagesOfV2() {
		f.Add(m.got)
	}
	f.Add([]byte(`{` + getV2 + `,"filter":{"b":{"lt":9,"gt":1,"lt":5},"\u0061":[],"a":"x","n":{"null":true}},"sort":["-a"],"search":"x\ty"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		encoded, err := decodeV2(data)
		if err != nil {
			require.Equal(t, !utf8.Valid(data), codeOf(t, err) == -1)
			return
		}
		if encoded == nil {
			return
		}
		require.True(t, json.Valid(encoded), "%s", encoded)
		require.LessOrEqual(t, protocol.Depth(encoded), protocol.MaxDepth)
		again, err := decodeV2(encoded)
		require.NoError(t, err)
		require.Equal(t, string(encoded), string(again))
		checkBounds(t, encoded)
	})
}

// checkBounds has that a choice that was accepted is within the bounds, by another way of reading it.
func checkBounds(t *testing.T, encoded []byte) {
	t.Helper()
	var m struct {
		Func, View, ID, Search string
		Sort                   []string
		Filter                 map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal(encoded, &m), "%s", encoded)
	if m.Func != "get" {
		return
	}
	require.LessOrEqual(t, len(m.View), 64)
	require.LessOrEqual(t, len(m.ID), 128)
	require.LessOrEqual(t, len(m.Search), 1024)
	require.LessOrEqual(t, len(m.Sort), 32)
	conditions := 0
	for _, operators := range m.Filter {
		conditions += len(operators)
	}
	require.LessOrEqual(t, conditions, 64)
}

// FuzzPageV2: whatever a provider sends, a step is applied as a whole or not at all, and error 5 alone loses the page.
func FuzzPageV2(f *testing.F) {
	f.Add([]byte(abcV2 + "\n" + stepOf("", `{"func":"insert","index":1,"value":5},{"func":"delete","index":3}`) + "\n" +
		`{` + pending + `,"total_item_count":1,"pending":1}`))
	f.Add([]byte(stepOf("", `{"func":"set","index":1,"value":5}`) + "\n" + abcV2 + "\n" +
		stepOf(`"after":[1],`, `{"func":"set","index":1,"value":5},{"func":"set","index":9,"value":5}`) + "\n" + abcV2))
	f.Fuzz(func(t *testing.T, script []byte) {
		var p protocol.Page
		for line := range bytes.Lines(script) {
			frame, err := protocol.V2.Parse(line)
			if err != nil || frame.Type != protocol.TypeList {
				continue
			}
			before := p
			before.Items = slices.Clone(p.Items)
			applied, err := p.Apply(&frame)
			checkStep(t, &frame, &p, &before, applied, codeOf(t, err))
		}
	})
}

// checkStep applies the step once more, naively: to a copy, change by change.
func checkStep(t *testing.T, f *protocol.Frame, p, before *protocol.Page, applied bool, code protocol.Code) {
	t.Helper()
	require.False(t, applied && code != 0)
	require.True(t, p.Held || p.Rev == "", "a state is named, but none is held")
	if code == protocol.BadIndex {
		require.False(t, p.Held)
		require.Empty(t, p.Items)
		require.Equal(t, before.Total, p.Total)
		return
	}
	if f.Func != protocol.FuncStep || code != 0 || !before.Held {
		require.True(t, applied || same(before.Items, p.Items))
		return
	}
	s, err := f.Step()
	require.NoError(t, err)
	want := before.Items
	for _, c := range s.Changes {
		want = naively(want, c)
	}
	require.True(t, applied)
	require.True(t, same(want, p.Items), "%s, %s", want, p.Items)
	require.Equal(t, s.Rev, p.Rev)
	require.Zero(t, p.Pending)
}

func same(a, b []json.RawMessage) bool {
	return slices.EqualFunc(a, b, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
}

func naively(items []json.RawMessage, c protocol.Change) []json.RawMessage {
	var out []json.RawMessage
	for i, item := range items {
		if c.Func == protocol.FuncInsert && c.Index == i {
			out = append(out, c.Value)
		}
		switch {
		case c.Func == protocol.FuncSet && c.Index == i:
			out = append(out, c.Value)
		case c.Func == protocol.FuncDelete && c.Index == i:
		default:
			out = append(out, item)
		}
	}
	if c.Func == protocol.FuncInsert && c.Index == len(items) {
		out = append(out, c.Value)
	}
	return out
}
