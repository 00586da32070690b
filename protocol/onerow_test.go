package protocol_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/protocol"
)

var update = flag.Bool("update", false, "write the vectors of change rule 3")

// row is one row of a list: its primary key and its published value.
type row struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// rule3 is the oracle: what a provider sends to a subscriber of a page after a
// change of one row whose primary key stays. It is the text of the rule over
// two slices and uses nothing of the program.
func rule3(before, after []row, changed string, page, size int) []map[string]any {
	var sent []map[string]any
	old, now := pageOf(before, page, size), pageOf(after, page, size)
	if len(before) != len(after) {
		sent = append(sent, map[string]any{"func": "set_count", "total_item_count": len(after)})
	}
	deleted, inserted := missing(old, now), missing(now, old)
	from, to := indexOf(old, changed), indexOf(now, changed)
	if from >= 0 && to >= 0 && from != to {
		deleted, inserted = from, to
	}
	if deleted >= 0 {
		sent = append(sent, map[string]any{"func": "delete", "index": deleted})
	}
	if inserted >= 0 {
		sent = append(sent, map[string]any{"func": "insert", "index": inserted, "value": now[inserted].Value})
	}
	if from >= 0 && from == to && string(old[from].Value) != string(now[to].Value) {
		sent = append(sent, map[string]any{"func": "set", "index": to, "value": now[to].Value})
	}
	return sent
}

func pageOf(list []row, page, size int) []row {
	first := min(page*size, len(list))
	return list[first:min(first+size, len(list))]
}

func indexOf(rows []row, key string) int {
	return slices.IndexFunc(rows, func(r row) bool { return r.Key == key })
}

// missing returns the index of the row of a that b does not have, or -1.
func missing(a, b []row) int {
	at := -1
	for i, r := range a {
		if indexOf(b, r.Key) >= 0 {
			continue
		}
		if at >= 0 {
			panic("a change of one row took two rows off the page, or put two on it")
		}
		at = i
	}
	return at
}

// operation is a change of one row.
type operation struct {
	op          string // insert, delete, set or move
	at, to      int
	value       string // JSON; of a move: "" for the value as it was
	beyondLists bool   // an in-memory list has no such operation
}

func insertAt(at int) operation        { return operation{op: "insert", at: at, value: `"x"`} }
func deleteAt(at int) operation        { return operation{op: "delete", at: at} }
func moveTo(from, to int) operation    { return operation{op: "move", at: from, to: to} }
func setAt(at int, v string) operation { return operation{op: "set", at: at, value: v} }
func changeTo(from, to int, v string) operation {
	return operation{op: "move", at: from, to: to, value: v, beyondLists: true}
}

// on returns the list after the operation, and the key of the changed row.
func (o operation) on(list []row) ([]row, string) {
	list = slices.Clone(list)
	if o.op == "insert" {
		return slices.Insert(list, o.at, row{"new", json.RawMessage(o.value)}), "new"
	}
	r := list[o.at]
	if o.value != "" {
		r.Value = json.RawMessage(o.value)
	}
	list = slices.Delete(list, o.at, o.at+1)
	switch o.op {
	case "set":
		list = slices.Insert(list, o.at, r)
	case "move":
		list = slices.Insert(list, o.to, r)
	}
	return list, r.Key
}

// step is the operation as a step of a script, on the list l.
func (o operation) step() map[string]any {
	do := map[string]any{"op": o.op, "name": "l", "index": o.at}
	switch o.op {
	case "insert", "set":
		do["value"] = json.RawMessage(o.value)
	case "move":
		do = map[string]any{"op": "move", "name": "l", "from": o.at, "to": o.to}
	}
	return map[string]any{"do": do}
}

// letters returns a list of n rows: a, b, c and so on.
func letters(n int) []row {
	var list []row
	for c := 'a'; c < 'a'+rune(n); c++ {
		list = append(list, row{string(c), json.RawMessage(`"` + string(c) + `"`)})
	}
	return list
}

func (c oneRow) rows() []row {
	list := letters(c.n)
	if c.same {
		for i := range list {
			list[i].Value = json.RawMessage(`"same"`)
		}
	}
	return list
}

