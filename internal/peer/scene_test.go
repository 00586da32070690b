package peer

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
	"github.com/stretchr/testify/require"
)

// scene is one vector being played: a tested peer and a tester.
type scene struct {
	t       *testing.T
	version protocol.Version
	cfg     *Config // of every peer of the scene
	connect func(testing.TB, *running) *raw
	peer    *running
	tester  *raw

	vars    map[string]*memory.Var[json.RawMessage]
	lists   map[string]*memory.List[json.RawMessage]
	release sync.Map          // key of a slow call to its channel
	remote  map[string]Remote // see operation.who
	follows []Remote          // in their order
	tokens  map[string]vectorCredentials
	calls   map[string]*outgoing

	mu    sync.Mutex
	told  []told
	got   []json.RawMessage // since the last expect
	names map[string]string // what placeholders stand for
}

type outgoing struct {
	call   *call
	ctx    context.Context
	cancel context.CancelFunc
}

func newScene(t *testing.T, v *vector, connect func(testing.TB, *running) *raw) *scene {
	s := &scene{
		t:       t,
		version: v.version,
		connect: connect,
		vars:    make(map[string]*memory.Var[json.RawMessage]),
		lists:   make(map[string]*memory.List[json.RawMessage]),
		remote:  make(map[string]Remote),
		calls:   make(map[string]*outgoing),
		names:   make(map[string]string),
	}
	limits := Limits{MessageBytes: v.Setup.Limits.MessageBytes, Calls: v.Setup.Limits.Calls}
	if n := v.Setup.Limits.Subscriptions; n > 0 {
		limits.Subscriptions = n + 1
	}
	s.cfg = &Config{Registry: s.registry(v), Limits: limits, OnError: s.onError, Resume: s.version == protocol.V2}
	if v.Setup.Credentials != nil {
		s.authenticates(v.Setup.Credentials)
	}
	s.peer = s.newPeer()
	for _, f := range v.Setup.Follows {
		s.follow(f)
	}
	s.tester = connect(t, s.peer)
	return s
}

// authenticates has the tested peer take tokens.
func (s *scene) authenticates(tokens map[string]vectorCredentials) {
	s.tokens = tokens
	s.cfg.Credentials = tokens[""].made()
	s.cfg.ExpiryGrace = time.Hour
	s.cfg.Authenticate = func(_ context.Context, token string) (Credentials, error) {
		c, ok := tokens[token]
		if !ok {
			return Credentials{}, errors.New("refused")
		}
		return c.made(), nil
	}
	s.cfg.Authorize = func(_ context.Context, owner any, kind protocol.ItemType, name string) error {
		c, _ := owner.(vectorCredentials)
		for _, item := range c.Forbidden {
			if item.Type == kind && item.Name == name {
				return errors.New("forbidden")
			}
		}
		return nil
	}
}

func (s *scene) newPeer() *running {
	p := newRunning(s.cfg)
	p.Speak(s.version)
	return p
}

// reconnect ends the connection and has a new peer with the same items on another, which follows what the old one did.
func (s *scene) reconnect() {
	s.fence()
	require.Empty(s.t, s.got, "messages that nobody expects")
	s.tester.close(s.peer)
	s.peer = s.newPeer()
	for _, r := range s.follows {
		require.NoError(s.t, s.peer.Follow(r))
	}
	s.tester = s.connect(s.t, s.peer)
}

// differ has that placeholders stand for different strings.
func (s *scene) differ(placeholders []string) {
	seen := make(map[string]bool)
	for _, name := range placeholders {
		require.Contains(s.t, s.names, name)
		require.False(s.t, seen[s.names[name]], "%s is the same as one before it", name)
		seen[s.names[name]] = true
	}
}

func (s *scene) onError(e *protocol.Error, _ bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, told{e.Code, e.Message})
}

func (s *scene) registry(v *vector) *Registry {
	r := new(Registry)
	add := func(item Item) { require.NoError(s.t, r.Add(item)) }
	add(memory.NewVar("fence", 0))
	for _, d := range v.Setup.Vars {
		s.vars[d.Name] = memory.NewVar(d.Name, d.Value)
		add(s.vars[d.Name])
	}
	for _, d := range v.Setup.Lists {
		l := memory.NewList[json.RawMessage](d.Name, &memory.ListOptions{MaxPageSize: d.MaxPageSize})
		require.NoError(s.t, l.Replace(d.Items))
		s.lists[d.Name] = l
		add(l)
	}
	for _, name := range v.Setup.Functions {
		add(memory.NewFunc(name, map[string]func(context.Context, json.RawMessage) (json.RawMessage, error){
			"echo":    func(_ context.Context, args json.RawMessage) (json.RawMessage, error) { return args, nil },
			"pong":    func(context.Context, json.RawMessage) (json.RawMessage, error) { return json.RawMessage(`"pong"`), nil },
			"nothing": func(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, nil },
			"fail":    func(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, errors.New("it failed") },
			"slow":    s.slow,
		}[name]))
	}
	return r
}

