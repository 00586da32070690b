package view

import (
	"sync"

	"github.com/socksync/socksync/internal/window"
)

// source makes a list a [window.Source].
type source struct{ list *list }

// Name implements [window.Source].
func (s source) Name() string { return s.list.def.Name }

// Permits implements [window.Restricted].
func (s source) Permits(id window.Identity) error {
	if rules := s.list.rules.Load(); rules != nil {
		return rules.Permits(id)
	}
	return nil
}

// Subscribe implements [window.Source].
func (s source) Subscribe(sink window.Sink, o window.Options) window.Subscription {
	sub := &subscription{list: s.list, sink: sink, options: o}
	sub.former, _ = o.Instead.(*subscription)
	sub.options.Instead = nil
	s.list.engine.feed.Do(sub.begin)
	return sub
}

// subscription is one subscriber's place in a list. Its methods only hand work to the
// feed goroutine, one piece at a time however often they are called.
type subscription struct {
	list    *list
	sink    window.Sink
	options window.Options

	asked requests

	// Owned by the feed goroutine.
	former   *subscription // whose place it takes, until it has a window
	at       *page         // where it is
	origin   anchor        // the anchor that the get for it named
	next     *page         // where it waits to be
	homeless *view         // whose first load it waits for
	grows    bool          // next is the window where it is, only longer
	named    *anchor       // the anchor of want, once it is known
	asking   bool          // the database is asked, or was, how it spells the anchor
	giveUp   func()        // stops asking; nil if nothing was asked
	want     *window.Want  // of the last unanswered get; nil for none
	gets     int           // unanswered gets
	holds    *view         // the account is charged for it: the view of at
	claims   *view         // the same, while a get is being answered
	closed   bool
	given    *window.State // the last state that the sink was given
	seen     uint64        // its sequence
	pending  int           // counts what is asked of the database for want, so that late answers are known
}

// requests are the gets that the feed goroutine has not taken. mu guards them.
type requests struct {
	mu   sync.Mutex
	gets int
	want *window.Want // of the last
}

// add reports whether it is the first since the last take.
func (r *requests) add(want window.Want) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gets++
	r.want = &want
	return r.gets == 1
}

func (r *requests) take() (want *window.Want, gets int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	want, gets = r.want, r.gets
	r.want, r.gets = nil, 0
	return want, gets
}

// begin puts the subscriber at page 0 with the maximum page size, where it gets
// what changes but no rows until it asks.
func (s *subscription) begin() {
	if s.former != nil {
		s.former.sink = deaf{}
		s.seen = max(s.seen, s.former.seen) // time does not go back for who becomes somebody else
	}
	if s.closed || s.options.Quiet {
		return
	}
	v := s.list.standard
	if v == nil {
		var err error
		if v, _, err = s.list.find(window.Choice{}, s.options.Identity); err != nil {
			return // it is told when it asks
		}
	}
	s.at = v.page(place{page: 0, size: s.list.def.MaxPageSize})
	s.at.enter(s)
}

// deaf is the sink of a subscription whose place another one takes.
type deaf struct{}

func (deaf) Step(*window.Step)         {}
func (deaf) Answer(*window.State, int) {}
func (deaf) Resume(*window.Step, int)  {}
func (deaf) Fail(error, int)           {}
func (deaf) Still(error)               {}

// succeed lets go of the subscription whose place this one takes.
func (s *subscription) succeed() {
	if s.former != nil {
		s.former.end()
		s.former = nil
	}
}

// predecessor is the subscription whose window this one's goes on from. It is not the former if that has taken the place of
// another one and was replaced before it had a window.
func (s *subscription) predecessor() *subscription {
	p := s.former
	for p.at == nil && p.former != nil {
		p = p.former
	}
	return p
}

// Check implements [window.Checker].
func (s *subscription) Check(want window.Want) error {
	_, err := s.list.rules.Load().Resolve(want.Choice, s.options.Identity)
	return err
}

// Get implements [window.Subscription].
func (s *subscription) Get(want window.Want) {
	if s.asked.add(want) {
		s.list.engine.feed.Do(s.serve)
	}
}

// serve begins to answer the gets that have come in.
func (s *subscription) serve() {
	want, gets := s.asked.take()
	if s.closed {
		return
	}
	s.leaveQueue()
	s.named, s.asking = nil, false
	s.pending++
	s.want, s.gets = want, s.gets+gets
	s.seen = max(s.seen, s.list.sequenceOf(want.Rev))
	s.list.serve(s)
}

