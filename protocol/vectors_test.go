package protocol_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/protocol"
)

const vectorDir = "../testdata/protocol/"

type vector struct {
	Name   string `json:"name"`
	What   string `json:"what"`
	Setup  setup  `json:"setup"`
	Script []step `json:"script"`

	version protocol.Version // of its file
}

type setup struct {
	Tables []table `json:"tables"`

	Vars []struct {
		Name  string          `json:"name"`
		Value json.RawMessage `json:"value"`
	} `json:"vars"`
	Lists []struct {
		Name        string            `json:"name"`
		MaxPageSize int               `json:"max_page_size"`
		Items       []json.RawMessage `json:"items"`
	} `json:"lists"`
	Functions []string `json:"functions"`
	Follows   []follow `json:"follows"`
	Limits    struct {
		MessageBytes  int `json:"message_bytes"`
		Subscriptions int `json:"subscriptions"`
		Calls         int `json:"calls"`
	} `json:"limits"`
	Credentials map[string]struct {
		Values    map[string]string `json:"values"`
		Forbidden []follow          `json:"forbidden"`
		ExpiresIn int               `json:"expires_in"`
	} `json:"credentials"`
}

// table is read where there is a database; here only its form counts.
type table struct {
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

type follow struct {
	Type     protocol.ItemType `json:"type"`
	Name     string            `json:"name"`
	Page     int               `json:"page"`
	PageSize int               `json:"page_size"`
	After    json.RawMessage   `json:"after"`
	Sort     []string          `json:"sort"`
	Filter   json.RawMessage   `json:"filter"`
	Search   string            `json:"search"`
}

type step struct {
	Send       json.RawMessage  `json:"send"`
	SendText   *string          `json:"send_text"`
	SendHex    *string          `json:"send_hex"`
	SendRepeat *repeat          `json:"send_repeat"`
	Binary     bool             `json:"binary"`
	Do         *do              `json:"do"`
	Expect     []map[string]any `json:"expect"`
	Or         [][]any          `json:"or"`
	Holds      map[string]any   `json:"holds"`
	Result     map[string]any   `json:"result"`
	Reported   []map[string]any `json:"reported"`
	Close      int              `json:"close"`
	SQL        string           `json:"sql"`
	Reconnect  bool             `json:"reconnect"`
	Differ     []string         `json:"differ"`
}

type repeat struct {
	Before string `json:"before"`
	Text   string `json:"text"`
	Times  int    `json:"times"`
	After  string `json:"after"`
}

type do struct {
	follow
	Op    string          `json:"op"`
	Value json.RawMessage `json:"value"`
	Index int             `json:"index"`
	From  int             `json:"from"`
	To    int             `json:"to"`
	Key   string          `json:"key"`
	Args  json.RawMessage `json:"args"`
	As    string          `json:"as"`
	Call  string          `json:"call"`
	Token string          `json:"token"`
}

// loadVectors returns the scripts of all files. A field that the format does
// not have is an error.
func loadVectors(t testing.TB) []vector {
	t.Helper()
	files, err := filepath.Glob(vectorDir + "*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all []vector
	for _, file := range files {
		if filepath.Base(file) == "changes.json" {
			continue
		}
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var content struct {
			About   string           `json:"about"`
			Version protocol.Version `json:"version"`
			Vectors []vector         `json:"vectors"`
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&content), file)
		require.NotEmpty(t, content.About, file)
		for _, v := range content.Vectors {
			v.version = max(content.Version, protocol.V1)
			all = append(all, v)
		}
	}
	return all
}

// data returns what a send step sends, without placeholders.
func (s *step) data(t testing.TB) ([]byte, bool) {
	t.Helper()
	switch {
	case s.Send != nil:
		var out bytes.Buffer
		require.NoError(t, json.Compact(&out, s.Send))
		return out.Bytes(), true
	case s.SendText != nil:
		return []byte(*s.SendText), true
	case s.SendHex != nil:
		data, err := hex.DecodeString(*s.SendHex)
		require.NoError(t, err)
		return data, true
	case s.SendRepeat != nil:
		r := s.SendRepeat
		return []byte(r.Before + strings.Repeat(r.Text, r.Times) + r.After), true
	}
	return nil, false
}

// TestVectors runs the scripts of version 1 against the model, which has no connection and
// does one thing at a time. So a vector that contradicts the contract is found
// here, before it is held against a real peer.
func TestVectors(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, v := range loadVectors(t) {
		require.False(t, seen[v.Name], "two vectors are named %s", v.Name)
		seen[v.Name] = true
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			require.NotEmpty(t, v.What)
			if v.version == protocol.V2 {
				checkV2(t, v)
				return
			}
			if v.Setup.Tables != nil {
				return // the model has no tables
			}
			r := &run{t: t, m: newModel(v.Setup), bound: map[string]string{}}
			for i := range v.Script {
				r.number = i
				r.step(&v.Script[i])
			}
			require.Empty(t, r.m.sent, "messages that no step expects")
		})
	}
}

