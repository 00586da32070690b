package protocol_test

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/socksync/socksync/protocol"
)

// model is the smallest peer that keeps to the contract: no connection, no
// goroutine, one thing at a time. It makes sure that the vectors agree with the
// contract and with each other, and shows how the two stages of decoding are
// meant to be used.
type model struct {
	maxBytes, maxSubscriptions, maxCalls int

	vars      map[string]json.RawMessage
	lists     map[string]*modelList
	functions map[string]bool
	held      map[item]*view // what the tester follows
	inFlight  map[string]modelCall

	follows  map[item]*followed
	ever     map[item]bool
	calls    map[string]*callOut // by the name in the script
	callByID map[string]*callOut

	sent     [][]byte
	reported []map[string]any
	closed   int
}

type item struct {
	t    protocol.ItemType
	name string
}

type modelList struct {
	max  int
	rows []row
	next int // the next key
}

type view struct{ page, size int }

type modelCall struct {
	name string
	args json.RawMessage
}

type followed struct {
	get   protocol.GetList
	page  protocol.Page
	count bool // the total is known
	value json.RawMessage
}

type callOut struct {
	id      string
	value   json.RawMessage
	code    protocol.Code
	done    bool
	dropped bool
}

func newModel(s setup) *model {
	m := &model{
		maxBytes: 1 << 20, maxSubscriptions: 1000, maxCalls: 100,
		vars: map[string]json.RawMessage{}, lists: map[string]*modelList{}, functions: map[string]bool{},
		held: map[item]*view{}, inFlight: map[string]modelCall{},
		follows: map[item]*followed{}, ever: map[item]bool{},
		calls: map[string]*callOut{}, callByID: map[string]*callOut{},
	}
	m.limit(s)
	for _, v := range s.Vars {
		m.vars[v.Name] = v.Value
	}
	for _, l := range s.Lists {
		list := &modelList{max: l.MaxPageSize}
		for _, v := range l.Items {
			list.rows = append(list.rows, list.row(v))
		}
		m.lists[l.Name] = list
	}
	for _, f := range s.Functions {
		m.functions[f] = true
	}
	for _, f := range s.Follows {
		m.follow(f)
	}
	return m
}

func (m *model) limit(s setup) {
	if s.Limits.MessageBytes > 0 {
		m.maxBytes = s.Limits.MessageBytes
	}
	if s.Limits.Subscriptions > 0 {
		m.maxSubscriptions = s.Limits.Subscriptions
	}
	if s.Limits.Calls > 0 {
		m.maxCalls = s.Limits.Calls
	}
}

func (l *modelList) row(value json.RawMessage) row {
	l.next++
	return row{strconv.Itoa(l.next), value}
}

func (m *model) send(message []byte) { m.sent = append(m.sent, message) }

// receive handles one message: rows a to k, in this order.
func (m *model) receive(binary bool, data []byte) {
	switch {
	case binary:
		m.closed = protocol.CloseUnsupportedData
		return
	case len(data) > m.maxBytes:
		m.closed = protocol.CloseTooBig
		return
	}
	f, err := protocol.Parse(data) // rows a to e
	if errors.Is(err, protocol.ErrInvalidUTF8) {
		m.closed = protocol.CloseInvalidUTF8
		return
	}
	if err == nil {
		err = m.handle(&f)
	}
	var e *protocol.Error
	if errors.As(err, &e) {
		m.send(protocol.AppendError(nil, e))
	}
}

func (m *model) handle(f *protocol.Frame) error {
	switch f.Func {
	case protocol.FuncError:
		m.report(f.PeerError())
		return nil
	case protocol.FuncUnsubscribeAll:
		clear(m.held)
		return nil
	}
	key := item{f.Type, f.Name}
	if !f.HasName || !m.provides(key) && !m.ever[key] { // row f
		return &protocol.Error{Code: protocol.InvalidName, Message: "no such item"}
	}
	switch protocol.RoleOf(f.Type, f.Func) { // row g
	case protocol.RoleProvider:
		if m.provides(key) {
			return m.handleProvider(f, key)
		}
	case protocol.RoleSubscriber:
		if m.ever[key] {
			return m.handleSubscriber(f, key)
		}
	}
	return errRole
}

