package peer

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/memory"
	"github.com/stretchr/testify/require"
)

// late is a list whose gets wait until the test has them answered, several together. It remembers every state that it
// gave out, by revision.
type late struct {
	*memory.List[int]
	states map[string][]string
	open   []*lateSubscription
}

type lateSubscription struct {
	window.Subscription
	sink window.Sink
	list *late
	gets int
	want window.Want
	gone bool
}

func (l *late) Subscribe(sink window.Sink, o window.Options) window.Subscription {
	s := &lateSubscription{list: l, sink: sink}
	s.Subscription = l.List.Subscribe(s, o)
	l.open = append(l.open, s)
	return s
}

func (s *lateSubscription) Get(want window.Want) { s.gets, s.want = s.gets+1, want }

func (s *lateSubscription) Close() { s.gone = true; s.Subscription.Close() }
func (s *lateSubscription) Leave() { s.gone = true; s.Subscription.Leave() }

// answer has the gets answered, all or only the first ones in the name of the last.
func (s *lateSubscription) answer() {
	if s.gets > 0 && !s.gone {
		s.Subscription.Get(s.want)
	}
}

func (s *lateSubscription) take() int { n := s.gets; s.gets = 0; return n }

func (s *lateSubscription) Step(step *window.Step) { s.list.remember(step.To); s.sink.Step(step) }
func (s *lateSubscription) Fail(err error, _ int)  { s.sink.Fail(err, s.take()) }
func (s *lateSubscription) Still(err error)        { s.sink.Still(err) }
func (s *lateSubscription) Answer(state *window.State, _ int) {
	s.list.remember(state)
	s.sink.Answer(state, s.take())
}

func (s *lateSubscription) Resume(step *window.Step, _ int) {
	s.list.remember(step.To)
	s.sink.Resume(step, s.take())
}

func (l *late) remember(s *window.State) {
	var items []string
	for _, r := range s.Rows {
		items = append(items, string(r.JSON))
	}
	l.states[s.Rev] = append([]string{fmt.Sprint(s.Total)}, items...)
}

// subscriber is a strict subscriber of version 2 with one view, written from the protocol alone. What is sent to it and
// what it sends is on its way for a while.
type subscriber struct {
	t     *testing.T
	list  *late
	view  string
	inbox []string

	held    bool
	rev     string
	total   int
	items   []string
	pending int

	ids   int
	asked map[string]string // func by id, of what has not been answered
}

type inMessage struct {
	Func, View, ID, Rev string
	Total               int `json:"total_item_count"`
	Pending             int
	Items               []json.RawMessage
	Changes             []struct {
		Func  string
		Index int
		Value json.RawMessage
		Total int `json:"total_item_count"`
	}
	Code    int `json:"error_code"`
	Message string
}

// read takes one message.
func (s *subscriber) read() {
	var m inMessage
	require.NoError(s.t, json.Unmarshal([]byte(s.inbox[0]), &m))
	s.inbox = s.inbox[1:]
	if m.ID != "" {
		require.Contains(s.t, s.asked, m.ID, "an answer that nobody waits for: %v", m)
		if m.Func == "ok" {
			require.Contains(s.t, []string{"pause", "unsubscribe", "subscribe"}, s.asked[m.ID])
		}
		delete(s.asked, m.ID)
	}
	switch m.Func {
	case "set_all":
		s.held, s.rev, s.total, s.items, s.pending = true, m.Rev, m.Total, nil, 0
		for _, item := range m.Items {
			s.items = append(s.items, string(item))
		}
		s.check()
	case "step":
		s.step(m)
	case "set_pending":
		s.pending = m.Pending
	case "error":
		require.Contains(s.t, []string{"superseded", "no window"}, m.Message)
	}
}

// step applies a step; every index must be on the page when its turn comes.
func (s *subscriber) step(m inMessage) {
	require.True(s.t, s.held, "a step to who holds nothing")
	for _, c := range m.Changes {
		switch c.Func {
		case "set_count":
			s.total = c.Total
		case "insert":
			require.LessOrEqual(s.t, c.Index, len(s.items))
			s.items = slices.Insert(s.items, c.Index, string(c.Value))
		case "set":
			require.Less(s.t, c.Index, len(s.items))
			s.items[c.Index] = string(c.Value)
		case "delete":
			require.Less(s.t, c.Index, len(s.items))
			s.items = slices.Delete(s.items, c.Index, c.Index+1)
		}
	}
	s.rev, s.pending = m.Rev, 0
	s.check()
}

// check compares with the state that the revision stands for.
func (s *subscriber) check() {
	require.Equal(s.t, s.list.states[s.rev], append([]string{fmt.Sprint(s.total)}, s.items...), "at %s", s.rev)
}

// send returns a message, with an id now and then.
func (s *subscriber) send(r *rand.Rand, fn, fields string) string {
	id := ""
	if r.IntN(3) > 0 {
		s.ids++
		id = fmt.Sprint(s.view, s.ids)
		s.asked[id] = fn
		id = withID(id)
	}
	return fmt.Sprintf(`{"func":%q,"type":"list","name":"l","view":%q%s%s}`, fn, s.view, id, fields)
}

