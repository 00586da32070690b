package peer

import (
	"slices"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// mostUnanswered is how many requests of one window may wait for their answers before the connection is not read any
// further.
const mostUnanswered = 64

// ask is a request of version 2 that waits for its turn.
type ask struct {
	id   string
	want window.Want // of a get
	// own says that it is our own get, for what the other end holds, to be seen by another identity. Nobody is told what
	// comes of it. There is one at most, and no get is in front of it.
	own bool
	// run does what is no get, or a bad one. It is called with Peer.mu held. It is nil for a get, which the source
	// answers.
	run func()
}

// lineup are the requests of one subscription that have not been answered, in order. The first is a get. It is guarded by
// Peer.mu.
type lineup []ask

// answered takes the gets that the source has answered together, and everything between them and behind them. Each get is
// given to the function, with how many of them come after it.
func (q *lineup) answered(gets int, get func(a ask, left int)) {
	for len(*q) > 0 && (gets > 0 || (*q)[0].run != nil) {
		a := (*q)[0]
		*q = (*q)[1:]
		if a.run != nil {
			a.run()
			continue
		}
		gets--
		get(a, gets)
	}
	if len(*q) == 0 {
		*q = nil
	}
}

// last returns the last of so many gets.
func (q lineup) last(gets int) ask {
	var last ask
	for _, a := range q {
		if a.run == nil && gets > 0 {
			last = a
			gets--
		}
	}
	return last
}

// gets returns what the gets ask for, in order.
func (q lineup) gets() []window.Want {
	var wants []window.Want
	for _, a := range q {
		if a.run == nil {
			wants = append(wants, a.want)
		}
	}
	return wants
}

// routed is the part of a subscription of version 2 that lists and vars share: the requests in their order, and messages
// that say where they belong.
type routed struct {
	script
	kind protocol.ItemType
	name string
	view string

	asks lineup // guarded by Peer.mu
}

// enqueue puts a get in line before it is handed to the source. It waits while there are too many.
func (s *routed) enqueue(a ask) {
	p := s.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	s.awaitTurn()
	s.asks = append(s.asks, a)
}

// awaitTurn needs Peer.mu, and lets go of it while it waits.
func (s *routed) awaitTurn() {
	for len(s.asks) >= mostUnanswered && !s.peer.out.closing {
		s.peer.out.room.Wait()
	}
}

// inTurn does something when all gets before it have been answered. It may wait, as enqueue does.
func (s *routed) inTurn(do func()) {
	s.change(func() {
		s.awaitTurn()
		if len(s.asks) > 0 {
			s.asks = append(s.asks, ask{run: do})
			return
		}
		do()
	})
}

// answer settles gets: see [lineup.answered].
func (s *routed) answer(gets int, get func(a ask, left int)) {
	s.asks.answered(gets, get)
	s.peer.out.room.Broadcast()
}

// answerLast settles gets of which only the last counts. Those before it have been superseded.
func (s *routed) answerLast(gets int, last func(a ask)) {
	s.answer(gets, func(a ask, left int) {
		switch {
		case left == 0:
			last(a)
		case !a.own:
			s.fail(errSuperseded, a.id)
		}
	})
}

// repeated is a line that answers a request, or several, and can do so again under other credentials.
type repeated interface{ again() []ask }

// rewind takes back what has not been taken, and returns the requests that have not been answered then, in order. Of our
// own there is none among them; what the gets say that the other end holds was another identity's.
func (s *routed) rewind() lineup {
	var asks lineup
	for _, l := range s.clear() {
		switch l := l.(type) {
		case replyLine:
			asks = append(asks, ask{run: func() { s.reply(l) }})
		case repeated:
			asks = append(asks, l.again()...)
		}
	}
	for _, a := range s.asks {
		if !a.own {
			asks = append(asks, a)
		}
	}
	for i := range asks {
		asks[i].want.Rev = ""
	}
	s.asks = nil
	return asks
}

// forbid ends the feed, whose subscription has been closed, because the other end may not have it any more.
func (s *routed) forbid() {
	s.finish()
	p := s.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.reply(p.forbidden(s.kind, s.name, s.route("")))
}

func (s *routed) route(id string) protocol.Route { return protocol.Route{View: s.view, ID: id} }

// failure is the message of an error.
func (s *routed) failure(e *protocol.Error, id string) []byte {
	return protocol.AppendErrorV2(nil, e, s.kind, s.name, s.route(id))
}

// fail says an error. It needs Peer.mu.
func (s *routed) fail(e *protocol.Error, id string) { s.reply(s.failure(e, id)) }

// refuse answers a request that is bad in its turn.
func (s *routed) refuse(err error, id string) {
	s.inTurn(func() { s.fail(answerable(err), id) })
}

var errSuperseded = &protocol.Error{Code: protocol.Other, Message: "superseded"}

// finish ends the feed. Who waits for an answer has it, or is told that there will be none: what was to be said is said if
// somebody waits for some of it, and as long as it is for the credentials in force.
func (s *routed) finish() {
	p := s.peer
	p.mu.Lock()
	s.answer(len(s.asks), func(a ask, _ int) {
		if a.id != "" {
			s.fail(errSuperseded, a.id)
		}
	})
	lines := s.take()
	s.ended = true
	p.mu.Unlock()
	replies := s.lastWords(lines)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range replies {
		if r.instead == nil {
			p.out.reply(r.message)
		} else {
			p.out.replyPrivate(r)
		}
	}
}

// awaited is a line that somebody may wait for: it has the ids that its messages answer, one each.
type awaited interface{ answers() []string }

// lastWords returns the messages of the lines that are to be said although the subscription has ended.
func (s *routed) lastWords(lines []line) []reply {
	all := slices.ContainsFunc(lines, func(l line) bool {
		a, ok := l.(awaited)
		return ok && slices.ContainsFunc(a.answers(), func(id string) bool { return id != "" })
	})
	var replies []reply
	for _, l := range lines {
		if public, ok := l.(publicLine); ok {
			replies = append(replies, reply{message: public.message()})
		} else if all {
			replies = append(replies, s.privately(l)...)
		}
	}
	return replies
}

// privately returns the messages of a line with rows or values. What they answer is superseded for other credentials.
func (s *routed) privately(l line) []reply {
	var replies []reply
	var ids []string
	if a, ok := l.(awaited); ok {
		ids = a.answers()
	}
	for i, message := range l.encode(nil) {
		r := reply{message: message, instead: func(*protocol.Error) []byte { return nil }}
		if i < len(ids) && ids[i] != "" {
			r.instead = func(*protocol.Error) []byte { return s.failure(errSuperseded, ids[i]) }
		}
		replies = append(replies, r)
	}
	return replies
}
