package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/server"
)

// vectorFile is a file of testdata/protocol; the README there says what everything means.
type vectorFile struct {
	Version int      `json:"version"`
	Vectors []vector `json:"vectors"`
}

type vector struct {
	Name  string `json:"name"`
	Setup struct {
		Tables []vectorTable `json:"tables"`
		Vars   []struct {
			Name  string          `json:"name"`
			Value json.RawMessage `json:"value"`
		} `json:"vars"`
		Lists []struct {
			Name        string            `json:"name"`
			MaxPageSize int               `json:"max_page_size"`
			Items       []json.RawMessage `json:"items"`
		} `json:"lists"`
		Functions []string `json:"functions"`
		Limits    struct {
			Subscriptions int `json:"subscriptions"`
		} `json:"limits"`
		Credentials map[string]vectorCredentials `json:"credentials"`
	} `json:"setup"`
	Script []vectorStep `json:"script"`
}

type vectorStep struct {
	Send      json.RawMessage    `json:"send"`
	SendText  string             `json:"send_text"`
	Do        *vectorOperation   `json:"do"`
	SQL       string             `json:"sql"`
	Expect    []map[string]any   `json:"expect"`
	Or        [][]map[string]any `json:"or"`
	Reconnect bool               `json:"reconnect"`
	Differ    []string           `json:"differ"`
}

type vectorOperation struct {
	Op    string          `json:"op"`
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
	Index int             `json:"index"`
	From  int             `json:"from"`
	To    int             `json:"to"`
	Token string          `json:"token"`
}

// vectorCredentials are what a token stands for.
type vectorCredentials struct {
	Values    map[string]any `json:"values"`
	Forbidden []struct {
		Type string `json:"type"`
		Name string `json:"name"`
	} `json:"forbidden"`
	ExpiresIn int `json:"expires_in"`
}

func (c vectorCredentials) identity(name string) server.Principal {
	p := server.Principal{Name: name, Values: c.Values}
	if c.ExpiresIn > 0 {
		p.Until = time.Now().Add(time.Duration(c.ExpiresIn) * time.Second)
	}
	return p
}

// TestVectorsV2 runs the vectors of version 2 in which the tested peer provides against a server, over a WebSocket.
func TestVectorsV2(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../testdata/protocol/v2_*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		if filepath.Base(name) == "v2_follow.json" {
			continue // a server follows nothing
		}
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		var file vectorFile
		require.NoError(t, json.Unmarshal(data, &file), name)
		for _, v := range file.Vectors {
			t.Run(v.Name, func(t *testing.T) {
				t.Parallel()
				newPlay(t, &v, file.Version).all(v.Script)
			})
		}
	}
}

// play is a vector that is being run.
type play struct {
	t       *testing.T
	version int
	live    *server.Server
	tokens  map[string]vectorCredentials
	address string
	conn    *websocket.Conn
	pool    *pgxpool.Pool // nil if there are no tables
	watcher *browser      // sees what has been published; nil if there are no tables

	vars  map[string]*memory.Var[json.RawMessage]
	lists map[string]*memory.List[json.RawMessage]

	got   []map[string]any  // since the last expect
	names map[string]string // what placeholders stand for
}

func newPlay(t *testing.T, v *vector, version int) *play {
	t.Helper()
	p := &play{
		t: t, version: version, names: map[string]string{},
		vars: map[string]*memory.Var[json.RawMessage]{}, lists: map[string]*memory.List[json.RawMessage]{},
	}
	config := &server.Config{Migrate: true}
	if v.Setup.Credentials != nil {
		p.authenticates(config, v.Setup.Credentials)
	}
	if n := v.Setup.Limits.Subscriptions; n > 0 {
		config.MaxSubscriptions = n + 1
	}
	var definitions []binding.Definition
	if v.Setup.Tables != nil {
		p.pool = pgtest.New(t)
		definitions = p.tables(v.Setup.Tables)
	}
	live, err := server.New(p.pool, config, definitions...)
	require.NoError(t, err)
	p.provide(live, v)
	require.NoError(t, live.Start(within(t)))
	p.live, p.address = live, mount(t, live)
	if p.pool != nil {
		p.watcher = dial(t, p.address)
		p.watcher.list("fence", 0, 1)
	}
	p.open()
	return p
}

