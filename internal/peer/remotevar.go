package peer

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/socksync/socksync/protocol"
)

// VarOptions say how a var of the other end is followed.
type VarOptions struct {
	// Params are the values of the var's parameters, all with OpEq. Version 1 has
	// none: to follow then is an error.
	Params []protocol.Condition
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
	following[json.RawMessage]
	onChange func(json.RawMessage)

	// The following are guarded by following.mu.

	value json.RawMessage
	known bool
}

// NewRemoteVar returns a var to be given to [Peer.Follow]. Nil options are the
// zero ones.
func NewRemoteVar(name string, opts *VarOptions) *RemoteVar {
	var o VarOptions
	if opts != nil {
		o = *opts
	}
	return &RemoteVar{following: newFollowing[json.RawMessage](name, withParams(o.Params), o.OnError), onChange: o.OnChange}
}

func withParams(params []protocol.Condition) Want {
	return Want{Choice: protocol.Choice{Filter: params}}
}

// Kind is [protocol.TypeVar].
func (v *RemoteVar) Kind() protocol.ItemType { return protocol.TypeVar }

// Value returns the last value that arrived, and whether there was one. The
// caller must not modify it.
func (v *RemoteVar) Value() (json.RawMessage, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.value, v.known
}

// Get asks for the value and waits for it. In version 1 that is the next one to
// arrive. Without a connection it waits for one. A later Get takes the place of
// one that waits, which then fails with ErrSuperseded. A callback must not call
// it.
func (v *RemoteVar) Get(ctx context.Context) (json.RawMessage, error) {
	return v.get(ctx, func(want Want) Want { return want })
}

// Choose gives the parameters other values, and waits for the value, as Get does.
// If that fails, the var is followed with the values from before.
func (v *RemoteVar) Choose(ctx context.Context, params []protocol.Condition) (json.RawMessage, error) {
	return v.get(ctx, func(Want) Want { return withParams(params) })
}

func (v *RemoteVar) get(ctx context.Context, change func(Want) Want) (json.RawMessage, error) {
	v.mu.Lock()
	done, err := v.choose(change(v.want))
	if err == nil {
		v.ask(v.want)
	}
	v.mu.Unlock()
	return v.wait(ctx, done, err)
}

// Retry asks again for a value that was asked for and has not come.
func (v *RemoteVar) Retry() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.wanted && v.latest == nil {
		v.ask(v.want)
	}
}

func (v *RemoteVar) message(version protocol.Version, route protocol.Route, want Want) []byte {
	if version == protocol.V1 {
		return protocol.AppendGetVar(nil, v.name)
	}
	return protocol.AppendGetVarV2(nil, v.name, route, want.Choice.Filter)
}

func (v *RemoteVar) attach(l *link) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	want, err := checked(v.want)
	if err != nil {
		return err
	}
	return v.attached(l, want)
}

func (v *RemoteVar) receive(l *link, f *protocol.Frame, q *query) error {
	m, err := f.SetVar()
	switch {
	case err != nil && q != nil:
		v.refuse(l, q, err)
		return err
	case err != nil:
		v.report(err)
		return err
	}
	if !v.set(l, bytes.Clone(m.Value), q) {
		return nil
	}
	notify(v.changed)
	if v.onChange != nil {
		v.onChange(v.last())
	}
	return nil
}

func (v *RemoteVar) set(l *link, value json.RawMessage, q *query) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.link != l {
		return false
	}
	v.value, v.known = value, true
	switch {
	case l.peer.version == protocol.V1:
		v.wanted = false
		v.waiter.end(value, nil)
	case q != nil:
		v.settle(q, value)
	}
	return true
}

func (v *RemoteVar) last() json.RawMessage {
	value, _ := v.Value()
	return value
}

// renew has nothing to do: a var cannot be lost.
func (v *RemoteVar) renew(*link) {}

// acknowledge has nothing to do: a var cannot be paused.
func (v *RemoteVar) acknowledge(*link, *query) {}

func (v *RemoteVar) refuse(l *link, q *query, err error) {
	v.mu.Lock()
	concerned := v.concerns(l, q)
	if concerned {
		v.refused(err, v.begun)
	}
	v.mu.Unlock()
	if concerned {
		v.report(err)
	}
}

func (v *RemoteVar) halt(l *link, e *protocol.Error) {
	v.mu.Lock()
	concerned := v.link == l
	if concerned && e.Code == protocol.Forbidden {
		v.value, v.known = nil, false
		v.begun = false
		v.refused(e, false)
	}
	v.mu.Unlock()
	if concerned {
		v.report(e)
		notify(v.changed)
	}
}
