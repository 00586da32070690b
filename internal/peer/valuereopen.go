package peer

import (
	"slices"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// reopen has the value be what it is to another identity. See windowFeed.reopen.
func (f *valueFeed) reopen(id window.Identity) {
	var gets []window.Want
	f.change(func() {
		f.sink = &valueSink{f}
		f.goBack()
		gets = f.asks.gets()
	})
	old := f.subscription
	f.subscription = f.source.Subscribe(f.sink, window.Options{Identity: id})
	old.Close()
	for _, want := range gets {
		f.subscription.Get(want.Choice.Filter)
	}
	f.restore()
}

// goBack goes back to what is shown. It needs Peer.mu.
func (f *valueFeed) goBack() {
	f.restoring.begin(f.shown.answered)
	asks := f.rewind()
	f.chosen, f.tail, f.asks = f.shown, nil, asks
	f.answer(0, nil)
}

// restore asks for the value that is shown, unless that is a matter of the gets that wait.
func (f *valueFeed) restore() {
	p := f.peer
	p.mu.Lock()
	if f.ended || !f.restoring.on || len(f.asks.gets()) > 0 {
		p.mu.Unlock()
		return
	}
	filter := f.chosen.filter
	own := ask{want: window.Want{Choice: window.Choice{Filter: filter}}, own: true}
	f.asks = slices.Insert(f.asks, 0, own)
	p.mu.Unlock()
	f.subscription.Get(filter)
}

// cannotRestore takes note that our own get has failed. The other end is told once. It needs Peer.mu.
func (f *valueFeed) cannotRestore(e *protocol.Error) {
	if !f.restoring.told {
		f.fail(e, "")
	}
	f.restoring.failed()
}

// restoreLater tries again, if no get will do so. It needs Peer.mu.
func (f *valueFeed) restoreLater() {
	if len(f.asks.gets()) == 0 {
		f.restoring.later(f.peer, f.restore)
	}
}

func (f *valueFeed) giveUpRestoring() {
	f.peer.mu.Lock()
	defer f.peer.mu.Unlock()
	f.restoring.stop()
}