var errRole = &protocol.Error{Code: protocol.InvalidFunc, Message: "not here"}

func (m *model) provides(key item) bool {
	switch key.t {
	case protocol.TypeVar:
		return m.vars[key.name] != nil
	case protocol.TypeList:
		return m.lists[key.name] != nil
	}
	return m.functions[key.name]
}

func (m *model) report(e *protocol.Error) {
	outstanding := []*callOut{}
	for _, c := range m.calls {
		if !c.done && !c.dropped {
			outstanding = append(outstanding, c)
		}
	}
	if len(outstanding) == 1 {
		outstanding[0].done, outstanding[0].code = true, e.Code
		return
	}
	m.reported = append(m.reported, map[string]any{"error_code": e.Code, "message": e.Message})
}

func (m *model) handleProvider(f *protocol.Frame, key item) error {
	at := m.held[key]
	if f.Func == protocol.FuncSubscribe {
		return m.subscribe(key)
	}
	if at == nil {
		return errRole
	}
	switch f.Func {
	case protocol.FuncUnsubscribe:
		delete(m.held, key)
	case protocol.FuncCall:
		return m.call(f)
	case protocol.FuncGet:
		if f.Type == protocol.TypeVar {
			m.send(protocol.AppendSetVar(nil, key.name, m.vars[key.name]))
			return nil
		}
		return m.get(f, at)
	}
	return nil
}

func (m *model) subscribe(key item) error {
	if m.held[key] != nil {
		return nil
	}
	if len(m.held) == m.maxSubscriptions {
		return &protocol.Error{Code: protocol.Other, Message: "too many subscriptions"}
	}
	m.held[key] = &view{}
	if l := m.lists[key.name]; key.t == protocol.TypeList {
		m.held[key].size = l.max
	}
	return nil
}

func (m *model) get(f *protocol.Frame, at *view) error {
	g, err := f.GetList()
	if err != nil {
		return err
	}
	l := m.lists[f.Name]
	*at = view{0, l.max}
	if g.Page != nil {
		at.page = *g.Page
	}
	if g.PageSize != nil {
		at.size = min(*g.PageSize, l.max)
	}
	var page []row
	if at.page <= len(l.rows)/at.size { // so that the product is an int
		page = pageOf(l.rows, at.page, at.size)
	}
	m.send(protocol.AppendSetAll(nil, f.Name, at.page, at.size, len(l.rows), values(page)))
	return nil
}

func (m *model) call(f *protocol.Frame) error {
	c, err := f.Call(func(id string) bool { _, ok := m.inFlight[id]; return ok })
	if err != nil {
		return err
	}
	if len(m.inFlight) == m.maxCalls {
		return &protocol.Error{Code: protocol.Other, Message: "too many calls"}
	}
	switch f.Name {
	case "slow":
		m.inFlight[c.ID] = modelCall{f.Name, c.Args}
	case "echo":
		m.send(protocol.AppendReturn(nil, f.Name, c.ID, c.Args))
	case "pong":
		m.send(protocol.AppendReturn(nil, f.Name, c.ID, json.RawMessage(`"pong"`)))
	case "nothing":
		m.send(protocol.AppendReturn(nil, f.Name, c.ID, nil))
	case "fail":
		return &protocol.Error{Code: protocol.Other, Message: "failed"}
	}
	return nil
}

func (m *model) handleSubscriber(f *protocol.Frame, key item) error {
	at := m.follows[key]
	if at == nil {
		return nil // crossed the unsubscribe
	}
	switch f.Type {
	case protocol.TypeFunction:
		return m.returned(f)
	case protocol.TypeVar:
		s, err := f.SetVar()
		if err == nil {
			at.value = s.Value
		}
		return err
	}
	applied, err := at.page.Apply(f)
	at.count = at.count || applied
	var e *protocol.Error
	if errors.As(err, &e) && e.Code == protocol.BadIndex {
		m.send(protocol.AppendGetList(nil, key.name, at.get))
	}
	return err
}

func (m *model) returned(f *protocol.Frame) error {
	r, err := f.Return()
	if err != nil {
		return err
	}
	c := m.callByID[r.ID]
	if c == nil || c.done {
		return &protocol.Error{Code: protocol.BadID, Message: "no such call"}
	}
	c.done, c.value = true, r.Value
	return nil
}
