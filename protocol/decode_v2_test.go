package protocol_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/protocol"
)

// decodeV2 is decode for version 2. It takes the route, of which a bad id is reported where the message has no fields of
// its own.
func decodeV2(data []byte) ([]byte, error) {
	f, err := protocol.V2.Parse(data)
	if err != nil {
		return nil, err
	}
	r, err := f.Route()
	switch f.Func {
	case protocol.FuncError:
		return protocol.AppendErrorV2(nil, f.PeerError(), f.Type, f.Name, r), err
	case protocol.FuncUnsubscribeAll:
		return protocol.AppendUnsubscribeAllV2(nil, r.ID), err
	case protocol.FuncOK, protocol.FuncAuthenticate:
		if r.ID == "" {
			return nil, err
		}
		return protocol.AppendOK(nil, r.ID), err
	}
	if code(err) == protocol.Other || !f.HasName || protocol.V2.RoleOf(f.Type, f.Func) == protocol.RoleNone {
		return nil, err
	}
	return decodeItemV2(&f, r, err)
}

func code(err error) protocol.Code {
	if e, ok := err.(*protocol.Error); ok { //nolint:errorlint // nothing wraps it
		return e.Code
	}
	return 0
}

func decodeItemV2(f *protocol.Frame, r protocol.Route, routeErr error) ([]byte, error) {
	switch f.Func {
	case protocol.FuncSubscribe, protocol.FuncUnsubscribe, protocol.FuncPause, protocol.FuncResume:
		return protocol.AppendSimpleV2(nil, f.Func, f.Type, f.Name, r), routeErr
	case protocol.FuncCall:
		m, err := f.Call(nil)
		return protocol.AppendCall(nil, f.Name, m.ID, m.Args), err
	case protocol.FuncReturn:
		m, err := f.Return()
		return protocol.AppendReturn(nil, f.Name, m.ID, m.Value), err
	}
	if f.Type == protocol.TypeList {
		return decodeListV2(f, r)
	}
	if f.Func == protocol.FuncGet {
		m, err := f.GetVar()
		return protocol.AppendGetVarV2(nil, f.Name, r, m.Filter), err
	}
	m, err := f.SetVar()
	return protocol.AppendSetVarV2(nil, f.Name, r, m.Value), err
}

func decodeListV2(f *protocol.Frame, r protocol.Route) ([]byte, error) {
	head := protocol.AppendHead(nil, f.Func, f.Type, f.Name, r)
	switch f.Func {
	case protocol.FuncGet:
		m, err := f.GetList()
		return protocol.AppendGetListV2(nil, f.Name, r, m), err
	case protocol.FuncSetAll:
		m, err := f.SetAll()
		return protocol.AppendSetAllBody(head, m), err
	case protocol.FuncStep:
		m, err := f.Step()
		return protocol.AppendStepBody(head, m), err
	}
	m, err := f.SetPending()
	return protocol.AppendSetPending(nil, f.Name, r, m.Total, m.Pending), err
}

const (
	getV2    = `"func":"get","type":"list","name":"l"`
	getVarV2 = `"func":"get","type":"var","name":"v"`
	setAllV2 = `"func":"set_all","type":"list","name":"l"`
	stepV2   = `"func":"step","type":"list","name":"l"`
	pending  = `"func":"set_pending","type":"list","name":"l"`
)

