package memory

import (
	"strings"

	"github.com/socksync/socksync/internal/window"
)

// subscription implements [window.Subscription].
type subscription struct {
	pages *pages
	sink  window.Sink
	quiet bool // it is of version 2

	// Guarded by pages.mu.
	at    *shared // nil for nowhere
	asked int     // the size that the get for it asked for
}

func (p *pages) subscribe(sink window.Sink, o window.Options) *subscription {
	s := &subscription{pages: p, sink: sink, quiet: o.Quiet}
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := o.Instead.(*subscription); ok && old.pages == p {
		defer old.leave(true) // to everybody it is the same window, which stays known
	}
	if o.Quiet {
		return s
	}
	s.enter(p.window(place{size: p.most}))
	return s
}

// Get implements [window.Subscription].
func (s *subscription) Get(want window.Want) {
	p := s.pages
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := refusal(want); err != nil {
		s.sink.Fail(err, 1)
		return
	}
	w := p.window(p.placeOf(want))
	from := s.holds(w, want)
	if s.at != w {
		s.leave(false)
		s.enter(w)
	}
	s.asked = max(want.Size, w.at.size)
	if from != nil {
		s.sink.Resume(window.NewStep(from, w.state, ""), 1)
		return
	}
	s.sink.Answer(w.state, 1)
}

// refusal returns why a list without columns cannot show what is wanted.
func refusal(want window.Want) error {
	switch c := want.Choice; {
	case want.After != nil:
		return window.Refusal("after: the rows of this list have no key")
	case len(c.Sort) > 0:
		return window.Refusal("cannot be sorted by " + strings.TrimPrefix(c.Sort[0], "-"))
	case len(c.Filter) > 0:
		return window.Refusal("cannot be filtered by " + c.Filter[0].Column)
	case c.Search != "":
		return window.Refusal("cannot be searched")
	}
	return nil
}

// placeOf returns where a get leads.
func (p *pages) placeOf(want window.Want) place {
	most := p.most
	if want.Anchored {
		most = p.mostWindow
	}
	at := place{page: want.Page, size: p.most, anchored: want.Anchored}
	if want.Size > 0 {
		at.size = min(want.Size, most)
	}
	return at
}

// holds returns the state of which the subscriber has all rows when it asks for a window: the one that it is in, if that
// only grows, or the one that it says. It is nil if there is none. Who asks for as many rows as before has lost them.
// Growing does not tell how large the page is, so unless it is the first one that must be what was asked for.
func (s *subscription) holds(w *shared, want window.Want) *window.State {
	switch {
	case !s.quiet:
		return nil
	case s.at != nil && w.at.extends(s.at.at) && want.Size > s.asked && (w.at.page == 0 || w.at.size == want.Size):
		return s.at.state
	}
	return w.known(want.Rev)
}

// Close implements [window.Subscription].
func (s *subscription) Close() {
	s.pages.mu.Lock()
	defer s.pages.mu.Unlock()
	s.leave(false)
}

// Leave implements [window.Subscription].
func (s *subscription) Leave() {
	s.pages.mu.Lock()
	defer s.pages.mu.Unlock()
	s.leave(true)
}

// enter looks through a window. It needs pages.mu.
func (s *subscription) enter(w *shared) {
	w.subs[s] = struct{}{}
	w.resumable = w.resumable || s.quiet
	s.at = w
}

// leave needs pages.mu.
func (s *subscription) leave(keep bool) {
	w := s.at
	if w == nil {
		return
	}
	s.at = nil
	delete(w.subs, s)
	if len(w.subs) == 0 {
		s.pages.retire(w, keep && w.resumable)
	}
}
