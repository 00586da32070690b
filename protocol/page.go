package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

// Page is what a subscriber holds of a list. It applies the provider's messages
// strictly. The zero Page holds nothing, as a subscriber does from its subscribe
// to the first set_all.
//
// A Page must not be used by several goroutines at the same time. Items changes
// in place: whoever passes it on clones the slice; the values in it are never
// modified.
type Page struct {
	// Held reports whether the subscriber holds a page. If it does not, Items is
	// empty and insert, set and delete are ignored.
	Held bool
	// Page and PageSize are those of the last set_all. A step that answers a get for more rows does not say how many it
	// takes now.
	Page, PageSize int
	// Total is the number of items in the whole list by the last set_all or
	// set_count; 0 before the first.
	Total int
	// Items are the items of the page. A provider that overfills the page is
	// not stopped: they may be more than PageSize.
	Items []json.RawMessage

	// The following are of version 2.

	// Rev names the state that is held, "" if none is.
	Rev string
	// Anchored says that the window is the rows after the one with the key After (nil for the start), not a page.
	Anchored bool
	After    []json.RawMessage
	// Key are the names of the columns that identify a row, by the last set_all.
	Key []string
	// Pending and PendingTotal are of the last set_pending: what a paused window is missing, and the number of items in
	// the whole list. Both are 0 if nothing is missing, from each step and set_all on.
	Pending, PendingTotal int
}

// Reset makes p a page as it is after a subscribe: nothing held, nothing known.
func (p *Page) Reset() { *p = Page{} }

// Lose forgets the items. A subscriber that answered error 5 has lost its page:
// it sends a get, and holds nothing until the set_all.
func (p *Page) Lose() {
	p.Held, p.Items = false, nil
	p.Rev, p.Pending, p.PendingTotal = "", 0, 0
}

// Apply decodes a provider's message about the list and applies it. It reports
// whether anything was applied, which is not the case when the message is
// ignored because no page is held. The error is an [*Error] to be answered: if
// its code is BadIndex the page is lost, otherwise it is what it was.
//
// The frame must be of type list and have a func whose role is RoleSubscriber. Of a step either everything is applied or
// nothing.
func (p *Page) Apply(f *Frame) (bool, error) {
	applied, err := p.apply(f)
	var e *Error
	if errors.As(err, &e) && e.Code == BadIndex {
		p.Lose()
	}
	return applied, err
}

func (p *Page) apply(f *Frame) (bool, error) {
	if f.Version.RoleOf(TypeList, f.Func) != RoleSubscriber {
		return false, &Error{InvalidFunc, "not a message to a subscriber of a list"}
	}
	switch f.Func {
	case FuncSetAll:
		m, err := f.SetAll()
		return err == nil && p.SetAll(m), err
	case FuncStep:
		return apply(f.Step, p.Step)
	case FuncSetPending:
		return apply(f.SetPending, p.SetPending)
	case FuncSetCount:
		m, err := f.SetCount()
		return err == nil && p.SetCount(m), err
	case FuncInsert:
		return apply(f.Insert, p.Insert)
	case FuncSet:
		return apply(f.SetItem, p.SetItem)
	default:
		return apply(f.Delete, p.Delete)
	}
}

func apply[M any](decode func() (M, error), do func(M) (bool, error)) (bool, error) {
	m, err := decode()
	if err != nil {
		return false, err
	}
	return do(m)
}

// SetAll replaces everything. From then on a page is held. It returns true.
func (p *Page) SetAll(m SetAll) bool {
	items := make([]json.RawMessage, len(m.Items))
	for i, item := range m.Items {
		items[i] = bytes.Clone(item)
	}
	*p = Page{Held: true, Page: m.Page, PageSize: m.PageSize, Total: m.Total, Items: items}
	p.Rev, p.Anchored, p.After, p.Key = m.Rev, m.Anchored, clones(m.After), slices.Clone(m.Key)
	return true
}

// SetCount takes the number of items in the list, whether a page is held or
// not. It returns true.
func (p *Page) SetCount(m SetCount) bool {
	p.Total = m.Total
	return true
}

// Insert inserts an item. See [Page.Apply] for the results.
func (p *Page) Insert(m Insert) (bool, error) {
	if ok, err := p.at(m.Index, len(p.Items)); !ok {
		return false, err
	}
	p.Items = slices.Insert(p.Items, m.Index, json.RawMessage(bytes.Clone(m.Value)))
	return true, nil
}

// SetItem replaces an item. See [Page.Apply] for the results.
func (p *Page) SetItem(m SetItem) (bool, error) {
	if ok, err := p.at(m.Index, len(p.Items)-1); !ok {
		return false, err
	}
	p.Items[m.Index] = bytes.Clone(m.Value)
	return true, nil
}

// Delete removes an item. See [Page.Apply] for the results.
func (p *Page) Delete(m Delete) (bool, error) {
	if ok, err := p.at(m.Index, len(p.Items)-1); !ok {
		return false, err
	}
	p.Items = slices.Delete(p.Items, m.Index, m.Index+1)
	return true, nil
}

// at reports whether a page is held and the index is on it; if it is held and
// the index is not on it, the page is lost.
func (p *Page) at(index, last int) (bool, error) {
	if !p.Held {
		return false, nil
	}
	if index < 0 || index > last {
		p.Lose()
		return false, &Error{BadIndex, "index is not on the page"}
	}
	return true, nil
}
