package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// Item is something to provide: a [window.Source] (a list), a
// [window.ValueSource] (a var) or a [Function]. An item that also has a method
// Check() error is asked for its defects when it is added.
type Item interface {
	// Name is the item's name on the wire. It never changes.
	Name() string
}

// Function is a function that the other end may call.
type Function interface {
	Item
	// Call runs the function. args is a JSON object, or nil if the caller sent
	// none. The context ends with the connection and carries what the caller of
	// [Peer.Run] put into it. It may be called by any goroutine, several times
	// at once.
	//
	// What the peer gets to see of an error is the message of a
	// [*protocol.Error] or of a [PublicError]. Any other error, and a panic, is
	// logged, and the peer learns only that the function failed.
	Call(ctx context.Context, args json.RawMessage) (json.RawMessage, error)
}

// PublicError is an error with a message that is fit for the peer.
type PublicError interface {
	error
	// PublicMessage tells the peer what is wrong, and nothing of how it works
	// inside.
	PublicMessage() string
}

// key is what an item is known by.
type key struct {
	kind protocol.ItemType
	name string
}

// Registry is the set of items that are provided. The zero Registry is empty. It
// may be shared by any number of peers, and its methods may be called by any
// goroutine.
type Registry struct {
	mu    sync.RWMutex
	items map[key]Item
}

// Add adds items, all of them or, if there is an error, none. It is an error if
// a name is not valid, or taken by another item of the same type, or if an item
// is none of the three kinds.
func (r *Registry) Add(items ...Item) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	added := make(map[key]Item, len(items))
	var errs []error
	for _, item := range items {
		k, err := identify(item)
		if err == nil && (r.items[k] != nil || added[k] != nil) {
			err = fmt.Errorf("%s %q: provided twice", k.kind, k.name)
		}
		errs = append(errs, err)
		added[k] = item
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if r.items == nil {
		r.items = make(map[key]Item)
	}
	for k, item := range added {
		r.items[k] = item
	}
	return nil
}

func identify(item Item) (key, error) {
	var k key
	switch item.(type) {
	case window.Source:
		k.kind = protocol.TypeList
	case window.ValueSource:
		k.kind = protocol.TypeVar
	case Function:
		k.kind = protocol.TypeFunction
	default:
		return k, fmt.Errorf("%T is not a list, a var or a function", item)
	}
	k.name = item.Name()
	if !protocol.ValidName(k.name) {
		return k, fmt.Errorf("%s %q: a name is 1 to %d bytes of UTF-8", k.kind, k.name, protocol.MaxNameLength)
	}
	if checked, ok := item.(interface{ Check() error }); ok {
		if err := checked.Check(); err != nil {
			return k, fmt.Errorf("%s %q: %w", k.kind, k.name, err)
		}
	}
	return k, nil
}

// lookup returns the item, or nil if there is none. A nil Registry has none.
func (r *Registry) lookup(k key) Item {
	if r == nil {
		return nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.items[k]
}
