package memory_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// follower is a subscriber of version 2. It notes the last thing that it was told.
type follower struct {
	sub     window.Subscription
	answer  *window.State
	resumed *window.Step
	step    *window.Step
	err     error
}

func (f *follower) Step(s *window.Step)           { f.step = s }
func (f *follower) Answer(s *window.State, _ int) { f.answer = s }
func (f *follower) Resume(s *window.Step, _ int)  { f.resumed = s }
func (f *follower) Fail(err error, _ int)         { f.err = err }
func (f *follower) Still(err error)               { panic(err) }

func follow[T any](l *memory.List[T]) *follower {
	f := &follower{}
	f.sub = l.Subscribe(f, window.Options{Quiet: true})
	return f
}

// get asks and forgets what it was told before.
func (f *follower) get(want window.Want) *follower {
	f.answer, f.resumed, f.step, f.err = nil, nil, nil, nil
	f.sub.Get(want)
	return f
}

func items(s *window.State) []string {
	all := []string{}
	for _, r := range s.Rows {
		all = append(all, string(r.JSON))
	}
	return all
}

// Nothing is said before the first get.
func TestQuiet(t *testing.T) {
	t.Parallel()
	l := newList(t, "a", "b")
	f := follow(l)
	require.NoError(t, l.Set(0, "A"))
	require.Equal(t, &follower{sub: f.sub}, f)
	require.NoError(t, l.Set(0, "a"))
	f.get(window.Want{})
	require.Equal(t, []string{`"a"`, `"b"`}, items(f.answer))
	require.NoError(t, l.Set(0, "A"))
	require.Equal(t, []string{`"A"`, `"b"`}, items(f.step.To))
	require.Same(t, f.answer, f.step.From)
	f.sub.Close()
}

// Revisions are EPOCH.SEQUENCE, rise, and never name two states.
func TestRevisions(t *testing.T) {
	t.Parallel()
	before := time.Now().UnixMicro()
	l := newList(t, "a", "b")
	after := time.Now().UnixMicro()
	seen := make(map[string]bool)
	last := int64(0)
	check := func(s *window.State) {
		epoch, sequence, _ := strings.Cut(s.Rev, ".")
		e, err := strconv.ParseInt(epoch, 10, 64)
		require.NoError(t, err)
		require.True(t, before <= e && e <= after, "when the list was made, in microseconds")
		n, err := strconv.ParseInt(sequence, 10, 64)
		require.NoError(t, err)
		require.Greater(t, n, last)
		require.False(t, seen[s.Rev])
		seen[s.Rev], last = true, n
	}
	f := follow(l)
	check(f.get(window.Want{}).answer)
	require.NoError(t, l.Append("c"))
	check(f.step.To)
	check(follow(l).get(window.Want{Size: 1}).answer)
	check(follow(l).get(window.Want{Anchored: true}).answer)
	require.NoError(t, l.Replace(nil))
}

// Who says what it holds gets what differs, as long as that is known.
func TestResume(t *testing.T) {
	t.Parallel()
	l := newList(t, "a", "b", "c")
	stays, comes := follow(l), follow(l)
	defer stays.sub.Close()
	stays.get(window.Want{Size: 2})
	first := comes.get(window.Want{Size: 2}).answer
	require.Same(t, stays.answer, first, "they share the window")

	require.NoError(t, l.Set(1, "B"))
	require.NoError(t, l.Delete(2))
	comes.get(window.Want{Size: 2, Rev: first.Rev})
	require.Same(t, first, comes.resumed.From)
	require.Same(t, stays.step.To, comes.resumed.To)
	require.Equal(t, []string{`"a"`, `"B"`}, items(comes.resumed.To))
	require.Equal(t, 2, comes.resumed.To.Total)

	comes.get(window.Want{Size: 2, Rev: stays.step.To.Rev})
	require.Same(t, stays.step.To, comes.resumed.From)
	require.Same(t, stays.step.To, comes.resumed.To)

	for name, want := range map[string]window.Want{
		"another size":   {Size: 1, Rev: first.Rev},
		"another page":   {Page: 1, Size: 2, Rev: first.Rev},
		"anchored":       {Anchored: true, Size: 2, Rev: first.Rev},
		"another server": {Size: 2, Rev: "1" + first.Rev},
		"no revision":    {Size: 2, Rev: "nonsense"},
		"nothing held":   {Size: 2},
	} {
		f := follow(l).get(want)
		require.NotNil(t, f.answer, name)
		require.Nil(t, f.resumed, name)
		f.sub.Close()
	}
}