// authenticates has the server take tokens.
func (p *play) authenticates(config *server.Config, tokens map[string]vectorCredentials) {
	p.tokens = tokens
	config.ExpiryGrace = time.Hour
	config.Authenticate = func(*http.Request) (server.Identity, error) { return tokens[""].identity(""), nil }
	config.AuthenticateToken = func(_ context.Context, _ *server.Conn, token string) (server.Identity, error) {
		c, ok := tokens[token]
		if !ok {
			return nil, errors.New("refused")
		}
		return c.identity(token), nil
	}
	config.Authorize = func(_ context.Context, identity server.Identity, item server.Item) error {
		principal, _ := identity.(server.Principal)
		for _, f := range tokens[principal.Name].Forbidden {
			if f.Type == string(item.Type) && f.Name == item.Name {
				return server.ErrForbidden
			}
		}
		return nil
	}
}

// become changes whose the connections of the server are.
func (p *play) become(change func(server.Principal) server.Principal) error {
	var err error
	for _, c := range p.live.Conns() {
		principal, _ := c.Identity().(server.Principal)
		err = errors.Join(err, c.SetIdentity(change(principal)))
	}
	return err
}

// provide registers what needs no database.
func (p *play) provide(live *server.Server, v *vector) {
	p.t.Helper()
	require.NoError(p.t, live.Provide(memory.NewVar("fence", 0)))
	for _, d := range v.Setup.Vars {
		p.vars[d.Name] = memory.NewVar(d.Name, d.Value)
		require.NoError(p.t, live.Provide(p.vars[d.Name]))
	}
	for _, d := range v.Setup.Lists {
		l := memory.NewList[json.RawMessage](d.Name, &memory.ListOptions{MaxPageSize: d.MaxPageSize})
		require.NoError(p.t, l.Replace(d.Items))
		p.lists[d.Name] = l
		require.NoError(p.t, live.Provide(l))
	}
	functions := map[string]func(context.Context, json.RawMessage) (string, error){
		"pong": func(context.Context, json.RawMessage) (string, error) { return "pong", nil },
		"fail": func(context.Context, json.RawMessage) (string, error) { return "", errors.New("it failed") },
	}
	for _, name := range v.Setup.Functions {
		require.NoError(p.t, live.Provide(memory.NewFunc(name, functions[name])))
	}
}

func (p *play) all(script []vectorStep) {
	for i := range script {
		p.t.Logf("step %d", i)
		p.step(&script[i])
	}
	p.rest()
}

func (p *play) step(s *vectorStep) {
	switch {
	case s.Send != nil:
		p.send(s.Send)
	case s.SendText != "":
		p.write(s.SendText)
	case s.Do != nil:
		p.fence() // what was sent before has its effect first
		p.do(s.Do)
	case s.SQL != "":
		p.fence()
		p.sql(s.SQL)
	case s.Expect != nil:
		p.expect(append([][]map[string]any{s.Expect}, s.Or...))
	case s.Reconnect:
		p.rest()
		p.open()
	case s.Differ != nil:
		p.differ(s.Differ)
	default:
		require.Fail(p.t, "unknown step")
	}
}

// open dials, offering what the version of the vector is spoken by.
func (p *play) open() {
	p.t.Helper()
	options := &websocket.DialOptions{}
	if p.version == 2 {
		options.Subprotocols = []string{"socksync.v2", "socksync.v1"}
	}
	conn, response, err := websocket.Dial(within(p.t), p.address, options)
	require.NoError(p.t, err)
	if response.Body != nil {
		_ = response.Body.Close()
	}
	conn.SetReadLimit(1 << 24)
	p.t.Cleanup(func() { _ = conn.CloseNow() })
	p.conn = conn
}

// rest has that no message is left, and ends the connection.
func (p *play) rest() {
	p.t.Helper()
	p.fence()
	require.Empty(p.t, p.got, "messages that nobody expects")
	require.NoError(p.t, p.conn.Close(websocket.StatusNormalClosure, ""))
}

