package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/socksync/socksync/protocol"
)

const functionFailed = "function failed"

// errResult is no answer to the peer, so it is no [*protocol.Error].
var errResult = errors.New("the result is not JSON, or nested too deep")

var errCalls = &protocol.Error{Code: protocol.Other, Message: "too many calls in flight"}

// functionFeed is a subscription to a function.
type functionFeed struct {
	peer     *Peer
	function Function
	ended    bool // guarded by Peer.mu
}

func (f *functionFeed) speak() []line { return nil }

// close drops the results of the calls that are still running. They run on: the
// other end has only lost interest in being told.
func (f *functionFeed) close(bool) {
	f.peer.mu.Lock()
	defer f.peer.mu.Unlock()
	f.ended = true
}

// get handles a call.
func (f *functionFeed) get(r *request) error {
	p := f.peer
	call, err := r.Call(p.serving)
	if err != nil {
		return err
	}
	if !p.admit(call.ID) {
		return errCalls
	}
	args := append(json.RawMessage(nil), call.Args...) // the message is the reader's
	p.runs.Go(func() { f.serve(call.ID, args) })
	return nil
}

func (p *Peer) serving(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.served[id]
	return ok
}

// admit counts a call in, or reports that there are too many.
func (p *Peer) admit(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.served) >= p.cfg.Limits.Calls {
		return false
	}
	p.served[id] = struct{}{}
	return true
}

// serve runs the function and sends what comes of it. It has a goroutine of its
// own.
func (f *functionFeed) serve(id string, args json.RawMessage) {
	p := f.peer
	value, err := protect(p.ctx, f.function, args)
	if p.ctx.Err() != nil {
		return // nobody is there to be told, and it may have failed for that
	}
	var message []byte
	if err == nil {
		message = protocol.AppendReturn(nil, f.function.Name(), id, value)
		if !sendable(message) {
			err = errResult
		}
	}
	if err != nil {
		message = f.failure(id, err)
	}
	p.mu.Lock()
	delete(p.served, id)
	if !f.ended {
		p.out.reply(message)
	}
	p.mu.Unlock()
	p.flush()
}

// failure is the message that answers a call that failed.
func (f *functionFeed) failure(id string, err error) []byte {
	name := f.function.Name()
	e := f.peer.public(fmt.Errorf("function %q: %w", name, err), functionFailed)
	if f.peer.version == protocol.V2 {
		return protocol.AppendErrorV2(nil, e, protocol.TypeFunction, name, protocol.Route{ID: id})
	}
	return protocol.AppendError(nil, e)
}

// sendable reports whether the other end can take a message: one that is valid
// UTF-8 and JSON, and not nested too deep.
func sendable(message []byte) bool {
	_, err := protocol.Parse(message)
	return err == nil
}

// protect calls a function and makes a panic an error.
func protect(ctx context.Context, f Function, args json.RawMessage) (value json.RawMessage, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f.Call(ctx, args)
}
