package peer

import (
	"errors"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// feed is one subscription of the other end. Its methods are called by who has
// the turn, except speak.
type feed interface {
	// get answers a get, or any other request to a subscription that the type has.
	get(*request) error
	// close ends it. gone says that it is because the connection has ended.
	close(gone bool)
	// reopen has it go on for another identity, which may use the item. The
	// outbox is muted.
	reopen(window.Identity)
	// forbid ends it because the other end may not use the item any more, and
	// says so. The outbox is muted.
	forbid()
	// speak takes the script. It is called with mu held.
	speak() []line
}

// script is what a feed still has to say, in order. It is guarded by Peer.mu.
type script struct {
	peer   *Peer
	owner  feed
	lines  []line
	bytes  int // of the replies among the lines
	queued bool
	ended  bool
}

// change runs a change of the script and, if that leaves something to say, sees
// to it that it is said. It is called without mu. Nothing happens once the feed
// has ended.
func (s *script) change(do func()) {
	p := s.peer
	p.mu.Lock()
	if s.ended {
		p.mu.Unlock()
		return
	}
	do()
	flush := len(s.lines) > 0 && !s.queued && !p.out.ended
	if flush {
		s.queued = true
		p.out.turns = append(p.out.turns, s.owner)
	}
	p.mu.Unlock()
	if flush {
		p.flush()
	}
}

// count adds to the size of the replies in the script.
func (s *script) count(n int) {
	s.bytes += n
	s.peer.out.scripted += n
}

// reply says a reply, after what has to be said before it. It needs mu.
func (s *script) reply(message []byte) {
	s.lines = append(s.lines, replyLine(message))
	s.count(len(message))
}

// take returns the script and leaves it empty. It needs mu.
func (s *script) take() []line {
	s.queued = false
	return s.clear()
}

// clear is take for a script that keeps its turn, if it has one. It needs mu.
func (s *script) clear() []line {
	lines := s.lines
	s.lines = nil
	s.count(-s.bytes)
	return lines
}

// finish ends the feed. What was to be said is not said, except errors: they
// answer messages and not states.
func (s *script) finish() {
	s.peer.mu.Lock()
	defer s.peer.mu.Unlock()
	for _, l := range s.take() {
		if r, ok := l.(replyLine); ok {
			s.peer.out.reply(r)
		}
	}
	s.ended = true
}

// refusal returns the message that answers a request that failed.
func (p *Peer) refusal(err error, what string) []byte {
	return protocol.AppendError(nil, p.public(err, what))
}

// public returns what the peer may know of an error. The rest is logged.
func (p *Peer) public(err error, what string) *protocol.Error {
	var known *protocol.Error
	var public PublicError
	switch {
	case errors.As(err, &known):
		return &protocol.Error{Code: protocol.Other, Message: known.Message}
	case errors.As(err, &public):
		return &protocol.Error{Code: protocol.Other, Message: public.PublicMessage()}
	}
	p.cfg.Log.Error("socksync: "+what, "error", err)
	return &protocol.Error{Code: protocol.Other, Message: what}
}
