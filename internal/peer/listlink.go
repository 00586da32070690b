package peer

import (
	"errors"
	"slices"
	"strings"

	"github.com/socksync/socksync/protocol"
)

func (r *RemoteList) attach(l *link) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link != nil {
		return ErrFollowed
	}
	want, err := checked(r.want)
	if err != nil {
		return err
	}
	r.want = want
	if l.peer.version == protocol.V2 {
		want = r.next()
	}
	if err := r.attached(l, want); err != nil {
		return err
	}
	if l.peer.version == protocol.V1 {
		r.page.Reset()
	}
	if want.Rev = ""; sameSpot(r.want, r.have) {
		r.have.After = want.After
	}
	r.want, r.paused = want, false
	return nil
}

func (r *RemoteList) receive(l *link, f *protocol.Frame, q *query) error {
	applied, page, err := r.apply(l, f, q)
	if err != nil {
		r.report(err)
	}
	if applied || err != nil {
		notify(r.changed)
	}
	if applied && r.onChange != nil {
		r.onChange(f.Func, page)
	}
	return err
}

// apply applies a message strictly.
func (r *RemoteList) apply(l *link, f *protocol.Frame, q *query) (bool, protocol.Page, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link != l || r.isEarly(f, q) {
		q.finish(ErrClosed)
		return false, protocol.Page{}, nil
	}
	applied, err := r.page.Apply(f)
	if applied && f.Func == protocol.FuncStep {
		r.resize(q)
	}
	page := r.snapshot()
	if l.peer.version == protocol.V2 {
		r.answer(f, q, page, err)
	} else if applied && f.Func == protocol.FuncSetAll {
		r.arrive(page)
	}
	if err != nil || !applied {
		return false, protocol.Page{}, err
	}
	return true, page, nil
}

// isEarly reports whether a message cannot be for the page that is held, because
// that is from before this connection: nothing is sent for a window before its
// first get is answered. It needs mu.
func (r *RemoteList) isEarly(f *protocol.Frame, q *query) bool {
	answer := f.Func == protocol.FuncSetAll || q != nil && q.do == protocol.FuncGet
	return r.page.Held && r.link.peer.version == protocol.V2 && !r.begun && !answer
}

// arrive takes a page of version 1, which may be the one that is wanted. It needs
// mu.
func (r *RemoteList) arrive(page protocol.Page) {
	if page.Page == r.want.Page && (r.want.Size <= 0 || page.PageSize <= r.want.Size) {
		r.wanted = false
		r.waiter.end(page, nil)
	}
}

// resize takes note of how large the page may be, which a step does not say. It
// needs mu.
func (r *RemoteList) resize(q *query) {
	switch {
	case q == nil || q.do != protocol.FuncGet || q.want.Size == r.have.Size:
	case q.want.Size > 0:
		r.page.PageSize = q.want.Size
	default:
		r.page.PageSize = max(r.page.PageSize, len(r.page.Items))
	}
}

// answer deals with what a message of version 2 answers. It needs mu.
func (r *RemoteList) answer(f *protocol.Frame, q *query, page protocol.Page, err error) {
	switch {
	case q == nil && f.Func == protocol.FuncSetAll && err == nil && !r.begun:
		r.begun, r.have = true, r.want // it answers a get whose id it does not repeat
	case q == nil:
	case q.do == protocol.FuncResume:
		r.paused = r.paused && err != nil
		q.finish(err)
	case isLost(err): // renew asks again
	case err == nil && page.Held:
		r.paused = false
		r.settle(q, page)
	case q != r.latest: // it does not matter anymore
	case err != nil:
		r.refused(err, r.stays())
	default: // a step that leads on from a page that was lost meanwhile
		r.latest = nil
		r.ask(r.next())
	}
}

// stays reports whether there is a page that a refusal does not touch. It needs
// mu.
func (r *RemoteList) stays() bool { return r.begun && r.page.Held }

func isLost(err error) bool {
	var e *protocol.Error
	return errors.As(err, &e) && e.Code == protocol.BadIndex
}

func (r *RemoteList) renew(l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link == l && !l.isFull() { // else it does not answer, and sends what does not fit
		r.latest = nil
		r.ask(r.next())
	}
}

func (r *RemoteList) acknowledge(l *link, q *query) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link == l && q.do == protocol.FuncPause {
		r.paused = true
	}
}

func (r *RemoteList) refuse(l *link, q *query, err error) {
	r.mu.Lock()
	concerned := r.concerns(l, q)
	switch {
	case !concerned || q != nil && q.done != nil:
	case r.anchorGone(q, err):
		r.want.After = nil
		r.latest = nil
		r.ask(r.next())
	default:
		r.refused(err, r.stays())
	}
	r.mu.Unlock()
	if concerned {
		r.report(err)
	}
}

// anchorGone reports whether an error says that the row is gone behind which the
// page began that was held when the connection was lost: it begins at the start
// then. It needs mu.
func (r *RemoteList) anchorGone(q *query, err error) bool {
	var e *protocol.Error
	return q != nil && q.do == protocol.FuncGet && !r.begun && r.page.Held && r.page.Anchored &&
		q.want.After != nil && slices.EqualFunc(q.want.After, r.page.After, sameBytes) &&
		errors.As(err, &e) && e.Code == protocol.Other && strings.HasPrefix(e.Message, "after: ")
}

func (r *RemoteList) halt(l *link, e *protocol.Error) {
	r.mu.Lock()
	concerned := r.link == l
	if concerned && e.Code == protocol.Forbidden {
		r.page.Reset()
		r.begun, r.paused = false, false
		r.refused(e, false)
	}
	r.mu.Unlock()
	if concerned {
		r.report(e)
		notify(r.changed)
	}
}
