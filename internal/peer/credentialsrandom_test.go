package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// users are those who may come; the rows of the first have values from 1000 on, those of the next from 2000 on. The last
// may not use the list, and has values all the same.
var users = []string{"ann", "bob", "cy", "dan"}

// personal is a list that is another one for each user. Gets wait until the test has them answered, together or not.
type personal struct {
	lists map[string]*memory.List[int]
	// states are those that were given out, by user and revision.
	states map[string][]string
	subs   []*personalSubscription
	closed []*personalSubscription
}

type personalSubscription struct {
	window.Subscription
	sink window.Sink
	list *personal
	user string
	gone bool
	last *window.State // that the peer was told

	mu   sync.Mutex // guards all below: a timer may ask
	gets int
	want window.Want
}

func newPersonal() *personal {
	l := &personal{lists: make(map[string]*memory.List[int]), states: make(map[string][]string)}
	for _, user := range users {
		for now := time.Now().UnixMicro(); time.Now().UnixMicro() == now; {
			time.Sleep(time.Microsecond) // of the bubble: no two lists begin at the same time, so their revisions differ
		}
		l.lists[user] = memory.NewList[int]("l", nil)
	}
	return l
}

func (l *personal) Name() string { return "l" }

func (l *personal) Permits(id window.Identity) error {
	if id["user"] == nil {
		return errors.New("nobody")
	}
	return nil
}

func (l *personal) Subscribe(sink window.Sink, o window.Options) window.Subscription {
	s := &personalSubscription{list: l, sink: sink, user: *o.Identity["user"]}
	if old, ok := o.Instead.(*personalSubscription); ok {
		old.gone = true
		old.Subscription.Close()
	}
	o.Instead = nil
	s.Subscription = l.lists[s.user].Subscribe(s, o)
	l.subs = append(l.subs, s)
	return s
}

func (s *personalSubscription) Get(want window.Want) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets, s.want = s.gets+1, want
}

// waits returns what is wanted, and whether that waits for an answer.
func (s *personalSubscription) waits() (window.Want, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.want, s.gets > 0 && !s.gone
}

func (s *personalSubscription) Close() { s.gone = true; s.Subscription.Close() }
func (s *personalSubscription) Leave() { s.gone = true; s.Subscription.Leave() }

func (s *personalSubscription) answer() {
	if want, waits := s.waits(); waits {
		s.Subscription.Get(want)
	}
}

// refuse has the gets fail.
func (s *personalSubscription) refuse() {
	if _, waits := s.waits(); waits {
		s.sink.Fail(errors.New("away"), s.take())
	}
}

func (s *personalSubscription) take() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.gets
	s.gets = 0
	return n
}

func (s *personalSubscription) Fail(err error, _ int) { s.sink.Fail(err, s.take()) }
func (s *personalSubscription) Still(err error)       { s.sink.Still(err) }
func (s *personalSubscription) Step(step *window.Step) {
	s.remember(step.To)
	s.sink.Step(step)
}

func (s *personalSubscription) Answer(state *window.State, _ int) {
	s.remember(state)
	s.sink.Answer(state, s.take())
}

func (s *personalSubscription) Resume(step *window.Step, _ int) {
	s.remember(step.To)
	s.sink.Resume(step, s.take())
}

func (s *personalSubscription) remember(state *window.State) {
	s.last = state
	s.list.remember(state)
}

func (l *personal) remember(s *window.State) {
	items := []string{fmt.Sprint(s.Total)}
	for _, r := range s.Rows {
		items = append(items, string(r.JSON))
	}
	l.states[s.Rev] = items
}

func (l *personal) open() []*personalSubscription {
	l.subs = slices.DeleteFunc(l.subs, func(s *personalSubscription) bool {
		if s.gone {
			l.closed = append(l.closed, s)
		}
		return s.gone
	})
	return l.subs
}

// late has a subscription that was closed say something all the same.
func (l *personal) late(r *rand.Rand) {
	l.open()
	if len(l.closed) == 0 {
		return
	}
	s := l.closed[r.IntN(len(l.closed))]
	switch {
	case r.IntN(3) == 0:
		s.sink.Fail(errors.New("late"), 1)
	case s.last != nil && r.IntN(2) == 0:
		s.sink.Answer(s.last, 1)
	case s.last != nil:
		s.sink.Step(window.NewStep(s.last, s.last, ""))
	}
}

