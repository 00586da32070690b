package client

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/socksync/socksync/internal/peer"
)

// VarOptions say how a var is followed. Its functions are called one after the
// other, in order, by the goroutine that reads the connection: they must not
// block, so they must not call Get or [Call].
type VarOptions[T any] struct {
	// Params are the values of the var's parameters; the other end says which it
	// has. Without a value a parameter is null. Version 1 of the protocol has none:
	// to follow then is ErrVersion.
	Params map[string]any
	// OnChange is told every value that arrives.
	OnChange func(T)
	// OnError is told of an error with which the other end answers, and of a value
	// that does not fit T.
	OnError func(error)
}

// Var is a var of the other end that is followed. Its methods may be called by
// any goroutine.
type Var[T any] struct {
	peer Peer
	raw  *peer.RemoteVar
}

// FollowVar follows a var. It does not wait for its value, nor find out whether
// the other end provides it. Nil options are the zero ones.
//
// Over one connection of version 1 a var can be followed once: a second time is
// ErrFollowed.
func FollowVar[T any](p Peer, name string, opts *VarOptions[T]) (*Var[T], error) {
	var o VarOptions[T]
	if opts != nil {
		o = *opts
	}
	params, err := conditions(o.Params)
	if err != nil {
		return nil, err
	}
	v := &Var[T]{peer: p}
	v.raw = peer.NewRemoteVar(name, &peer.VarOptions{Params: params, OnError: o.OnError, OnChange: func(raw json.RawMessage) {
		value, err := decode[T](name, raw)
		switch {
		case err != nil && o.OnError != nil:
			o.OnError(err)
		case err == nil && o.OnChange != nil:
			o.OnChange(value)
		}
	}})
	if err := p.Follow(v.raw); err != nil {
		return nil, err
	}
	return v, nil
}

// Value returns the last value that arrived, and whether there was one that fits
// T.
func (v *Var[T]) Value() (T, bool) {
	raw, known := v.raw.Value()
	if !known {
		var none T
		return none, false
	}
	value, err := decode[T](v.raw.Name(), raw)
	return value, err == nil
}

// Get asks for the value and waits for it. Without a connection it waits for one.
// A later Get takes the place of one that waits, which then fails with
// ErrSuperseded.
func (v *Var[T]) Get(ctx context.Context) (T, error) {
	raw, err := v.raw.Get(ctx)
	return v.decode(raw, err)
}

// Choose gives the parameters other values, and waits for the value, as Get does.
// If the other end refuses, the var stays what it was.
func (v *Var[T]) Choose(ctx context.Context, params map[string]any) (T, error) {
	values, err := conditions(params)
	if err != nil {
		var none T
		return none, err
	}
	raw, err := v.raw.Choose(ctx, values)
	return v.decode(raw, err)
}

// Changed receives after values have arrived, once for any number of them. It is
// never closed.
func (v *Var[T]) Changed() <-chan struct{} { return v.raw.Changed() }

// Close stops following.
func (v *Var[T]) Close() { v.peer.Unfollow(v.raw) }

// decode is what came of a request.
func (v *Var[T]) decode(raw json.RawMessage, err error) (T, error) {
	if err != nil {
		var none T
		return none, fmt.Errorf("client: %w", err)
	}
	return decode[T](v.raw.Name(), raw)
}

func decode[T any](name string, raw json.RawMessage) (T, error) {
	var value T
	if err := json.Unmarshal(raw, &value); err != nil {
		return value, fmt.Errorf("client: %q: %w", name, err)
	}
	return value, nil
}
