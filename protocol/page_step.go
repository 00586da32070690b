package protocol

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Step applies all changes of a step, or none. See [Page.Apply] for the results.
func (p *Page) Step(m Step) (bool, error) {
	if !p.Held {
		return p.countOf(m), nil
	}
	if !fits(m.Changes, len(p.Items)) {
		p.Lose()
		return false, &Error{BadIndex, "an index of the step is not on the page"}
	}
	for _, c := range m.Changes {
		p.change(c)
	}
	p.Rev, p.Pending, p.PendingTotal = m.Rev, 0, 0
	if m.Anchored {
		p.Anchored, p.After = true, clones(m.After)
	}
	return true, nil
}

// countOf takes of a step for a page that is not held what is taken of any message then: the number of items in the list.
func (p *Page) countOf(m Step) bool {
	counted := false
	for _, c := range m.Changes {
		if c.Func == FuncSetCount {
			p.Total, counted = c.Total, true
		}
	}
	return counted
}

// fits reports whether every index is on a page of n items when its turn comes.
func fits(changes []Change, n int) bool {
	for _, c := range changes {
		switch {
		case c.Func == FuncSetCount:
		case c.Func == FuncInsert && c.Index >= 0 && c.Index <= n:
			n++
		case c.Func == FuncSet && c.Index >= 0 && c.Index < n:
		case c.Func == FuncDelete && c.Index >= 0 && c.Index < n:
			n--
		default:
			return false
		}
	}
	return true
}

// change applies a change whose index is on the page.
func (p *Page) change(c Change) {
	switch c.Func {
	case FuncSetCount:
		p.Total = c.Total
	case FuncInsert:
		p.Items = slices.Insert(p.Items, c.Index, json.RawMessage(bytes.Clone(c.Value)))
	case FuncSet:
		p.Items[c.Index] = bytes.Clone(c.Value)
	case FuncDelete:
		p.Items = slices.Delete(p.Items, c.Index, c.Index+1)
	}
}

// SetPending takes what a paused window is missing. It does nothing if no page is held. The items stay what they were.
func (p *Page) SetPending(m SetPending) (bool, error) {
	if p.Held {
		p.Pending, p.PendingTotal = m.Pending, m.Total
	}
	return p.Held, nil
}

// clones copies values; nil stays nil.
func clones(values []json.RawMessage) []json.RawMessage {
	if values == nil {
		return nil
	}
	out := make([]json.RawMessage, len(values))
	for i, v := range values {
		out[i] = bytes.Clone(v)
	}
	return out
}
