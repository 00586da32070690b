package peer

import (
	"slices"
	"sync"

	"github.com/socksync/socksync/protocol"
)

// batchBytes is how much Next gives at a time, about. It is small enough that
// what a slow connection gets next is folded as late as possible.
const batchBytes = 64 << 10

// outbox is what the other end has not been sent. It is guarded by Peer.mu.
type outbox struct {
	room    sync.Cond // replies were taken, or closing was set
	closing bool      // nobody waits for room anymore
	ended   bool      // nothing is kept anymore

	// muted counts those who have it that nothing is given out which is for the
	// present credentials only. lapsed says that these have ended.
	muted  int
	lapsed bool

	// replies are messages in the order in which they came up.
	replies    []reply
	replyBytes int
	// scripted is the size of the replies in the scripts of feeds.
	scripted int
	// turns are the feeds that have something to say, first come, first served.
	turns []feed
}

// reply is a message. One that is private is for the credentials for which it was made.
type reply struct {
	message []byte
	// instead returns what is said in its place to others, nil for nothing, given
	// what is wrong with their credentials. It is nil if the reply is not private.
	instead func(*protocol.Error) []byte
	// result is the function of which the reply is a result; nil for rows and
	// values, which are private to one identity even if that is of the same owner.
	result *functionFeed
}

// waiting is how many bytes of replies wait. Scripts do not count that wait for credentials: these come by the reader.
func (o *outbox) waiting() int {
	if o.lapsed {
		return o.replyBytes
	}
	return o.replyBytes + o.scripted
}

func (o *outbox) reply(message []byte) { o.add(reply{message: message}) }

// replyPrivate is reply for what is private.
func (o *outbox) replyPrivate(r reply) {
	if o.lapsed {
		r = r.replaced(errExpired)
	}
	o.add(r)
}

func (o *outbox) add(r reply) {
	if o.ended || r.message == nil {
		return
	}
	o.replies = append(o.replies, r)
	o.replyBytes += len(r.message)
}

func (r reply) replaced(e *protocol.Error) reply { return reply{message: r.instead(e)} }

// replace replaces private replies by the errors that a function returns, nil for what may stay.
func (o *outbox) replace(wrong func(reply) *protocol.Error) {
	replies := o.replies
	o.replies, o.replyBytes = nil, 0
	for _, r := range replies {
		if r.instead != nil {
			if e := wrong(r); e != nil {
				r = r.replaced(e)
			}
		}
		o.add(r)
	}
}

// settle replaces the private replies that are not for credentials which have just come into force, of the same owner or
// another.
func (o *outbox) settle(owner bool) {
	o.replace(func(r reply) *protocol.Error {
		if owner && r.result != nil && !r.result.forbidden {
			return nil
		}
		return errForbidden
	})
}

// takeReplies appends all replies, and makes room. While it is muted a private reply has to wait, and what is behind it.
func (o *outbox) takeReplies(buf [][]byte) [][]byte {
	n := len(o.replies)
	if o.muted > 0 {
		n = o.public()
	}
	for _, r := range o.replies[:n] {
		buf = append(buf, r.message)
		o.replyBytes -= len(r.message)
	}
	if o.replies = o.replies[n:]; len(o.replies) == 0 {
		o.replies = nil
	}
	o.room.Broadcast()
	return buf
}

// public is how many replies are in front of the first private one.
func (o *outbox) public() int {
	if i := slices.IndexFunc(o.replies, func(r reply) bool { return r.instead != nil }); i >= 0 {
		return i
	}
	return len(o.replies)
}

// takeTurn returns what the next feed has to say; nil if none has anything, or is
// to say it.
func (o *outbox) takeTurn() []line {
	if o.muted > 0 || o.lapsed {
		return nil
	}
	for len(o.turns) > 0 {
		next := o.turns[0]
		o.turns[0] = nil
		o.turns = o.turns[1:]
		if lines := next.speak(); len(lines) > 0 {
			o.room.Broadcast()
			return lines
		}
	}
	o.turns = nil
	return nil
}

// shut ends all waiting for room, and keeps nothing from now on.
func (o *outbox) shut() {
	o.closing, o.ended = true, true
	o.replies, o.replyBytes, o.turns = nil, 0, nil
	o.room.Broadcast()
}

// Next appends messages to be written to buf and returns it; what it appends is
// not modified afterwards. It returns buf as it was if there is nothing to
// write. It is called by one goroutine at a time.
func (p *Peer) Next(buf [][]byte) [][]byte {
	p.mu.Lock()
	buf = p.out.takeReplies(buf)
	p.mu.Unlock()
	for size := 0; size < batchBytes; {
		p.mu.Lock()
		lines := p.out.takeTurn()
		p.mu.Unlock()
		if lines == nil {
			break
		}
		start := len(buf)
		for _, l := range lines {
			buf = l.encode(buf)
		}
		for _, message := range buf[start:] {
			size += len(message)
		}
	}
	return buf
}

// line is one thing that a subscription has to say: messages that are not
// encoded before they are written.
type line interface {
	// encode appends the messages. It is called by the writer, without mu.
	encode(buf [][]byte) [][]byte
}

// replyLine is an error in its place between answers.
type replyLine []byte

func (l replyLine) encode(buf [][]byte) [][]byte { return append(buf, l) }

func (l replyLine) message() []byte { return l }

// publicLine is a line of one message, which holds nothing of rows and values; nil for none.
type publicLine interface{ message() []byte }