func (p *play) do(o *vectorOperation) {
	p.t.Helper()
	var err error
	switch o.Op {
	case "set_var":
		err = p.vars[o.Name].Set(o.Value)
	case "insert":
		err = p.lists[o.Name].Insert(o.Index, o.Value)
	case "set":
		err = p.lists[o.Name].Set(o.Index, o.Value)
	case "delete":
		err = p.lists[o.Name].Delete(o.Index)
	case "move":
		err = p.lists[o.Name].Move(o.From, o.To)
	case "become":
		err = p.become(func(server.Principal) server.Principal { return p.tokens[o.Token].identity(o.Token) })
	case "expire":
		err = p.become(func(now server.Principal) server.Principal { now.Until = time.Now(); return now })
	default:
		err = errors.New("unknown operation " + o.Op)
	}
	require.NoError(p.t, err)
}

// sql runs statements as one transaction and waits until what they did has been published. A change of the fence may be
// published together with them, before or after; the next one comes after.
func (p *play) sql(statements string) {
	p.t.Helper()
	exec(p.t, p.pool, statements)
	for range 2 {
		exec(p.t, p.pool, "UPDATE vector_fence SET n = n + 1")
		require.Equal(p.t, "set", p.watcher.take().Func)
	}
}

func (p *play) send(message json.RawMessage) {
	p.t.Helper()
	text := string(message)
	for name, value := range p.names {
		text = strings.ReplaceAll(text, `"`+name+`"`, quoted(p.t, value))
	}
	p.write(text)
}

func quoted(t testing.TB, text string) string {
	t.Helper()
	out, err := json.Marshal(text)
	require.NoError(t, err)
	return string(out)
}

func (p *play) write(text string) {
	p.t.Helper()
	require.NoError(p.t, p.conn.Write(within(p.t), websocket.MessageText, []byte(text)))
}

// read returns the next message. One that is late is a failure of the test.
func (p *play) read() map[string]any {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	defer cancel()
	_, data, err := p.conn.Read(ctx)
	require.NoError(p.t, err, "so far: %v", p.got)
	var m map[string]any
	require.NoError(p.t, json.Unmarshal(data, &m))
	return m
}

// fence reads until everything that was sent has been dealt with.
func (p *play) fence() {
	p.t.Helper()
	p.write(`{"func":"subscribe","type":"var","name":"fence"}`)
	p.write(`{"func":"get","type":"var","name":"fence","id":"fence"}`)
	for {
		m := p.read()
		if m["type"] == "var" && m["name"] == "fence" {
			if m["func"] == "set" || m["id"] != nil { // an error if the credentials have expired
				return
			}
			continue
		}
		p.got = append(p.got, m)
	}
}

// expect reads until one of the lists of messages has come.
func (p *play) expect(choices [][]map[string]any) {
	p.t.Helper()
	longest := func(a, b []map[string]any) int { return len(a) - len(b) }
	p.fence()
	for len(p.got) < len(slices.MinFunc(choices, longest)) {
		p.got = append(p.got, p.read())
	}
	for !p.came(choices) {
		if len(p.got) >= len(slices.MaxFunc(choices, longest)) {
			require.Fail(p.t, "other messages than expected", "want %s\ngot  %s", plain(p.t, choices), plain(p.t, p.got))
		}
		p.got = append(p.got, p.read())
	}
	p.got = nil
}

func plain(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// came reports whether one of the lists has come, and keeps what its placeholders stand for.
func (p *play) came(choices [][]map[string]any) bool {
	for _, choice := range choices {
		names := maps.Clone(p.names)
		if p.like(choice, names) {
			p.names = names
			return true
		}
	}
	return false
}

// like compares view by view.
func (p *play) like(want []map[string]any, names map[string]string) bool {
	wanted, got := byView(want), byView(p.got)
	if len(want) != len(p.got) || len(wanted) != len(got) {
		return false
	}
	for view := range wanted {
		if len(wanted[view]) != len(got[view]) {
			return false
		}
		for i, m := range wanted[view] {
			if !alike(m, withoutText(m, got[view][i]), names) {
				return false
			}
		}
	}
	return true
}

func byView(messages []map[string]any) map[[3]any][]map[string]any {
	out := map[[3]any][]map[string]any{}
	for _, m := range messages {
		view := [3]any{m["type"], m["name"], m["view"]}
		out[view] = append(out[view], m)
	}
	return out
}

// withoutText is an error without its text, if it has one and the expected message does not name it.
func withoutText(want, got map[string]any) map[string]any {
	if text, _ := got["message"].(string); got["func"] != "error" || text == "" || want["message"] != nil {
		return got
	}
	got = maps.Clone(got)
	delete(got, "message")
	return got
}

// alike compares JSON. A placeholder is any string, the same each time.
func alike(want, got any, names map[string]string) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		for k := range w {
			_, there := g[k]
			ok = ok && there && alike(w[k], g[k], names)
		}
		return ok && len(w) == len(g)
	case []any:
		g, ok := got.([]any)
		return ok && slices.EqualFunc(w, g, func(a, b any) bool { return alike(a, b, names) })
	case string:
		g, ok := got.(string)
		if !ok || !strings.HasPrefix(w, "$") {
			return ok && w == g
		}
		if known, taken := names[w]; taken {
			return known == g
		}
		names[w] = g
		return true
	}
	return reflect.DeepEqual(want, got)
}

