package protocol_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/protocol"
)

// decode parses a message, decodes its fields as its func and type ask for, and
// encodes what it got. So it decides rows b to e and h to k. The message is nil
// if the type has no such func.
func decode(data []byte) ([]byte, error) {
	f, err := protocol.Parse(data)
	if err != nil {
		return nil, err
	}
	switch f.Func {
	case protocol.FuncError:
		return protocol.AppendError(nil, f.PeerError()), nil
	case protocol.FuncUnsubscribeAll:
		return protocol.AppendUnsubscribeAll(nil), nil
	}
	if protocol.RoleOf(f.Type, f.Func) == protocol.RoleNone {
		return nil, nil
	}
	return decodeItem(&f)
}

func decodeItem(f *protocol.Frame) ([]byte, error) {
	switch f.Func {
	case protocol.FuncSubscribe:
		return protocol.AppendSubscribe(nil, f.Type, f.Name), nil
	case protocol.FuncUnsubscribe:
		return protocol.AppendUnsubscribe(nil, f.Type, f.Name), nil
	case protocol.FuncCall:
		m, err := f.Call(nil)
		return protocol.AppendCall(nil, f.Name, m.ID, m.Args), err
	case protocol.FuncReturn:
		m, err := f.Return()
		return protocol.AppendReturn(nil, f.Name, m.ID, m.Value), err
	}
	if f.Type == protocol.TypeVar {
		return decodeVar(f)
	}
	return decodeList(f)
}

func decodeVar(f *protocol.Frame) ([]byte, error) {
	if f.Func == protocol.FuncGet {
		return protocol.AppendGetVar(nil, f.Name), nil
	}
	m, err := f.SetVar()
	return protocol.AppendSetVar(nil, f.Name, m.Value), err
}

func decodeList(f *protocol.Frame) ([]byte, error) {
	switch f.Func {
	case protocol.FuncGet:
		m, err := f.GetList()
		return protocol.AppendGetList(nil, f.Name, m), err
	case protocol.FuncSetAll:
		m, err := f.SetAll()
		return protocol.AppendSetAll(nil, f.Name, m.Page, m.PageSize, m.Total, m.Items), err
	case protocol.FuncSetCount:
		m, err := f.SetCount()
		return protocol.AppendSetCount(nil, f.Name, m.Total), err
	case protocol.FuncInsert:
		m, err := f.Insert()
		return protocol.AppendInsert(nil, f.Name, m.Index, m.Value), err
	case protocol.FuncSet:
		m, err := f.SetItem()
		return protocol.AppendSetItem(nil, f.Name, m.Index, m.Value), err
	}
	m, err := f.Delete()
	return protocol.AppendDelete(nil, f.Name, m.Index), err
}

// codeOf returns the code of an error, 0 for none and -1 for ErrInvalidUTF8.
func codeOf(t testing.TB, err error) protocol.Code {
	t.Helper()
	if err == nil {
		return 0
	}
	if errors.Is(err, protocol.ErrInvalidUTF8) {
		return -1
	}
	var e *protocol.Error
	require.ErrorAs(t, err, &e)
	require.NotEmpty(t, e.Message)
	return e.Code
}

