package memory_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/memory"
	"github.com/stretchr/testify/require"
)

// element is a row of the oracle: its identity does not depend on its value.
type element struct {
	id    int
	value string
}

// oneChange is change rule 3 in the words of the protocol, for one page.
func oneChange(before, after []element, page, size, changed int) []string {
	old, now := pageOf(before, page, size), pageOf(after, page, size)
	var out []string
	say := func(text string, args ...any) { out = append(out, fmt.Sprintf(text, args...)) }
	if len(before) != len(after) {
		say(`{"func":"set_count","type":"list","name":"l","total_item_count":%d}`, len(after))
	}
	was, is := find(old, changed), find(now, changed)
	d, i := -1, -1
	for at, e := range old {
		if find(now, e.id) < 0 || e.id == changed && is >= 0 && is != was {
			d = at
		}
	}
	for at, e := range now {
		if find(old, e.id) < 0 || e.id == changed && was >= 0 && is != was {
			i = at
		}
	}
	if d >= 0 {
		say(`{"func":"delete","type":"list","name":"l","index":%d}`, d)
	}
	if i >= 0 {
		say(`{"func":"insert","type":"list","name":"l","index":%d,"value":%q}`, i, now[i].value)
	}
	if was >= 0 && was == is && old[was].value != now[is].value {
		say(`{"func":"set","type":"list","name":"l","index":%d,"value":%q}`, is, now[is].value)
	}
	return out
}

func pageOf(list []element, page, size int) []element {
	var out []element
	for i, e := range list {
		if i/size == page {
			out = append(out, e)
		}
	}
	return out
}

func find(list []element, id int) int {
	return slices.IndexFunc(list, func(e element) bool { return e.id == id })
}

// TestOneRowMessages does random changes of one item and compares, on every page
// of several sizes, every message with the oracle.
func TestOneRowMessages(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	l := memory.NewList[string]("l", &memory.ListOptions{MaxPageSize: 5})
	var list []element
	type watcher struct {
		recorder
		page, size int
	}
	var watchers []*watcher
	for size := 1; size <= 5; size++ {
		for page := range 4 {
			w := &watcher{page: page, size: size}
			sub := l.Subscribe(w, window.Options{})
			t.Cleanup(sub.Close)
			sub.Get(window.Want{Page: page, Size: size})
			watchers = append(watchers, w)
		}
	}
	for n := range 1500 {
		before := slices.Clone(list)
		after, changed, err := change(random, l, list, n)
		require.NoError(t, err)
		list = after
		for _, w := range watchers {
			want := oneChange(before, after, w.page, w.size, changed)
			require.Equal(t, want, w.take(), "change %d, page %d of %d: %v to %v", n, w.page, w.size, before, after)
		}
	}
}

// change does one random operation on the list and on the oracle's.
func change(random *rand.Rand, l *memory.List[string], list []element, id int) ([]element, int, error) {
	list = slices.Clone(list)
	value := string(rune('a' + random.IntN(4)))
	op := random.IntN(4)
	if len(list) == 0 || len(list) < 12 && random.IntN(3) == 0 {
		op = 0
	}
	if op == 0 {
		i := random.IntN(len(list) + 1)
		return slices.Insert(list, i, element{id, value}), id, l.Insert(i, value)
	}
	i, to := random.IntN(len(list)), random.IntN(len(list))
	e := list[i]
	switch op {
	case 1:
		list[i].value = value
		return list, e.id, l.Set(i, value)
	case 2:
		return slices.Delete(list, i, i+1), e.id, l.Delete(i)
	default:
		return slices.Insert(slices.Delete(list, i, i+1), to, e), e.id, l.Move(i, to)
	}
}
