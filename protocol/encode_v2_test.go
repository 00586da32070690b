package protocol_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/protocol"
)

func raw(s string) json.RawMessage { return json.RawMessage(s) }

func raws(texts ...string) []json.RawMessage {
	out := make([]json.RawMessage, len(texts))
	for i, s := range texts {
		out[i] = raw(s)
	}
	return out
}

// TestEncodingV2 has every message of version 2 as its bytes. Decoding and encoding them again changes nothing.
func TestEncodingV2(t *testing.T) {
	t.Parallel()
	for _, test := range messagesOfV2() {
		require.Equal(t, test.want, string(test.got))
		again, err := decodeV2(test.got)
		require.NoError(t, err, test.want)
		require.Equal(t, test.want, string(again))
	}
}

type encoded struct {
	got  []byte
	want string
}

func messagesOfV2() []encoded {
	none, both := protocol.Route{}, protocol.Route{View: "w", ID: "1"}
	one, two := 1, 2
	list, v := protocol.TypeList, protocol.TypeVar
	head := func(f protocol.Func, r protocol.Route) []byte { return protocol.AppendHead(nil, f, list, "l", r) }
	return []encoded{
		{
			protocol.AppendSimpleV2(nil, protocol.FuncSubscribe, v, "v", both),
			`{"func":"subscribe","type":"var","name":"v","view":"w","id":"1"}`,
		},
		{
			protocol.AppendSimpleV2(nil, protocol.FuncPause, list, "l", none),
			`{"func":"pause","type":"list","name":"l"}`,
		},
		{
			protocol.AppendSimpleV2(nil, protocol.FuncResume, list, "l", protocol.Route{ID: `"`}),
			`{"func":"resume","type":"list","name":"l","id":"\""}`,
		},
		{protocol.AppendUnsubscribeAllV2(nil, ""), `{"func":"unsubscribe_all"}`},
		{protocol.AppendUnsubscribeAllV2(nil, "1"), `{"func":"unsubscribe_all","id":"1"}`},
		{protocol.AppendOK(nil, "1"), `{"func":"ok","id":"1"}`},
		{protocol.AppendGetListV2(nil, "l", none, protocol.GetList{}), `{"func":"get","type":"list","name":"l"}`},
		{
			protocol.AppendGetListV2(nil, "l", both, protocol.GetList{Page: &one, PageSize: &two, Rev: "1.2"}),
			`{"func":"get","type":"list","name":"l","view":"w","id":"1","page":1,"page_size":2,"rev":"1.2"}`,
		},
		{
			protocol.AppendGetListV2(nil, "l", none, protocol.GetList{Anchored: true}),
			`{"func":"get","type":"list","name":"l","after":null}`,
		},
		{
			protocol.AppendGetListV2(nil, "l", none, protocol.GetList{Anchored: true, After: raws(`7`, `"a"`), PageSize: &two}),
			`{"func":"get","type":"list","name":"l","after":[7,"a"],"page_size":2}`,
		},
		{
			protocol.AppendGetListV2(nil, "l", none, protocol.GetList{Choice: protocol.Choice{
				Sort: []string{"-a", "b"}, Search: `o "x`,
				Filter: []protocol.Condition{
					{Column: "b", Operator: protocol.OpLt, Value: raw(`5`)},
					{Column: "a", Operator: protocol.OpIn, Value: raw(`[1,null]`)},
					{Column: "b", Operator: protocol.OpGt, Value: raw(`"1"`)},
					{Column: "c", Operator: protocol.OpEq},
				},
			}}),
			`{"func":"get","type":"list","name":"l","sort":["-a","b"],` +
				`"filter":{"a":{"in":[1,null]},"b":{"gt":"1","lt":5},"c":{"eq":null}},"search":"o \"x"}`,
		},
		{protocol.AppendGetVarV2(nil, "v", both, nil), `{"func":"get","type":"var","name":"v","view":"w","id":"1"}`},
		{
			protocol.AppendGetVarV2(nil, "v", none, []protocol.Condition{{Column: "p", Operator: protocol.OpEq, Value: raw(`1`)}}),
			`{"func":"get","type":"var","name":"v","filter":{"p":{"eq":1}}}`,
		},
		{
			protocol.AppendSetVarV2(nil, "v", both, raw(`[1]`)),
			`{"func":"set","type":"var","name":"v","view":"w","id":"1","value":[1]}`,
		},
		{
			protocol.AppendSetPending(nil, "l", protocol.Route{View: "w"}, 5, 2),
			`{"func":"set_pending","type":"list","name":"l","view":"w","total_item_count":5,"pending":2}`,
		},
		{
			protocol.AppendStepBody(head("step", both), protocol.Step{Rev: "1.2"}),
			`{"func":"step","type":"list","name":"l","view":"w","id":"1","rev":"1.2","changes":[]}`,
		},
		{
			protocol.AppendStepBody(head("step", none), protocol.Step{Rev: "1.2", Anchored: true, Changes: []protocol.Change{
				{Func: "set_count", Total: 3}, {Func: "delete", Index: 2}, {Func: "insert", Value: raw(`"x"`)}, {Func: "set", Index: 1},
			}}),
			`{"func":"step","type":"list","name":"l","rev":"1.2","after":null,"changes":[{"func":"set_count","total_item_count":3},` +
				`{"func":"delete","index":2},{"func":"insert","index":0,"value":"x"},{"func":"set","index":1,"value":null}]}`,
		},
		{
			protocol.AppendSetAllBody(head("set_all", both), protocol.SetAll{
				Page: 1, PageSize: 2, Total: 3, Items: raws(`"a"`), Rev: "1.2", Key: []string{"id", "day"},
			}),
			`{"func":"set_all","type":"list","name":"l","view":"w","id":"1","rev":"1.2","page":1,"page_size":2,` +
				`"total_item_count":3,"key":["id","day"],"items":["a"]}`,
		},
		{
			protocol.AppendSetAllBody(head("set_all", none), protocol.SetAll{
				PageSize: 2, Rev: "1.2", Anchored: true, After: raws(`1`),
			}),
			`{"func":"set_all","type":"list","name":"l","rev":"1.2","after":[1],"page_size":2,"total_item_count":0,"items":[]}`,
		},
		{
			protocol.AppendErrorV2(nil, &protocol.Error{Code: protocol.Other, Message: "superseded"}, list, "l", both),
			`{"func":"error","type":"list","name":"l","view":"w","id":"1","error_code":8,"message":"superseded"}`,
		},
		{
			protocol.AppendErrorV2(nil, &protocol.Error{Code: protocol.InvalidJSON, Message: "x"}, "", "", none),
			`{"func":"error","error_code":7,"message":"x"}`,
		},
	}
}

// TestRestOfStepIsShared has that from rev on the bytes of a step and of a set_all do not depend on the route.
func TestRestOfStepIsShared(t *testing.T) {
	t.Parallel()
	body := protocol.AppendStepBody(nil, protocol.Step{Rev: "1.2"})
	require.Equal(t, `,"rev":"1.2","changes":[]}`, string(body))
	body = protocol.AppendSetAllBody(nil, protocol.SetAll{Rev: "1.2", PageSize: 1})
	require.Equal(t, `,"rev":"1.2","page":0,"page_size":1,"total_item_count":0,"items":[]}`, string(body))
}
