package server_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/server"
)

// TestDatabaseItems follows one of each kind of definition over a change.
func TestDatabaseItems(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	type totals struct {
		Items int64    `db:"items" json:"items"`
		Mean  *float64 `db:"mean" json:"mean"`
	}
	_, address := serve(t, pool, &server.Config{Migrate: true},
		listItem(),
		binding.Var[item](binding.Name("first"), binding.Where("id = 1")),
		binding.Var[*string](binding.Name("first_note"), binding.Table("items"), binding.Select("note"), binding.Where("id = 1")),
		binding.Var[int64](binding.Name("count"), binding.Query("SELECT count(*) FROM items", "items")),
		binding.Var[totals](binding.Name("totals"), binding.Query("SELECT count(*) AS items, avg(n)::float8 AS mean FROM items", "items")))

	list, row, column, count, object := dial(t, address), dial(t, address), dial(t, address), dial(t, address), dial(t, address)
	m := list.list("items", 0, 2)
	require.Equal(t, 12, *m.Total)
	require.JSONEq(t, `{"id":1,"n":10,"note":"note 1"}`, string(m.Items[0]))
	require.Equal(t, `{"id":1,"n":10,"note":"note 1"}`, row.value("first"))
	require.Equal(t, `"note 1"`, column.value("first_note"))
	require.Equal(t, `12`, count.value("count"))
	require.Equal(t, `{"items":12,"mean":65}`, object.value("totals"))

	exec(t, pool, "UPDATE items SET note = NULL WHERE id = 1")
	m = list.take()
	require.Equal(t, "set", m.Func)
	require.Equal(t, 0, *m.Index)
	require.JSONEq(t, `{"id":1,"n":10,"note":null}`, string(m.Value))
	require.Equal(t, `{"id":1,"n":10,"note":null}`, row.set("first"))
	require.Equal(t, `null`, column.set("first_note"))

	exec(t, pool, "DELETE FROM items WHERE id = 1")
	require.Equal(t, "set_count", list.take().Func)
	require.Equal(t, "delete", list.take().Func)
	require.Equal(t, "insert", list.take().Func)
	require.Equal(t, `null`, row.set("first"), "the row is not there")
	require.Equal(t, `11`, count.set("count"), "the first update left the count as it was")
	require.Equal(t, `{"items":11,"mean":70}`, object.set("totals"))

	exec(t, pool, "TRUNCATE items")
	require.Equal(t, `0`, count.set("count"))
	require.Equal(t, `{"items":0,"mean":null}`, object.set("totals"))
	row.send(`{"func":"get","type":"var","name":"first"}`)
	require.Equal(t, `null`, row.set("first"))
	column.send(`{"func":"get","type":"var","name":"first_note"}`)
	require.Equal(t, `null`, column.set("first_note"), "the column was NULL and is gone: no message in between")
}

// TestListsOfPlainData follows a list without a struct, under a JSON name of its own.
func TestListsOfPlainData(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	_, address := serve(t, pool, &server.Config{Migrate: true}, &binding.ListDef{
		Name: "plain", Table: "items", Key: []string{"id"}, Where: "n > 20 -- not the first two", PageSize: 3,
		Columns: []binding.Column{{Name: "id", JSON: "ID"}, {Name: "n"}, {Name: "note", JSON: "the \"note\""}},
		Order:   []binding.OrderTerm{{Column: "n", Desc: true}},
	})
	b := dial(t, address)
	b.send(`{"func":"subscribe","type":"list","name":"plain"}`)
	b.send(`{"func":"get","type":"list","name":"plain"}`)
	m := b.take()
	require.Equal(t, []int{0, 3, 10}, []int{*m.Page, *m.PageSize, *m.Total})
	require.JSONEq(t, `{"ID":12,"the \"note\"":"note 12"}`, string(m.Items[0]))
	exec(t, pool, "UPDATE items SET note = 'x' WHERE id = 12")
	m = b.take()
	require.Equal(t, "set", m.Func)
	require.JSONEq(t, `{"ID":12,"the \"note\"":"x"}`, string(m.Value))
}

