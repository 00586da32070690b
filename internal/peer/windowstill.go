package peer

import "github.com/socksync/socksync/protocol"

// still says why a window stands still. It is guarded by Peer.mu.
type still struct {
	reason *protocol.Error
	told   bool       // the other end was told that it stands still, for whatever reason
	line   *stillLine // among the lines; nil if there is nothing to tell, or it was taken
}

// stand takes note that the window stands still. A paused window does so anyway.
func (f *windowFeed) stand(reason *protocol.Error) {
	f.silence()
	before := f.still
	f.still = &still{reason: reason, told: before != nil && before.told}
	known := f.still.told && *before.reason == *reason
	if f.now != nil && f.pause == nil && !known {
		f.remind()
	}
}

// remind tells that the window stands still, if it does.
func (f *windowFeed) remind() {
	if f.still != nil && f.still.line == nil {
		f.still.line = &stillLine{f, f.still.reason}
		f.lines = append(f.lines, f.still.line)
	}
}

// awake takes note that the window moves again, and reports whether the other end thinks that it does not.
func (f *windowFeed) awake() bool {
	told := f.still != nil && f.still.told
	f.silence()
	f.still = nil
	return told
}

// silence takes back what has not been told.
func (f *windowFeed) silence() {
	if f.still != nil && f.still.line != nil {
		f.remove(f.still.line)
		f.still.line = nil
	}
}

// taken says that the lines have been taken.
func (s *still) taken() {
	if s.line != nil {
		s.told, s.line = true, nil
	}
}

// stillLine tells that a window stands still.
type stillLine struct {
	feed   *windowFeed
	reason *protocol.Error
}

func (l *stillLine) encode(buf [][]byte) [][]byte { return append(buf, l.feed.failure(l.reason, "")) }