// TestRowsV2 has the error table where version 2 adds to it, each row and each pair of rows that one message can fall
// under.
func TestRowsV2(t *testing.T) {
	t.Parallel()
	id129 := `"id":"` + strings.Repeat("i", 129) + `"`
	state := `"page_size":1,"total_item_count":0,"items":[]`
	tests := []struct {
		row, message string
		want         protocol.Code
	}{
		{"a", "{" + getV2 + ",\"view\":\"\xff\"}", -1},
		{"b", `{` + stepV2, protocol.InvalidJSON},
		{"c", `{"func":5,"id":"a"}`, protocol.InvalidFunc},
		{"c before j", `{"func":5,"id":5}`, protocol.InvalidFunc},
		{"d", `{"func":"error","type":5,"name":5,"view":5,"id":5}`, 0},
		{"d", `{"func":"unsubscribe_all","id":"a","view":5}`, 0},
		{"d", `{"func":"unsubscribe_all","id":5}`, protocol.BadID},
		{"d", `{"func":"ok","id":"a"}`, 0},
		{"d", `{"func":"ok","id":5}`, 0},
		{"d", `{"func":"authenticate","id":5}`, protocol.BadID},
		{"d", `{"func":"authenticate","type":"x","id":"a"}`, 0},
		{"e", `{"func":"step","type":"lists","name":"l"}`, protocol.InvalidType},
		{"e before the view", `{"func":"step","type":"lists","name":"l","view":5}`, protocol.InvalidType},

		{"view", `{` + getV2 + `,"view":5}`, protocol.Other},
		{"view", `{` + getV2 + `,"view":""}`, protocol.Other},
		{"view", `{` + getV2 + `,"view":"\ud800"}`, protocol.Other},
		{"view", `{` + getV2 + `,"view":"` + strings.Repeat("v", 65) + `"}`, protocol.Other},
		{"view", `{` + getVarV2 + `,"view":{}}`, protocol.Other},
		{"view", `{"func":"subscribe","type":"list","name":"l","view":[]}`, protocol.Other},
		{"view before g", `{"func":"insert","type":"list","name":"l","view":5}`, protocol.Other},
		{"view before h", `{` + stepV2 + `,"view":5}`, protocol.Other},
		{"view before i", `{` + getV2 + `,"view":5,"page":-1}`, protocol.Other},
		{"view before j", `{` + getV2 + `,"view":5,"id":5}`, protocol.Other},

		{"h", `{` + stepV2 + `,"changes":[]}`, protocol.MissingField},
		{"h", `{` + stepV2 + `,"rev":null,"changes":[]}`, protocol.MissingField},
		{"h", `{` + stepV2 + `,"rev":"1.1"}`, protocol.MissingField},
		{"h", `{` + stepV2 + `,"rev":"1.1","changes":null}`, protocol.MissingField},
		{"h", `{` + setAllV2 + `,"page":0,` + state + `}`, protocol.MissingField},
		{"h", `{` + setAllV2 + `,"rev":"1.1",` + state + `}`, protocol.MissingField},
		{"h", `{` + setAllV2 + `,"rev":"1.1","page":null,` + state + `}`, protocol.MissingField},
		{"h", `{` + setAllV2 + `,"rev":"1.1","after":null,"total_item_count":0,"items":[]}`, protocol.MissingField},
		{"h", `{` + setAllV2 + `,"after":null,` + state + `}`, protocol.MissingField},
		{"h", `{` + pending + `,"pending":0}`, protocol.MissingField},
		{"h", `{` + pending + `,"total_item_count":0}`, protocol.MissingField},
		{"h", `{"func":"set","type":"var","name":"v"}`, protocol.MissingField},
		{"h before j", `{` + stepV2 + `,"rev":"1.1","id":5}`, protocol.MissingField},
		{"h before j", `{"func":"set","type":"var","name":"v","id":5}`, protocol.MissingField},
		{"h before k", `{` + stepV2 + `,"rev":5}`, protocol.MissingField},

		{"i", `{` + setAllV2 + `,"rev":"1.1","page":-1,` + state + `}`, protocol.BadIndex},
		{"i", `{` + setAllV2 + `,"rev":"1.1","after":null,"page":-1,` + state + `}`, protocol.BadIndex},
		{"i before j", `{` + getV2 + `,"page":-1,"id":5}`, protocol.BadIndex},
		{"i before j", `{` + setAllV2 + `,"rev":"1.1","page":-1,"id":5,` + state + `}`, protocol.BadIndex},
		{"i before k", `{` + getV2 + `,"page_size":0,"after":5,"sort":5}`, protocol.BadIndex},

		{"j", `{"func":"subscribe","type":"var","name":"v","id":5}`, protocol.BadID},
		{"j", `{"func":"unsubscribe","type":"var","name":"v","id":""}`, protocol.BadID},
		{"j", `{"func":"pause","type":"list","name":"l",` + id129 + `}`, protocol.BadID},
		{"j", `{"func":"resume","type":"list","name":"l","id":["a"]}`, protocol.BadID},
		{"j", `{` + getV2 + `,"id":"\ud800"}`, protocol.BadID},
		{"j", `{` + getVarV2 + `,"id":true}`, protocol.BadID},
		{"j", `{"func":"set","type":"var","name":"v","value":1,"id":5}`, protocol.BadID},
		{"j", `{` + stepV2 + `,"rev":"1.1","changes":[],"id":5}`, protocol.BadID},
		{"j", `{` + setAllV2 + `,"rev":"1.1","page":0,` + state + `,"id":5}`, protocol.BadID},
		{"j", `{` + pending + `,"total_item_count":0,"pending":0,"id":5}`, protocol.BadID},
		{"j before k", `{` + getV2 + `,"id":5,"sort":5}`, protocol.BadID},
		{"j before k", `{` + getVarV2 + `,"id":5,"filter":5}`, protocol.BadID},
		{"j before k", `{` + stepV2 + `,"rev":5,"changes":5,"id":5}`, protocol.BadID},
		{"j before k", `{` + pending + `,"total_item_count":-1,"pending":0,"id":5}`, protocol.BadID},

		{"k", `{` + stepV2 + `,"rev":5,"changes":[]}`, protocol.Other},
		{"k", `{` + stepV2 + `,"rev":"1.1","changes":{}}`, protocol.Other},
		{"k", `{` + stepV2 + `,"rev":"1.1","changes":[[]]}`, protocol.Other},
		{"k", `{` + stepV2 + `,"rev":"1.1","changes":[null]}`, protocol.Other},
		{"k", `{` + stepV2 + `,"rev":"1.1","changes":[],"after":5}`, protocol.Other},
		{"k", `{` + setAllV2 + `,"rev":5,"page":0,` + state + `}`, protocol.Other},
		{"k", `{` + setAllV2 + `,"rev":"1.1","page":0,"after":null,` + state + `}`, protocol.Other},
		{"k", `{` + setAllV2 + `,"rev":"1.1","page":0,"key":"id",` + state + `}`, protocol.Other},
		{"k", `{` + setAllV2 + `,"rev":"1.1","page":0,"key":[5],` + state + `}`, protocol.Other},
		{"k", `{` + setAllV2 + `,"rev":"1.1","page":0,"key":` + array(`"c"`, 33) + `,` + state + `}`, protocol.Other},
		{"k", `{` + pending + `,"total_item_count":0,"pending":-1}`, protocol.Other},
		{"k", `{` + pending + `,"total_item_count":"x","pending":0}`, protocol.Other},
		{"k", `{` + getV2 + `,"rev":5}`, protocol.Other},

		{"none", `{` + getV2 + `,"view":null,"id":null,"sort":null,"filter":null,"search":null,"rev":null}`, 0},
		{"none", `{` + getV2 + `,"view":"` + strings.Repeat("v", 64) + `","id":"` + strings.Repeat("i", 128) + `"}`, 0},
		{"none", `{` + setAllV2 + `,"rev":"1.1","page":0,"key":` + array(`"c"`, 32) + `,` + state + `}`, 0},
		{"none", `{` + getV2 + `,"after":null,"page":null}`, 0},
		{"none", `{` + setAllV2 + `,"rev":"1.1","after":null,"page":null,` + state + `}`, 0},
		{"none", `{"func":"call","type":"function","name":"f","id":"a","view":5}`, 0},
		{"none", `{"func":"step","type":"var","name":"v"}`, 0}, // row g
		{"none", `{"func":"pause","type":"var","name":"v"}`, 0},
	}
	for _, test := range tests {
		_, err := decodeV2([]byte(test.message))
		require.Equal(t, test.want, codeOf(t, err), "row %s: %s", test.row, test.message)
	}
}