// get is a random get, often with the revision that is held.
func (s *subscriber) get(r *rand.Rand, size *int) string {
	if s.held && r.IntN(2) == 0 {
		return s.ask(r, size, fmt.Sprintf(`,"rev":%q`, s.rev))
	}
	return s.ask(r, size, "")
}

func (s *subscriber) ask(r *rand.Rand, size *int, fields string) string {
	if r.IntN(2) == 0 {
		*size = 1 + r.IntN(8)
	}
	return s.send(r, "get", fmt.Sprintf(`,"after":null,"page_size":%d%s`, *size, fields))
}

// TestWindowsAtRandom has subscribers with slow connections choose, pause and resume, and say what they hold, while a list
// changes. Whatever they are sent leads to the state that its revision stands for, everything that has an id is answered,
// and at rest they hold what the list holds.
func TestWindowsAtRandom(t *testing.T) {
	t.Parallel()
	for round := range 60 {
		seed := uint64(time.Now().UnixNano())
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			playAtRandom(t, seed)
		})
	}
}

func playAtRandom(t *testing.T, seed uint64) {
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	l := &late{List: memory.NewList[int]("l", nil), states: make(map[string][]string)}
	p := newOfflineV2(t, nil, l)
	subs, sizes := make([]*subscriber, 2), []int{3, 3}
	for i := range subs {
		subs[i] = &subscriber{t: t, list: l, view: string(rune('a' + i)), asked: make(map[string]string)}
		p.takes(subs[i].send(r, "subscribe", ""), subs[i].get(r, &sizes[i]))
	}
	deliver := func() {
		for _, m := range p.says() {
			deliverTo(t, subs, m)
		}
	}
	for range 300 {
		i := r.IntN(len(subs))
		s := subs[i]
		switch r.IntN(12) {
		case 0, 1, 2:
			changeAtRandom(t, r, l.List)
		case 3:
			p.takes(s.get(r, &sizes[i]))
		case 4:
			p.takes(s.send(r, "pause", ""))
		case 5:
			p.takes(s.send(r, "resume", ""))
		case 6:
			if r.IntN(4) == 0 { // nothing is on its way
				deliver()
				for len(s.inbox) > 0 {
					s.read()
				}
				p.takes(s.send(r, "unsubscribe", ""), s.send(r, "subscribe", ""), s.get(r, &sizes[i]))
			} else if r.IntN(4) == 0 { // what crosses is not told from what comes after, so nothing is said to be held
				p.takes(s.send(r, "unsubscribe", ""), s.send(r, "subscribe", ""), s.ask(r, &sizes[i], ""))
			}
		case 7, 8:
			deliver()
		case 9, 10:
			for range min(len(s.inbox), 1+r.IntN(4)) {
				s.read()
			}
		case 11:
			l.open[r.IntN(len(l.open))].answer()
		}
	}
	for i, s := range subs {
		p.takes(s.get(r, &sizes[i]))
	}
	for _, o := range l.open {
		o.answer()
	}
	changeAtRandom(t, r, l.List)
	deliver()
	for i, s := range subs {
		for len(s.inbox) > 0 {
			s.read()
		}
		require.Empty(t, s.asked, "not answered")
		all := l.All()
		require.Equal(t, len(all), s.total)
		require.Equal(t, fmt.Sprint(all[:min(len(all), sizes[i])]), "["+strings.Join(s.items, " ")+"]")
	}
	require.Zero(t, p.out.waiting())
}

// deliverTo puts a message on its way to the subscriber whose view or id it has.
func deliverTo(t *testing.T, subs []*subscriber, message string) {
	var m inMessage
	require.NoError(t, json.Unmarshal([]byte(message), &m))
	for _, s := range subs {
		if m.View == s.view || m.View == "" && strings.HasPrefix(m.ID, s.view) {
			s.inbox = append(s.inbox, message)
			return
		}
	}
	require.Fail(t, "of no view", message)
}

func changeAtRandom(t *testing.T, r *rand.Rand, l *memory.List[int]) {
	n := l.Len()
	if n < 3 {
		require.NoError(t, l.Insert(r.IntN(n+1), r.IntN(100)))
		return
	}
	switch r.IntN(5) {
	case 0:
		require.NoError(t, l.Insert(r.IntN(n+1), r.IntN(100)))
	case 1:
		require.NoError(t, l.Delete(r.IntN(n)))
	case 2:
		require.NoError(t, l.Move(r.IntN(n), r.IntN(n)))
	case 3:
		require.NoError(t, l.Set(r.IntN(n), r.IntN(100)))
	case 4:
		items := make([]int, r.IntN(10))
		for i := range items {
			items[i] = r.IntN(100)
		}
		require.NoError(t, l.Replace(items))
	}
}
