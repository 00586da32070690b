package view

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"slices"
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

// ordering returns keys, all of rows that exist, in list order.
type ordering func(keys []string) ([]string, error)

// placeByPostgres inserts rows where the database puts them, by a k-ary search:
// each round asks for the order of the moved rows among pivots, members of the
// tree that did not change, spread over what is left of every row's gap. A row is
// placed when its gap is closed, and then needs no further round; the first answer
// also orders the rows that share one. It needs no index and no comparison of ours,
// and the order is the one that the drain's own snapshot has, whatever the collation.
func (s *stage) placeByPostgres(ask ordering, inserts []*member) error {
	if len(inserts) == 0 {
		return nil
	}
	moved := make(map[string]*member, len(inserts))
	gaps := make(map[string]*gap, len(inserts))
	for _, m := range inserts {
		moved[m.key] = m
		gaps[m.key] = &gap{0, s.tree.Len()}
	}
	open := maps.Clone(gaps)
	order, err := s.round(ask, open)
	for err == nil && len(open) > 0 {
		_, err = s.round(ask, open)
	}
	if err != nil {
		return err
	}
	for i, key := range order {
		m := moved[key]
		if m == nil {
			return errDiverged // twice in the answer
		}
		delete(moved, key)
		s.insert(gaps[key].low+i, m)
	}
	return nil
}

// round asks for the order of the moved rows and pivots, narrows the gaps, leaves out
// those that are closed now, and returns the moved rows in order.
func (s *stage) round(ask ordering, gaps map[string]*gap) ([]string, error) {
	pivots := s.pivots(gaps)
	among := slices.AppendSeq(make([]string, 0, len(gaps)+len(pivots)), maps.Keys(gaps))
	among = slices.AppendSeq(among, maps.Keys(pivots))
	answer, err := ask(among)
	if err != nil {
		return nil, err
	}
	if len(answer) != len(among) {
		return nil, errDiverged
	}
	order, err := narrow(answer, pivots, gaps)
	maps.DeleteFunc(gaps, func(_ string, g *gap) bool { return g.low == g.high })
	return order, err
}

// pivots picks the ranks that split the gaps evenly, by key.
func (s *stage) pivots(gaps map[string]*gap) map[string]int {
	distinct := map[gap]struct{}{}
	for _, g := range gaps {
		if g.low < g.high {
			distinct[*g] = struct{}{}
		}
	}
	pivots := map[string]int{}
	each := max(3, pivotBudget/max(1, len(distinct)))
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
func narrow(answer []string, pivots map[string]int, gaps map[string]*gap) (order []string, err error) {
	behind, since := 0, 0 // the rank behind the last pivot, and the first row after it
	for _, key := range answer {
		if rank, ok := pivots[key]; ok {
			if rank < behind || !limit(order[since:], gaps, rank) {
				return nil, errDiverged
			}
			behind, since = rank+1, len(order)
			continue
		}
		g := gaps[key]
		if g == nil {
			return nil, errDiverged
		}
		g.low = max(g.low, behind)
		order = append(order, key)
	}
	if !limit(order[since:], gaps, math.MaxInt) {
		return nil, errDiverged
	}
	return order, nil
}

// limit puts rows before a rank; it reports whether their gaps allow that.
func limit(rows []string, gaps map[string]*gap, rank int) bool {
	for _, key := range rows {
		g := gaps[key]
		if g.high = min(g.high, rank); g.low > g.high {
			return false
		}
	}
	return true
}
