package protocol_test

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/socksync/socksync/protocol"
)

// follow is what the application of the model does, as are the functions below.
func (m *model) follow(f follow) {
	key := item{f.Type, f.Name}
	at := &followed{get: protocol.GetList{Page: &f.Page, PageSize: &f.PageSize}}
	m.follows[key], m.ever[key] = at, true
	m.send(protocol.AppendSubscribe(nil, f.Type, f.Name))
	switch f.Type {
	case protocol.TypeVar:
		m.send(protocol.AppendGetVar(nil, f.Name))
	case protocol.TypeList:
		m.send(protocol.AppendGetList(nil, f.Name, at.get))
	}
}

func (m *model) do(d do) {
	switch d.Op {
	case "follow":
		m.follow(d.follow)
	case "unfollow":
		delete(m.follows, item{d.Type, d.Name})
		m.send(protocol.AppendUnsubscribe(nil, d.Type, d.Name))
	case "get":
		at := m.follows[item{protocol.TypeList, d.Name}]
		at.get = protocol.GetList{Page: &d.Page, PageSize: &d.PageSize}
		m.send(protocol.AppendGetList(nil, d.Name, at.get))
	case "set_var":
		m.setVar(d)
	case "call":
		c := &callOut{id: fmt.Sprintf("id-%d", len(m.calls))}
		m.calls[d.As], m.callByID[c.id] = c, c
		m.send(protocol.AppendCall(nil, d.Name, c.id, d.Args))
	case "cancel":
		m.calls[d.Call].dropped = true
	case "release":
		m.release(d.Key)
	default:
		m.change(d)
	}
}

func (m *model) setVar(d do) {
	changed := string(m.vars[d.Name]) != string(d.Value)
	m.vars[d.Name] = d.Value
	if changed && m.held[item{protocol.TypeVar, d.Name}] != nil {
		m.send(protocol.AppendSetVar(nil, d.Name, d.Value))
	}
}

func (m *model) release(key string) {
	for id, c := range m.inFlight {
		var args struct{ Key string }
		if json.Unmarshal(c.args, &args) == nil && args.Key == key {
			delete(m.inFlight, id)
			m.send(protocol.AppendReturn(nil, c.name, id, c.args))
		}
	}
}

// change changes a list and sends what rule 3 says.
func (m *model) change(d do) {
	l := m.lists[d.Name]
	before := slices.Clone(l.rows)
	var r row
	if d.Op == "insert" {
		r = l.row(d.Value)
		l.rows = slices.Insert(l.rows, d.Index, r)
	} else {
		var o operation
		switch d.Op {
		case "delete":
			o = deleteAt(d.Index)
		case "set":
			o = setAt(d.Index, string(d.Value))
		case "move":
			o = moveTo(d.From, d.To)
		default:
			panic("no such operation: " + d.Op)
		}
		l.rows, r.Key = o.on(l.rows)
	}
	at := m.held[item{protocol.TypeList, d.Name}]
	if at == nil {
		return
	}
	page := min(at.page, len(l.rows)+1)
	for _, message := range rule3(before, l.rows, r.Key, page, at.size) {
		message["type"], message["name"] = "list", d.Name
		m.send([]byte(compact(message)))
	}
}

func (m *model) holds(t protocol.ItemType, name string) map[string]any {
	at := m.follows[item{t, name}]
	out := map[string]any{"type": t, "name": name}
	if t == protocol.TypeVar {
		if out["value"] = at.value; at.value == nil {
			delete(out, "value")
			out["nothing"] = true
		}
		return out
	}
	if at.count {
		out["total_item_count"] = at.page.Total
	}
	if !at.page.Held {
		out["nothing"] = true
		return out
	}
	out["page"], out["page_size"], out["items"] = at.page.Page, at.page.PageSize, at.page.Items
	return out
}

func (m *model) result(call string) map[string]any {
	c := m.calls[call]
	out := map[string]any{"call": call}
	switch {
	case c.code != 0:
		out["error"] = c.code
	case c.done:
		out["value"] = c.value
	}
	return out
}
