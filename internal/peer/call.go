package peer

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"github.com/socksync/socksync/protocol"
)

// call is a function of the other end that we wait for. Whoever takes it out of
// requests.calls finishes it.
type call struct {
	id     string
	record *record
	gone   bool // nobody waits anymore; guarded by Peer.mu

	done  chan struct{} // closed by finish; then the following may be read
	value json.RawMessage
	err   error
}

func (c *call) finish(value json.RawMessage, err error) {
	c.value, c.err = value, err
	close(c.done)
}

// Subscribe subscribes to a function, so that an error 3 tells early whether the
// other end provides it. Without it the first Call subscribes.
func (p *Peer) Subscribe(function string) error {
	if !protocol.ValidName(function) {
		return fmt.Errorf("subscribe to function %q: not a name", function)
	}
	p.mu.Lock()
	p.function(function)
	p.mu.Unlock()
	p.flush()
	return nil
}

// Unsubscribe ends the subscription to a function. Calls that are waiting fail
// with ErrClosed.
func (p *Peer) Unsubscribe(function string) {
	p.mu.Lock()
	rec := p.asked.records[key{protocol.TypeFunction, function}]
	var calls []*call
	if rec != nil && rec.called {
		calls = p.asked.callsOf(rec)
		rec.called = false
		p.unsubscribeFrom(rec)
	}
	p.mu.Unlock()
	p.flush()
	for _, c := range calls {
		c.finish(nil, ErrClosed)
	}
}

// function returns the record of a function that is subscribed. It needs mu.
func (p *Peer) function(name string) *record {
	rec := p.asked.record(key{protocol.TypeFunction, name})
	if !rec.called || rec.refused {
		p.subscribeTo(rec)
		rec.called = true
	}
	return rec
}

// Call runs a function of the other end and waits for its result. args is a JSON
// object, or nil. If the context has no deadline, Config.CallTimeout ends the
// call. The error is the [*protocol.Error] of the other end (see Config.OnError
// for the ones that cannot be told from each other), ErrClosed, or the one of
// the context. It waits while too much is waiting to be written. Call must not be
// called by a callback: it is the goroutine of Run that brings the result.
func (p *Peer) Call(ctx context.Context, function string, args json.RawMessage) (json.RawMessage, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.cfg.CallTimeout)
		defer cancel()
	}
	c, err := p.send(ctx, function, args)
	if err != nil {
		return nil, fmt.Errorf("call %q: %w", function, err)
	}
	value, err := p.result(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("call %q: %w", function, err)
	}
	return value, nil
}

// result waits for the result of a call that was sent.
func (p *Peer) result(ctx context.Context, c *call) (json.RawMessage, error) {
	select {
	case <-c.done:
	case <-ctx.Done():
		if p.giveUp(c) {
			return nil, context.Cause(ctx)
		}
		<-c.done // it has just been taken
	}
	return c.value, c.err
}

func (p *Peer) giveUp(c *call) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked.giveUp(c)
}

// send sends a call as soon as there is room.
func (p *Peer) send(ctx context.Context, function string, args json.RawMessage) (*call, error) {
	c := &call{id: newID(), done: make(chan struct{})}
	message := protocol.AppendCall(nil, function, c.id, args)
	if !protocol.ValidName(function) || !sendable(message) {
		return nil, fmt.Errorf("name or arguments cannot be sent")
	}
	defer p.flush()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.awaitSpace(ctx); err != nil {
		return nil, err
	}
	c.record = p.function(function)
	p.asked.calls[c.id] = c
	p.asked.sent(c.record)
	p.out.reply(message)
	return c, nil
}

// awaitSpace waits until there is room for another message. It needs mu, and
// lets go of it while it waits.
func (p *Peer) awaitSpace(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.out.room.Broadcast()
	})()
	for p.out.waiting() > p.cfg.Limits.ReplyBytes && !p.out.closing && ctx.Err() == nil {
		p.out.room.Wait()
	}
	if p.out.closing {
		return ErrClosed
	}
	return context.Cause(ctx)
}

// takeReturn handles the result of a call.
func (p *Peer) takeReturn(rec *record, f *protocol.Frame) error {
	r, err := f.Return()
	if err != nil {
		return err
	}
	p.mu.Lock()
	c := p.asked.returned(rec, r.ID)
	p.mu.Unlock()
	switch {
	case c == nil:
		return errUnknownID
	case !c.gone:
		c.finish(append(json.RawMessage(nil), r.Value...), nil)
	}
	return nil
}

var errUnknownID = &protocol.Error{Code: protocol.BadID, Message: "no call with this id is waiting"}

// newID returns a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