// TestRows has one message or more for each row of the error table that this
// package decides, and for each pair of neighboring rows that one message can
// fall under. Rows f and g are the receiver's; the vectors have them.
func TestRows(t *testing.T) {
	t.Parallel()
	const (
		call   = `"func":"call","type":"function","name":"f"`
		ret    = `"func":"return","type":"function","name":"f"`
		get    = `"func":"get","type":"list","name":"l"`
		setAll = `"func":"set_all","type":"list","name":"l"`
		insert = `"func":"insert","type":"list","name":"l"`
		set    = `"func":"set","type":"list","name":"l"`
		del    = `"func":"delete","type":"list","name":"l"`
		count  = `"func":"set_count","type":"list","name":"l"`
	)
	deep := `"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64)
	tests := []struct {
		row, message string
		want         protocol.Code
	}{
		{"a", "{\"func\":\"get\xff\"}", -1},
		{"a", "{" + get + ",\"x\":\"\xed\xa0\x80\"}", -1},
		{"a before b", "\xff", -1},
		{"a before b", "[\xff", -1},

		{"b", ``, protocol.InvalidJSON},
		{"b", ` `, protocol.InvalidJSON},
		{"b", `[]`, protocol.InvalidJSON},
		{"b", `null`, protocol.InvalidJSON},
		{"b", `{` + get, protocol.InvalidJSON},
		{"b", `{` + get + `}{}`, protocol.InvalidJSON},
		{"b", `{` + get + `,}`, protocol.InvalidJSON},
		{"b", `{` + get + `,"x":"` + "\n" + `"}`, protocol.InvalidJSON},
		{"b", `{` + get + `,` + deep + `}`, protocol.InvalidJSON},
		{"b", `{` + get + `,"x":"\`, protocol.InvalidJSON},
		{"b before c", `{` + deep + `}`, protocol.InvalidJSON},
		{"b before c", `{"func":5`, protocol.InvalidJSON},
		{"b before d", `{"func":"error"`, protocol.InvalidJSON},

		{"c", `{}`, protocol.InvalidFunc},
		{"c", `{"func":null}`, protocol.InvalidFunc},
		{"c", `{"func":5,"type":"var","name":"v"}`, protocol.InvalidFunc},
		{"c", `{"func":{"func":"get"},"type":"var","name":"v"}`, protocol.InvalidFunc},
		{"c", `{"FUNC":"get","type":"var","name":"v"}`, protocol.InvalidFunc},
		{"c", `{"func":"get","func":5,"type":"var","name":"v"}`, protocol.InvalidFunc},
		{"c before d", `{"error_code":3,"message":"x"}`, protocol.InvalidFunc},
		{"c before e", `{"func":5,"type":5}`, protocol.InvalidFunc},

		{"d", `{"func":"error"}`, 0},
		{"d", `{"func":"unsubscribe_all"}`, 0},
		{"d before e", `{"func":"error","type":5,"name":5,"error_code":"x"}`, 0},
		{"d before e", `{"func":"unsubscribe_all","type":"unknown"}`, 0},

		{"e", `{"func":"get","name":"v"}`, protocol.InvalidType},
		{"e", `{"func":"get","type":null,"name":"v"}`, protocol.InvalidType},
		{"e", `{"func":"get","type":["var"],"name":"v"}`, protocol.InvalidType},
		{"e", `{"func":"get","type":"Var","name":"v"}`, protocol.InvalidType},
		{"e", `{"func":"get","TYPE":"var","name":"v"}`, protocol.InvalidType},
		{"e before f", `{"func":"get"}`, protocol.InvalidType},
		{"e before g", `{"func":"unknown","type":5,"name":"v"}`, protocol.InvalidType},

		{"h", `{"func":"set","type":"var","name":"v"}`, protocol.MissingField},
		{"h", `{` + insert + `,"value":1}`, protocol.MissingField},
		{"h", `{` + insert + `,"index":null,"value":1}`, protocol.MissingField},
		{"h", `{` + insert + `,"index":0}`, protocol.MissingField},
		{"h", `{` + insert + `,"index":0,"Value":1}`, protocol.MissingField},
		{"h", `{` + set + `,"value":1}`, protocol.MissingField},
		{"h", `{` + set + `,"index":0}`, protocol.MissingField},
		{"h", `{` + del + `}`, protocol.MissingField},
		{"h", `{` + count + `}`, protocol.MissingField},
		{"h", `{` + call + `,"args":{}}`, protocol.MissingField},
		{"h", `{` + call + `,"id":null}`, protocol.MissingField},
		{"h", `{` + ret + `,"value":1}`, protocol.MissingField},
		{"h", `{` + setAll + `,"page_size":1,"total_item_count":0,"items":[]}`, protocol.MissingField},
		{"h", `{` + setAll + `,"page":0,"total_item_count":0,"items":[]}`, protocol.MissingField},
		{"h", `{` + setAll + `,"page":0,"page_size":1,"items":[]}`, protocol.MissingField},
		{"h", `{` + setAll + `,"page":0,"page_size":1,"total_item_count":0}`, protocol.MissingField},
		{"h", `{` + setAll + `,"page":0,"page_size":1,"total_item_count":0,"items":null}`, protocol.MissingField},
		{"h before i", `{` + insert + `,"index":-1}`, protocol.MissingField},
		{"h before i", `{` + setAll + `,"page":-1,"page_size":1,"total_item_count":0}`, protocol.MissingField},
		{"h before k", `{` + call + `,"args":[]}`, protocol.MissingField},
		{"h before k", `{` + setAll + `,"page":0,"page_size":1,"items":5}`, protocol.MissingField},

		{"i", `{` + get + `,"page":-1}`, protocol.BadIndex},
		{"i", `{` + get + `,"page":9007199254740992}`, protocol.BadIndex},
		{"i", `{` + get + `,"page_size":0}`, protocol.BadIndex},
		{"i", `{` + get + `,"page_size":"x"}`, protocol.BadIndex},
		{"i", `{` + setAll + `,"page":0.0,"page_size":1,"total_item_count":0,"items":[]}`, protocol.BadIndex},
		{"i", `{` + setAll + `,"page":0,"page_size":0,"total_item_count":0,"items":[]}`, protocol.BadIndex},
		{"i", `{` + insert + `,"index":1e0,"value":1}`, protocol.BadIndex},
		{"i", `{` + set + `,"index":true,"value":1}`, protocol.BadIndex},
		{"i", `{` + del + `,"index":{}}`, protocol.BadIndex},
		{"i before k", `{` + setAll + `,"page":0,"page_size":0,"total_item_count":"x","items":5}`, protocol.BadIndex},

		{"j", `{` + call + `,"id":5}`, protocol.BadID},
		{"j", `{` + call + `,"id":""}`, protocol.BadID},
		{"j", `{` + call + `,"id":"` + strings.Repeat("i", 129) + `"}`, protocol.BadID},
		{"j", `{` + call + `,"id":"\ud800"}`, protocol.BadID},
		{"j", `{` + ret + `,"id":["a"]}`, protocol.BadID},
		{"j before k", `{` + call + `,"id":5,"args":[]}`, protocol.BadID},

		{"k", `{` + call + `,"id":"a","args":[]}`, protocol.Other},
		{"k", `{` + call + `,"id":"a","args":"{}"}`, protocol.Other},
		{"k", `{` + count + `,"total_item_count":-1}`, protocol.Other},
		{"k", `{` + setAll + `,"page":0,"page_size":1,"total_item_count":0.5,"items":[]}`, protocol.Other},
		{"k", `{` + setAll + `,"page":0,"page_size":1,"total_item_count":0,"items":{}}`, protocol.Other},

		{"none", `{` + get + `}`, 0},
		{"none", `{` + get + `,"page":null,"page_size":null,"index":-1,"items":5}`, 0},
		{"none", `{` + get + `,"page":"x","page":0}`, 0},
		{"none", `{` + get + `,"x":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`, 0},
		{"none", `{` + get + `,"x":"` + strings.Repeat("[", 100) + `"}`, 0},
		{"none", `{` + get + `,"\ud800":5}`, 0},
		{"none", `{` + call + `,"id":"` + strings.Repeat("i", 128) + `","args":null}`, 0},
		{"none", `{` + insert + `,"index":"0","value":null}`, 0},
		{"none", `{"func":"set","type":"var","name":"v","value":null}`, 0},
		{"none", `{"func":"unknown","type":"var","name":"v"}`, 0}, // row g
		{"none", `{"func":"get","type":"var","name":5}`, 0},       // row f
	}
	for _, test := range tests {
		_, err := decode([]byte(test.message))
		require.Equal(t, test.want, codeOf(t, err), "row %s: %s", test.row, test.message)
	}
}

// TestRowF has the names with which no item can be meant.
func TestRowF(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", protocol.MaxNameLength)
	tests := []struct {
		name string // JSON
		want string
		ok   bool
	}{
		{`"v"`, "v", true},
		{`"\u0076\ud83d\ude80\n\/\\\""`, "v\U0001F680\n/\\\"", true},
		{`"` + long + `"`, long, true},
		{`"` + long + `n"`, "", false},
		{`"` + strings.Repeat("☃", 43) + `"`, "", false},
		{`"` + strings.Repeat(`\u2603`, 42) + `"`, strings.Repeat("☃", 42), true},
		{`""`, "", false},
		{`"\ud800"`, "", false},
		{`"\ud800x"`, "", false},
		{`"\ud800\n"`, "", false},
		{`"\ud800\ud800"`, "", false},
		{`"\udc00\ud800"`, "", false},
		{`null`, "", false},
		{`5`, "", false},
		{`["v"]`, "", false},
		{`"v","name":5`, "", false},
		{`"v","Name":5`, "v", true},
	}
	for _, test := range tests {
		f, err := protocol.Parse([]byte(`{"func":"subscribe","type":"var","name":` + test.name + `}`))
		require.NoError(t, err)
		require.Equal(t, test.want, f.Name, test.name)
		require.Equal(t, test.ok, f.HasName, test.name)
	}
	f, err := protocol.Parse([]byte(`{"func":"subscribe","type":"var"}`))
	require.NoError(t, err)
	require.False(t, f.HasName)
}

// TestRowG has which func belongs to which type and role.
func TestRowG(t *testing.T) {
	t.Parallel()
	p, s, no := protocol.RoleProvider, protocol.RoleSubscriber, protocol.RoleNone
	want := map[protocol.Func][3]protocol.Role{ // var, list, function
		"subscribe": {p, p, p}, "unsubscribe": {p, p, p}, "get": {p, p, no}, "set": {s, s, no},
		"set_all": {no, s, no}, "set_count": {no, s, no}, "insert": {no, s, no}, "delete": {no, s, no},
		"call": {no, no, p}, "return": {no, no, s}, "error": {no, no, no}, "unsubscribe_all": {no, no, no},
		"": {no, no, no}, "step": {no, no, no},
	}
	for f, roles := range want {
		for i, typ := range []protocol.ItemType{protocol.TypeVar, protocol.TypeList, protocol.TypeFunction} {
			require.Equal(t, roles[i], protocol.RoleOf(typ, f), "%s %s", typ, f)
		}
		require.Equal(t, no, protocol.RoleOf("", f))
	}
}

// TestCallInFlight has the part of row j that needs state: it comes after rows
// h and the rest of j, and before k.
func TestCallInFlight(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fields string
		want   protocol.Code
	}{
		{`"args":[]`, protocol.MissingField},
		{`"id":5,"args":[]`, protocol.BadID},
		{`"id":"busy","args":{}`, protocol.BadID},
		{`"id":"busy","args":[]`, protocol.BadID},
		{`"id":"free","args":[]`, protocol.Other},
		{`"id":"free","args":{}`, 0},
	}
	for _, test := range tests {
		f, err := protocol.Parse([]byte(`{"func":"call","type":"function","name":"f",` + test.fields + `}`))
		require.NoError(t, err)
		_, err = f.Call(func(id string) bool { return id == "busy" })
		require.Equal(t, test.want, codeOf(t, err), test.fields)
	}
}