type delayArgs struct {
	ID      int64 `json:"id"`
	Minutes int32 `json:"minutes"`
}

// delay is a function on the database that says who called it.
func delay(pool *pgxpool.Pool) func(context.Context, delayArgs) (item, error) {
	return func(ctx context.Context, args delayArgs) (item, error) {
		row := item{ID: args.ID}
		who := fmt.Sprint(server.IdentityFrom(ctx))
		err := pool.QueryRow(ctx, "UPDATE items SET n = $2, note = $3 WHERE id = $1 RETURNING n, note", args.ID, args.Minutes, who).
			Scan(&row.N, &row.Note)
		return row, err
	}
}

// TestFunctions calls typed functions, which see the identity of their caller and
// change what is followed.
func TestFunctions(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, itemsTable)
	conns := make(chan *server.Conn, 1)
	live, address := serve(t, pool, &server.Config{
		Migrate:      true,
		Authenticate: func(r *http.Request) (server.Identity, error) { return r.Header.Get("User"), nil },
	}, listItem(), binding.Func("delay", delay(pool)), binding.Func("nothing", func(ctx context.Context, _ struct{}) (any, error) {
		conns <- server.ConnFrom(ctx)
		return nil, nil //nolint:nilnil // a function without a result
	}))
	b, _ := dialWith(t, address, withHeader("User", "ann"))
	b.list("items", 0, 1)
	b.send(`{"func":"subscribe","type":"function","name":"delay"}`)
	b.send(`{"func":"call","type":"function","name":"delay","id":"a","args":{"id":1,"minutes":5}}`)
	seen := map[string]string{}
	for range 2 { // the result and the change are not in an order
		m := b.take()
		seen[m.Func] = string(m.Value)
	}
	require.Equal(t, map[string]string{
		"return": `{"id":1,"n":5,"note":"ann"}`,
		"set":    `{"id":1,"n":5,"note":"ann"}`,
	}, seen)

	b.send(`{"func":"subscribe","type":"function","name":"nothing"}`)
	require.Equal(t, "null", b.result("nothing", "b", "null"), "without arguments")
	require.Equal(t, live.Conns(), []*server.Conn{await(t, conns, "the call")})
}

// TestFunctionErrors checks what a caller is told of a call that fails, and that
// the connection serves on.
func TestFunctionErrors(t *testing.T) {
	t.Parallel()
	type args struct {
		ID   int64 `json:"id"`
		Deep struct {
			List []int8 `json:"list"`
		} `json:"deep"`
	}
	fails := func(err error) func(context.Context, struct{}) (int, error) {
		return func(context.Context, struct{}) (int, error) { return 0, err }
	}
	secret := errors.New("password=hunter2")
	_, address := serve(t, nil, nil,
		binding.Func("typed", func(_ context.Context, a args) (int64, error) { return a.ID, nil }),
		binding.Func("hidden", fails(secret)),
		binding.Func("public", fails(fmt.Errorf("wrapped: %w", server.PublicError("no such flight")))),
		binding.Func("panics", func(context.Context, struct{}) (int, error) { panic(secret) }),
		binding.Func("infinite", func(context.Context, struct{}) (float64, error) { return math.Inf(1), nil }),
		binding.Func("deep", func(context.Context, struct{}) (any, error) { return nested(64), nil }))
	b := dial(t, address)
	for i, c := range []struct{ function, args, says string }{
		{"typed", `{"id":"x"}`, `argument "id": want an integer in range, got string`},
		{"typed", `{"id":1.5}`, `argument "id": want an integer in range, got number 1.5`},
		{"typed", `{"id":1e99}`, `argument "id": want an integer in range, got number 1e99`},
		{"typed", `{"deep":{"list":[1,300]}}`, `argument "deep.list": want an integer in range, got number 300`},
		{"typed", `[1]`, ""},
		{"typed", `"x"`, ""},
		{"hidden", `{}`, "function failed"},
		{"public", `{}`, "no such flight"},
		{"panics", `{}`, "function failed"},
		{"infinite", `{}`, "function failed"},
		{"deep", `{}`, "function failed"},
	} {
		b.send(`{"func":"subscribe","type":"function","name":%q}`, c.function)
		b.send(`{"func":"call","type":"function","name":%q,"id":"%d","args":%s}`, c.function, i, c.args)
		m := b.refused(8, c.function, c.args)
		require.NotContains(t, m.Message, "hunter2")
		if c.says != "" {
			require.Equal(t, c.says, m.Message, "%s(%s)", c.function, c.args)
		}
	}
	require.Equal(t, "7", b.result("typed", "last", `{"id":7,"unknown":true}`))
}

