package view

import "github.com/socksync/socksync/internal/window"

// source makes a list a [window.Source].
type source struct{ list *list }

// Name implements [window.Source].
func (s source) Name() string { return s.list.def.Name }

// Sizes implements [window.Source].
func (s source) Sizes() (page, maximum int) {
	return s.list.def.PageSize, s.list.def.MaxPageSize
}

// Subscribe implements [window.Source].
func (s source) Subscribe(sink window.Sink) window.Subscription {
	sub := &subscription{list: s.list, sink: sink}
	s.list.engine.feed.Do(sub.open)
	return sub
}

// subscription is one subscriber's place in a list. All its fields are owned by
// the feed goroutine; its methods only hand work to it.
type subscription struct {
	list   *list
	sink   window.Sink
	at     *page   // where it is
	next   *page   // where it waits to be
	want   *pageOf // the page of the last unanswered get
	gets   int     // unanswered gets
	closed bool
}

// open puts the subscriber at page 0 with the maximum page size, where it gets
// what changes but no rows until it asks.
func (s *subscription) open() {
	if s.closed {
		return
	}
	s.at = s.list.page(pageOf{page: 0, size: s.list.def.MaxPageSize})
	s.at.subs[s] = struct{}{}
}

// Get implements [window.Subscription].
func (s *subscription) Get(page, size int) {
	s.list.engine.feed.Do(func() {
		if s.closed {
			return
		}
		s.gets++
		s.leaveQueue()
		s.want = &pageOf{page: page, size: size}
		s.list.serve(s)
	})
}

// Close implements [window.Subscription].
func (s *subscription) Close() {
	s.list.engine.feed.Do(func() {
		s.closed = true
		s.leaveQueue()
		s.leave()
	})
}

// leaveQueue gives up the page that it waits for.
func (s *subscription) leaveQueue() {
	delete(s.list.homeless, s)
	if s.next != nil {
		delete(s.next.waiting, s)
		s.list.release(s.next)
		s.next = nil
	}
	s.want = nil
}

func (s *subscription) leave() {
	if s.at != nil {
		delete(s.at.subs, s)
		s.list.release(s.at)
		s.at = nil
	}
}

// arrive moves the subscription to a page whose state is filled, and answers.
func (s *subscription) arrive(p *page) {
	p.subs[s] = struct{}{}
	if s.at != p {
		s.leave()
	}
	s.at = p
	gets := s.gets
	s.gets = 0
	s.leaveQueue()
	s.sink.Answer(p.state, gets)
}

// fail answers the outstanding gets by an error; the subscriber stays where it is.
func (s *subscription) fail(err error) {
	gets := s.gets
	s.gets = 0
	s.leaveQueue()
	if gets > 0 {
		s.sink.Fail(err, gets)
	}
}
