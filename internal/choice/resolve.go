package choice

import (
	"fmt"
	"slices"
	"strings"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/window"
)

// Resolve decides whether a choice is allowed. The error, fit for the peer, names the column and the operator that are
// not. It does no I/O: whether the column's type takes a value that Go does not know is decided by [Choice.Settle]. Of the
// identity the list's condition takes the values that it names; [Rules.Permits] must allow it.
func (r *Rules) Resolve(w window.Choice, id window.Identity) (*Choice, error) {
	c := &Choice{rules: r}
	var err error
	if c.order, err = r.chooseOrder(w.Sort); err != nil {
		return nil, err
	}
	for _, condition := range w.Filter {
		d, err := r.condition(condition)
		if err != nil {
			return nil, err
		}
		c.conditions = append(c.conditions, d)
	}
	c.words, err = r.chooseWords(w.Search)
	if err != nil {
		return nil, err
	}
	c.chosen = len(c.conditions) > 0 || len(c.words) > 0 || !sameOrder(c.order, r.order)
	if err := c.own(id); err != nil {
		return nil, err
	}
	slices.SortFunc(c.conditions, condition.compare)
	c.conditions = slices.CompactFunc(c.conditions, func(a, b condition) bool { return a.compare(b) == 0 })
	c.setKey()
	return c, nil
}

func refuse(format string, args ...any) error { return window.Refusal(fmt.Sprintf(format, args...)) }

// chooseOrder returns the order that a subscriber sorts by, complete.
func (r *Rules) chooseOrder(sort []string) ([]binding.OrderTerm, error) {
	if len(sort) == 0 {
		return r.order, nil
	}
	order := make([]binding.OrderTerm, len(sort))
	for i, text := range sort {
		name, desc := strings.CutPrefix(text, "-")
		a := r.byJSON[name]
		if a == nil || !a.sort {
			return nil, refuse("cannot be sorted by %s", shown(name))
		}
		order[i] = binding.OrderTerm{Column: a.column.Name, Desc: desc}
	}
	order = complete(order, r.def.Key)
	if sameOrder(order, r.order) {
		return r.order, nil
	}
	return order, nil
}

// chooseWords returns the words of a search, in an order of their own.
func (r *Rules) chooseWords(search string) ([]string, error) {
	words := strings.Fields(search)
	switch {
	case len(words) == 0:
		return nil, nil
	case len(r.search) == 0:
		return nil, refuse("cannot be searched")
	case !storable(search):
		return nil, refuse("search: no text can hold this")
	}
	slices.Sort(words)
	return slices.Compact(words), nil
}

// maxShown is how much of a name that does not exist is repeated to the peer.
const maxShown = 128

func shown(name string) string {
	if len(name) > maxShown {
		return "a column with a name of this length"
	}
	return name
}