// TestChanges has the errors of one change of a step, which are those of a message of its own, and that the first change
// with one decides.
func TestChanges(t *testing.T) {
	t.Parallel()
	for changes, want := range map[string]protocol.Code{
		`{}`:                                    protocol.InvalidFunc,
		`{"func":5}`:                            protocol.InvalidFunc,
		`{"func":"set_all"}`:                    protocol.InvalidFunc,
		`{"func":"step"}`:                       protocol.InvalidFunc,
		`{"func":"delete"}`:                     protocol.MissingField,
		`{"func":"set","index":0}`:              protocol.MissingField,
		`{"func":"insert","index":0,"Value":1}`: protocol.MissingField,
		`{"func":"set_count"}`:                  protocol.MissingField,
		`{"func":"set_count","total_item_count":null}`:              protocol.MissingField,
		`{"func":"delete","index":-1}`:                              protocol.BadIndex,
		`{"func":"insert","index":0.5,"value":1}`:                   protocol.BadIndex,
		`{"func":"set_count","total_item_count":"x"}`:               protocol.Other,
		`{"func":"delete","index":0},5`:                             protocol.Other,
		`{"func":"delete","index":"x"},5`:                           protocol.BadIndex,
		`{"func":"delete"},{"func":"delete","index":-1}`:            protocol.MissingField,
		`{"func":"delete","index":"0","type":5,"name":5,"id":5}`:    0,
		`{"func":"insert","index":0,"value":null,"index":7}`:        0,
		`{"func":"set_count","total_item_count":"12","index":null}`: 0,
		``: 0,
	} {
		_, err := decodeV2([]byte(`{` + stepV2 + `,"rev":"1.1","changes":[` + changes + `]}`))
		require.Equal(t, want, codeOf(t, err), changes)
	}
}