func (s *scene) slow(ctx context.Context, args json.RawMessage) (json.RawMessage, error) {
	var a struct{ Key string }
	if err := json.Unmarshal(args, &a); err != nil {
		return nil, err
	}
	select {
	case <-s.gate(a.Key):
		return args, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *scene) gate(name string) chan struct{} {
	c, _ := s.release.LoadOrStore(name, make(chan struct{}))
	return c.(chan struct{})
}

func (s *scene) play(script []step) {
	for i := range script {
		s.t.Logf("step %d", i)
		if script[i].Close != 0 {
			s.closed(script[i].Close)
			return
		}
		s.step(&script[i])
	}
	s.fence()
	require.Empty(s.t, s.got, "messages that nobody expects")
	s.tester.close(s.peer)
	require.Empty(s.t, s.got)
}

func (s *scene) step(st *step) {
	switch {
	case st.Do != nil:
		s.fence() // what was sent before has its effect first
		s.do(st.Do)
	case st.Expect != nil || st.Or != nil:
		s.expect(append([][]json.RawMessage{st.Expect}, st.Or...))
	case st.Holds != nil:
		s.fence()
		s.eventually(func() bool { return s.holds(st.Holds) }, "holds")
	case st.Result != nil:
		s.result(st.Result)
	case st.Reconnect:
		s.reconnect()
	case st.Differ != nil:
		s.differ(st.Differ)
	case st.Reported != nil:
		s.fence()
		s.mu.Lock()
		defer s.mu.Unlock()
		require.Equal(s.t, st.Reported, s.told)
		s.told = nil
	default:
		s.send(st)
	}
}

func (s *scene) send(st *step) {
	var data []byte
	switch {
	case st.Send != nil:
		data = s.replaced(st.Send)
	case st.SendText != nil:
		data = []byte(*st.SendText)
	case st.SendHex != nil:
		var err error
		data, err = hex.DecodeString(*st.SendHex)
		require.NoError(s.t, err)
	case st.SendRepeat != nil:
		r := st.SendRepeat
		data = []byte(r.Before + strings.Repeat(r.Text, r.Times) + r.After)
	default:
		require.Fail(s.t, "unknown step")
	}
	kind := websocket.MessageText
	if st.Binary {
		kind = websocket.MessageBinary
	}
	if err := s.tester.ws.Write(s.t.Context(), kind, data); err != nil && st.SendRepeat == nil {
		require.NoError(s.t, err)
	}
}

// replaced puts in what placeholders stand for.
func (s *scene) replaced(message json.RawMessage) []byte {
	text := string(message)
	for name, value := range s.names {
		quoted, err := json.Marshal(value)
		require.NoError(s.t, err)
		text = strings.ReplaceAll(text, `"`+name+`"`, string(quoted))
	}
	return without(s.t, []byte(text))
}

// fence sends a fence and keeps what comes before its answer, which is an error if the credentials have expired.
func (s *scene) fence() {
	s.tester.send(`{"func":"subscribe","type":"var","name":"fence"}`, `{"func":"get","type":"var","name":"fence","id":"fence"}`)
	for through := false; !through; {
		through = s.keep(s.tester.read())
	}
}

// keep reports whether a message is the answer to a fence, and keeps it if not.
func (s *scene) keep(message string) bool {
	var head struct{ Func, Type, Name, ID string }
	require.NoError(s.t, json.Unmarshal([]byte(message), &head))
	if head.Type == "var" && head.Name == "fence" {
		return head.Func == "set" || head.ID != ""
	}
	s.got = append(s.got, json.RawMessage(message))
	return false
}

// closed reads until the peer closes.
func (s *scene) closed(code int) {
	for {
		_, data, err := s.tester.ws.Read(s.t.Context())
		if err != nil {
			require.Equal(s.t, websocket.StatusCode(code), websocket.CloseStatus(err), "%v", err)
			break
		}
		s.keep(string(data))
	}
	require.Empty(s.t, s.got)
	<-s.peer.ended
}

func (s *scene) eventually(ok func() bool, what string) {
	s.t.Helper()
	require.Eventually(s.t, ok, patient, time.Millisecond, what)
}

func (s *scene) do(op *operation) {
	var err error
	switch op.Op {
	case "set_var":
		err = s.vars[op.Name].Set(op.Value)
	case "insert":
		err = s.lists[op.Name].Insert(op.Index, op.Value)
	case "set":
		err = s.lists[op.Name].Set(op.Index, op.Value)
	case "delete":
		err = s.lists[op.Name].Delete(op.Index)
	case "move":
		err = s.lists[op.Name].Move(op.From, op.To)
	case "release":
		close(s.gate(op.Key))
	case "cancel":
		s.cancel(s.calls[op.Call])
	case "become":
		s.peer.SetCredentials(s.tokens[op.Token].made())
	case "expire":
		c := s.peer.Credentials()
		c.Expires = time.Now()
		s.peer.SetCredentials(c)
	default:
		s.doRemote(op)
	}
	require.NoError(s.t, err)
}

func (s *scene) doRemote(op *operation) {
	switch op.Op {
	case "follow":
		s.follow(*op)
	case "unfollow":
		if op.Type == protocol.TypeFunction {
			s.peer.Unsubscribe(op.Name)
			return
		}
		r := s.remote[op.who()]
		s.follows = slices.DeleteFunc(s.follows, func(f Remote) bool { return f == r })
		s.peer.Unfollow(r)
	case "get":
		s.get(op)
	case "pause", "resume":
		l, _ := s.remote[op.who()].(*RemoteList)
		_, err := l.send(protocol.Func(op.Op))
		require.NoError(s.t, err)
	case "call":
		s.call(op)
	default:
		require.Fail(s.t, "unknown operation", op.Op)
	}
}

// get asks for something else of what is followed. Nobody waits for it.
func (s *scene) get(op *operation) {
	op.Type = cmp.Or(op.Type, protocol.TypeList)
	ctx, cancel := context.WithCancel(s.t.Context())
	cancel()
	var err error
	switch r := s.remote[op.who()].(type) {
	case *RemoteList:
		_, err = r.Choose(ctx, op.want(s.t))
	case *RemoteVar:
		_, err = r.Choose(ctx, op.want(s.t).Choice.Filter)
	}
	require.ErrorIs(s.t, err, context.Canceled)
}

func (s *scene) follow(op operation) {
	var r Remote
	switch op.Type {
	case protocol.TypeFunction:
		require.NoError(s.t, s.peer.Subscribe(op.Name))
		return
	case protocol.TypeVar:
		r = NewRemoteVar(op.Name, &VarOptions{Params: op.want(s.t).Choice.Filter})
	case protocol.TypeList:
		r = NewRemoteList(op.Name, &ListOptions{Want: op.want(s.t)})
	}
	s.remote[op.who()], s.follows = r, append(s.follows, r)
	require.NoError(s.t, s.peer.Follow(r))
}

func (s *scene) call(op *operation) {
	o := new(outgoing)
	o.ctx, o.cancel = context.WithCancel(s.t.Context())
	s.t.Cleanup(o.cancel)
	var err error
	o.call, err = s.peer.send(o.ctx, op.Name, op.Args)
	require.NoError(s.t, err)
	s.calls[op.As] = o
}

func (s *scene) cancel(o *outgoing) {
	o.cancel()
	_, err := s.peer.result(o.ctx, o.call)
	require.ErrorIs(s.t, err, context.Canceled)
}

func (s *scene) result(want *outcome) {
	value, err := s.peer.result(s.t.Context(), s.calls[want.Call].call)
	if want.Error != 0 {
		var e *protocol.Error
		require.ErrorAs(s.t, err, &e)
		require.Equal(s.t, want.Error, e.Code)
		return
	}
	require.NoError(s.t, err)
	if len(value) == 0 {
		value = json.RawMessage("null")
	}
	require.JSONEq(s.t, string(want.Value), string(value))
}

func (s *scene) holds(want *holding) bool {
	who := operation{Type: want.Type, Name: want.Name, As: want.As}
	switch r := s.remote[who.who()].(type) {
	case *RemoteVar:
		value, known := r.Value()
		return known != want.Nothing && (want.Nothing || same(want.Value, value))
	case *RemoteList:
		p := r.Snapshot()
		if want.Nothing {
			return !p.Held && (want.Total == nil || *want.Total == p.Total)
		}
		return p.Held && p.Page == want.Page && p.PageSize == want.PageSize && p.Total == *want.Total &&
			sameAll(want.Items, p.Items) && want.rest(s.t, p)
	}
	return false
}

// rest compares what is of version 2, as far as it is given.
func (h *holding) rest(t *testing.T, p protocol.Page) bool {
	after, err := json.Marshal(p.After)
	require.NoError(t, err)
	return (h.After == nil || p.Anchored && same(h.After, after)) &&
		(h.Pending == nil || *h.Pending == p.Pending) &&
		(h.PendingTotal == nil || *h.PendingTotal == p.PendingTotal)
}

// expect reads until one of the lists of messages has come.
func (s *scene) expect(choices [][]json.RawMessage) {
	most := len(choices[0])
	for _, c := range choices {
		most = min(most, len(c))
	}
	s.fence()
	for len(s.got) < most {
		s.keep(s.tester.read())
	}
	for {
		for _, c := range choices {
			if s.matches(c) {
				s.got = nil
				return
			}
		}
		longer := false
		for _, c := range choices {
			longer = longer || len(c) > len(s.got)
		}
		require.True(s.t, longer, "want %s, got %s", choices, s.got)
		s.keep(s.tester.read())
	}
}

// matches compares what has come, item by item.
func (s *scene) matches(want []json.RawMessage) bool {
	if len(want) != len(s.got) {
		return false
	}
	byView := !slices.ContainsFunc(want, func(m json.RawMessage) bool {
		return strings.Contains(strings.ReplaceAll(string(m), " ", ""), `"view":"$`)
	})
	a, b := grouped(s.t, want, byView), grouped(s.t, s.got, byView)
	names := maps.Clone(s.names)
	for group := range a {
		if len(a[group]) != len(b[group]) {
			return false
		}
		for i := range a[group] {
			if !equal(normal(a[group][i], nil), normal(b[group][i], a[group][i]), names) {
				return false
			}
		}
	}
	s.names = names
	return true
}
