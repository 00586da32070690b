package peer

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// shownWindow is what the other end has when it has everything that was taken: what a window goes on from when the identity
// has changed. It is guarded by Peer.mu.
type shownWindow struct {
	want   *window.Want  // the get that it answers
	state  *window.State // nil: there is no window
	paused bool
	told   *window.State     // of a pause, as there
	after  []json.RawMessage // while it is restored: where it begins
	still  *still            // as it was told; nil if the window is not known to stand still
}

// show takes note of what is shown when all lines have been taken. It needs Peer.mu.
func (f *windowFeed) show() {
	s := shownWindow{want: f.want, state: f.now, after: f.shown.after}
	if p := f.pause; p != nil {
		s.state, s.paused, s.told = p.seen, true, p.told
	}
	if f.still != nil && f.still.told {
		s.still = f.still
	}
	f.shown = s
}

// reopen has the window go on as another identity sees it.
func (f *windowFeed) reopen(id window.Identity) {
	var gets []window.Want
	f.change(func() {
		f.sink = &windowSink{f}
		f.goBack()
		gets = f.asks.gets()
	})
	f.subscription = f.source.Subscribe(f.sink, f.options(id, f.subscription))
	for _, want := range gets {
		f.subscription.Get(want)
	}
	f.restore()
}

// goBack goes back to what is shown. What came after it of the other end's is asked again, unless it needs not wait for a
// get. It needs Peer.mu.
func (f *windowFeed) goBack() {
	if f.shown.state != nil {
		f.shown.after = f.anchor()
	}
	f.restoring.begin(f.shown.state != nil)
	asks := f.rewind()
	s := &f.shown
	f.want, f.now, f.held, f.tail = s.want, s.state, s.state, nil
	if f.pause = nil; s.paused {
		f.pause = &pause{seen: s.state, told: s.told}
	}
	if f.still = nil; s.still != nil {
		f.still = &still{reason: s.still.reason, told: true}
	}
	f.asks = asks
	f.answer(0, nil)
}

// anchor is where the shown window begins by now. It needs Peer.mu.
func (f *windowFeed) anchor() []json.RawMessage {
	switch {
	case f.restoring.on:
		return f.shown.after
	case f.want == f.shown.want:
		return f.now.After // which may have moved since
	}
	return f.shown.state.After
}

// restore asks for the window that is shown, unless that is a matter of the gets that wait.
func (f *windowFeed) restore() {
	p := f.peer
	p.mu.Lock()
	if f.ended || !f.restoring.on || len(f.asks.gets()) > 0 {
		p.mu.Unlock()
		return
	}
	want := *f.want
	want.After, want.Rev = f.shown.after, f.now.Rev
	f.asks = slices.Insert(f.asks, 0, ask{want: want, own: true})
	p.mu.Unlock()
	f.subscription.Get(want)
}

// cannotRestore takes note that our own get has failed. The window stands still; or it begins anew if it began behind a row
// that nobody knows. It needs Peer.mu.
func (f *windowFeed) cannotRestore(e *protocol.Error) {
	if f.shown.after != nil && strings.HasPrefix(e.Message, "after: ") {
		f.shown.after = nil
		return
	}
	f.stand(e)
	f.restoring.failed()
}

// restoreLater tries again, if no get will do so. It needs Peer.mu.
func (f *windowFeed) restoreLater() {
	if len(f.asks.gets()) == 0 {
		f.restoring.later(f.peer, f.restore)
	}
}

func (f *windowFeed) giveUpRestoring() {
	f.peer.mu.Lock()
	defer f.peer.mu.Unlock()
	f.restoring.stop()
}