// array returns an array of n times the element.
func array(element string, n int) string {
	return "[" + strings.Join(slices.Repeat([]string{element}, n), ",") + "]"
}

// object returns an object of n members with different names and the same value.
func object(value string, n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"c%d":%s`, i, value)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// TestChoiceBounds has every bound of a get, from both sides, and every value that an operator does not take.
func TestChoiceBounds(t *testing.T) {
	t.Parallel()
	text := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	tests := []struct {
		fields string
		ok     bool
	}{
		{`"after":[1,"a",true,null]`, true},
		{`"after":` + array("1", 32), true},
		{`"after":` + array("1", 33), false},
		{`"after":[]`, false},
		{`"after":[[1]]`, false},
		{`"after":[{}]`, false},
		{`"after":["\ud800"]`, false},
		{`"after":["\u0000"]`, false},
		{`"after":"1"`, false},
		{`"after":1`, false},
		{`"after":[1],"page":0`, false},
		{`"after":null,"page":0`, false},
		{`"after":null,"page":null`, true},

		{`"sort":["a","-b"]`, true},
		{`"sort":[]`, true},
		{`"sort":` + array(`"a"`, 32), true},
		{`"sort":` + array(`"a"`, 33), false},
		{`"sort":[` + text(128) + `,"-` + text(128)[1:] + `]`, true},
		{`"sort":[` + text(129) + `]`, false},
		{`"sort":["-` + text(129)[1:] + `]`, false},
		{`"sort":[""]`, false},
		{`"sort":["-"]`, false},
		{`"sort":["\udc00"]`, false},
		{`"sort":[1]`, false},
		{`"sort":"a"`, false},
		{`"sort":{}`, false},

		{`"search":""`, true},
		{`"search":` + text(1024), true},
		{`"search":` + text(1025), false},
		{`"search":"` + strings.Repeat("a ", 32) + `"`, true},
		{`"search":"` + strings.Repeat("a\u2003", 33) + `"`, false},
		{`"search":"\u0000"`, false},
		{`"search":"\ud800"`, false},
		{`"search":5`, false},
		{`"search":["a"]`, false},

		{`"rev":""`, true},
		{`"rev":"whatever"`, true},
		{`"rev":1.1`, false},

		{`"filter":{}`, true},
		{`"filter":` + object(`1`, 64), true},
		{`"filter":` + object(`1`, 65), false},
		{`"filter":` + object(`{"lt":1,"gt":0}`, 32), true},
		{`"filter":` + object(`{"lt":1,"gt":0}`, 33), false},
		{`"filter":{"x":1,` + object(`{"lt":1,"gt":0}`, 32)[1:], false},
		{`"filter":{` + strings.Repeat(`"a":1,`, 63) + `"a":2}`, true}, // repeated ones count, too
		{`"filter":{` + strings.Repeat(`"a":1,`, 64) + `"a":2}`, false},
		{`"filter":{"a":{` + strings.Repeat(`"lt":1,`, 64) + `"lt":2}}`, false},
		{`"filter":{` + text(128) + `:1}`, true},
		{`"filter":{` + text(129) + `:1}`, false},
		{`"filter":{"":1}`, false},
		{`"filter":{"\ud800":1}`, false},
		{`"filter":[]`, false},
		{`"filter":"a"`, false},
		{`"filter":{"a":[1]}`, false},
		{`"filter":{"a":{}}`, false},
		{`"filter":{"a":{"like":"x"}}`, false},
		{`"filter":{"a":{"EQ":1}}`, false},
		{`"filter":{"a":{"\ud800":1}}`, false},

		{`"filter":{"a":null}`, true},
		{`"filter":{"a":true}`, true},
		{`"filter":{"a":-1.5e300}`, true},
		{`"filter":{"a":` + text(4094) + `}`, true},
		{`"filter":{"a":` + text(4095) + `}`, false},
		{`"filter":{"a":` + strings.Repeat("1", 4097) + `}`, false},
		{`"filter":{"a":"\ud800"}`, false},
		{`"filter":{"a":"\u0000"}`, false},
		{`"filter":{"a":{"eq":null,"ne":null}}`, true},
		{`"filter":{"a":{"eq":[1]}}`, false},
		{`"filter":{"a":{"ne":{}}}`, false},
		{`"filter":{"a":{"lt":"a","lte":1,"gt":true,"gte":false}}`, true},
		{`"filter":{"a":{"lt":null}}`, false},
		{`"filter":{"a":{"lte":null}}`, false},
		{`"filter":{"a":{"gt":null}}`, false},
		{`"filter":{"a":{"gte":null}}`, false},
		{`"filter":{"a":{"lt":[1]}}`, false},
		{`"filter":{"a":{"gte":{}}}`, false},
		{`"filter":{"a":{"in":[]}}`, true},
		{`"filter":{"a":{"in":[1,"a",null,true]}}`, true},
		{`"filter":{"a":{"in":` + array("1", 100) + `}}`, true},
		{`"filter":{"a":{"in":` + array("1", 101) + `}}`, false},
		{`"filter":{"a":{"in":` + array(text(4094), 100) + `}}`, true},
		{`"filter":{"a":{"in":[` + text(4095) + `]}}`, false},
		{`"filter":{"a":{"in":[[1]]}}`, false},
		{`"filter":{"a":{"in":[{}]}}`, false},
		{`"filter":{"a":{"in":["\u0000"]}}`, false},
		{`"filter":{"a":{"in":1}}`, false},
		{`"filter":{"a":{"in":null}}`, false},
		{`"filter":{"a":{"prefix":"","contains":"x"}}`, true},
		{`"filter":{"a":{"prefix":1}}`, false},
		{`"filter":{"a":{"prefix":null}}`, false},
		{`"filter":{"a":{"contains":["x"]}}`, false},
		{`"filter":{"a":{"contains":` + text(4095) + `}}`, false},
		{`"filter":{"a":{"null":true}}`, true},
		{`"filter":{"a":{"null":false}}`, true},
		{`"filter":{"a":{"null":null}}`, false},
		{`"filter":{"a":{"null":"true"}}`, false},
		{`"filter":{"a":{"null":1}}`, false},
		{`"filter":{"a":{"like":"x"},"a":1}`, true}, // the last one counts
		{`"filter":{"a":{"lt":null,"lt":1}}`, true},
	}
	for _, test := range tests {
		_, err := decodeV2([]byte(`{` + getV2 + `,` + test.fields + `}`))
		want := protocol.Other
		if test.ok {
			want = 0
		}
		require.Equal(t, want, codeOf(t, err), "%.200s", test.fields)
		_, err = decode([]byte(`{` + getV2 + `,` + strings.Replace(test.fields, `,"page":`, `,"x":`, 1) + `}`))
		require.NoError(t, err, "version 1 looks at none of it: %.200s", test.fields)
	}
}

