package peer

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

const vectorFolder = "../../testdata/protocol"

type vector struct {
	Name   string `json:"name"`
	Setup  setup  `json:"setup"`
	Script []step `json:"script"`

	version protocol.Version // of its file
}

type setup struct {
	Vars []struct {
		Name  string          `json:"name"`
		Value json.RawMessage `json:"value"`
	} `json:"vars"`
	Lists []struct {
		Name        string            `json:"name"`
		MaxPageSize int               `json:"max_page_size"`
		Items       []json.RawMessage `json:"items"`
	} `json:"lists"`
	Tables    []json.RawMessage `json:"tables"` // such vectors are run in package server
	Functions []string          `json:"functions"`
	Follows   []operation       `json:"follows"`
	Limits    struct {
		MessageBytes  int64 `json:"message_bytes"`
		Subscriptions int   `json:"subscriptions"`
		Calls         int   `json:"calls"`
	} `json:"limits"`
	Credentials map[string]vectorCredentials `json:"credentials"` // by token, "" for those from the start
}

type vectorCredentials struct {
	Values    map[string]string `json:"values"`
	Forbidden []operation       `json:"forbidden"`
	ExpiresIn int               `json:"expires_in"`
}

// made are the credentials of a token.
func (c vectorCredentials) made() Credentials {
	made := Credentials{Owner: c, Identity: make(window.Identity)}
	for name, value := range c.Values {
		made.Identity[name] = &value
	}
	if c.ExpiresIn > 0 {
		made.Expires = time.Now().Add(time.Duration(c.ExpiresIn) * time.Second)
	}
	return made
}

type step struct {
	Send       json.RawMessage `json:"send"`
	SendText   *string         `json:"send_text"`
	SendHex    *string         `json:"send_hex"`
	SendRepeat *struct {
		Before, Text, After string
		Times               int
	} `json:"send_repeat"`
	Binary   bool                `json:"binary"`
	Do       *operation          `json:"do"`
	Expect   []json.RawMessage   `json:"expect"`
	Or       [][]json.RawMessage `json:"or"`
	Holds    *holding            `json:"holds"`
	Result   *outcome            `json:"result"`
	Reported []told              `json:"reported"`
	Close    int                 `json:"close"`
	// The following are of version 2.
	Reconnect bool     `json:"reconnect"`
	Differ    []string `json:"differ"`
}

type operation struct {
	Op       string            `json:"op"`
	Type     protocol.ItemType `json:"type"`
	Name     string            `json:"name"`
	Value    json.RawMessage   `json:"value"`
	Index    int               `json:"index"`
	From     int               `json:"from"`
	To       int               `json:"to"`
	Page     int               `json:"page"`
	PageSize int               `json:"page_size"`
	Key      string            `json:"key"`
	Args     json.RawMessage   `json:"args"`
	As       string            `json:"as"`
	Call     string            `json:"call"`
	Token    string            `json:"token"`

	raw json.RawMessage // all of it
}

// UnmarshalJSON keeps the text, since what is wanted of an item has the fields of a get.
func (o *operation) UnmarshalJSON(data []byte) error {
	type fields operation
	if err := json.Unmarshal(data, (*fields)(o)); err != nil {
		return err
	}
	o.raw = bytes.Clone(data)
	return nil
}

// want is what the fields of a get say.
func (o *operation) want(t *testing.T) Want {
	t.Helper()
	var get map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(o.raw, &get))
	get["func"] = json.RawMessage(`"get"`)
	get["type"] = json.RawMessage(`"list"`)
	text, err := json.Marshal(get)
	require.NoError(t, err)
	f, err := protocol.V2.Parse(text)
	require.NoError(t, err)
	g, err := f.GetList()
	require.NoError(t, err)
	return wanted(g)
}

// who is by what the script knows something that is followed.
func (o *operation) who() string {
	if o.As != "" {
		return o.As
	}
	return string(o.Type) + " " + o.Name
}

type holding struct {
	Type     protocol.ItemType `json:"type"`
	Name     string            `json:"name"`
	As       string            `json:"as"`
	Nothing  bool              `json:"nothing"`
	Value    json.RawMessage   `json:"value"`
	Page     int               `json:"page"`
	PageSize int               `json:"page_size"`
	Total    *int              `json:"total_item_count"`
	Items    []json.RawMessage `json:"items"`
	// The following are of version 2. What is not given is not compared.
	After        json.RawMessage `json:"after"`
	Pending      *int            `json:"pending"`
	PendingTotal *int            `json:"pending_total_item_count"`
}

type outcome struct {
	Call  string          `json:"call"`
	Value json.RawMessage `json:"value"`
	Error protocol.Code   `json:"error"`
}

type told struct {
	Code    protocol.Code `json:"error_code"`
	Message string        `json:"message"`
}

// TestVectors runs every script of testdata/protocol against a Peer that was
// dialed and against one that dials.
func TestVectors(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(vectorFolder + "/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		var content struct {
			Version protocol.Version
			Vectors []vector
		}
		readJSON(t, file, &content)
		for _, v := range content.Vectors {
			if v.version = max(content.Version, protocol.V1); v.Setup.Tables != nil {
				continue
			}
			t.Run(v.Name+"/dialed", func(t *testing.T) {
				t.Parallel()
				newScene(t, &v, rawDial).play(v.Script)
			})
			t.Run(v.Name+"/dialing", func(t *testing.T) {
				t.Parallel()
				newScene(t, &v, rawAccept).play(v.Script)
			})
		}
	}
}

func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, into), file)
}

// TestChangeVectors takes windows through changes of one row that an in-memory
// list cannot do in one operation.
func TestChangeVectors(t *testing.T) {
	t.Parallel()
	type page struct {
		Total int `json:"total"`
		Rows  []struct {
			Key   string          `json:"key"`
			Value json.RawMessage `json:"value"`
		} `json:"rows"`
	}
	var content struct {
		Changes []struct {
			Name     string            `json:"name"`
			Page     int               `json:"page"`
			PageSize int               `json:"page_size"`
			Changed  string            `json:"changed"`
			Old      page              `json:"old"`
			New      page              `json:"new"`
			Messages []json.RawMessage `json:"messages"`
		} `json:"changes"`
	}
	readJSON(t, vectorFolder+"/changes.json", &content)
	require.NotEmpty(t, content.Changes)
	for _, c := range content.Changes {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			state := func(p page) *window.State {
				s := &window.State{Name: "l", Page: c.Page, Size: c.PageSize, Total: p.Total}
				for _, r := range p.Rows {
					s.Rows = append(s.Rows, window.Row{Key: r.Key, JSON: r.Value})
				}
				return s
			}
			messages := window.NewStep(state(c.Old), state(c.New), c.Changed).Messages()
			require.Len(t, messages, len(c.Messages))
			for i, want := range c.Messages {
				var full map[string]any
				require.NoError(t, json.Unmarshal(want, &full))
				full["type"], full["name"] = "list", "l"
				text, err := json.Marshal(full)
				require.NoError(t, err)
				require.JSONEq(t, string(text), string(messages[i]))
			}
		})
	}
}