// The last states of a window are known, and no more.
func TestKeptStates(t *testing.T) {
	t.Parallel()
	l := newList(t, "a")
	f := follow(l)
	defer f.sub.Close()
	revs := []string{f.get(window.Want{}).answer.Rev}
	for n := range 100 {
		require.NoError(t, l.Set(0, fmt.Sprint(n)))
		revs = append(revs, f.step.To.Rev)
	}
	for i, rev := range revs {
		g := follow(l).get(window.Want{Rev: rev})
		require.Equal(t, i > len(revs)-1-64, g.resumed != nil, "%d of %d", i, len(revs))
		if g.resumed != nil && i > 0 {
			require.Equal(t, []string{fmt.Sprintf("%q", fmt.Sprint(i-1))}, items(g.resumed.From))
		}
		g.sub.Close()
	}
}

// A window is kept for who has left it because its connection was lost, the last sixteen of a list.
func TestLeftWindows(t *testing.T) {
	t.Parallel()
	l := memory.NewList[int]("l", &memory.ListOptions{MaxPageSize: 50})
	for n := range 40 {
		require.NoError(t, l.Append(n))
	}
	revs := make(map[int]string)
	for size := 1; size <= 20; size++ {
		f := follow(l)
		revs[size] = f.get(window.Want{Size: size}).answer.Rev
		f.sub.Leave()
	}
	require.NoError(t, l.Set(0, 1000))
	for size := 1; size <= 20; size++ {
		f := follow(l).get(window.Want{Size: size, Rev: revs[size]})
		if size <= 4 {
			require.Nil(t, f.resumed)
			f.sub.Close()
			continue
		}
		require.Equal(t, revs[size], f.resumed.From.Rev)
		require.Equal(t, "1000", items(f.resumed.To)[0])
		require.NotEqual(t, revs[size], f.resumed.To.Rev)
		rev := f.resumed.To.Rev
		f.sub.Leave()
		f = follow(l).get(window.Want{Size: size, Rev: rev})
		require.Same(t, f.resumed.From, f.resumed.To, "nothing has changed since")
		f.sub.Close()
		f = follow(l).get(window.Want{Size: size, Rev: rev})
		require.Nil(t, f.resumed, "closed, not left")
		f.sub.Close()
	}
}

// Version 1 leaves nothing to come back to, so nothing is kept for it.
func TestVersion1IsNotKept(t *testing.T) {
	t.Parallel()
	l := newList(t, "a")
	var r recorder
	sub := l.Subscribe(&r, window.Options{})
	sub.Get(window.Want{Size: 2})
	rev := r.states[0].Rev
	require.NoError(t, l.Set(0, "b"))
	f := follow(l)
	require.Nil(t, f.get(window.Want{Size: 2, Rev: rev}).resumed)
	f.sub.Close()
	sub.Leave()
	f = follow(l)
	require.Nil(t, f.get(window.Want{Size: 2, Rev: rev}).resumed)
	sub.Get(window.Want{Size: 2, Rev: f.answer.Rev}) // which the wire does not let through
	require.Len(t, r.states, 2)
}

// A window grows by a step from what was last told; whoever asks for as much as before has lost it, and gets it whole.
func TestGrowing(t *testing.T) {
	t.Parallel()
	for _, anchored := range []bool{false, true} {
		l := memory.NewList[int]("l", &memory.ListOptions{MaxPageSize: 6, MaxWindow: 6})
		for n := range 9 {
			require.NoError(t, l.Append(n))
		}
		want := func(size int) window.Want { return window.Want{Size: size, Anchored: anchored} }
		f := follow(l)
		require.Len(t, f.get(want(2)).answer.Rows, 2)
		require.NoError(t, l.Set(0, 100))
		before := f.step.To
		f.get(want(4))
		require.Same(t, before, f.resumed.From)
		require.Equal(t, []string{"100", "1", "2", "3"}, items(f.resumed.To))
		require.NotNil(t, f.get(want(4)).answer, "it is lost")
		require.NotNil(t, f.get(want(3)).answer, "it shrinks")
		require.Len(t, f.get(want(0)).answer.Rows, 6, "the default is more, but it does not say how much")
		require.NotNil(t, f.get(want(6)).answer)
		f.get(want(7))
		require.Equal(t, 6, f.resumed.To.Size, "the maximum")
		require.Same(t, f.resumed.From, f.resumed.To)
		require.NotNil(t, f.get(want(7)).answer, "it is lost, at the maximum too")
		require.NotNil(t, f.get(window.Want{Page: 1, Size: 2}).answer, "another place")
		require.NotNil(t, f.get(window.Want{Page: 1, Size: 5}).resumed)
		require.Equal(t, 6, f.get(window.Want{Page: 1, Size: 7}).answer.Size, "page 1 of 7 would begin elsewhere")
		require.NotNil(t, f.get(window.Want{Size: 9, Anchored: !anchored}).answer)
		require.NotNil(t, f.get(window.Want{Size: 10, Anchored: anchored}).answer, "the start is not page 0")
		f.sub.Close()
	}
}

