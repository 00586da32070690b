package server_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// head begins a message about the view.
func (p *pane) head(what, id string) string {
	text := fmt.Sprintf(`{"func":%q,"type":"list","name":%q`, what, p.menu.name)
	if p.view != "" {
		text += `,"view":` + jsonOf(p.view)
	}
	if id != "" {
		text += fmt.Sprintf(`,"id":%q`, id)
	}
	return text
}

// confirmed sends a message that an ok answers, after which done is called.
func (p *pane) confirmed(what string, now, done func()) {
	p.line.send(p, func(id string) string {
		now()
		p.line.oks[id] = done
		if p.line.guest != nil {
			p.line.guest.said[id] = told{p, what}
		}
		return p.head(what, id) + "}"
	})
}

func nothing() {}

func (p *pane) subscribe() { p.confirmed("subscribe", nothing, nothing) }

// get sends a get. The ask is made with the line locked; nil is none.
func (p *pane) get(question func() *ask) {
	p.line.t.Helper()
	p.line.mu.Lock()
	a := question()
	p.line.mu.Unlock() // nothing that the ask is made of can go away: it is a get for what was
	if a == nil {
		return
	}
	p.line.send(p, func(id string) string {
		sent := *a
		sent.id, sent.known = id, p.line.ledger.last()
		if p.line.guest != nil {
			sent.era = p.line.guest.era
		}
		if p.state != running {
			p.state = unsure
		}
		p.asks = append(p.asks, sent)
		return p.head("get", id) + sent.where.fields() + sent.choice.fields + sent.extra() + "}"
	})
}

func (w where) fields() string {
	if w.anchored {
		return fmt.Sprintf(`,"after":%s,"page_size":%d`, w.after, w.size)
	}
	return fmt.Sprintf(`,"page":%d,"page_size":%d`, w.page, w.size)
}

func (a *ask) extra() string {
	if a.rev == "" {
		return ""
	}
	return `,"rev":` + jsonOf(a.rev)
}

// drawWhere draws a page or a place behind a row that is held, or behind one that may not be there.
func (p *pane) drawWhere(r *rand.Rand) where {
	if r.IntN(3) == 0 {
		return where{page: r.IntN(4) * r.IntN(3), size: 1 + r.IntN(p.menu.maxPage)}
	}
	w := where{anchored: true, after: start, size: 1 + r.IntN(p.menu.maxWindow/2)}
	switch {
	case r.IntN(12) == 0:
		w.after = p.menu.anyKey(r)
	case p.shown != nil && len(p.shown.items) > 0 && r.IntN(4) > 0:
		w.after = p.menu.keyOf(p.shown.items[r.IntN(len(p.shown.items))])
	}
	return w
}

func (m *menu) anyKey(r *rand.Rand) string {
	var values []string
	for _, k := range m.columns[:len(m.key)] {
		value, _ := k.draw(r)
		values = append(values, value)
	}
	return canonical([]byte("[" + strings.Join(values, ",") + "]"))
}

// move asks for another window, of another choice or the same.
func (p *pane) move(r *rand.Rand, c *choice) {
	p.get(func() *ask {
		if p.shown != nil && r.IntN(2) == 0 {
			c = p.shown.choice
		}
		return &ask{choice: c, where: p.drawWhere(r)}
	})
}

// most is the greatest size of such a window.
func (m *menu) most(anchored bool) int {
	if anchored {
		return m.maxWindow
	}
	return m.maxPage
}

// grow asks for more of the window.
func (p *pane) grow(r *rand.Rand) {
	p.get(func() *ask {
		if !p.live || len(p.asks) > 0 {
			return nil
		}
		a := &ask{choice: p.shown.choice, where: p.shown.where}
		if a.where.after = p.shown.original; r.IntN(4) == 0 {
			a.where.after = p.shown.where.after // as the client was told; it may be told of another one right now
		}
		a.where.size = min(a.where.size+1+r.IntN(12), p.menu.most(a.where.anchored))
		a.grows = a.where.size > p.shown.where.size && a.where.after == p.shown.original
		if p.line.guest != nil && p.shown.era != p.line.guest.era && p.shown.where.anchored {
			a.grows = false // the anchor that was asked for is forgotten when the identity changes
		}
		return a
	})
}

