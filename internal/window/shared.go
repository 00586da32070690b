package window

import (
	"sync"

	"github.com/socksync/socksync/protocol"
)

// Shared is a message of version 2 without its head: the bytes that are the same for all subscribers of a window.
type Shared struct {
	Func protocol.Func // FuncStep or FuncSetAll
	Body []byte        // from rev to the closing brace; not to be modified

	first *wholeMessage
}

// wholeMessage is the message as the first view got it that did not ask for it.
type wholeMessage struct {
	once    sync.Once
	view    string
	message []byte
}

// Append appends the whole message for one subscriber.
func (m Shared) Append(dst []byte, name string, r protocol.Route) []byte {
	return append(protocol.AppendHead(dst, m.Func, protocol.TypeList, name, r), m.Body...)
}

// Message returns the whole message for one subscriber. Subscribers that did not ask for it and whose views have the same
// name, if it is the most likely one, share the bytes: the caller must not modify them. The name is that of the list. It
// may be called by any goroutine.
func (m Shared) Message(name string, r protocol.Route) []byte {
	if r.ID != "" {
		return m.whole(name, r)
	}
	m.first.once.Do(func() { m.first.view, m.first.message = r.View, m.whole(name, r) })
	if r.View == m.first.view {
		return m.first.message
	}
	return m.whole(name, r)
}

// headSize is about the length of the head of a message without the name and the route.
const headSize = 80

func (m Shared) whole(name string, r protocol.Route) []byte {
	size := headSize + len(name) + len(r.View) + len(r.ID) + len(m.Body)
	return m.Append(make([]byte, 0, size), name, r)
}
