package memory

import (
	"slices"

	"github.com/socksync/socksync/internal/window"
)

const (
	// keptStates is how many states of a window are known to who comes back.
	keptStates = 64
	// keptWindows is how many windows of a list that nobody looks through any more are kept for who comes back.
	keptWindows = 16
)

// shared is a window with its subscribers. It is guarded by pages.mu.
type shared struct {
	at    place
	state *window.State
	subs  map[*subscription]struct{}
	// resumable says that a subscriber may come back with the revision that it holds; then earlier are the states before
	// this one, oldest first.
	resumable bool
	earlier   []*window.State
}

// moveTo changes the state.
func (w *shared) moveTo(now *window.State) {
	if w.resumable && w.state != nil {
		if len(w.earlier) == keptStates-1 {
			w.earlier = slices.Delete(w.earlier, 0, 1)
		}
		w.earlier = append(w.earlier, w.state)
	}
	w.state = now
}

// known returns the state with the revision, nil if that is not known.
func (w *shared) known(rev string) *window.State {
	if w.state.Rev == rev {
		return w.state
	}
	if i := slices.IndexFunc(w.earlier, func(s *window.State) bool { return s.Rev == rev }); i >= 0 {
		return w.earlier[i]
	}
	return nil
}

// window returns the window at a place, made if there is none, or found among
// those that were left. It needs mu.
func (p *pages) window(at place) *shared {
	if w := p.windows[at]; w != nil {
		return w
	}
	w := p.revive(at)
	if now := p.state(at, at.cut(p.rows)); w.state == nil || !w.state.Same(now) {
		w.moveTo(now)
	}
	p.windows[at] = w
	return w
}

// revive returns the window that was left at a place, as it was then, or a new one. It needs mu.
func (p *pages) revive(at place) *shared {
	i := slices.IndexFunc(p.left, func(w *shared) bool { return w.at == at })
	if i < 0 {
		return &shared{at: at, subs: make(map[*subscription]struct{})}
	}
	w := p.left[i]
	p.left = slices.Delete(p.left, i, i+1)
	return w
}

// retire drops a window that nobody looks through any more, or keeps it for who comes back. It needs mu.
func (p *pages) retire(w *shared, keep bool) {
	delete(p.windows, w.at)
	if !keep {
		return
	}
	if len(p.left) == keptWindows {
		p.left = slices.Delete(p.left, 0, 1)
	}
	p.left = append(p.left, w)
}
