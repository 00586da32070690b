package peer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/socksync/socksync/protocol"
)

// Credentials end at a time. A timer then calls [Peer.expire], which mutes the outbox, under mu, whatever the reader is
// doing. If there is a Renew, it is asked by a goroutine of its own; meanwhile the reader takes no further message. If that
// gives other credentials, they are changed to. Otherwise the credentials have lapsed: version 1 is closed at once; version
// 2 is told, the reader goes on and answers everything by error 11 but an authenticate and what only ends something, the
// scripts stay muted and take no part in what may be waiting, and results are replaced by errors. A change of credentials
// ends all that; else a timer closes the connection.

const expiredReason = "credentials expired"

// cancel stops the timer. A call that is under way finds that the credentials have changed. It needs mu.
func (l *lease) cancel() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// arm has expire called in time, once the peer runs. It reports whether that is now, which is for the caller. It needs mu.
func (p *Peer) arm() bool {
	l := &p.lease
	if p.ctx == nil || p.out.ended || l.held.Expires.IsZero() {
		return false
	}
	if l.held.ended() {
		return true
	}
	changes := l.changes
	l.timer = time.AfterFunc(time.Until(l.held.Expires), func() { p.expire(changes) })
	return false
}

// expire is called when credentials have ended.
func (p *Peer) expire(changes int) {
	p.mu.Lock()
	if p.lease.changes != changes || p.out.ended {
		p.mu.Unlock()
		return
	}
	p.lease.cancel()
	if p.cfg.Renew == nil {
		p.mu.Unlock()
		p.lapse(changes)
		return
	}
	p.lease.renewing = true
	p.out.muted++
	expired := p.lease.held
	p.runs.Go(func() { p.renew(changes, expired) })
	p.mu.Unlock()
}

// endRenewal lets the reader and the outbox go on, if they wait for Renew. It needs mu.
func (p *Peer) endRenewal() {
	if p.lease.renewing {
		p.lease.renewing = false
		p.out.muted--
		p.out.room.Broadcast()
	}
}

// renew asks for other credentials. It has a goroutine of its own.
func (p *Peer) renew(changes int, expired Credentials) {
	c, err := p.renewed(expired)
	if err != nil {
		p.cfg.Log.Debug("socksync: credentials were not renewed", "error", err)
		p.lapse(changes)
		return
	}
	p.mute()
	defer p.unmute()
	p.turn.Lock()
	defer p.turn.Unlock()
	if p.changed() == changes {
		p.change(c)
	}
}

// changed returns how often the credentials were changed.
func (p *Peer) changed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lease.changes
}

var errEnded = errors.New("the credentials have ended")

// renewed calls Renew. A panic is an error.
func (p *Peer) renewed(expired Credentials) (c Credentials, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeout(p.ctx, p.cfg.ExpiryGrace)
	defer cancel()
	if c, err = p.cfg.Renew(ctx, expired); err == nil && c.ended() {
		err = errEnded
	}
	return c, err
}

// lapse is called when credentials have ended and were not renewed.
func (p *Peer) lapse(changes int) {
	p.mu.Lock()
	if p.lease.changes != changes || p.out.ended {
		p.mu.Unlock()
		return
	}
	p.out.lapsed = true
	p.out.replace(func(reply) *protocol.Error { return errExpired })
	p.endRenewal()
	p.out.room.Broadcast()
	if p.version == protocol.V1 {
		p.mu.Unlock()
		p.overdue(changes)
		return
	}
	p.out.reply(protocol.AppendErrorV2(nil, errExpired, "", "", protocol.Route{}))
	p.lease.timer = time.AfterFunc(p.cfg.ExpiryGrace, func() { p.overdue(changes) })
	p.mu.Unlock()
	p.flush()
}

// overdue closes the connection, unless the credentials have been changed.
func (p *Peer) overdue(changes int) {
	if p.changed() == changes {
		_ = p.Close(protocol.CloseCredentialsExpired, expiredReason) // Run has the outcome
	}
}

// isLapsed reports whether the credentials have ended.
func (p *Peer) isLapsed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.lapsed
}

// enter takes the turn for a message, when nobody is asked for credentials. It is false if there will be no turn: the
// connection is being closed.
func (p *Peer) enter() bool {
	for {
		if !p.awaitRenewal() {
			return false
		}
		p.turn.Lock()
		if !p.isRenewing() {
			return true
		}
		p.turn.Unlock()
	}
}

func (p *Peer) awaitRenewal() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.lease.renewing && !p.out.closing {
		p.out.room.Wait()
	}
	return !p.lease.renewing
}

func (p *Peer) isRenewing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lease.renewing
}
