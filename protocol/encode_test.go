package protocol_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/protocol"
)

// TestEncoding has every message as its bytes: func, type, name, then the rest
// in the order of the contract. Decoding and encoding them again changes
// nothing.
func TestEncoding(t *testing.T) {
	t.Parallel()
	one, two := 1, 2
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	tests := []struct {
		got  []byte
		want string
	}{
		{protocol.AppendSubscribe(nil, protocol.TypeVar, "v"), `{"func":"subscribe","type":"var","name":"v"}`},
		{protocol.AppendSubscribe(nil, protocol.TypeFunction, "f"), `{"func":"subscribe","type":"function","name":"f"}`},
		{protocol.AppendUnsubscribe(nil, protocol.TypeList, "l"), `{"func":"unsubscribe","type":"list","name":"l"}`},
		{protocol.AppendUnsubscribeAll(nil), `{"func":"unsubscribe_all"}`},
		{protocol.AppendGetVar(nil, "v"), `{"func":"get","type":"var","name":"v"}`},
		{protocol.AppendSetVar(nil, "v", raw(`{"a": [1]}`)), `{"func":"set","type":"var","name":"v","value":{"a": [1]}}`},
		{protocol.AppendSetVar(nil, "v", nil), `{"func":"set","type":"var","name":"v","value":null}`},
		{protocol.AppendGetList(nil, "l", protocol.GetList{}), `{"func":"get","type":"list","name":"l"}`},
		{
			protocol.AppendGetList(nil, "l", protocol.GetList{Page: &one, PageSize: &two}),
			`{"func":"get","type":"list","name":"l","page":1,"page_size":2}`,
		},
		{
			protocol.AppendSetAll(nil, "l", 1, 2, 3, []json.RawMessage{raw(`"a"`), nil}),
			`{"func":"set_all","type":"list","name":"l","page":1,"page_size":2,"total_item_count":3,"items":["a",null]}`,
		},
		{
			protocol.AppendSetAll(nil, "l", 0, 2, protocol.MaxInteger, nil),
			`{"func":"set_all","type":"list","name":"l","page":0,"page_size":2,"total_item_count":9007199254740991,"items":[]}`,
		},
		{protocol.AppendSetCount(nil, "l", 5), `{"func":"set_count","type":"list","name":"l","total_item_count":5}`},
		{protocol.AppendInsert(nil, "l", 3, raw(`1`)), `{"func":"insert","type":"list","name":"l","index":3,"value":1}`},
		{protocol.AppendSetItem(nil, "l", 0, raw(`1`)), `{"func":"set","type":"list","name":"l","index":0,"value":1}`},
		{protocol.AppendDelete(nil, "l", 4), `{"func":"delete","type":"list","name":"l","index":4}`},
		{
			protocol.AppendCall(nil, "f", "a", raw(`{}`)),
			`{"func":"call","type":"function","name":"f","id":"a","args":{}}`,
		},
		{protocol.AppendCall(nil, "f", "a", nil), `{"func":"call","type":"function","name":"f","id":"a"}`},
		{
			protocol.AppendReturn(nil, "f", "a", raw(`null`)),
			`{"func":"return","type":"function","name":"f","id":"a","value":null}`,
		},
		{protocol.AppendReturn(nil, "f", "a", nil), `{"func":"return","type":"function","name":"f","id":"a"}`},
		{
			protocol.AppendError(nil, &protocol.Error{Code: protocol.BadIndex, Message: "bad index"}),
			`{"func":"error","error_code":5,"message":"bad index"}`,
		},
	}
	for _, test := range tests {
		require.Equal(t, test.want, string(test.got))
		again, err := decode(test.got)
		require.NoError(t, err, test.want)
		require.Equal(t, test.want, string(again))
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	got := protocol.AppendDelete(protocol.AppendSetCount([]byte("x"), "l", 1), "l", 0)
	require.Equal(t, `x{"func":"set_count","type":"list","name":"l","total_item_count":1}`+
		`{"func":"delete","type":"list","name":"l","index":0}`, string(got))
}

// TestStrings holds the escaping to encoding/json, which reads it back, and has
// the bytes for what must and what must not be escaped.
func TestStrings(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{`<&>'/`, `"<&>'/"`},
		{"\"\\", `"\"\\"`},
		{"\x00\b\f\n\r\t\x1f\x7f", "\"\\u0000\\u0008\\u000c\\u000a\\u000d\\u0009\\u001f\x7f\""},
		{"größe ☃ \U0001F680 \u2028\ufffd", "\"größe ☃ \U0001F680 \u2028\ufffd\""},
		{"a\xffb\xc3", "\"a\ufffdb\ufffd\""},
	}
	for _, test := range tests {
		got := protocol.AppendSubscribe(nil, protocol.TypeVar, test.text)
		require.Equal(t, `{"func":"subscribe","type":"var","name":`+test.want+`}`, string(got))
		var m map[string]string
		require.NoError(t, json.Unmarshal(got, &m))
		var text string
		require.NoError(t, json.Unmarshal([]byte(test.want), &text))
		require.Equal(t, text, m["name"])
	}
}

// TestPeerError has that nothing in an error message can be wrong.
func TestPeerError(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fields string
		want   protocol.Error
	}{
		{``, protocol.Error{}},
		{`,"error_code":3,"message":"no \"x\""`, protocol.Error{Code: protocol.InvalidName, Message: `no "x"`}},
		{`,"error_code":"3"`, protocol.Error{Code: protocol.InvalidName}},
		{`,"error_code":4711,"message":""`, protocol.Error{Code: 4711}},
		{`,"error_code":-1,"message":5`, protocol.Error{}},
		{`,"error_code":null,"message":null`, protocol.Error{}},
		{`,"error_code":[],"message":"\ud800"`, protocol.Error{}},
	}
	for _, test := range tests {
		f, err := protocol.Parse([]byte(`{"func":"error"` + test.fields + `}`))
		require.NoError(t, err)
		require.Equal(t, test.want, *f.PeerError(), test.fields)
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	require.Equal(t, "socksync error 3 (invalid name): no such item",
		(&protocol.Error{Code: protocol.InvalidName, Message: "no such item"}).Error())
	require.Equal(t, "socksync error 8 (other)", (&protocol.Error{Code: protocol.Other}).Error())
	require.Equal(t, "code 0", protocol.Code(0).String())
	require.Equal(t, "forbidden", protocol.Code(9).String())
	require.Equal(t, "code 12", protocol.Code(12).String())
	require.Equal(t, "code -1", protocol.Code(-1).String())
}

func TestValidName(t *testing.T) {
	t.Parallel()
	require.True(t, protocol.ValidName("a"))
	require.True(t, protocol.ValidName(string(make([]byte, 128))))
	require.False(t, protocol.ValidName(""))
	require.False(t, protocol.ValidName(string(make([]byte, 129))))
	require.False(t, protocol.ValidName("a\xff"))
}

func TestDepth(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`5`: 0, `"[["`: 0, `[]`: 1, `{"a":[{}],"b":[]}`: 3, `["\"[",[]]`: 2, `[[],[[]]]`: 3, `"[`: 0, `]][[`: 0,
	} {
		require.Equal(t, want, protocol.Depth([]byte(text)), text)
	}
}
