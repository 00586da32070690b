package peer

import "github.com/socksync/socksync/internal/window"

// reopen has the value be what it is to another identity. See windowFeed.reopen.
func (f *varFeed) reopen(id window.Identity) {
	gets := 0
	f.change(func() {
		f.sink = &varSink{f}
		gets = f.goBack()
	})
	old := f.subscription
	f.subscription = f.source.Subscribe(f.sink, window.Options{Identity: id})
	old.Close()
	for range gets {
		f.subscription.Get(nil)
	}
	f.restore()
}

// open returns how many gets the other end has not been sent the answer to. It
// needs Peer.mu.
func (f *varFeed) open() int {
	n := f.gets
	if f.own {
		n--
	}
	for _, l := range f.lines {
		if v, ok := l.(valueLine); ok {
			n += v.gets
		}
	}
	return n
}

// goBack goes back to what was sent, and returns how many gets are to be asked
// again. It needs Peer.mu.
func (f *varFeed) goBack() int {
	f.gets, f.own = f.open(), false
	for _, l := range f.clear() {
		if r, ok := l.(replyLine); ok {
			f.reply(r)
		}
	}
	f.restoring.begin(f.told)
	return f.gets
}

// restore asks for the value, unless gets wait for it.
func (f *varFeed) restore() {
	p := f.peer
	p.mu.Lock()
	if f.ended || !f.restoring.on || f.gets > 0 {
		p.mu.Unlock()
		return
	}
	f.gets, f.own = 1, true
	p.mu.Unlock()
	f.subscription.Get(nil)
}

// restoreLater tries again, if no get will do so. It needs Peer.mu.
func (f *varFeed) restoreLater() {
	if f.gets == 0 {
		f.restoring.later(f.peer, f.restore)
	}
}

func (f *varFeed) giveUpRestoring() {
	f.peer.mu.Lock()
	defer f.peer.mu.Unlock()
	f.restoring.stop()
}
