package window

import (
	"encoding/json"
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

	once sync.Once
	all  []byte
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

// SetAll returns the set_all message of the state, encoded once. The state
// must be filled. The caller must not modify the bytes. It may be called by
// any goroutine.
func (s *State) SetAll() []byte {
	s.once.Do(func() { s.all = s.appendSetAll(nil) })
	return s.all
}

func (s *State) appendSetAll(dst []byte) []byte {
	items := make([]json.RawMessage, len(s.Rows))
	for i := range s.Rows {
		items[i] = s.Rows[i].JSON
	}
	return protocol.AppendSetAll(dst, s.Name, s.Page, s.Size, s.Total, items)
}
