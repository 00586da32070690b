package view

import (
	"sync"

	"github.com/socksync/socksync/internal/window"
)

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

// subscription is one subscriber's place in a list. Its methods only hand work to the
// feed goroutine, one piece at a time however often they are called.
type subscription struct {
	list *list
	sink window.Sink

	asked requests

	// Owned by the feed goroutine.
	at     *page  // where it is
	next   *page  // where it waits to be
	want   pageOf // the page of the last unanswered get
	gets   int    // unanswered gets
	closed bool
}

// requests are the gets that the feed goroutine has not taken. mu guards them.
type requests struct {
	mu   sync.Mutex
	gets int
	want pageOf // of the last; a var has none
}

// add reports whether it is the first since the last take.
func (r *requests) add(want pageOf) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gets++
	r.want = want
	return r.gets == 1
}

func (r *requests) take() (want pageOf, gets int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gets, r.gets = r.gets, 0
	return r.want, gets
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
	if s.asked.add(pageOf{page, size}) {
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
	s.want, s.gets = want, s.gets+gets
	s.list.serve(s)
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
		s.list.waiting--
		s.list.release(s.next)
		s.next = nil
	}
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
