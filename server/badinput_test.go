package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/protocol"
	"github.com/socksync/socksync/server"
)

// bad is a message and what comes of it: an error code, a close code, or, for 0,
// nothing.
type bad struct {
	text string
	want int
}

// field is a get with one field as it is given.
func field(text string) string { return `{"func":"get","type":"list","name":"items",` + text + `}` }

// deep is a get whose unknown field makes it as deep as is said.
func deep(levels int) string {
	return field(`"x":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1))
}

// badMessages has rows b to k of the protocol's error table, in their order.
var badMessages = []bad{
	// b: not an object, or too deep.
	{``, 7},
	{` `, 7},
	{`[]`, 7},
	{`null`, 7},
	{`1`, 7},
	{`"get"`, 7},
	{`{`, 7},
	{`{}x`, 7},
	{`{}{}`, 7},
	{`{'func':'get'}`, 7},
	{`{"func":"get",}`, 7},
	{`{"func":"get" "type":"list"}`, 7},
	{"\ufeff{}", 7},
	{"{\"func\":\"a\x01\"}", 7},
	{`{"func":"get","x":01}`, 7},
	{`{"func":"get","x":NaN}`, 7},
	{deep(65), 7},
	{strings.Repeat("[", 1000), 7},
	{strings.Repeat(`{"a":`, 200_000), 7},
	// c: func.
	{`{}`, 1},
	{`{"func":null}`, 1},
	{`{"func":1,"type":"list"}`, 1},
	{`{"Func":"get","type":"list","name":"items"}`, 1},
	{`{"func":["get"],"type":"list","name":"items"}`, 1},
	{`{"func":"get","type":"list","name":"items","func":7}`, 1},
	// d: never answered.
	{`{"func":"error","error_code":8,"message":"x"}`, 0},
	{`{"func":"error"}`, 0},
	{`{"func":"error","type":7,"error_code":"x"}`, 0},
	// e: type.
	{`{"func":"get"}`, 2},
	{`{"func":"get","type":1,"name":"items"}`, 2},
	{`{"func":"get","type":"lists","name":"items"}`, 2},
	{`{"func":"get","Type":"list","name":"items"}`, 2},
	{`{"func":"get","type":"List","name":"items"}`, 2},
	{`{"func":"fly"}`, 2},
	{`{"func":"get","type":null,"name":"items"}`, 2},
	// f: name.
	{`{"func":"get","type":"list"}`, 3},
	{`{"func":"get","type":"list","name":1}`, 3},
	{`{"func":"get","type":"list","name":"none"}`, 3},
	{`{"func":"get","type":"list","name":""}`, 3},
	{`{"func":"get","type":"var","name":"items"}`, 3},
	{`{"func":"fly","type":"list","name":"none"}`, 3},
	{`{"func":"get","type":"list","name":"Items"}`, 3},
	{`{"func":"get","type":"list","name":"` + strings.Repeat("n", 129) + `"}`, 3},
	{`{"func":"set","type":"list","name":"none","index":0,"value":1}`, 3},
	{`{"func":"get","type":"list","name":null}`, 3},
	{`{"func":"get","type":"list","name":"items\u0000"}`, 3},
	// g: func of the type, role, subscription.
	{`{"func":"fly","type":"list","name":"items"}`, 1},
	{`{"func":"call","type":"list","name":"items","id":"1"}`, 1},
	{`{"func":"set_all","type":"list","name":"items"}`, 1},
	{`{"func":"insert","type":"list","name":"items","index":-1}`, 1},
	{`{"func":"return","type":"function","name":"f"}`, 1},
	{`{"func":"get","type":"function","name":"f"}`, 1},
	{`{"func":"get","type":"list","name":"unused","page":-1}`, 1},
	{`{"func":"unsubscribe","type":"list","name":"unused"}`, 1},
	{`{"func":"call","type":"function","name":"unused"}`, 1},
	{`{"func":"GET","type":"list","name":"items"}`, 1},
	// h: a field is missing.
	{`{"func":"call","type":"function","name":"f"}`, 4},
	{`{"func":"call","type":"function","name":"f","ID":"1"}`, 4},
	{`{"func":"call","type":"function","name":"f","id":null,"args":7}`, 4},
	// j: id.
	{`{"func":"call","type":"function","name":"f","id":1}`, 6},
	{`{"func":"call","type":"function","name":"f","id":""}`, 6},
	{`{"func":"call","type":"function","name":"f","id":"` + strings.Repeat("i", 129) + `"}`, 6},
	{`{"func":"call","type":"function","name":"f","id":{},"args":7}`, 6},
	// k: anything else.
	{`{"func":"call","type":"function","name":"f","id":"1","args":[]}`, 8},
	{`{"func":"call","type":"function","name":"f","id":"1","args":"{}"}`, 8},
	{`{"func":"call","type":"function","name":"f","id":"1","args":{"n":"x"}}`, 8},
}

// badNumbers are no integers of the protocol, whichever field they are in.
var badNumbers = []string{
	`-1`, `"-1"`, `1.5`, `"1.5"`, `1e3`, `1E0`, `1.0`, `"1e3"`, `-0.0`, `"x"`, `""`, `" 1"`, `"1 "`, `"+1"`, `"0x10"`, `"١"`, `true`, `[]`, `[1]`, `{}`,
	`9007199254740992`, `"9007199254740992"`, `9223372036854775808`, `18446744073709551616`, `1e400`, `-9007199254740993`,
	`123456789012345678901234567890123456789012345678901234567890`, `"` + strings.Repeat("9", 4000) + `"`,
}

// TestBadInput sends every kind of bad message to a list of the database, which is
// then as it was.
func TestBadInput(t *testing.T) {
	t.Parallel()
	cases := badMessages
	for _, n := range badNumbers {
		cases = append(cases, bad{field(`"page":` + n), 5}, bad{field(`"page_size":` + n), 5}, bad{field(`"page":` + n + `,"page_size":0`), 5})
	}
	for _, n := range []string{`0`, `"0"`, `-0`} {
		cases = append(cases, bad{field(`"page_size":` + n), 5})
	}
	cases = append(cases,
		bad{field(`"page":1,"page":-1`), 5}, // of a repeated field the last counts
		bad{"{\"func\":\"get\",\"type\":\"list\",\"name\":\"items\xff\"}", protocol.CloseInvalidUTF8},
		bad{"\xed\xa0\x80", protocol.CloseInvalidUTF8}, // half of a surrogate pair
		bad{`{"func":"get","x":"` + strings.Repeat("x", 1<<20) + `"}`, protocol.CloseTooBig})

	address := serveItems(t)
	for _, c := range cases {
		about := fmt.Sprintf("%.200q", c.text)
		f := follow(t, address, "items", 1, 5)
		held := f.state
		f.send(`{"func":"subscribe","type":"function","name":"f"}`)
		f.raw(websocket.MessageText, []byte(c.text))
		if c.want > 1000 {
			require.Equal(t, c.want, f.ended(), about)
			continue
		}
		if c.want > 0 {
			f.refused(c.want, about)
		}
		f.send(`{"func":"get","type":"list","name":"items","page":1,"page_size":5}`)
		m := f.take()
		require.Equal(t, "set_all", m.Func, "%s: one answer, and the connection serves on", about)
		require.NoError(t, f.state.apply(m))
		require.True(t, f.state.equal(held), about)
		require.NoError(t, f.conn.CloseNow())
	}

	b := dial(t, address)
	b.raw(websocket.MessageBinary, []byte(`{"func":"get","type":"list","name":"items"}`))
	require.Equal(t, protocol.CloseUnsupportedData, b.ended())
}

// serveItems serves the table with two lists and two functions.
func serveItems(t *testing.T) string {
	t.Helper()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	fn := func(_ context.Context, a struct{ N int }) (int, error) { return a.N, nil }
	_, address := serve(t, pool, &server.Config{Migrate: true}, listItem(), listItem(binding.Name("unused")),
		binding.Func("f", fn), binding.Func("unused", fn))
	return address
}

// TestUnusualInput sends what is unusual but right.
func TestUnusualInput(t *testing.T) {
	t.Parallel()
	address := serveItems(t)
	b := dial(t, address)
	b.send(`{"func":"subscribe","type":"list","name":"items"}`)
	for _, c := range []struct {
		text                     string
		page, size, from, number int
	}{
		{field(`"page":0,"page_size":"7"`), 0, 7, 1, 7},
		{field(`"page":"1","page_size":7`), 1, 7, 8, 5},
		{field(`"page":null,"page_size":null`), 0, 50, 1, 12},
		{field(`"page":12,"page_size":1`), 12, 1, 0, 0},
		{field(`"page":9007199254740991,"page_size":1`), 1<<53 - 1, 1, 0, 0},
		{field(`"page":9007199254740991,"page_size":9007199254740991`), 1<<53 - 1, 50, 0, 0},
		{field(`"page":"9007199254740991","page_size":"9007199254740991"`), 1<<53 - 1, 50, 0, 0},
		{field(`"page":0,"page_size":9007199254740991`), 0, 50, 1, 12},
		{field(`"page":-1,"page":2,"page_size":0,"page_size":5`), 2, 5, 11, 2},
		{field(`"Page":-1,"PAGE_SIZE":0,"page_size":4`), 0, 4, 1, 4},
		{`{"func":"nope","type":"var","name":"x","func":"get","type":"list","name":"it\u0065ms","p\u0061ge":2,"page_size":5}`, 2, 5, 11, 2},
		{deep(64), 0, 50, 1, 12},
		{" \t\r\n" + field(`"page" : 0 , "page_size" : 3`) + "\n", 0, 3, 1, 3},
	} {
		b.send("%s", c.text)
		m := b.take()
		require.Equal(t, "set_all", m.Func, "%.100s: %+v", c.text, m)
		require.Equal(t, []int{c.page, c.size, 12, c.number}, []int{*m.Page, *m.PageSize, *m.Total, len(m.Items)}, c.text)
		if c.number > 0 {
			require.Contains(t, string(m.Items[0]), fmt.Sprintf(`"id":%d,`, c.from), c.text)
		}
	}
	b.send(`{"func":"unsubscribe_all","type":7,"name":[]}`)
	b.send("%s", field(`"page":0`))
	b.refused(1, "nothing is subscribed any more")
}

// TestBadInputInBulk floods the server with bad messages, and reads later.
func TestBadInputInBulk(t *testing.T) {
	t.Parallel()
	address := serveItems(t)
	f := follow(t, address, "items", 0, 5)
	const rounds = 300
	for range rounds {
		f.send(`[]`)
		f.get()
		f.send("%s", field(`"page":-1`))
		f.send(`{"func":"get","type":"list","name":"none"}`)
	}
	f.send(`{"func":"get","type":"var","name":"items"}`)
	codes := map[int]int{}
	for codes[5] < rounds || codes[3] < rounds+1 {
		m := f.take()
		if m.Func == "error" {
			codes[m.ErrorCode]++
		} else {
			require.Equal(t, "set_all", m.Func)
		}
	}
	require.Equal(t, map[int]int{3: rounds + 1, 5: rounds, 7: rounds}, codes)
}
