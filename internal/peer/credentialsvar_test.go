package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// personalVar is a var that is another one for each user, with values as those of personal. Gets wait until the test has
// them answered.
type personalVar struct {
	vars map[string]*memory.Var[int]
	subs []*personalValue

	closed []*personalValue
}

type personalValue struct {
	window.ValueSubscription
	sink window.ValueSink
	gone bool
	last *window.Value // that the peer was told

	mu   sync.Mutex // guards gets: a timer may ask
	gets int
}

func newPersonalVar() *personalVar {
	v := &personalVar{vars: make(map[string]*memory.Var[int])}
	for i, user := range users {
		v.vars[user] = memory.NewVar("v", 1000*(i+1))
	}
	return v
}

func (v *personalVar) Name() string { return "v" }

func (v *personalVar) Subscribe(sink window.ValueSink, o window.Options) window.ValueSubscription {
	s := &personalValue{sink: sink}
	s.ValueSubscription = v.vars[*o.Identity["user"]].Subscribe(s, o)
	v.subs = append(v.subs, s)
	return s
}

// set changes the value of somebody.
func (v *personalVar) set(r *rand.Rand) {
	i := r.IntN(len(users))
	_ = v.vars[users[i]].Set(1000*(i+1) + r.IntN(3)) // a number can be encoded
}

func (v *personalVar) open() []*personalValue {
	v.subs = slices.DeleteFunc(v.subs, func(s *personalValue) bool {
		if s.gone {
			v.closed = append(v.closed, s)
		}
		return s.gone
	})
	return v.subs
}

// late has a subscription that was closed say something all the same.
func (v *personalVar) late(r *rand.Rand) {
	v.open()
	if len(v.closed) == 0 {
		return
	}
	s := v.closed[r.IntN(len(v.closed))]
	switch {
	case r.IntN(3) == 0:
		s.sink.Fail(errors.New("late"), 1)
	case s.last != nil && r.IntN(2) == 0:
		s.sink.Answer(s.last, 1)
	case s.last != nil:
		s.sink.Set(s.last)
	}
}

func (v *personalVar) answer(r *rand.Rand) {
	if open := v.open(); len(open) > 0 {
		open[r.IntN(len(open))].answer()
	}
}

func (v *personalVar) refuse(r *rand.Rand) {
	if open := v.open(); len(open) > 0 && r.IntN(3) == 0 {
		if gets := open[0].take(); gets > 0 {
			open[0].sink.Fail(errors.New("away"), gets)
		}
	}
}

func (s *personalValue) Get([]window.Condition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
}

func (s *personalValue) take() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.gets
	s.gets = 0
	return n
}

func (s *personalValue) answer() {
	s.mu.Lock()
	waits := s.gets > 0
	s.mu.Unlock()
	if waits {
		s.ValueSubscription.Get(nil)
	}
}

func (s *personalValue) Close()                { s.gone = true; s.ValueSubscription.Close() }
func (s *personalValue) Fail(err error, _ int) { s.sink.Fail(err, s.take()) }

func (s *personalValue) Set(v *window.Value) {
	s.last = v
	s.sink.Set(v)
}

func (s *personalValue) Answer(v *window.Value, _ int) {
	s.last = v
	s.sink.Answer(v, s.take())
}

// varGuest follows the var of a stage, as the protocol has it.
type varGuest struct {
	*stage
	subscribed bool // as far as it knows
	value      int
	asked      map[string]string
}

func (g *varGuest) send(fn string) {
	g.ids++
	id := fmt.Sprint("v", g.ids)
	g.asked[id] = fn
	g.p.takes(fmt.Sprintf(`{"func":%q,"type":"var","name":"v","view":"v"%s}`, fn, withID(id)))
}

// ask asks for the value, sometimes of another subscription.
func (g *varGuest) ask() {
	if g.subscribed && g.r.IntN(5) == 0 {
		g.send("unsubscribe")
		g.subscribed = false
	}
	if !g.subscribed {
		g.send("subscribe")
		g.subscribed = true
	}
	g.send("get")
}

// take takes a message.
func (g *varGuest) take(text string) {
	var m struct {
		Func, ID string
		Value    int
		Code     protocol.Code `json:"error_code"`
		Message  string
	}
	require.NoError(g.t, json.Unmarshal([]byte(text), &m))
	fn := ""
	if m.ID != "" {
		require.Contains(g.t, g.asked, m.ID, "an answer that nobody waits for: %s", text)
		fn = g.asked[m.ID]
		delete(g.asked, m.ID)
	}
	switch {
	case m.Func == "set":
		require.False(g.t, g.lapsed || g.renewing, "said when the credentials had ended: %s", text)
		require.Equal(g.t, slices.Index(users, g.user)+1, m.Value/1000, "a value of another user: %s", text)
		g.value = m.Value
	case m.Func == "error" && fn == "subscribe":
		g.subscribed = false
	case m.Func == "error" && m.Code == protocol.Other:
		require.Contains(g.t, []string{"superseded", "var not available"}, m.Message, text)
	case m.Func == "error":
		require.Contains(g.t, []protocol.Code{protocol.CredentialsExpired, protocol.InvalidFunc}, m.Code, text)
	}
}

// rests requires that everything is answered, and that the value is that of the user.
func (g *varGuest) rests() {
	require.Empty(g.t, g.asked, "not answered")
	require.Equal(g.t, g.stage.value.vars[g.user].Get(), g.value)
}