// stage is a random play about credentials.
type stage struct {
	t     *testing.T
	r     *rand.Rand
	p     *offline
	list  *personal
	user  string // whose the connection is
	value *personalVar
	// lapsed says that the credentials have ended.
	lapsed bool
	// renewal is what Renew waits for, a user or nobody, which may not matter any more; renewing says that it does: nothing
	// is read then.
	renewal  chan string
	renewing bool
	ids      int
	subs     []*guest
	reader   *varGuest
}

// guest is a subscriber of version 2 with one view, as the protocol has it.
type guest struct {
	*stage
	view       string
	inbox      []string
	subscribed bool // as far as it knows
	held       bool
	rev        string
	total      int
	items      []string
	size       int            // of what it holds
	sizes      map[string]int // of gets, by id
	paused     bool
	asked      map[string]string
}

func (s *stage) credentials(user string) Credentials {
	return Credentials{Owner: user, Identity: window.Identity{"user": &user, "at": nil}}
}

func newStage(t *testing.T, seed uint64) *stage {
	s := &stage{t: t, r: rand.New(rand.NewPCG(seed, 2)), list: newPersonal(), value: newPersonalVar(), user: "ann"}
	s.p = newOfflineV2(t, &Config{
		Credentials: s.credentials("ann"), ExpiryGrace: 1000 * time.Hour,
		Authorize: func(_ context.Context, owner any, kind protocol.ItemType, _ string) error {
			if owner == "dan" && kind == protocol.TypeList {
				return errors.New("not dan")
			}
			return nil
		},
		Authenticate: func(_ context.Context, token string) (Credentials, error) {
			if !slices.Contains(users, token) {
				return Credentials{}, errors.New("no such user")
			}
			return s.credentials(token), nil
		},
		Renew: s.renew,
	}, s.list, s.value)
	for _, view := range []string{"a", "b"} {
		s.subs = append(s.subs, &guest{stage: s, view: view, size: 3, sizes: make(map[string]int), asked: make(map[string]string)})
	}
	s.reader = &varGuest{stage: s, asked: make(map[string]string)}
	return s
}

// renew waits for the test.
func (s *stage) renew(ctx context.Context, _ Credentials) (Credentials, error) {
	answer := make(chan string)
	s.renewal = answer
	select {
	case user := <-answer:
		if user == "" {
			return Credentials{}, errors.New("nobody")
		}
		return s.credentials(user), nil
	case <-ctx.Done():
		return Credentials{}, ctx.Err()
	}
}

// expire has the credentials end.
func (s *stage) expire() {
	if s.renewal == nil {
		s.p.expire(s.p.changed())
		synctest.Wait()
		s.renewing = true
	}
}

// renewed has Renew return somebody, or nobody.
func (s *stage) renewed(user string) {
	if s.renewal == nil {
		return
	}
	s.renewal <- user
	synctest.Wait()
	s.renewal = nil
	switch {
	case !s.renewing: // they have been changed meanwhile
	case user == "":
		s.lapsed, s.renewing = true, false
	default:
		s.become(user)
	}
}

func (g *guest) id(fn string) string {
	g.ids++
	id := fmt.Sprint(g.view, g.ids)
	g.asked[id] = fn
	return withID(id)
}

func (g *guest) send(fn, fields string) {
	g.p.takes(fmt.Sprintf(`{"func":%q,"type":"list","name":"l","view":%q%s%s}`, fn, g.view, g.id(fn), fields))
}

func (g *guest) get() {
	size := g.size
	if g.r.IntN(2) == 0 {
		size = 1 + g.r.IntN(8)
	}
	g.sizes[fmt.Sprint(g.view, g.ids+1)] = size
	rev := ""
	if g.held && g.r.IntN(2) == 0 && len(g.inbox) == 0 {
		rev = fmt.Sprintf(`,"rev":%q`, g.rev)
	}
	g.send("get", fmt.Sprintf(`,"after":null,"page_size":%d%s`, size, rev))
}

func (g *guest) begin() {
	g.send("subscribe", "")
	g.get()
	g.subscribed = true
}

