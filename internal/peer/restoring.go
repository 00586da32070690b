package peer

import "time"

// restoreInterval is after what time what could not be read for another identity is asked for again.
const restoreInterval = time.Second

// restoring says that what the other end holds is another identity's, and that what it is to this one has not come. As
// long as it is so, nothing of it is said. It is guarded by Peer.mu.
type restoring struct {
	on    bool
	told  bool          // the other end was told that it cannot be read
	delay time.Duration // before the next get
	timer *time.Timer   // nil if no get is due
}

// begin says whether the other end holds something.
func (r *restoring) begin(holds bool) {
	r.stop()
	*r = restoring{on: holds}
}

// failed takes note that a get of ours has failed.
func (r *restoring) failed() { r.told, r.delay = true, restoreInterval }

// later has the feed ask, unless it is going to.
func (r *restoring) later(p *Peer, ask func()) {
	if !r.on || r.timer != nil {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(r.delay, func() {
		p.turn.Lock()
		defer p.turn.Unlock()
		p.mu.Lock()
		due := r.timer == timer
		if due {
			r.timer = nil
		}
		p.mu.Unlock()
		if due {
			ask()
		}
	})
	r.timer, r.delay = timer, 0
}

func (r *restoring) stop() {
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
}