// nested is an array in an array, and so on.
func nested(depth int) any {
	var v any = []any{}
	for range depth - 1 {
		v = []any{v}
	}
	return v
}

// TestMemoryItems provides items from memory, also to a connection that is open.
func TestMemoryItems(t *testing.T) {
	t.Parallel()
	live, address := serve(t, nil, nil, binding.Func("taken", func(context.Context, struct{}) (int, error) { return 1, nil }))
	b := dial(t, address)
	b.send(`{"func":"subscribe","type":"var","name":"speed"}`)
	b.refused(3)

	speed, names := memory.NewVar("speed", 1), memory.NewList[string]("names", nil)
	hello := memory.NewFunc("hello", func(ctx context.Context, a struct{ Name string }) (string, error) {
		if server.ConnFrom(ctx) == nil {
			return "", errors.New("no connection")
		}
		return "hello " + a.Name, nil
	})
	require.NoError(t, live.Provide(speed, names, hello))
	require.NoError(t, names.Append("ann"))

	require.Equal(t, "1", b.value("speed"))
	require.NoError(t, speed.Set(2))
	require.Equal(t, "2", b.set("speed"))
	require.Len(t, b.list("names", 0, 5).Items, 1)
	require.NoError(t, names.Append("bob"))
	require.Equal(t, "set_count", b.take().Func)
	m := b.take()
	require.Equal(t, []any{"insert", 1, `"bob"`}, []any{m.Func, *m.Index, string(m.Value)})
	b.send(`{"func":"subscribe","type":"function","name":"hello"}`)
	require.Equal(t, `"hello eve"`, b.result("hello", "1", `{"Name":"eve"}`))

	require.ErrorContains(t, live.Provide(memory.NewVar("speed", 3)), `"speed"`)
	taken := memory.NewFunc("taken", func(context.Context, struct{}) (int, error) { return 2, nil })
	require.ErrorContains(t, live.Provide(taken), `"taken"`)
	require.NoError(t, live.Provide(memory.NewVar("taken", 3)), "a var may have the name of a function")
}

// TestNewErrors checks that a server is not made of mistakes, all of which are said.
func TestNewErrors(t *testing.T) {
	t.Parallel()
	f := binding.Func("f", func(context.Context, struct{}) (int, error) { return 0, nil })
	for about, c := range map[string]struct {
		config *server.Config
		defs   []binding.Definition
		says   []string
	}{
		"no pool":           {defs: []binding.Definition{listItem()}, says: []string{`list "items"`, "pool is nil"}},
		"name twice":        {defs: []binding.Definition{f, f}, says: []string{`function "f"`, "twice"}},
		"nil definition":    {defs: []binding.Definition{nil}, says: []string{"nil"}},
		"two mistakes":      {defs: []binding.Definition{listItem(binding.Order("nope")), listItem(binding.Name(strings.Repeat("x", 129)))}, says: []string{`"nope"`, "129 bytes"}},
		"negative limit":    {config: &server.Config{MaxCalls: -1}, says: []string{"negative"}},
		"negative duration": {config: &server.Config{CallTimeout: -1}, says: []string{"negative"}},
		"bad origin":        {config: &server.Config{Origins: []string{"[a"}}, says: []string{"origin", "[a"}},
	} {
		_, err := server.New(nil, c.config, c.defs...)
		require.Error(t, err, about)
		for _, says := range c.says {
			require.ErrorContains(t, err, says, about)
		}
	}
}
