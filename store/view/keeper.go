package view

import (
	chain "container/list"
	"math"
	"time"

	"github.com/socksync/socksync/internal/window"
)

// keeper counts the views that subscribers brought about and lets go of those that nobody watches, so that they are within
// bounds. The standard views are not among them. It is owned by the feed goroutine.
type keeper struct {
	chosen   int        // views of what subscribers have chosen
	rows     int        // of all views
	idle     chain.List // of *view: those that nobody watches, the longest idle first
	idleRows int        // of these
}

// add takes a new view, which nobody watches yet.
func (k *keeper) add(v *view) {
	if !v.choice.IsDefault() {
		k.chosen++
	}
	k.rest(v)
}

// remove forgets a view.
func (k *keeper) remove(v *view) {
	if v.permanent() {
		return
	}
	if !v.choice.IsDefault() {
		k.chosen--
	}
	k.wake(v)
	k.rows -= v.counted
	v.counted = 0
}

// count takes note of how many rows a view has now.
func (k *keeper) count(v *view) {
	if v.permanent() {
		return
	}
	more := v.tree.Len() - v.counted
	k.rows += more
	v.counted += more
	if v.resting != nil {
		k.idleRows += more
	}
}

// rest puts a view to those that nobody watches.
func (k *keeper) rest(v *view) {
	v.idle = v.engine.clock()
	v.resting = k.idle.PushBack(v)
	k.idleRows += v.counted
}

// wake takes a view out of those that nobody watches, if it is one.
func (k *keeper) wake(v *view) {
	if v.resting != nil {
		k.idle.Remove(v.resting)
		k.idleRows -= v.counted
		v.resting = nil
	}
}

// evict lets the view go that nobody has watched for longest, of those for which something holds, and reports whether there
// is one.
func (k *keeper) evict(holds func(*view) bool) bool {
	for e := k.idle.Front(); e != nil; e = e.Next() {
		if v := viewAt(e); holds(v) {
			v.list.drop(v)
			return true
		}
	}
	return false
}

// viewAt returns the view at a place among the idle ones.
func viewAt(e *chain.Element) *view {
	return e.Value.(*view) //nolint:errcheck // nothing else is in the list
}

// makeRoom lets views go that nobody watches until there is room for the rows of another.
func (k *keeper) makeRoom(v *view, rows, most int) {
	if v.permanent() {
		return
	}
	for k.rows-v.counted+rows > most {
		if !k.evict(func(other *view) bool { return other != v }) {
			return
		}
	}
}

// most returns how many rows a view may have when it is opened, so that the views that subscribers brought about are
// within bounds.
func (e *Engine) most(v *view) int {
	if v.permanent() || v.tree != nil {
		return math.MaxInt
	}
	return max(0, e.config.Rows-(e.keeper.rows-e.keeper.idleRows))
}

// join counts one more who looks at the view or waits for it.
func (v *view) join() {
	v.users++
	v.engine.keeper.wake(v)
	v.recompute()
}

// part counts one less.
func (v *view) part() {
	v.users--
	if v.users == 0 && !v.permanent() && v.list.views[v.key] == v {
		v.engine.keeper.rest(v)
	}
}

// watched reports whether somebody looks at the view or waits for it.
func (v *view) watched() bool { return v.users > 0 }

// len is how many rows the view has as far as is known.
func (v *view) len() int {
	switch {
	case v.tree != nil:
		return v.tree.Len()
	case v.stage != nil: // its first load joins
		return v.stage.tree.Len()
	}
	return 0
}

// release takes back what an account is charged with for a view.
func (e *Engine) release(a *window.Account, v **view) {
	if *v != nil {
		a.Release(*v)
		*v = nil
	}
}

// unqueue takes a subscription out of those that wait for the first load.
func (v *view) unqueue(s *subscription) {
	if v.homeless.remove(s) {
		s.homeless = nil
		v.part()
	}
}

// sweep lets go what nobody has watched for as long as it is kept.
func (e *Engine) sweep() {
	until := e.clock() - e.config.Grace
	for first := e.past.left.Front(); first != nil; first = e.past.left.Front() {
		p, _ := first.Value.(*page)
		if p.left >= until {
			break
		}
		e.past.comeBack(p)
		p.left = 0
		p.view.release(p)
	}
	for first := e.keeper.idle.Front(); first != nil; first = e.keeper.idle.Front() {
		v := viewAt(first)
		if v.idle >= until {
			break
		}
		v.list.drop(v)
	}
}

// sweeps runs sweep from time to time, until the engine stops.
func (e *Engine) sweeps() {
	ticker := time.NewTicker(max(e.config.Grace/4, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			e.feed.Do(e.sweep)
		case <-e.ctx.Done():
			return
		}
	}
}