// deliver takes what the peer says. All of it is for whose the connection is, and nothing is said of rows to who has none.
func (s *stage) deliver() {
	for _, text := range s.p.says() {
		if strings.Contains(text, `"type":"var"`) || strings.HasPrefix(text, `{"func":"ok","id":"v`) {
			s.reader.take(text)
			continue
		}
		var m inMessage
		require.NoError(s.t, json.Unmarshal([]byte(text), &m))
		switch m.Func {
		case "set_all", "step", "set_pending":
			require.False(s.t, s.lapsed || s.renewing, "said when the credentials had ended: %s", text)
			s.own(m, text)
		}
		if i := slices.IndexFunc(s.subs, func(g *guest) bool {
			return m.View == g.view || m.View == "" && strings.HasPrefix(m.ID, g.view)
		}); i >= 0 {
			s.subs[i].inbox = append(s.subs[i].inbox, text)
			continue
		}
		require.Contains(s.t, []string{"ok", "error"}, m.Func, text)
		require.Contains(s.t, []int{0, int(protocol.Forbidden), int(protocol.CredentialsExpired)}, m.Code, text)
	}
}

// own requires that all rows are of whose the connection is.
func (s *stage) own(m inMessage, text string) {
	of := slices.Index(users, s.user) + 1
	require.NotEqual(s.t, "dan", s.user, text)
	var values []json.RawMessage
	values = append(values, m.Items...)
	for _, c := range m.Changes {
		if c.Func == "insert" || c.Func == "set" {
			values = append(values, c.Value)
		}
	}
	for _, v := range values {
		var n int
		require.NoError(s.t, json.Unmarshal(v, &n))
		require.Equal(s.t, of, n/1000, "a row of another user: %s", text)
	}
}

func (g *guest) read() {
	var m inMessage
	text := g.inbox[0]
	require.NoError(g.t, json.Unmarshal([]byte(text), &m))
	g.inbox = g.inbox[1:]
	fn := ""
	if m.ID != "" {
		require.Contains(g.t, g.asked, m.ID, "an answer that nobody waits for: %s", text)
		fn = g.asked[m.ID]
		delete(g.asked, m.ID)
	}
	if fn == "get" && m.Func != "error" {
		g.size = g.sizes[m.ID]
	}
	switch m.Func {
	case "set_all":
		g.held, g.rev, g.total, g.items, g.paused = true, m.Rev, m.Total, nil, false
		for _, item := range m.Items {
			g.items = append(g.items, string(item))
		}
		g.check(text)
	case "step":
		require.True(g.t, g.held, "a step to who holds nothing: %s", text)
		require.False(g.t, g.paused && m.ID == "", "a step to who has paused: %s", text)
		g.paused = false
		for _, c := range m.Changes {
			switch c.Func {
			case "set_count":
				g.total = c.Total
			case "insert":
				require.LessOrEqual(g.t, c.Index, len(g.items))
				g.items = slices.Insert(g.items, c.Index, string(c.Value))
			case "set":
				g.items[c.Index] = string(c.Value)
			case "delete":
				g.items = slices.Delete(g.items, c.Index, c.Index+1)
			}
		}
		g.rev = m.Rev
		g.check(text)
	case "ok":
		g.paused = g.paused || fn == "pause"
	case "error":
		g.fails(m, fn, text)
	}
}

func (g *guest) fails(m inMessage, fn, text string) {
	if fn == "subscribe" {
		g.subscribed = false
	}
	switch protocol.Code(m.Code) {
	case protocol.Forbidden:
		if m.ID == "" {
			g.subscribed, g.held, g.paused = false, false, false
		}
	case protocol.InvalidFunc: // what crossed the end of the subscription
		g.subscribed = g.subscribed && fn != "get"
	case protocol.CredentialsExpired:
	default:
		require.Contains(g.t, []string{"superseded", "list not available"}, m.Message, text)
	}
}

func (g *guest) check(text string) {
	require.Equal(g.t, g.list.states[g.rev], append([]string{fmt.Sprint(g.total)}, g.items...), "at %s after %s", g.rev, text)
}

func (s *stage) become(user string) { s.user, s.lapsed, s.renewing = user, false, false }

// identify changes whose the connection is, from either end.
func (s *stage) identify(user string) {
	if user != "eve" && (s.renewing || s.r.IntN(2) == 0) {
		s.p.SetCredentials(s.credentials(user))
		s.become(user)
		return
	}
	if s.renewing {
		return
	}
	s.p.takes(fmt.Sprintf(`{"func":"authenticate","token":%q}`, user))
	if user != "eve" {
		s.become(user)
	}
}

