package peer

import (
	"sync"

	"github.com/socksync/socksync/internal/window"
)

// batchBytes is how much Next gives at a time, about. It is small enough that
// what a slow connection gets next is folded as late as possible.
const batchBytes = 64 << 10

// outbox is what the other end has not been sent. It is guarded by Peer.mu.
type outbox struct {
	room    sync.Cond // replies were taken, or closing was set
	closing bool      // nobody waits for room anymore
	ended   bool      // nothing is kept anymore

	// replies are messages in the order in which they came up.
	replies    [][]byte
	replyBytes int
	// scripted is the size of the replies in the scripts of feeds.
	scripted int
	// turns are the feeds that have something to say, first come, first served.
	turns []feed
}

// waiting is how many bytes of replies wait.
func (o *outbox) waiting() int { return o.replyBytes + o.scripted }

func (o *outbox) reply(message []byte) {
	if o.ended {
		return
	}
	o.replies = append(o.replies, message)
	o.replyBytes += len(message)
}

// takeReplies returns all replies, and makes room.
func (o *outbox) takeReplies() [][]byte {
	replies := o.replies
	o.replies, o.replyBytes = nil, 0
	o.room.Broadcast()
	return replies
}

// takeTurn returns what the next feed has to say; nil if none has anything.
func (o *outbox) takeTurn() []line {
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
	replies := p.out.takeReplies()
	p.mu.Unlock()
	buf = append(buf, replies...)
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

// answerLine answers gets of a list.
type answerLine struct{ state *window.State }

func (l answerLine) encode(buf [][]byte) [][]byte { return append(buf, l.state.SetAll()) }

// stepLine leads from what was said before to a newer state.
type stepLine struct{ step *window.Step }

func (l stepLine) encode(buf [][]byte) [][]byte { return append(buf, l.step.Messages()...) }

// replyLine is an error in its place between answers.
type replyLine []byte

func (l replyLine) encode(buf [][]byte) [][]byte { return append(buf, l) }