// checkV2 has that the tested peer is expected to say only what version 2 has, with all that must be there.
func checkV2(t *testing.T, v vector) {
	t.Helper()
	for number, s := range v.Script {
		messages := s.Expect
		for _, choice := range s.Or {
			for _, m := range choice {
				messages = append(messages, as[map[string]any](m))
			}
		}
		for _, m := range messages {
			text := compact(m)
			_, err := decodeV2([]byte(text))
			require.NoError(t, err, "step %d: %s", number, text)
			f, err := protocol.V2.Parse([]byte(text))
			require.NoError(t, err)
			require.True(t, f.Type == "" || f.Func == protocol.FuncError || protocol.V2.RoleOf(f.Type, f.Func) != protocol.RoleNone,
				"step %d: %s", number, text)
		}
	}
}

// run is one script that is being run.
type run struct {
	t      *testing.T
	m      *model
	number int
	bound  map[string]string // placeholders
}

func (r *run) step(s *step) {
	r.t.Helper()
	if data, ok := s.data(r.t); ok {
		for name, value := range r.bound {
			data = bytes.ReplaceAll(data, []byte(`"`+name+`"`), []byte(`"`+value+`"`))
		}
		r.m.receive(s.Binary, data)
		return
	}
	switch {
	case s.Do != nil:
		r.m.do(*s.Do)
	case s.Expect != nil:
		r.expect(s.Expect)
	case s.Holds != nil:
		r.equal(s.Holds, r.m.holds(protocol.ItemType(as[string](s.Holds["type"])), as[string](s.Holds["name"])))
	case s.Result != nil:
		r.equal(s.Result, r.m.result(as[string](s.Result["call"])))
	case s.Reported != nil:
		r.equal(s.Reported, r.m.reported)
		r.m.reported = nil
	case s.Close != 0:
		require.Equal(r.t, s.Close, r.m.closed, "step %d", r.number)
	default:
		r.t.Fatalf("step %d is none", r.number)
	}
}

// expect compares the messages item by item.
func (r *run) expect(want []map[string]any) {
	r.t.Helper()
	require.Zero(r.t, r.m.closed, "step %d: closed", r.number)
	wanted, got := map[string][]any{}, map[string][]any{}
	for _, m := range want {
		key := group(m)
		wanted[key] = append(wanted[key], normal(m))
	}
	for _, data := range r.m.sent {
		var m map[string]any
		require.NoError(r.t, json.Unmarshal(data, &m), "%s", data)
		if m["func"] == "error" {
			require.NotEmpty(r.t, m["message"])
			delete(m, "message")
		}
		key := group(m)
		r.bind(wanted[key], len(got[key]), m)
		got[key] = append(got[key], normal(m))
	}
	r.m.sent = nil
	r.equal(wanted, got)
}

// bind gives the placeholder of the expected message its value, and puts it
// into the message that came.
func (r *run) bind(wanted []any, i int, m map[string]any) {
	if i >= len(wanted) {
		return
	}
	name, _ := wanted[i].(map[string]any)["id"].(string)
	if !strings.HasPrefix(name, "$") {
		return
	}
	if _, ok := r.bound[name]; !ok {
		r.bound[name] = as[string](m["id"])
	}
	if r.bound[name] == m["id"] {
		m["id"] = name
	}
}

func group(m map[string]any) string {
	if m["name"] == nil {
		return ""
	}
	return as[string](m["type"]) + " " + as[string](m["name"])
}

// normal fills in what a message may leave out.
func normal(m map[string]any) map[string]any {
	if m["func"] == "get" && m["type"] == "list" && m["page"] == nil {
		m["page"] = 0.0
	}
	if m["func"] == "return" && m["value"] == nil {
		m["value"] = nil
	}
	return m
}

// equal compares as JSON.
func (r *run) equal(want, got any) {
	r.t.Helper()
	if diff := cmp.Diff(plain(r.t, want), plain(r.t, got)); diff != "" {
		r.t.Fatalf("step %d: - expected, + got\n%s", r.number, diff)
	}
}

func plain(t testing.TB, v any) any {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	var out any
	require.NoError(t, json.Unmarshal(data, &out))
	return out
}
