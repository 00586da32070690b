package wsconn

import (
	"sync"
	"time"
)

// wheelSlots is in how many groups the connections of a wheel are pinged.
const wheelSlots = 32

// Wheel pings any number of connections with one goroutine: the connections are
// spread over slots, and one slot after the other gets its turn, each once per
// interval. It never blocks on a connection. A connection that stays silent for
// an interval after its ping fails with ErrNoPong.
//
// All methods may be called by any goroutine at any time.
type Wheel struct {
	interval time.Duration

	mu    sync.Mutex // guards what follows and slot and index of the links
	slots [wheelSlots][]*link
	join  int           // the slot that the next connection joins
	turn  int           // the slot that had its turn last
	stop  chan struct{} // ends the goroutine; nil: none is to run
	done  chan struct{} // closed when the goroutine has ended
}

// NewWheel returns a Wheel that pings every interval; 0 means
// DefaultPingInterval. It does nothing before Start.
func NewWheel(interval time.Duration) *Wheel {
	if interval <= 0 {
		interval = DefaultPingInterval
	}
	return &Wheel{interval: interval}
}

// Start starts the wheel. It does nothing if the wheel runs.
func (w *Wheel) Start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop != nil {
		return
	}
	before := w.done
	w.stop, w.done = make(chan struct{}), make(chan struct{})
	go w.run(w.stop, w.done, before)
}

// Stop stops the wheel and waits for its goroutine, which ends at once. The
// connections stay as they are, without pings. A wheel that does not run may be
// stopped too, and a stopped one may be started again.
func (w *Wheel) Stop() {
	w.mu.Lock()
	if w.stop != nil {
		close(w.stop)
		w.stop = nil
	}
	done := w.done
	w.mu.Unlock()
	if done != nil {
		<-done
	}
}

// run turns the wheel after the goroutine before has ended.
func (w *Wheel) run(stop, done, before chan struct{}) {
	defer close(done)
	if before != nil {
		<-before
	}
	ticker := time.NewTicker(max(w.interval/wheelSlots, 1))
	defer ticker.Stop()
	var due []*link
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			due = w.advance(due[:0])
			for _, l := range due {
				l.beat()
			}
			clear(due)
		}
	}
}

// advance gives the next slot its turn and appends its links to due.
func (w *Wheel) advance(due []*link) []*link {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turn = (w.turn + 1) % wheelSlots
	return append(due, w.slots[w.turn]...)
}

// add puts a link on the wheel. A nil wheel takes none.
func (w *Wheel) add(l *link) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l.slot, l.index = w.join, len(w.slots[w.join])
	w.slots[w.join] = append(w.slots[w.join], l)
	w.join = (w.join + 1) % wheelSlots
}

// remove takes a link that was added off the wheel, once.
func (w *Wheel) remove(l *link) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.slots[l.slot]
	end := len(s) - 1
	s[l.index] = s[end]
	s[l.index].index = l.index
	s[end] = nil
	w.slots[l.slot] = s[:end]
}