// TestRefusalsNameTheColumn has what an error says of what is not allowed.
func TestRefusalsNameTheColumn(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		`{"note":{"like":"x"}}`:           "filter: note: unknown operator like",
		`{"note":{"lt":null}}`:            "filter: note: lt takes a string, number or boolean, of at most 4096 bytes",
		`{"note":[1]}`:                    "filter: note: eq takes a string, number, boolean or null, of at most 4096 bytes",
		`{"a":1,"note":{"in":5}}`:         "filter: note: in takes an array of at most 100 values, each as eq takes it",
		`{"note":{"null":0}}`:             "filter: note: null takes true or false",
		`{"note":{"` + long(33) + `":0}}`: "filter: note: unknown operator of too many bytes",
	} {
		f, err := protocol.V2.Parse([]byte(`{` + getV2 + `,"filter":` + filter + `}`))
		require.NoError(t, err)
		_, err = f.GetList()
		require.Equal(t, &protocol.Error{Code: protocol.Other, Message: want}, err)
	}
}

func long(n int) string { return strings.Repeat("x", n) }

// TestFilterOrder has that the conditions come by column and operator, and that of a repeated field the last one counts.
func TestFilterOrder(t *testing.T) {
	t.Parallel()
	f, err := protocol.V2.Parse([]byte(`{` + getV2 + `,"filter":{"b":{"lt":9,"gt":1,"lt":5},"c":1,"\u0061":[],"c":2,"a":"x"}}`))
	require.NoError(t, err)
	g, err := f.GetList()
	require.NoError(t, err)
	require.Equal(t, []protocol.Condition{
		{Column: "a", Operator: protocol.OpEq, Value: raw(`"x"`)},
		{Column: "b", Operator: protocol.OpGt, Value: raw(`1`)},
		{Column: "b", Operator: protocol.OpLt, Value: raw(`5`)},
		{Column: "c", Operator: protocol.OpEq, Value: raw(`2`)},
	}, g.Choice.Filter)
	require.False(t, g.Choice.IsZero())
	require.True(t, protocol.Choice{}.IsZero())
}

