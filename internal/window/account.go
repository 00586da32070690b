package window

import (
	"fmt"
	"sync"
)

// Account counts what one connection has the sources keep for it: views of its own choice, and the rows that they index.
// Its methods may be called by any goroutine. A nil Account counts nothing.
type Account struct {
	maxViews, maxRows int

	mu   sync.Mutex // guards all below
	held map[any]*holding
	rows int
}

// holding is a view that is held, how often, and its rows.
type holding struct{ times, rows int }

// NewAccount returns an account with bounds.
func NewAccount(maxViews, maxRows int) *Account {
	return &Account{maxViews: maxViews, maxRows: maxRows, held: make(map[any]*holding)}
}

// Hold charges a view, which is any comparable value, with the number of rows that it has now. It is an error, fit for the
// peer, if that is too much; then nothing is charged. A view that is held several times counts once. instead is a view that
// is going to be released for it, which then does not count; nil for none.
func (a *Account) Hold(view any, rows int, instead any) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.held[view]
	if h == nil {
		h = &holding{}
	}
	views, freed := len(a.held), 0
	if instead != view {
		views, freed = a.without(instead)
	}
	if h.times == 0 && views >= a.maxViews {
		return Refusal(fmt.Sprintf("too many choices open on this connection: at most %d", a.maxViews))
	}
	if total := a.rows - freed - h.rows + rows; rows > h.rows && total > a.maxRows {
		return Refusal(fmt.Sprintf("the choices open on this connection have too many rows: at most %d", a.maxRows))
	}
	a.rows += rows - h.rows
	h.rows, h.times = rows, h.times+1
	a.held[view] = h
	return nil
}

// without returns how many views are held besides one that is going to be released, and the rows that this frees. It needs
// mu.
func (a *Account) without(view any) (views, rows int) {
	if h := a.held[view]; h != nil && h.times == 1 {
		return len(a.held) - 1, h.rows
	}
	return len(a.held), 0
}

// Release takes back one Hold of the view.
func (a *Account) Release(view any) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.held[view]
	if h == nil {
		return
	}
	h.times--
	if h.times == 0 {
		a.rows -= h.rows
		delete(a.held, view)
	}
}
