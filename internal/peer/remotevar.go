package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/socksync/socksync/protocol"
)

// VarOptions say how a var of the other end is followed.
type VarOptions struct {
	// OnChange is told every value that arrives, in order. It is called by the
	// goroutine of Run and must not block. It must not modify the bytes.
	OnChange func(json.RawMessage)
	// OnError is told what is wrong: the other end answered with an error, or
	// sent what cannot be. It is called as OnChange is.
	OnError func(error)
}

// RemoteVar is a var of the other end. Its methods may be called by any
// goroutine.
type RemoteVar struct {
	name    string
	opts    VarOptions
	changed chan struct{}

	mu     sync.Mutex
	link   *link // nil while it is not followed
	value  json.RawMessage
	known  bool
	wanted bool // asked for, not come, and not known to be absent
	waiter waiter[json.RawMessage]
}

// NewRemoteVar returns a var to be given to [Peer.Follow]. Nil options are the
// zero ones.
func NewRemoteVar(name string, opts *VarOptions) *RemoteVar {
	v := &RemoteVar{name: name, changed: make(chan struct{}, 1)}
	if opts != nil {
		v.opts = *opts
	}
	return v
}

// Name is the var's name on the wire.
func (v *RemoteVar) Name() string { return v.name }

// Kind is [protocol.TypeVar].
func (v *RemoteVar) Kind() protocol.ItemType { return protocol.TypeVar }

// Value returns the last value that arrived, and whether there was one. The
// caller must not modify it.
func (v *RemoteVar) Value() (json.RawMessage, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.value, v.known
}

// Changed receives after values have arrived, once for any number of them. It is
// never closed.
func (v *RemoteVar) Changed() <-chan struct{} { return v.changed }

// Get asks for the value and waits for the next one to arrive. Without a
// connection it waits for one. A later Get takes the place of one that waits,
// which then fails with ErrSuperseded. A callback must not call it.
func (v *RemoteVar) Get(ctx context.Context) (json.RawMessage, error) {
	v.mu.Lock()
	done := v.waiter.begin()
	v.ask()
	v.mu.Unlock()
	value, err := await(ctx, done)
	if err != nil {
		return nil, fmt.Errorf("get var %q: %w", v.name, err)
	}
	return value, nil
}

// ask sends a get if there is a connection. It needs mu.
func (v *RemoteVar) ask() {
	v.wanted = true
	if v.link != nil {
		v.link.get(protocol.AppendGetVar(nil, v.name))
	}
}

// Retry asks again for a value that was asked for and has not come.
func (v *RemoteVar) Retry() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.wanted {
		v.ask()
	}
}

// Abandon gives the Get that waits an error, and every later one, until the var
// is followed again.
func (v *RemoteVar) Abandon(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.waiter.close(err)
}

func (v *RemoteVar) attach(l *link) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.link != nil {
		return ErrFollowed
	}
	if err := l.open(protocol.AppendGetVar(nil, v.name)); err != nil {
		return err
	}
	v.link, v.wanted = l, true
	v.waiter.open()
	return nil
}

func (v *RemoteVar) release(p *Peer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.link != nil && v.link.peer == p {
		v.link.end()
		v.link, v.wanted = nil, false
		v.waiter.close(ErrClosed)
	}
}

func (v *RemoteVar) receive(l *link, f *protocol.Frame) error {
	m, err := f.SetVar()
	if err != nil {
		v.report(err)
		return err
	}
	if !v.set(l, bytes.Clone(m.Value)) {
		return nil
	}
	notify(v.changed)
	if v.opts.OnChange != nil {
		v.opts.OnChange(v.last())
	}
	return nil
}

func (v *RemoteVar) set(l *link, value json.RawMessage) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.link != l {
		return false
	}
	v.value, v.known, v.wanted = value, true, false
	v.waiter.end(value, nil)
	return true
}

func (v *RemoteVar) last() json.RawMessage {
	value, _ := v.Value()
	return value
}

// renew has nothing to do: a var cannot be lost.
func (v *RemoteVar) renew(*link) {}

func (v *RemoteVar) refuse(l *link, err error) {
	v.mu.Lock()
	if v.link != l {
		v.mu.Unlock()
		return
	}
	v.wanted = v.wanted && !isAbsent(err)
	v.waiter.end(nil, err)
	v.mu.Unlock()
	v.report(err)
}

func (v *RemoteVar) detach(l *link, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.link != l {
		return
	}
	v.link = nil
	if err != nil {
		v.waiter.close(err)
	}
}

func (v *RemoteVar) report(err error) {
	if v.opts.OnError != nil {
		v.opts.OnError(err)
	}
}
