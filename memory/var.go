package memory

import (
	"bytes"
	"encoding/json"
	"sync"

	"github.com/socksync/socksync/internal/window"
)

// varLevels is how deep the value of a var is in its message.
const varLevels = 1

// Var is a var of type T. Subscribers get its JSON. Make it with [NewVar].
type Var[T any] struct {
	core valueCore

	mu    sync.Mutex // guards value, and is held while core changes
	value T
}

// NewVar returns a var with a first value. If that cannot be encoded, the error
// is returned when the var is provided.
func NewVar[T any](name string, value T) *Var[T] {
	raw, err := encode(value, varLevels)
	v := &Var[T]{value: value}
	v.core = valueCore{name: name, err: err, sinks: make(map[*varSubscription]struct{})}
	v.core.current = v.core.made(raw)
	return v
}

// Name is the var's name on the wire.
func (v *Var[T]) Name() string { return v.core.name }

// Check returns the error of the first value, if there was one.
func (v *Var[T]) Check() error { return v.core.err }

// Get returns the value. What it refers to must not be modified.
func (v *Var[T]) Get() T {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.value
}

// Set changes the value and tells the subscribers, unless its JSON is what it
// was. An error says that the value cannot be encoded; then nothing changes.
// What the value refers to must not be modified afterwards.
func (v *Var[T]) Set(value T) error {
	raw, err := encode(value, varLevels)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.value = value
	v.core.set(raw)
	return nil
}

// Subscribe is called by the connections.
func (v *Var[T]) Subscribe(sink window.ValueSink, _ window.Options) window.ValueSubscription {
	return v.core.subscribe(sink)
}

// valueCore is the part of a Var that does not depend on its type.
type valueCore struct {
	name string
	err  error // of the first value

	// mu guards all below and is held while sinks are told, so that they are
	// told in the order of the values. Sinks do not block.
	mu      sync.Mutex
	current *window.Value
	sinks   map[*varSubscription]struct{}
}

func (c *valueCore) made(raw json.RawMessage) *window.Value {
	return &window.Value{Name: c.name, JSON: raw}
}

func (c *valueCore) set(raw json.RawMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.Equal(raw, c.current.JSON) {
		return
	}
	c.current = c.made(raw)
	for s := range c.sinks {
		s.sink.Set(c.current)
	}
}

func (c *valueCore) subscribe(sink window.ValueSink) *varSubscription {
	s := &varSubscription{core: c, sink: sink}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sinks[s] = struct{}{}
	return s
}

// varSubscription implements [window.ValueSubscription].
type varSubscription struct {
	core *valueCore
	sink window.ValueSink
}

// Get implements [window.ValueSubscription].
func (s *varSubscription) Get(filter []window.Condition) {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	if len(filter) > 0 {
		s.sink.Fail(window.Refusal("no parameter "+filter[0].Column), 1)
		return
	}
	s.sink.Answer(s.core.current, 1)
}

// Close implements [window.ValueSubscription].
func (s *varSubscription) Close() {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	delete(s.core.sinks, s)
}