// TestGetVarV2 has that parameters have values only.
func TestGetVarV2(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]protocol.Code{
		`{"airport":"OSL","least":{"eq":15},"x":null}`: 0,
		`{}`:                      0,
		`{"least":{"gt":15}}`:     protocol.Other,
		`{"least":{"null":true}}`: protocol.Other,
		`{"least":[1]}`:           protocol.Other,
		`5`:                       protocol.Other,
	} {
		data := []byte(`{` + getVarV2 + `,"sort":5,"filter":` + filter + `}`)
		_, err := decodeV2(data)
		require.Equal(t, want, codeOf(t, err), filter)
		_, err = decode(data)
		require.NoError(t, err)
	}
	f, err := protocol.Parse([]byte(`{` + getVarV2 + `,"filter":{"a":1}}`))
	require.NoError(t, err)
	g, err := f.GetVar()
	require.NoError(t, err)
	require.Empty(t, g.Filter)
}

// TestRoute has that what is known of a message is known with its error, and that version 1 knows nothing of it.
func TestRoute(t *testing.T) {
	t.Parallel()
	type known struct {
		Type, Name, View, ID string
	}
	for message, want := range map[string]known{
		`{` + getV2 + `,"view":"w","id":"1"}`:                                                {"list", "l", "w", "1"},
		`{` + getV2 + `,"view":5,"id":"1"}`:                                                  {"list", "l", "", "1"},
		`{` + getV2 + `,"view":"w","id":5}`:                                                  {"list", "l", "w", ""},
		`{"func":"call","type":"function","name":"f","id":"1","view":"w"}`:                   {"function", "f", "", "1"},
		`{"func":5,"type":"list","name":"l","view":"w","id":"1"}`:                            {"list", "l", "w", "1"},
		`{"func":"get","type":"x","name":"l","view":"w","id":"1"}`:                           {"", "l", "w", "1"},
		`{"func":"get","type":"list","name":5,"view":"w","id":"1"}`:                          {"list", "", "w", "1"},
		`{"func":"nothing","type":"list","name":"l","view":"w","id":"1"}`:                    {"list", "l", "w", "1"},
		`{"func":"error","type":"list","name":"l","view":"w","id":"1","error_code":8}`:       {"list", "l", "w", "1"},
		`{"func":"error","type":"x","name":5,"view":"","id":5}`:                              {},
		`{"func":"unsubscribe_all","type":"list","name":"l","view":"w","id":"1"}`:            {"", "", "", "1"},
		`{"func":"ok","type":"list","name":"l","view":"w","id":"1","expires_in":5}`:          {"", "", "", "1"},
		`{"func":"authenticate","type":"list","name":"l","view":"w","id":"1","token":"abc"}`: {"", "", "", "1"},
	} {
		f, _ := protocol.V2.Parse([]byte(message))
		r, _ := f.Route()
		require.Equal(t, want, known{string(f.Type), f.Name, r.View, r.ID}, message)
		require.Equal(t, protocol.V2, f.Version)
		f, _ = protocol.Parse([]byte(message))
		r, err := f.Route()
		require.NoError(t, err)
		require.Zero(t, r)
		require.Equal(t, protocol.V1, f.Version)
	}
}

