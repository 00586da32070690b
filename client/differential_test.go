package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/socksync/socksync/client"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

const (
	mostOnPage  = 8
	mostInRange = 30 // of an anchored window
)

// model is a list, and a slice of every state that it had.
type model struct {
	list *memory.List[int]

	mu     sync.Mutex
	states [][]int
	last   int // value, of which no two are the same
}

func newModel() *model {
	return &model{
		list:   memory.NewList[int]("l", &memory.ListOptions{MaxPageSize: mostOnPage, MaxWindow: mostInRange}),
		states: [][]int{nil},
	}
}

// operate does one random operation. The state is there before anybody can see it.
func (m *model) operate(random *rand.Rand) error {
	now, do := m.next(random)
	m.mu.Lock()
	m.states = append(m.states, now)
	m.mu.Unlock()
	return do()
}

func (m *model) next(random *rand.Rand) ([]int, func() error) {
	m.last++
	value, now := m.last, slices.Clone(m.states[len(m.states)-1])
	at := random.IntN(len(now) + 1)
	switch op := random.IntN(8); {
	case at == len(now) || op < 2 && len(now) < 40:
		return slices.Insert(now, at, value), func() error { return m.list.Insert(at, value) }
	case op < 4:
		return slices.Delete(now, at, at+1), func() error { return m.list.Delete(at) }
	case op < 6:
		now[at] = value
		return now, func() error { return m.list.Set(at, value) }
	case op == 6:
		to, moved := random.IntN(len(now)), now[at]
		return slices.Insert(slices.Delete(now, at, at+1), to, moved), func() error { return m.list.Move(at, to) }
	default:
		random.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
		return now, func() error { return m.list.Replace(now) }
	}
}

// now is the last state.
func (m *model) now() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.states[len(m.states)-1]
}

// find returns the first state from one on of which the page is a window; -1 if there is none.
func (m *model) find(from int, page client.Page[int]) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := from; k < len(m.states); k++ {
		w := client.Window{Page: page.Page, PageSize: page.PageSize, Anchored: page.Anchored}
		if len(m.states[k]) == page.Total && slices.Equal(cut(m.states[k], w), page.Items) {
			return k
		}
	}
	return -1
}

// cut is what a window shows of a state.
func cut(state []int, w client.Window) []int {
	size := min(w.PageSize, mostOnPage)
	if w.Anchored {
		size = min(w.PageSize, mostInRange)
	}
	if size == 0 {
		size = mostOnPage
	}
	first := min(w.Page*size, len(state))
	return state[first:min(first+size, len(state))]
}

// follower is somebody who follows the list, and checks that every page is one that the list had, never an older one.
type follower struct {
	t      *testing.T
	model  *model
	client *client.Client
	v1     bool

	list *client.List[int]
	want client.Window
}

func (f *follower) follow() {
	f.want = client.Window{PageSize: 3}
	var err error
	f.list, err = client.FollowList(f.client, "l", &client.ListOptions[int]{
		PageSize: 3, OnError: f.onError, OnChange: f.onChange(),
	})
	if err != nil {
		f.t.Errorf("follow: %v", err)
	}
}

func (f *follower) onError(err error) {
	var e *protocol.Error
	if !errors.As(err, &e) || e.Code != protocol.InvalidFunc { // a pause before there is a window
		f.t.Errorf("error: %v", err)
	}
}

func (f *follower) onChange() func(client.Page[int]) {
	if f.v1 {
		return nil // there are pages in between
	}
	seen := 0 // state
	return func(page client.Page[int]) {
		k := f.model.find(seen, page)
		if k < 0 {
			f.t.Errorf("the list never was as in %+v, after state %d", page, seen)
			return
		}
		seen = k
	}
}

// act does something random.
func (f *follower) act(random *rand.Rand) {
	ctx, cancel := context.WithTimeout(f.t.Context(), patient)
	defer cancel()
	op := random.IntN(10)
	if f.v1 && op >= 4 {
		op = random.IntN(4)
	}
	var err error
	switch op {
	case 0, 1:
		f.want = client.Window{Page: random.IntN(4), PageSize: random.IntN(10)}
		_, err = f.list.Get(ctx, f.want.Page, f.want.PageSize)
	case 2:
		f.want.PageSize = random.IntN(10)
		_, err = f.list.Grow(ctx, f.want.PageSize)
	case 3:
		f.list.Close()
		f.follow()
	case 4, 5:
		f.want = client.Window{Anchored: true, PageSize: random.IntN(10)}
		_, err = f.list.Choose(ctx, f.want)
	case 6, 7:
		f.want.PageSize += 5
		_, err = f.list.Grow(ctx, f.want.PageSize)
	case 8:
		err = ifConnected(f.list.Pause(ctx))
	case 9:
		_, err = f.list.Resume(ctx)
		err = ifConnected(err)
	}
	if err != nil {
		f.t.Errorf("operation %d: %v", op, err)
	}
}

// ifConnected is an error of Pause or Resume that does not come from a connection that was lost.
func ifConnected(err error) error {
	var e *protocol.Error
	if errors.Is(err, client.ErrClosed) || errors.As(err, &e) && e.Code == protocol.InvalidFunc {
		return nil
	}
	return err
}

// rests checks what is held when nothing happens any more.
func (f *follower) rests() {
	now := f.model.now()
	until(f.t, f.list, fmt.Sprintf("%+v of %v", f.want, now), func(p client.Page[int]) bool {
		if !f.list.Paused() {
			return p.Held && p.Total == len(now) && slices.Equal(p.Items, cut(now, f.want)) && p.Pending == 0
		}
		missing := 0
		for _, v := range cut(now, f.want) {
			if !slices.Contains(p.Items, v) {
				missing++
			}
		}
		return p.Held && p.Pending == missing && (p.PendingTotal == len(now) || p.PendingTotal == 0 && p.Total == len(now))
	})
}

// TestDifferential changes a list at random while many follow it, turn pages, grow, pause and lose their connections.
// In version 2 every page that somebody sees is one that the list had; at rest all have what a slice says.
func TestDifferential(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	m := newModel()
	s := newFarEnd(t, m.list)
	var followers []*follower
	for n := range 4 {
		c := dial(t, s, &client.Config{Version1: n == 0})
		for range 4 {
			if f := (&follower{t: t, model: m, client: c, v1: n == 0}); n > 0 || len(followers) == 0 {
				f.follow()
				followers = append(followers, f)
			}
		}
	}
	var lost []*connection
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range 8 {
		var running sync.WaitGroup
		running.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(round+1)))
			for range 200 {
				if err := m.operate(random); err != nil {
					t.Errorf("operate: %v", err)
				}
			}
		})
		for n, f := range followers {
			running.Go(func() {
				random := rand.New(rand.NewPCG(seed, uint64(1000*(round+1)+n)))
				for range 10 {
					f.act(random)
				}
			})
		}
		for len(s.accepted) > 0 {
			lost = append(lost, s.next(t))
		}
		lost[random.IntN(len(lost))].socket.CloseNow()
		running.Wait()
		for _, f := range followers {
			f.rests()
		}
		require.False(t, t.Failed())
	}
}
