package memory

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/socksync/socksync/internal/window"
)

// DefaultMaxPageSize is the greatest page of a list that does not say otherwise.
const DefaultMaxPageSize = 100

// DefaultMaxWindow is the greatest window of a list that does not say otherwise.
const DefaultMaxWindow = 1000

// listLevels is how deep an item of a list is in its deepest message.
const listLevels = 3

// ErrIndex says that a list has no item at an index.
var ErrIndex = errors.New("index out of range")

// ListOptions are the settings of a [List].
type ListOptions struct {
	// MaxPageSize is the greatest number of items on a subscriber's page, and
	// what it gets if it does not say. 0 means DefaultMaxPageSize.
	MaxPageSize int
	// MaxWindow is the greatest number of items that a subscriber of version 2
	// may have from the start of the list on, when it scrolls. 0 means the
	// greater of DefaultMaxWindow and the maximum page size.
	MaxWindow int
}

// List is a list of items of type T, in an order that the program decides.
// Subscribers get the items' JSON, page by page. Make it with [NewList].
//
// Items are found by their index, which is only good while nobody else changes
// the list; or by a key, which the program gives them with [List.Put]. A method
// whose item cannot be encoded, or whose index is out of range, returns an error
// and changes nothing. What an item refers to must not be modified once the list
// has it.
type List[T any] struct {
	pages *pages

	mu     sync.Mutex // guards all below, and is held while pages changes
	values []T        // by index
	keys   []string   // by index; as in pages
	last   uint64     // of the keys that were made up
}

// NewList returns an empty list. Nil options are the zero ones.
func NewList[T any](name string, opts *ListOptions) *List[T] {
	var o ListOptions
	if opts != nil {
		o = *opts
	}
	if o.MaxPageSize <= 0 {
		o.MaxPageSize = DefaultMaxPageSize
	}
	if o.MaxWindow <= 0 {
		o.MaxWindow = max(DefaultMaxWindow, o.MaxPageSize)
	}
	return &List[T]{pages: newPages(name, o.MaxPageSize, o.MaxWindow)}
}

// Name is the list's name on the wire.
func (l *List[T]) Name() string { return l.pages.name }

// Len returns the number of items.
func (l *List[T]) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.values)
}

// At returns the item at an index, and whether there is one.
func (l *List[T]) At(index int) (T, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if index < 0 || index >= len(l.values) {
		var none T
		return none, false
	}
	return l.values[index], true
}

// All returns a copy of the list.
func (l *List[T]) All() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.values)
}

// Set replaces the item at an index, from 0 to Len-1.
func (l *List[T]) Set(index int, item T) error {
	raw, err := encode(item, listLevels)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check("set", index, len(l.values)-1); err != nil {
		return err
	}
	l.values[index] = item
	l.pages.set(index, raw)
	return nil
}

// Insert puts an item before the one at an index, from 0 to Len.
func (l *List[T]) Insert(index int, item T) error {
	return l.insert("", item, func(n int) (int, error) { return index, l.check("insert", index, n) })
}

// Append puts an item at the end.
func (l *List[T]) Append(item T) error {
	return l.insert("", item, func(n int) (int, error) { return n, nil })
}

// Delete removes the item at an index, from 0 to Len-1.
func (l *List[T]) Delete(index int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check("delete", index, len(l.values)-1); err != nil {
		return err
	}
	l.remove(index)
	return nil
}

// Move takes the item at an index away and puts it where it then has the index
// to. Both are from 0 to Len-1.
func (l *List[T]) Move(from, to int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := errors.Join(l.check("move from", from, len(l.values)-1), l.check("move to", to, len(l.values)-1))
	if err != nil {
		return err
	}
	l.values = moved(l.values, from, to)
	l.keys = moved(l.keys, from, to)
	l.pages.move(from, to)
	return nil
}

// Put replaces the item that was put under the key, or appends the item if there
// is none. It takes time in proportion to the length of the list.
func (l *List[T]) Put(key string, item T) error {
	raw, err := encode(item, listLevels)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.keys, given(key)); i >= 0 {
		l.values[i] = item
		l.pages.set(i, raw)
		return nil
	}
	l.place(len(l.values), given(key), item, raw)
	return nil
}

// Remove removes the item that was put under the key, and reports whether there
// was one. It takes time in proportion to the length of the list.
func (l *List[T]) Remove(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.keys, given(key))
	if i >= 0 {
		l.remove(i)
	}
	return i >= 0
}

// Replace replaces all items, as one change.
func (l *List[T]) Replace(items []T) error {
	rows := make([]window.Row, len(items))
	for i, item := range items {
		raw, err := encode(item, listLevels)
		if err != nil {
			return err
		}
		rows[i].JSON = raw
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.values, l.keys = slices.Clone(items), make([]string, len(items))
	for i := range rows {
		l.keys[i] = l.madeUp()
		rows[i].Key = l.keys[i]
	}
	l.pages.replace(rows)
	return nil
}

// Subscribe is called by the connections.
func (l *List[T]) Subscribe(sink window.Sink, o window.Options) window.Subscription {
	return l.pages.subscribe(sink, o)
}

// insert places an item where the function says, given the length of the list.
func (l *List[T]) insert(key string, item T, where func(n int) (int, error)) error {
	raw, err := encode(item, listLevels)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	index, err := where(len(l.values))
	if err != nil {
		return err
	}
	if key == "" {
		key = l.madeUp()
	}
	l.place(index, key, item, raw)
	return nil
}

// place needs mu.
func (l *List[T]) place(index int, key string, item T, raw []byte) {
	l.values = slices.Insert(l.values, index, item)
	l.keys = slices.Insert(l.keys, index, key)
	l.pages.insert(index, window.Row{Key: key, JSON: raw})
}

// remove needs mu.
func (l *List[T]) remove(index int) {
	l.values = slices.Delete(l.values, index, index+1)
	l.keys = slices.Delete(l.keys, index, index+1)
	l.pages.delete(index)
}

// check needs mu.
func (l *List[T]) check(what string, index, last int) error {
	if index < 0 || index > last {
		return fmt.Errorf("memory: list %q: %s %d: %w", l.pages.name, what, index, ErrIndex)
	}
	return nil
}

// madeUp returns a key that no other item has or ever had. It needs mu.
func (l *List[T]) madeUp() string {
	l.last++
	return "#" + strconv.FormatUint(l.last, 10)
}

// given keeps the program's keys apart from those that are made up.
func given(key string) string { return "=" + key }