// TestOneRowFiles holds the files to the oracle.
func TestOneRowFiles(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][]byte{
		"one_row.json": oneRowScripts(),
		"changes.json": oneRowChanges(),
	} {
		path := vectorDir + file
		if *update {
			require.NoError(t, os.WriteFile(path, want, 0o600))
		}
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "%s is not what the oracle says; -update writes it", file)
	}
}

const oneRowAbout = "Change rule 3: what a change of one row, whose primary key stays, yields."

func oneRowScripts() []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "{\n  \"about\": %s,\n  \"vectors\": [", compact(oneRowAbout+" Written by a generator."))
	first := true
	for _, c := range oneRows {
		if c.do.beyondLists {
			continue
		}
		if !first {
			out.WriteByte(',')
		}
		first = false
		c.writeScript(&out)
	}
	out.WriteString("\n  ]\n}\n")
	return []byte(out.String())
}

func (c oneRow) writeScript(out *strings.Builder) {
	before := c.rows()
	after, changed := c.do.on(before)
	get := map[string]any{"func": "get", "type": "list", "name": "l", "page": c.page, "page_size": c.size}
	sent := rule3(before, after, changed, c.page, c.size)
	for _, m := range sent {
		m["type"], m["name"] = "list", "l"
	}
	steps := []any{
		map[string]any{"send": map[string]any{"func": "subscribe", "type": "list", "name": "l"}},
		map[string]any{"send": get},
		c.expectAll(before),
		c.do.step(),
		map[string]any{"expect": append([]map[string]any{}, sent...)},
		map[string]any{"send": get},
		c.expectAll(after),
	}
	setup := map[string]any{"lists": []any{map[string]any{"name": "l", "max_page_size": 10, "items": values(before)}}}
	fmt.Fprintf(out, "\n    {\n      \"name\": %s,\n      \"what\": %s,\n      \"setup\": %s,\n      \"script\": [",
		compact("one-row-"+c.name), compact(c.what), compact(setup))
	for i, s := range steps {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n        " + compact(s))
	}
	out.WriteString("\n      ]\n    }")
}

func (c oneRow) expectAll(list []row) any {
	return map[string]any{"expect": []any{map[string]any{
		"func": "set_all", "type": "list", "name": "l", "page": c.page, "page_size": c.size,
		"total_item_count": len(list), "items": values(pageOf(list, c.page, c.size)),
	}}}
}

func values(list []row) []json.RawMessage {
	out := []json.RawMessage{}
	for _, r := range list {
		out = append(out, r.Value)
	}
	return out
}

func oneRowChanges() []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "{\n  \"about\": %s,\n  \"changes\": [", compact(oneRowAbout+" Written by a generator."))
	for i, c := range oneRows {
		if i > 0 {
			out.WriteByte(',')
		}
		before := c.rows()
		after, changed := c.do.on(before)
		fmt.Fprintf(&out, "\n    {\n      \"name\": %s,\n      \"what\": %s,\n      \"page\": %d,\n      \"page_size\": %d,\n      \"changed\": %s,",
			compact(c.name), compact(c.what), c.page, c.size, compact(changed))
		fmt.Fprintf(&out, "\n      \"old\": %s,\n      \"new\": %s,", c.side(before), c.side(after))
		sent := append([]map[string]any{}, rule3(before, after, changed, c.page, c.size)...)
		fmt.Fprintf(&out, "\n      \"messages\": %s\n    }", compact(sent))
	}
	out.WriteString("\n  ]\n}\n")
	return []byte(out.String())
}

func (c oneRow) side(list []row) string {
	return compact(map[string]any{"total": len(list), "rows": append([]row{}, pageOf(list, c.page, c.size)...)})
}

// compact returns JSON on one line. The fields are in the order of the alphabet.
func compact(v any) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// TestOneRowApplies runs every change of one row on every page of small lists
// through the encoding, Parse and Page, and holds the outcome to the slices.
func TestOneRowApplies(t *testing.T) {
	t.Parallel()
	for n := range 7 {
		for _, o := range operations(n) {
			before := letters(n)
			after, changed := o.on(before)
			for size := 1; size <= 4; size++ {
				for page := range 4 {
					sent := rule3(before, after, changed, page, size)
					applyOneRow(t, before, after, sent, page, size)
				}
			}
		}
	}
}