func (p *play) differ(placeholders []string) {
	p.t.Helper()
	seen := map[string]string{}
	for _, name := range placeholders {
		value, known := p.names[name]
		require.True(p.t, known, "%s stands for nothing", name)
		require.Empty(p.t, seen[value], "%s is %s", name, value)
		seen[value] = name
	}
}

// vectorTable is a table and the list of it.
type vectorTable struct {
	Name    string            `json:"name"`
	Columns []string          `json:"columns"`
	JSON    map[string]string `json:"json"`
	Key     []string          `json:"key"`
	Rows    [][]any           `json:"rows"`
	List    struct {
		Name        string   `json:"name"`
		Order       string   `json:"order"`
		Where       string   `json:"where"`
		PageSize    int      `json:"page_size"`
		MaxPageSize int      `json:"max_page_size"`
		MaxWindow   int      `json:"max_window"`
		Filter      []string `json:"filter"`
		Sort        []string `json:"sort"`
		Search      []string `json:"search"`
	} `json:"list"`
}

// tables makes the tables and the one of the fence, and returns the lists.
func (p *play) tables(tables []vectorTable) []binding.Definition {
	p.t.Helper()
	exec(p.t, p.pool, "CREATE TABLE vector_fence (id int PRIMARY KEY, n int); INSERT INTO vector_fence VALUES (1, 1)")
	definitions := []binding.Definition{&binding.ListDef{
		Name: "fence", Table: "vector_fence", Key: []string{"id"},
		Columns: []binding.Column{{Name: "id", JSON: "id"}, {Name: "n", JSON: "n"}},
	}}
	for i := range tables {
		p.fill(&tables[i])
		definitions = append(definitions, p.listOf(&tables[i]))
	}
	return definitions
}

func (p *play) fill(d *vectorTable) {
	p.t.Helper()
	exec(p.t, p.pool, "CREATE TABLE "+d.Name+" ("+strings.Join(d.Columns, ", ")+", PRIMARY KEY ("+strings.Join(d.Key, ", ")+"))")
	for _, values := range d.Rows {
		row := map[string]any{}
		for i, column := range d.names() {
			row[column] = values[i]
		}
		exec(p.t, p.pool, "INSERT INTO "+d.Name+" SELECT * FROM json_populate_record(NULL::"+d.Name+", $1)", plain(p.t, row))
	}
}

// names are the exact names of the columns.
func (d *vectorTable) names() []string {
	var names []string
	for _, column := range d.Columns {
		names = append(names, strings.Trim(strings.Fields(column)[0], `"`))
	}
	return names
}

func (p *play) listOf(d *vectorTable) *binding.ListDef {
	p.t.Helper()
	l := &binding.ListDef{
		Name: d.List.Name, Table: d.Name, Key: d.Key, Where: d.List.Where,
		PageSize: d.List.PageSize, MaxPageSize: d.List.MaxPageSize, MaxWindow: d.List.MaxWindow,
		Sort: d.List.Sort, Search: d.List.Search,
	}
	for _, name := range d.names() {
		column := binding.Column{Name: name, JSON: name}
		if renamed := d.JSON[name]; renamed != "" {
			column.JSON = renamed
		}
		l.Columns = append(l.Columns, column)
	}
	var err error
	if d.List.Order != "" {
		l.Order, err = binding.ParseOrder(d.List.Order)
		require.NoError(p.t, err)
	}
	for _, text := range d.List.Filter {
		rule, err := binding.ParseFilterRule(text)
		require.NoError(p.t, err)
		l.Filter = append(l.Filter, rule)
	}
	return l
}