// regain asks for what is held already, with its rev.
func (p *pane) regain() {
	p.get(func() *ask {
		if p.shown == nil || len(p.asks) > 0 {
			return nil
		}
		return &ask{choice: p.shown.choice, where: p.shown.where, rev: p.shown.rev}
	})
}

// mistake is a get that is to be refused.
type mistake struct{ fields, names string }

var mistakes = []mistake{
	{`,"sort":["nope"]`, "nope"},
	{`,"sort":["-nope"]`, "nope"},
	{`,"filter":{"nope":1}`, "nope"},
	{`,"filter":{"word; DROP TABLE things":1}`, "word; DROP TABLE things"},
	{`,"filter":{"word":{"like":"%"}}`, "like"},
	{`,"filter":{"word":{"lt":null}}`, "word"},
	{`,"filter":{"word":{"null":1}}`, "word"},
	{`,"filter":{"word":{"in":"a"}}`, "word"},
	{`,"filter":{"word":{"prefix":1}}`, "word"},
	{`,"filter":{"n":"abc"}`, "n"},
	{`,"filter":{"n":{"eq":99999999999999}}`, "n"},
	{`,"filter":{"n":{"prefix":"1"}}`, "n"},
	{`,"search":"` + strings.Repeat("a ", 40) + `"`, "search"},
	{`,"search":"` + strings.Repeat("a", 1025) + `"`, "search"},
}

// blunder asks for what is not allowed.
func (p *pane) blunder(r *rand.Rand) {
	m := mistakes[r.IntN(len(mistakes))]
	p.get(func() *ask {
		if p.menu.table != "things" {
			return nil // its columns are others
		}
		return &ask{choice: &choice{menu: p.menu, fields: m.fields}, where: where{size: 5}, bad: m.names}
	})
}

// hold pauses a window, or resumes it.
func (p *pane) hold() {
	p.line.mu.Lock()
	can, state := p.live && len(p.asks) == 0 && p.resume == "", p.state
	p.line.mu.Unlock()
	switch {
	case !can:
	case state == running:
		p.confirmed("pause", func() { p.state = pausing }, func() {
			if p.state == pausing {
				p.state, p.pending, p.total = paused, 0, p.shown.total
			}
		})
	default:
		p.goOn()
	}
}

func (p *pane) goOn() {
	p.line.send(p, func(id string) string {
		p.resume = id
		return p.head("resume", id) + "}"
	})
}

// leave ends the subscription and begins it again.
func (p *pane) leave() {
	p.confirmed("unsubscribe", p.drop, func() { p.dropping-- })
	p.subscribe()
}

// drop forgets the window; what is held stays, since a get with its rev may come.
func (p *pane) drop() {
	p.note("--- the subscription has ended")
	p.dropping++
	p.asks, p.live, p.state, p.resume, p.still, p.ended = nil, false, running, "", false, false
}

// leaveAll ends all subscriptions of a line and begins them again.
func (l *line) leaveAll() {
	l.send(nil, func(id string) string {
		for _, p := range l.panes {
			p.drop()
		}
		l.oks[id] = func() {
			for _, p := range l.panes {
				p.dropping--
			}
		}
		return `{"func":"unsubscribe_all","id":"` + id + `"}`
	})
	for _, p := range l.panes {
		p.subscribe()
	}
}

// redial loses the connection and makes a new one, with the same views.
func (l *line) redial() {
	l.hangUp()
	l.mu.Lock()
	for _, p := range l.panes {
		p.drop()
		p.dropping = 0
	}
	l.mu.Unlock()
	l.dial()
	for _, p := range l.panes {
		p.subscribe()
	}
}

// open adds a view.
func (l *line) open(m *menu) *pane {
	p := &pane{line: l, menu: m}
	l.mu.Lock()
	if len(l.panes) > 0 { // the first one has no name
		p.view = "view " + strconv.Itoa(len(l.panes))
	}
	l.panes = append(l.panes, p)
	l.mu.Unlock()
	p.subscribe()
	return p
}