func operations(n int) []operation {
	all := []operation{insertAt(n)}
	for i := range n {
		all = append(all, insertAt(i), deleteAt(i), setAt(i, `"y"`), setAt(i, `null`))
		for j := range n {
			all = append(all, moveTo(i, j), changeTo(i, j, `"z"`))
		}
	}
	return all
}

func applyOneRow(t *testing.T, before, after []row, sent []map[string]any, page, size int) {
	t.Helper()
	var p protocol.Page
	apply(t, &p, protocol.AppendSetAll(nil, "l", page, size, len(before), values(pageOf(before, page, size))))
	for _, m := range sent {
		apply(t, &p, encodeChange(m))
		require.LessOrEqual(t, len(p.Items), size, "overfull")
	}
	require.Equal(t, values(pageOf(after, page, size)), append([]json.RawMessage{}, p.Items...))
	require.Equal(t, len(after), p.Total)
}

func apply(t *testing.T, p *protocol.Page, message []byte) {
	t.Helper()
	f, err := protocol.Parse(message)
	require.NoError(t, err)
	applied, err := p.Apply(&f)
	require.NoError(t, err)
	require.True(t, applied)
}

func encodeChange(m map[string]any) []byte {
	switch m["func"] {
	case "set_count":
		return protocol.AppendSetCount(nil, "l", as[int](m["total_item_count"]))
	case "delete":
		return protocol.AppendDelete(nil, "l", as[int](m["index"]))
	case "insert":
		return protocol.AppendInsert(nil, "l", as[int](m["index"]), as[json.RawMessage](m["value"]))
	}
	return protocol.AppendSetItem(nil, "l", as[int](m["index"]), as[json.RawMessage](m["value"]))
}

// as is v as a T; the fields of a message made here have the types they have.
func as[T any](v any) T {
	out, ok := v.(T)
	if !ok {
		panic(fmt.Sprintf("%v is not a %T", v, out))
	}
	return out
}

// TestOracle holds the oracle to messages worked out by hand.
func TestOracle(t *testing.T) {
	t.Parallel()
	tests := []struct {
		n, page, size int
		do            operation
		want          string
	}{
		{8, 1, 3, insertAt(4), `[{"func":"set_count","total_item_count":9},{"func":"delete","index":2},{"func":"insert","index":1,"value":"x"}]`},
		{8, 1, 3, insertAt(0), `[{"func":"set_count","total_item_count":9},{"func":"delete","index":2},{"func":"insert","index":0,"value":"c"}]`},
		{8, 2, 3, insertAt(8), `[{"func":"set_count","total_item_count":9},{"func":"insert","index":2,"value":"x"}]`},
		{8, 1, 3, deleteAt(0), `[{"func":"set_count","total_item_count":7},{"func":"delete","index":0},{"func":"insert","index":2,"value":"g"}]`},
		{6, 1, 3, deleteAt(5), `[{"func":"set_count","total_item_count":5},{"func":"delete","index":2}]`},
		{8, 1, 3, moveTo(4, 3), `[{"func":"delete","index":1},{"func":"insert","index":0,"value":"e"}]`},
		{8, 1, 3, moveTo(3, 4), `[{"func":"delete","index":0},{"func":"insert","index":1,"value":"d"}]`},
		{8, 1, 3, moveTo(0, 4), `[{"func":"delete","index":0},{"func":"insert","index":1,"value":"a"}]`},
		{8, 1, 3, moveTo(5, 0), `[{"func":"delete","index":2},{"func":"insert","index":0,"value":"c"}]`},
		{8, 1, 3, moveTo(0, 7), `[{"func":"delete","index":0},{"func":"insert","index":2,"value":"g"}]`},
		{8, 1, 3, moveTo(0, 1), `[]`},
		{8, 1, 3, setAt(3, `5`), `[{"func":"set","index":0,"value":5}]`},
		{8, 1, 3, setAt(3, `"d"`), `[]`},
		{8, 1, 3, changeTo(3, 5, `5`), `[{"func":"delete","index":0},{"func":"insert","index":2,"value":5}]`},
	}
	for _, test := range tests {
		before := letters(test.n)
		after, changed := test.do.on(before)
		got := append([]map[string]any{}, rule3(before, after, changed, test.page, test.size)...)
		require.Equal(t, test.want, compact(got))
	}
}