// Close implements [window.Subscription].
func (s *subscription) Close() { s.list.engine.feed.Do(s.end) }

// Leave implements [window.Subscription].
func (s *subscription) Leave() {
	s.list.engine.feed.Do(func() {
		if at := s.at; at != nil && at.keeps {
			at.left = s.list.engine.clock()
			defer at.view.past.leave(at)
		}
		s.end()
	})
}

func (s *subscription) end() {
	s.closed = true
	s.succeed()
	s.leaveQueue()
	s.leave()
	s.release()
}

// leaveQueue gives up the window that it waits for.
func (s *subscription) leaveQueue() {
	if s.homeless != nil {
		s.homeless.unqueue(s)
	}
	s.grows = false
	if s.giveUp != nil {
		s.giveUp()
		s.giveUp = nil
	}
	if s.next != nil {
		p := s.next
		p.giveUp(s)
		p.view.release(p)
	}
}

func (s *subscription) leave() {
	if s.at != nil {
		s.at.exit(s)
		s.at.view.release(s.at)
		s.at = nil
	}
}

// arrive moves the subscription to a window whose state is filled, and answers.
func (s *subscription) arrive(p *page) {
	if err := s.settle(p.view); err != nil {
		s.fail(err)
		return
	}
	from, grows := s.given, s.grows
	gets := s.enter(p)
	if grows {
		s.sink.Resume(window.NewStep(from, s.given, ""), gets)
	} else {
		s.sink.Answer(s.given, gets)
	}
	s.tell()
}

// tell says that the window stands still, if those who were there before know.
func (s *subscription) tell() {
	if s.at.told {
		s.sink.Still(s.at.view.unreadable())
	}
}

// resume answers by a step if the window and the state that the subscriber holds are known.
func (s *subscription) resume(v *view, at place) bool {
	from, p := v.known(at, s.want.Rev)
	if p == nil || !p.state.Filled() {
		return false
	}
	if s.at == p && s.given != nil {
		from = s.given // it has been told what came since it asked
	}
	if err := s.settle(v); err != nil {
		s.fail(err)
		return true
	}
	gets := s.enter(p)
	s.sink.Resume(window.NewStep(from, s.given, ""), gets)
	s.tell()
	return true
}

// enter takes the subscription to a window, and returns how many gets that answers.
func (s *subscription) enter(p *page) (gets int) {
	seen := s.seen
	p.enter(s)
	p.keeps = p.keeps || s.options.Quiet
	s.given, s.seen = p.state, p.since
	if s.options.Quiet {
		s.given, s.seen = p.stateFor(seen)
	}
	if s.at != p {
		s.leave()
	}
	origin := p.at.after
	if s.named != nil {
		origin = *s.named
	}
	s.at, s.origin = p, origin
	gets, s.gets, s.want = s.gets, 0, nil
	s.leaveQueue()
	s.succeed()
	return gets
}

// fail answers the outstanding gets by an error; the subscriber stays where it is.
func (s *subscription) fail(err error) {
	gets := s.gets
	s.gets, s.want = 0, nil
	s.leaveQueue()
	s.list.engine.release(s.options.Account, &s.claims)
	if gets > 0 {
		s.sink.Fail(err, gets)
	}
}

// hold charges the account for the view of a get that is to be answered.
func (s *subscription) hold(v *view) error {
	if s.claims == v {
		return nil
	}
	s.list.engine.release(s.options.Account, &s.claims)
	if v.choice.IsDefault() {
		return nil
	}
	if err := s.options.Account.Hold(v, v.len(), s.leaves()); err != nil {
		return err
	}
	s.claims = v
	return nil
}

// leaves returns the view that the account is charged for and will not be any more when the subscription has arrived.
func (s *subscription) leaves() any {
	switch {
	case s.holds != nil:
		return s.holds
	case s.former != nil && s.predecessor().holds != nil:
		return s.predecessor().holds
	}
	return nil
}

// settle charges the account for the view where the subscription is going to be, with the rows that it has now.
func (s *subscription) settle(v *view) error {
	var held *view
	if !v.choice.IsDefault() {
		if err := s.options.Account.Hold(v, v.len(), s.leaves()); err != nil {
			return err
		}
		held = v
	}
	s.release()
	s.holds = held
	return nil
}

// release takes back all that the account is charged with.
func (s *subscription) release() {
	e := s.list.engine
	e.release(s.options.Account, &s.holds)
	e.release(s.options.Account, &s.claims)
}
