package view

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
)

// errDiverged says that the database's answer does not fit the tree. The list is
// loaded again.
var errDiverged = errors.New("the rows do not fit what is known of the list")

// placeEncoded inserts rows by their encoded keys, in list order.
func (s *stage) placeEncoded(inserts []*member) {
	slices.SortFunc(inserts, func(a, b *member) int { return bytes.Compare(a.place, b.place) })
	for _, m := range inserts {
		s.insert(s.tree.Search(m.place), m)
	}
}

// pivotBudget is how many members of the tree one round of a k-ary search
// compares the moved rows with, in all.
const pivotBudget = 48

// gap is where a moved row belongs: before the member at one of the ranks low to high.
type gap struct{ low, high int }

// placeByPostgres inserts rows where the database puts them, by a k-ary search:
// each round asks for the order of the moved rows among pivots, members of the
// tree that did not change, spread over what is left of every row's gap. A row is
// placed when its gap is closed; the last answer also orders the rows that share
// one. It needs no index and no comparison of ours, and the order is the one that
// the drain's own snapshot has, whatever the collation.
func (s *stage) placeByPostgres(ctx context.Context, tx pgx.Tx, r *reader, inserts []*member) error {
	if len(inserts) == 0 {
		return nil
	}
	moved := make(map[string]*member, len(inserts))
	gaps := make(map[string]gap, len(inserts))
	for _, m := range inserts {
		moved[m.key] = m
		gaps[m.key] = gap{0, s.tree.Len()}
	}
	var order []string
	for first := true; first || open(gaps); first = false {
		var err error
		if order, err = s.round(ctx, tx, r, gaps); err != nil {
			return err
		}
	}
	for i, key := range order {
		s.insert(gaps[key].low+i, moved[key])
	}
	return nil
}

func open(gaps map[string]gap) bool {
	for _, g := range gaps {
		if g.low < g.high {
			return true
		}
	}
	return false
}

// round asks for the order of the moved rows and pivots, narrows the gaps, and
// returns the moved rows in order.
func (s *stage) round(ctx context.Context, tx pgx.Tx, r *reader, gaps map[string]gap) ([]string, error) {
	pivots := s.pivots(gaps)
	among := make([]string, 0, len(gaps)+len(pivots))
	for key := range gaps {
		among = append(among, key)
	}
	for key := range pivots {
		among = append(among, key)
	}
	answer, err := r.readKeys(ctx, tx, among)
	if err != nil {
		return nil, err
	}
	if len(answer) != len(among) {
		return nil, errDiverged
	}
	return narrow(answer, pivots, gaps)
}

// pivots picks the ranks that split the gaps evenly, by key.
func (s *stage) pivots(gaps map[string]gap) map[string]int {
	distinct := map[gap]struct{}{}
	for _, g := range gaps {
		if g.low < g.high {
			distinct[g] = struct{}{}
		}
	}
	pivots := map[string]int{}
	if len(distinct) == 0 {
		return pivots
	}
	each := max(3, pivotBudget/len(distinct))
	for g := range distinct {
		n := g.high - g.low
		for i := range min(each, n) {
			rank := g.low + (2*i+1)*n/(2*min(each, n))
			pivots[s.tree.At(rank)] = rank
		}
	}
	return pivots
}

// narrow walks the answer: a row belongs behind every pivot before it and before
// every pivot behind it.
func narrow(answer []string, pivots map[string]int, gaps map[string]gap) ([]string, error) {
	var order []string
	last, from := 0, 0
	limit := func(rank int) error { // the rows since the last pivot are before this rank
		for _, key := range order[from:] {
			g := gaps[key]
			g.high = min(g.high, rank)
			if g.low > g.high {
				return errDiverged
			}
			gaps[key] = g
		}
		from = len(order)
		return nil
	}
	for _, key := range answer {
		if rank, ok := pivots[key]; ok {
			if rank < last {
				return nil, errDiverged
			}
			if err := limit(rank); err != nil {
				return nil, err
			}
			last = rank + 1
			continue
		}
		g, ok := gaps[key]
		if !ok {
			return nil, errDiverged
		}
		g.low = max(g.low, last)
		gaps[key] = g
		order = append(order, key)
	}
	for _, key := range order[from:] {
		if gaps[key].low > gaps[key].high {
			return nil, errDiverged
		}
	}
	return order, nil
}