func (s *stage) act() {
	g := s.subs[s.r.IntN(len(s.subs))]
	open := s.list.open()
	switch n := s.r.IntN(22); n {
	case 0, 1, 2:
		s.change()
	case 3:
		s.value.set(s.r)
		s.list.late(s.r)
		s.value.late(s.r)
	case 4, 5, 6:
		s.deliver()
	case 7, 8:
		for range min(len(g.inbox), 1+s.r.IntN(4)) {
			g.read()
		}
	case 9, 10:
		if len(open) > 0 {
			open[s.r.IntN(len(open))].answer()
		}
		s.value.answer(s.r)
	case 11:
		if len(open) > 0 && s.r.IntN(3) == 0 {
			open[s.r.IntN(len(open))].refuse()
		}
		s.value.refuse(s.r)
	case 12:
		s.identify([]string{"ann", "ann", "bob", "bob", "cy", "dan", "eve"}[s.r.IntN(7)])
	case 13:
		if s.r.IntN(3) == 0 && !s.lapsed {
			s.expire()
		}
	case 14:
		s.renewed([]string{"ann", "bob", "cy", ""}[s.r.IntN(4)])
	default:
		if !s.renewing {
			s.say(g, n-15)
		}
	}
	if s.r.IntN(4) == 0 {
		time.Sleep(time.Duration(s.r.IntN(1500)) * time.Millisecond) // of the bubble: what is due is done
		synctest.Wait()
	}
}

// say has the other end say something.
func (s *stage) say(g *guest, n int) {
	switch n {
	case 0, 1:
		if g.subscribed {
			g.get()
		} else {
			g.begin()
		}
	case 2:
		g.send("pause", "")
	case 3:
		g.send("resume", "")
	case 4:
		if g.subscribed && !s.lapsed && s.r.IntN(3) == 0 {
			g.send("unsubscribe", "")
			s.deliver()
			g.drain()
			g.held, g.paused = false, false
			g.begin()
		}
	default:
		s.reader.ask()
	}
}

func (g *guest) drain() {
	for len(g.inbox) > 0 {
		g.read()
	}
}

func (s *stage) change() {
	i := s.r.IntN(len(users))
	l, value := s.list.lists[users[i]], 1000*(i+1)+s.r.IntN(1000)
	switch n := l.Len(); {
	case n < 3 || s.r.IntN(4) == 0:
		require.NoError(s.t, l.Insert(s.r.IntN(n+1), value))
	case s.r.IntN(3) == 0:
		require.NoError(s.t, l.Delete(s.r.IntN(n)))
	case s.r.IntN(2) == 0:
		require.NoError(s.t, l.Set(s.r.IntN(n), value))
	default:
		require.NoError(s.t, l.Move(s.r.IntN(n), s.r.IntN(n)))
	}
}

// rest ends with everything answered, and requires that all hold what is theirs.
func (s *stage) rest() {
	if s.lapsed || s.renewing || s.user == "dan" {
		s.p.SetCredentials(s.credentials("bob"))
		s.become("bob")
	}
	s.renewed("cy")
	s.settle()
	for _, g := range s.subs {
		if !g.subscribed {
			g.begin()
		}
		if g.paused || !g.held {
			g.get()
		}
	}
	s.reader.ask()
	s.settle()
	s.reader.rests()
	l := s.list.lists[s.user].All()
	for _, g := range s.subs {
		require.True(s.t, g.held)
		require.Empty(s.t, g.asked, "not answered")
		require.Equal(s.t, len(l), g.total)
		require.Equal(s.t, fmt.Sprint(l[:min(len(l), g.size)]), "["+strings.Join(g.items, " ")+"]")
	}
	require.Zero(s.t, s.p.out.waiting())
}

func (s *stage) settle() {
	for range 4 {
		for _, o := range s.list.open() {
			o.answer()
		}
		for _, o := range s.value.open() {
			o.answer()
		}
		time.Sleep(2 * restoreInterval) // of the bubble
		synctest.Wait()
		s.deliver()
		for _, g := range s.subs {
			g.drain()
		}
	}
}

// TestCredentialsAtRandom has credentials change, end and be renewed while lists and a var change, subscribers choose, pause and resume, slow
// connections take what is said now and then, and lists answer late, together, or not. Whatever is given to the connection
// is for those whose it is, and leads to the state that its revision stands for; everything that has an id is answered; and
// at rest everybody holds what is theirs.
func TestCredentialsAtRandom(t *testing.T) {
	t.Parallel()
	for round := range 60 {
		seed := uint64(time.Now().UnixNano())
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			t.Logf("seed %d", seed)
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, seed)
				for _, g := range s.subs {
					g.begin()
				}
				for range 300 {
					s.act()
				}
				s.rest()
			})
		})
	}
}
