package window

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"

	"github.com/socksync/socksync/protocol"
)

// Row is one published row. It is immutable.
type Row struct {
	// Key identifies the row in its list. It is never sent.
	Key string
	// JSON is the row as subscribers get it. It is nil while the row has not
	// been read: a window that nobody has asked for holds keys only.
	JSON json.RawMessage
}

// State is one state of one window: the page of a list at one database
// snapshot. It is immutable and shared by all subscribers of the window.
type State struct {
	Name  string // the list's name
	Page  int    // counted from 0
	Size  int    // the page size in force, at least 1
	Total int    // rows of the whole list
	Rows  []Row  // at most Size

	// The following are of version 2.

	// Rev names the state: EPOCH.SEQUENCE. No two states of one window that differ have the same.
	Rev string
	// Anchored says that the window begins after a row, wherever that row is, and has no Page; After is the row's key,
	// nil for the start.
	Anchored bool
	After    []json.RawMessage
	// Key are the JSON names of the columns that identify a row; nil if there are none.
	Key []string

	once sync.Once
	all  []byte

	onceBody sync.Once
	body     []byte
	first    wholeMessage
}

// Filled reports whether the JSON of every row is known.
func (s *State) Filled() bool {
	for i := range s.Rows {
		if s.Rows[i].JSON == nil {
			return false
		}
	}
	return true
}

// Same reports whether who holds the state cannot tell it from another state of the window but by its Rev.
func (s *State) Same(other *State) bool {
	return s == other || s.Total == other.Total && sameKey(s.After, other.After) && slices.EqualFunc(s.Rows, other.Rows, sameRow)
}

func sameRow(a, b Row) bool { return a.Key == b.Key && bytes.Equal(a.JSON, b.JSON) }

// SetAll returns the set_all message of the state, encoded once. The state
// must be filled. The caller must not modify the bytes. It may be called by
// any goroutine.
func (s *State) SetAll() []byte {
	s.once.Do(func() { s.all = s.appendSetAll(nil) })
	return s.all
}

func (s *State) appendSetAll(dst []byte) []byte {
	return protocol.AppendSetAll(dst, s.Name, s.Page, s.Size, s.Total, s.items())
}

func (s *State) items() []json.RawMessage {
	items := make([]json.RawMessage, len(s.Rows))
	for i := range s.Rows {
		items[i] = s.Rows[i].JSON
	}
	return items
}

// Shared returns the state as a set_all of version 2, encoded once. The rules are those of SetAll.
func (s *State) Shared() Shared {
	s.onceBody.Do(func() {
		s.body = protocol.AppendSetAllBody(nil, protocol.SetAll{
			Page: s.Page, PageSize: s.Size, Total: s.Total, Items: s.items(),
			Rev: s.Rev, Anchored: s.Anchored, After: s.After, Key: s.Key,
		})
	})
	return Shared{protocol.FuncSetAll, s.body, &s.first}
}

// Pending returns how many rows of the state another state of the window, which somebody still sees, lacks or has with
// another value.
func (s *State) Pending(seen *State) int {
	before := make(map[string]json.RawMessage, len(seen.Rows))
	for _, r := range seen.Rows {
		before[r.Key] = r.JSON
	}
	n := 0
	for _, r := range s.Rows {
		if json, ok := before[r.Key]; !ok || !bytes.Equal(json, r.JSON) {
			n++
		}
	}
	return n
}
