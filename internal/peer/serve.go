package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/socksync/socksync/internal/window"
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

	// Guarded by Peer.mu.
	ended     bool // the other end does not want to be told any more
	forbidden bool // it may not be told any more
}

func (f *functionFeed) speak() []line { return nil }

// reopen has nothing to do: whose calls are in flight is known of each.
func (f *functionFeed) reopen(window.Identity) {}

// forbid has the calls in flight answered by errors.
func (f *functionFeed) forbid() {
	p, name := f.peer, f.function.Name()
	p.mu.Lock()
	defer p.mu.Unlock()
	f.forbidden = true
	p.out.reply(p.forbidden(protocol.TypeFunction, name, protocol.Route{}))
}

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
	ctx, owners := p.callContext()
	p.runs.Go(func() { f.serve(ctx, owners, call.ID, args) })
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

// callContext returns the context of a call, and whose it is: see lease.owners.
func (p *Peer) callContext() (ctx context.Context, owners int) {
	p.mu.Lock()
	owner, owners := p.lease.held.Owner, p.lease.owners
	p.mu.Unlock()
	if p.cfg.CallContext == nil {
		return p.ctx, owners
	}
	return p.cfg.CallContext(p.ctx, owner), owners
}

// serve runs the function and sends what comes of it. It has a goroutine of its
// own.
func (f *functionFeed) serve(ctx context.Context, owners int, id string, args json.RawMessage) {
	p := f.peer
	value, err := protect(ctx, f.function, args)
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
	switch {
	case f.ended:
	case f.forbidden, owners != p.lease.owners:
		p.out.reply(f.answer(id, errForbidden))
	default:
		p.out.replyPrivate(reply{message: message, result: f, instead: func(e *protocol.Error) []byte { return f.answer(id, e) }})
	}
	p.mu.Unlock()
	p.flush()
}

// failure is the message that answers a call that failed.
func (f *functionFeed) failure(id string, err error) []byte {
	return f.answer(id, f.peer.public(fmt.Errorf("function %q: %w", f.function.Name(), err), functionFailed))
}

// answer is the message that answers a call by an error. In version 1 that is always error 8.
func (f *functionFeed) answer(id string, e *protocol.Error) []byte {
	if f.peer.version == protocol.V2 {
		return protocol.AppendErrorV2(nil, e, protocol.TypeFunction, f.function.Name(), protocol.Route{ID: id})
	}
	return protocol.AppendError(nil, &protocol.Error{Code: protocol.Other, Message: e.Message})
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
