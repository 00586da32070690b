package peer

import (
	"math"

	"github.com/socksync/socksync/internal/window"
)

// shownList is what the other end has been told, when it has been sent what was
// taken. It is guarded by Peer.mu.
type shownList struct {
	want  *window.Want  // the get that the page answers; nil: it has asked for none
	state *window.State // nil: it knows nothing
}

// show takes note of what is shown when all lines have been taken. It needs
// Peer.mu.
func (f *listFeed) show() { f.shown = shownList{f.want, f.now} }

// open returns how many gets the other end has not been sent the answer to. It
// needs Peer.mu.
func (f *listFeed) open() int {
	n := f.gets.n + f.gets.more
	if f.gets.own {
		n--
	}
	for _, l := range f.lines {
		if a, ok := l.(answerLine); ok {
			n += a.gets
		}
	}
	return n
}

// reopen has the window go on as another identity sees it. The gets that have no
// answer are asked again as one, the last: one answer may be for several.
func (f *listFeed) reopen(id window.Identity) {
	asks := false
	var want window.Want
	f.change(func() {
		f.sink = &listSink{f}
		f.goBack()
		asks, want = f.gets.n > 0, f.gets.last
	})
	f.subscription = f.source.Subscribe(f.sink, window.Options{Identity: id, Instead: f.subscription})
	if asks {
		f.subscription.Get(want)
	}
	f.restore()
}

// goBack goes back to what is shown. It needs Peer.mu.
func (f *listFeed) goBack() {
	open, last := f.open(), f.gets.last
	for _, l := range f.clear() {
		switch l := l.(type) {
		case replyLine:
			f.reply(l)
		case answerLine:
			if f.gets.n == 0 || f.gets.own && f.gets.n == 1 {
				last = l.want
			}
		}
	}
	f.gets = listGets{}
	if open > 0 {
		f.gets = listGets{n: 1, more: open - 1, last: last}
	}
	f.want, f.now = f.shown.want, f.shown.state
	f.restoring.begin(f.shown.state != nil)
}

// restore asks for the page that is shown, unless that is a matter of the gets
// that wait. Who has asked for none counts as being at page 0, with the greatest
// page size.
func (f *listFeed) restore() {
	p := f.peer
	p.mu.Lock()
	if f.ended || !f.restoring.on || f.gets.n > 0 {
		p.mu.Unlock()
		return
	}
	want := window.Want{Size: math.MaxInt32}
	if f.want != nil {
		want = *f.want
	}
	f.gets = listGets{n: 1, own: true, last: want}
	p.mu.Unlock()
	f.subscription.Get(want)
}

// restored has the window go on to the state that answers our own get, rows
// included: who has asked for no page holds one all the same if a step was sent
// to it whole. It needs Peer.mu.
func (f *listFeed) restored(state *window.State) {
	f.move(window.NewStep(f.now, state, ""))
}

// restoreLater tries again, if no get will do so. It needs Peer.mu.
func (f *listFeed) restoreLater() {
	if f.gets.n == 0 {
		f.restoring.later(f.peer, f.restore)
	}
}
