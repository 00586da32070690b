package server_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// check holds a window that was shown against what the database held at the sequence that its rev names.
func (l *ledger) check(s *sight) error {
	list, err := l.list(s.now.choice, s.now.sequence)
	if err != nil {
		return err
	}
	want, err := s.now.where.cut(list)
	if err != nil {
		return err
	}
	if s.now.total != len(list) || !slices.Equal(s.now.items, jsons(want)) {
		return fmt.Errorf("want %d of %d:\n  %s\nhave %d of %d:\n  %s", len(want), len(list), strings.Join(jsons(want), "\n  "),
			len(s.now.items), s.now.total, strings.Join(s.now.items, "\n  "))
	}
	if !s.fresh && s.now.sequence < s.before.sequence {
		return fmt.Errorf("went back from %s", s.before.rev)
	}
	return errors.Join(l.checkAnchor(s), checkLength(s))
}

// checkAnchor checks that a window begins behind the row that it has to.
func (l *ledger) checkAnchor(s *sight) error {
	if !s.now.where.anchored || s.fresh && s.now.where.after == s.ask.where.after || s.changes > 2 || s.fresh && s.changes > 0 {
		return nil
	}
	var may []string
	var err error
	if s.fresh {
		may, err = l.anchorsSince(s)
	} else {
		may, err = l.anchorsOf(s)
	}
	if err == nil && !slices.Contains(may, s.now.where.after) {
		err = fmt.Errorf("the anchor is %s, it may be %s", s.now.where.after, may)
	}
	return err
}

// anchorsOf returns where the anchor of a window may be that it was at another place.
func (l *ledger) anchorsOf(s *sight) ([]string, error) {
	from, to, at := s.before.sequence, s.now.sequence, []string{s.before.where.after}
	if s.changes == 0 || s.before.choice.who == s.now.choice.who {
		return l.anchors(s.now.choice, from, to, at)
	}
	if l.rewritten(s.pane.menu.table, from, to) {
		return []string{s.now.where.after}, nil // states may have been left out; whatever
	}
	return l.crossed(s.before.choice, s.now.choice, append([]uint64{from}, l.between(s.pane.menu.table, from, to)...), at)
}

// crossed returns where anchors may be that go from the list of one identity to that of another. The old one may have been
// left at any time, and the new one begun at any time after that: each anchor is at its row then, and if the new identity
// does not see it at the row before.
func (l *ledger) crossed(from, to *choice, sequences []uint64, at []string) (may []string, err error) {
	was, is := make([][]listed, len(sequences)), make([][]listed, len(sequences))
	left := make([][]string, len(sequences))
	for j, sequence := range sequences {
		if was[j], err = l.list(from, sequence); err == nil {
			is[j], err = l.list(to, sequence)
		}
		if err != nil {
			return nil, err
		}
		left[j] = at
		if j > 0 {
			left[j], may = follows(was[j-1], was[j], left[j-1]), follows(is[j-1], is[j], may)
		}
		for i := range j + 1 {
			may = slices.Concat(may, remains(was[i], is[j], left[i]))
		}
		slices.Sort(may)
		may = slices.Compact(may)
	}
	return may, nil
}

// anchorsSince returns where the anchor of a get may be that the answer to it names: it was a row when the get came, or
// later, and may have moved since.
func (l *ledger) anchorsSince(s *sight) (all []string, err error) {
	for _, from := range l.sequences(s.pane.menu.table, s.ask.known-slack, s.known) {
		list, err := l.list(s.now.choice, from)
		if err != nil {
			return nil, err
		}
		if _, ok := behind(list, s.ask.where.after); !ok || from > s.now.sequence {
			continue
		}
		may, err := l.anchors(s.now.choice, from, s.now.sequence, []string{s.ask.where.after})
		if err != nil {
			return nil, err
		}
		all = append(all, may...)
	}
	return all, nil
}

// slack is how many drains a server may have seen and not published yet when a get is sent.
const slack = 2

// checkLength checks that a step that nobody asked for and in which several rows changed is no longer than the set_all would be.
func checkLength(s *sight) error {
	if s.by != "step" || s.id != "" || !several(s) {
		return nil
	}
	if all := allBytes(s); s.bytes > all {
		return fmt.Errorf("%d bytes, where a set_all has %d", s.bytes, all)
	}
	return nil
}

// several reports whether more than one row came or went.
func several(s *sight) bool {
	return news(s.before.items, s.now.items, s.pane.menu) > 1 || news(s.now.items, s.before.items, s.pane.menu) > 1
}

// news counts the rows of a window that another has not.
func news(have, items []string, m *menu) (n int) {
	keys := map[string]bool{}
	for _, item := range have {
		keys[m.keyOf(item)] = true
	}
	for _, item := range items {
		if !keys[m.keyOf(item)] {
			n++
		}
	}
	return n
}

// allBytes is the length of the set_all of what a step leads to.
func allBytes(s *sight) int {
	w := s.now.where
	at := fmt.Sprintf(`,"page":%d`, w.page)
	if w.anchored {
		at = `,"after":` + w.after
	}
	key := `["` + strings.Join(s.pane.menu.keyJSON, `","`) + `"]`
	return len(s.pane.head("set_all", "")) + len(fmt.Sprintf(`,"rev":%q%s,"page_size":%d,"total_item_count":%d,"key":%s,"items":[%s]}`,
		s.now.rev, at, w.size, s.now.total, key, strings.Join(s.now.items, ",")))
}

// checkRefusal checks that a get was refused for a reason, and returns what kind of reason it is.
func (l *ledger) checkRefusal(r *refusal) (kind string, err error) {
	switch {
	case strings.Contains(r.text, "superseded"):
		return "superseded", nil
	case r.ask.bad != "":
		if !strings.Contains(r.text, r.ask.bad) {
			err = fmt.Errorf("%q does not name %q", r.text, r.ask.bad)
		}
		return "not allowed", err
	case strings.Contains(r.text, "after: no such row"):
		return "no such row", l.checkAbsence(r)
	case strings.Contains(r.text, "cannot be read now"):
		return "cannot be read", nil
	}
	return "", fmt.Errorf("refused: %s", r.text)
}

// checkAbsence checks that the anchor was no row of the view at some time between the get and its answer.
func (l *ledger) checkAbsence(r *refusal) error {
	for _, at := range l.sequences(r.pane.menu.table, r.ask.known-slack, r.known+1) {
		list, err := l.list(r.ask.choice, at)
		if err != nil {
			return err
		}
		if _, ok := behind(list, r.ask.where.after); !ok {
			return nil
		}
	}
	return fmt.Errorf("%s was a row of the view all the time", r.ask.where.after)
}

// await waits until the condition holds, which is tried after every drain.
func (l *ledger) await(condition func() bool) {
	l.t.Helper()
	limit := time.NewTimer(longPatience)
	defer limit.Stop()
	for {
		l.mu.Lock()
		wake := l.wake
		l.mu.Unlock()
		if condition() {
			return
		}
		select {
		case <-wake:
		case <-limit.C:
			require.FailNow(l.t, "the database as it is was never drained")
		}
	}
}
