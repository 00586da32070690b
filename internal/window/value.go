package window

import (
	"encoding/json"
	"sync"

	"github.com/socksync/socksync/protocol"
)

// Value is one state of a var. It is immutable and shared by its subscribers.
type Value struct {
	Name string          // the var's name
	JSON json.RawMessage // the value, "null" for null

	once sync.Once
	set  []byte
}

// Set returns the set message of the value, encoded once. The caller must not
// modify the bytes. It may be called by any goroutine.
func (v *Value) Set() []byte {
	v.once.Do(func() { v.set = protocol.AppendSetVar(nil, v.Name, v.JSON) })
	return v.set
}
