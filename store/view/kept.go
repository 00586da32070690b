package view

import (
	chain "container/list"

	"github.com/socksync/socksync/internal/window"
)

// keptAt names an earlier state of a window, as a subscriber that comes back names it.
type keptAt struct {
	at  place
	rev string
}

// keptState is an earlier state of a window.
type keptState struct {
	keptAt
	page  *page
	state *window.State
	queue *chain.Element // in past.queue
}

// keptPerPage is how many earlier states of one window are kept at most.
const keptPerPage = 64

// past is what is kept for subscribers who may come back, oldest first: the earlier states of all windows, and windows
// that they have left. Of each there are so many that all together have at most so many rows.
type past struct {
	queue   chain.List // of *keptState
	rows    int
	maxRows int

	left     chain.List // of *page
	leftRows int
}

// remember keeps a state that a window leaves, and the place that it had.
func (m *past) remember(p *page, was place, state *window.State) {
	if !p.keeps || !state.Filled() {
		return
	}
	k := &keptState{keptAt{was, state.Rev}, p, state, nil}
	if before := p.view.kept[k.keptAt]; before != nil {
		m.forget(before)
	}
	k.queue = m.queue.PushBack(k)
	m.rows += cost(state)
	if p.view.kept == nil {
		p.view.kept = map[keptAt]*keptState{}
	}
	p.view.kept[k.keptAt] = k
	p.history = append(p.history, k)
	for len(p.history) > keptPerPage {
		m.forget(p.history[0])
	}
	for m.rows > m.maxRows {
		oldest, _ := m.queue.Front().Value.(*keptState)
		m.forget(oldest)
	}
}

// leave keeps a window, as it is now, although its subscriber has left.
func (m *past) leave(p *page) {
	m.comeBack(p)
	p.leaving, p.leavingRows = m.left.PushBack(p), cost(p.state)
	m.leftRows += p.leavingRows
	for m.leftRows > m.maxRows {
		oldest, _ := m.left.Front().Value.(*page)
		m.comeBack(oldest)
		oldest.left = 0
		oldest.view.release(oldest)
	}
}

// comeBack takes a window out of those that are kept for nobody, if it is one.
func (m *past) comeBack(p *page) {
	if p.leaving != nil {
		m.left.Remove(p.leaving)
		m.leftRows -= p.leavingRows
		p.leaving = nil
	}
}

// cost is what a state counts: its rows, and one for itself.
func cost(s *window.State) int { return len(s.Rows) + 1 }

func (m *past) forget(k *keptState) {
	m.queue.Remove(k.queue)
	m.rows -= cost(k.state)
	if k.page.view.kept[k.keptAt] == k {
		delete(k.page.view.kept, k.keptAt)
	}
	for i, other := range k.page.history {
		if other == k {
			k.page.history = append(k.page.history[:i], k.page.history[i+1:]...)
			break
		}
	}
}

// forgetPage forgets all that is kept of a window.
func (m *past) forgetPage(p *page) {
	m.comeBack(p)
	for len(p.history) > 0 {
		m.forget(p.history[0])
	}
}

// known returns the state that a subscriber says it holds, and the window that it was of; nil if it is not known.
func (v *view) known(at place, rev string) (*window.State, *page) {
	if rev == "" {
		return nil, nil
	}
	if p := v.pageAt(at); p != nil && p.state != nil && p.state.Rev == rev {
		return p.state, p
	}
	if k := v.kept[keptAt{at, rev}]; k != nil {
		return k.state, k.page
	}
	return nil, nil
}
