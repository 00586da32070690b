package protocol_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/protocol"
)

const (
	abc     = `{"func":"set_all","type":"list","name":"l","page":2,"page_size":3,"total_item_count":9,"items":["a","b","c"]}`
	prefix  = `{"func":"`
	listEnd = `,"type":"list","name":"l"}`
)

func message(f, fields string) string { return prefix + f + `",` + fields + listEnd }

// strict applies a message and returns whether it did something, and the code.
func strict(t *testing.T, p *protocol.Page, text string) (bool, protocol.Code) {
	t.Helper()
	f, err := protocol.Parse([]byte(text))
	require.NoError(t, err)
	applied, err := p.Apply(&f)
	return applied, codeOf(t, err)
}

func TestPageIndexes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		message string
		want    string // the items, or "" where the page is lost
	}{
		{message("insert", `"index":0,"value":1`), `[1,"a","b","c"]`},
		{message("insert", `"index":3,"value":1`), `["a","b","c",1]`}, // overfull, and not an error
		{message("insert", `"index":4,"value":1`), ``},
		{message("set", `"index":0,"value":null`), `[null,"b","c"]`},
		{message("set", `"index":2,"value":1`), `["a","b",1]`},
		{message("set", `"index":3,"value":1`), ``},
		{message("delete", `"index":0`), `["b","c"]`},
		{message("delete", `"index":2`), `["a","b"]`},
		{message("delete", `"index":3`), ``},
		{message("delete", `"index":9007199254740991`), ``},
		{message("insert", `"index":-1,"value":1`), ``},
		{message("set", `"index":"x","value":1`), ``},
	}
	for _, test := range tests {
		var p protocol.Page
		strict(t, &p, abc)
		applied, code := strict(t, &p, test.message)
		if test.want == "" {
			require.False(t, applied, test.message)
			require.Equal(t, protocol.BadIndex, code, test.message)
			require.Equal(t, protocol.Page{Page: 2, PageSize: 3, Total: 9}, p, test.message)
			continue
		}
		require.True(t, applied, test.message)
		require.Zero(t, code, test.message)
		require.Equal(t, test.want, compact(p.Items), test.message)
		require.True(t, p.Held)
	}
}

func TestPageHoldingNothing(t *testing.T) {
	t.Parallel()
	var fresh, lost protocol.Page
	strict(t, &lost, abc)
	strict(t, &lost, message("delete", `"index":3`))
	for _, p := range []*protocol.Page{&fresh, &lost} {
		for _, m := range []string{
			message("insert", `"index":0,"value":1`),
			message("set", `"index":50,"value":1`),
			message("delete", `"index":0`),
		} {
			applied, code := strict(t, p, m)
			require.False(t, applied, m)
			require.Zero(t, code, m)
		}
		applied, code := strict(t, p, message("set_count", `"total_item_count":4`))
		require.True(t, applied)
		require.Zero(t, code)
		require.Equal(t, 4, p.Total)
		require.False(t, p.Held)
		require.Empty(t, p.Items)

		strict(t, p, abc)
		require.Equal(t, `["a","b","c"]`, compact(p.Items))
		require.Equal(t, 9, p.Total)
		p.Reset()
		require.Equal(t, protocol.Page{}, *p)
	}
}

// TestPageErrors has that only error 5 costs the page.
func TestPageErrors(t *testing.T) {
	t.Parallel()
	for m, want := range map[string]protocol.Code{
		message("insert", `"index":0`):                                              protocol.MissingField,
		message("delete", `"Index":0`):                                              protocol.MissingField,
		message("set_count", `"total_item_count":"x"`):                              protocol.Other,
		message("set_all", `"page":0,"page_size":1,"total_item_count":0,"items":5`): protocol.Other,
		message("get", `"page":0`):                                                  protocol.InvalidFunc,
	} {
		var p protocol.Page
		strict(t, &p, abc)
		applied, code := strict(t, &p, m)
		require.False(t, applied, m)
		require.Equal(t, want, code, m)
		require.Equal(t, `["a","b","c"]`, compact(p.Items), m)
		require.Equal(t, 9, p.Total, m)
	}
	var p protocol.Page
	strict(t, &p, abc)
	_, code := strict(t, &p, message("set_all", `"page":-1,"page_size":1,"total_item_count":0,"items":[]`))
	require.Equal(t, protocol.BadIndex, code)
	require.False(t, p.Held)
	require.Equal(t, 9, p.Total)
}

// TestPageCopies has that a page outlives the buffers that messages come in.
func TestPageCopies(t *testing.T) {
	t.Parallel()
	var p protocol.Page
	for _, m := range []string{abc, message("insert", `"index":0,"value":"x"`), message("set", `"index":1,"value":"y"`)} {
		buffer := []byte(m)
		f, err := protocol.Parse(buffer)
		require.NoError(t, err)
		_, err = p.Apply(&f)
		require.NoError(t, err)
		clear(buffer)
	}
	require.Equal(t, `["x","y","b","c"]`, compact(p.Items))
}

// TestFrameIsPartOfTheData has that decoding copies no values, and that nobody
// can append to one and so write over what follows it.
func TestFrameIsPartOfTheData(t *testing.T) {
	t.Parallel()
	data := []byte(`{"func":"set_all","type":"list","name":"l","page":0,"page_size":9,"total_item_count":2,"items":[ [1 ,2] , {"a":"]"} ]}`)
	f, err := protocol.Parse(data)
	require.NoError(t, err)
	m, err := f.SetAll()
	require.NoError(t, err)
	require.Equal(t, []json.RawMessage{json.RawMessage(`[1 ,2]`), json.RawMessage(`{"a":"]"}`)}, m.Items)
	for _, item := range m.Items {
		require.Equal(t, len(item), cap(item))
	}
	data[len(data)-6] = 'X'
	require.Equal(t, `{"a":"X"}`, string(m.Items[1]))

	f, err = protocol.Parse([]byte(`{"value":[1],"func":"set","type":"var","name":"v"}`))
	require.NoError(t, err)
	v, err := f.SetVar()
	require.NoError(t, err)
	require.Equal(t, len(v.Value), cap(v.Value))
}