// Anchored windows begin at the start, and may be greater than pages.
func TestAnchored(t *testing.T) {
	t.Parallel()
	l := memory.NewList[int]("l", &memory.ListOptions{MaxPageSize: 3})
	for n := range 2000 {
		require.NoError(t, l.Append(n))
	}
	f := follow(l).get(window.Want{Anchored: true})
	defer f.sub.Close()
	require.Len(t, f.answer.Rows, 3)
	require.True(t, f.answer.Anchored)
	require.Nil(t, f.answer.After)
	require.Nil(t, f.answer.Key)
	require.Equal(t, 2000, f.answer.Total)
	require.Len(t, f.get(window.Want{Anchored: true, Size: math.MaxInt}).resumed.To.Rows, 1000)
	require.NoError(t, l.Insert(0, -1))
	require.Equal(t, []string{"-1", "0"}, items(f.step.To)[:2])
	require.Len(t, f.get(window.Want{Size: math.MaxInt}).answer.Rows, 3)

	big := memory.NewList[int]("l", &memory.ListOptions{MaxPageSize: 1500})
	require.NoError(t, big.Replace(make([]int, 2000)))
	require.Len(t, follow(big).get(window.Want{Anchored: true, Size: 9999}).answer.Rows, 1500)
}

// A list in memory has no columns to choose by. It says so, and the window stays.
func TestChoicesAreRefused(t *testing.T) {
	t.Parallel()
	l := newList(t, "a")
	f := follow(l).get(window.Want{})
	defer f.sub.Close()
	for says, want := range map[string]window.Want{
		"cannot be sorted by x":   {Choice: window.Choice{Sort: []string{"-x", "y"}, Search: "z"}},
		"cannot be filtered by x": {Choice: window.Choice{Filter: []window.Condition{{Column: "x"}, {Column: "y"}}}},
		"cannot be searched":      {Choice: window.Choice{Search: "z"}},
		"after: ":                 {Anchored: true, After: []json.RawMessage{[]byte(`1`)}},
	} {
		var e *protocol.Error
		require.ErrorAs(t, f.get(want).err, &e)
		require.Equal(t, protocol.Other, e.Code)
		require.Contains(t, e.Message, says)
		require.NoError(t, l.Append("b"))
		require.NotNil(t, f.step)
	}
}

// A var in memory has no parameters.
func TestVarParameters(t *testing.T) {
	t.Parallel()
	var r failing
	sub := memory.NewVar("v", 1).Subscribe(&r, window.Options{})
	defer sub.Close()
	sub.Get([]window.Condition{{Column: "x", Operator: protocol.OpEq}})
	var e *protocol.Error
	require.ErrorAs(t, r.err, &e)
	require.Equal(t, protocol.Other, e.Code)
	require.Contains(t, e.Message, "x")
	require.Empty(t, r.takeValues())
}

type failing struct {
	varRecorder
	err error
}

func (f *failing) Fail(err error, _ int) { f.err = err }

// TestResumeAtRandom has subscribers come and go with what they hold while a list changes. Each keeps what it holds as
// rows by revision; a step begins at what is held.
func TestResumeAtRandom(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	l := memory.NewList[int]("l", nil)
	type holder struct {
		*follower
		held *window.State
		want window.Want
	}
	holders := make([]*holder, 6)
	for i := range holders {
		holders[i] = &holder{follower: follow(l), want: window.Want{Size: 3}}
	}
	var list []int
	resumed := 0
	for range 3000 {
		h := holders[random.IntN(len(holders))]
		switch random.IntN(4) {
		case 0, 1:
			list = append([]int{random.IntN(10)}, list[:min(len(list), random.IntN(12))]...)
			require.NoError(t, l.Replace(list))
		case 2:
			h.want = window.Want{Size: 1 + random.IntN(5), Anchored: random.IntN(2) == 0}
			h.get(h.want)
		case 3:
			h.sub.Leave()
			h.follower = follow(l)
			if h.held != nil {
				h.want.Rev = h.held.Rev
			}
			h.get(h.want)
		}
		for _, h := range holders {
			switch {
			case h.answer != nil:
				h.held = h.answer
			case h.resumed != nil:
				resumed++
				require.Equal(t, items(h.held), items(h.resumed.From))
				require.Equal(t, h.held.Total, h.resumed.From.Total)
				h.held = h.resumed.To
			case h.step != nil:
				require.Same(t, h.held, h.step.From)
				h.held = h.step.To
			}
			h.answer, h.resumed, h.step = nil, nil, nil
			if h.held != nil {
				require.Len(t, h.held.Rows, min(h.want.Size, len(list)))
				for i, item := range items(h.held) {
					require.Equal(t, strconv.Itoa(list[i]), item)
				}
				require.Equal(t, len(list), h.held.Total)
			}
		}
	}
	require.Greater(t, resumed, 100)
}