// TestRowGV2 has which func belongs to which type and role in version 2, and that version 1 has none of the new ones.
func TestRowGV2(t *testing.T) {
	t.Parallel()
	p, s, no := protocol.RoleProvider, protocol.RoleSubscriber, protocol.RoleNone
	want := map[protocol.Func][3]protocol.Role{ // var, list, function
		"subscribe": {p, p, p}, "unsubscribe": {p, p, p}, "get": {p, p, no}, "set": {s, no, no},
		"set_all": {no, s, no}, "set_count": {no, no, no}, "insert": {no, no, no}, "delete": {no, no, no},
		"step": {no, s, no}, "set_pending": {no, s, no}, "pause": {no, p, no}, "resume": {no, p, no},
		"call": {no, no, p}, "return": {no, no, s}, "error": {no, no, no}, "unsubscribe_all": {no, no, no},
		"ok": {no, no, no}, "authenticate": {no, no, no}, "": {no, no, no},
	}
	for f, roles := range want {
		for i, typ := range []protocol.ItemType{protocol.TypeVar, protocol.TypeList, protocol.TypeFunction} {
			require.Equal(t, roles[i], protocol.V2.RoleOf(typ, f), "%s %s", typ, f)
		}
	}
	for _, name := range []string{"step", "pause", "resume", "set_pending", "ok", "authenticate"} {
		text := []byte(`{"func":"` + name + `","type":"list","name":"l"}`)
		f, err := protocol.Parse(text)
		require.NoError(t, err)
		require.Empty(t, f.Func)
		require.Equal(t, protocol.TypeList, f.Type)
		f, err = protocol.V2.Parse(text)
		require.NoError(t, err)
		require.Equal(t, protocol.Func(name), f.Func)
	}
}

func TestVersionOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, protocol.V1, protocol.VersionOf(""))
	require.Equal(t, protocol.V1, protocol.VersionOf("socksync.v1"))
	require.Equal(t, protocol.V2, protocol.VersionOf("socksync.v2"))
	require.Equal(t, []string{"socksync.v2", "socksync.v1"}, protocol.Subprotocols())
}
