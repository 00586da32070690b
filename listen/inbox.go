package listen

import (
	"context"
	"slices"
	"sync"
)

// inbox is what other goroutines ask of the feed goroutine. The mutex guards everything in it and is held for a few
// instructions only. Asking never blocks.
type inbox struct {
	mu        sync.Mutex
	functions []func()
	kicked    bool
	watched   []Table // added by Watch since the last take
	joins     []*join // complete loads that wait for a drain
	interrupt context.CancelFunc

	wake chan struct{} // of size 1; full: something was asked since the last wait
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// ask changes the inbox by f and ends the feed goroutine's wait, if it waits.
func (b *inbox) ask(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	select {
	case b.wake <- struct{}{}:
	default:
	}
	if b.interrupt != nil {
		b.interrupt()
	}
}

// waiting has interrupt called for the next thing that is asked; nil ends that. It returns false when something has been
// asked already, so that there is nothing to wait for.
func (b *inbox) waiting(interrupt context.CancelFunc) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.interrupt = interrupt
	return len(b.wake) == 0
}

// heard forgets that something was asked. What was asked before is seen by the takes that follow.
func (b *inbox) heard() {
	select {
	case <-b.wake:
	default:
	}
}

func (b *inbox) takeFunctions() []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	functions := b.functions
	b.functions = nil
	return functions
}

// takeKick reports whether a drain was asked for since the last takeKick.
func (b *inbox) takeKick() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	kicked := b.kicked
	b.kicked = false
	return kicked
}

func (b *inbox) takeWatched() []Table {
	b.mu.Lock()
	defer b.mu.Unlock()
	watched := b.watched
	b.watched = nil
	return watched
}

// takeJoins returns the loads that may join now. Until they are given back or settled they cannot be withdrawn.
func (b *inbox) takeJoins() []*join {
	b.mu.Lock()
	defer b.mu.Unlock()
	joins := b.joins
	b.joins = nil
	for _, j := range joins {
		j.taken = true
	}
	return joins
}

// giveBack has joins come again with the next take, except those of which the caller no longer waits.
func (b *inbox) giveBack(joins []*join) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, j := range joins {
		j.taken = false
		if j.withdrawn != nil {
			j.settle(j.withdrawn)
			continue
		}
		b.joins = append(b.joins, j)
	}
}

// withdraw settles a join with the reason, now or when it is given back.
func (b *inbox) withdraw(j *join, reason error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	j.withdrawn = reason
	if j.taken {
		return
	}
	b.joins = slices.DeleteFunc(b.joins, func(other *join) bool { return other == j })
	j.settle(reason)
}
