package server_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// guest is what a line of version 2 knows of its identity. The line's mu guards it.
type guest struct {
	line    *line
	may     []*who // whose the line may be, the last one is the newest: one, unless a change is under way
	era     int    // how often it has changed
	expired bool
	bad     map[string]string // tokens that must be refused, by the id of the authenticate
	tokens  map[string]*who   // those that must be taken
	said    map[string]told   // what an ok answers, by id
	void    map[string]bool   // ids of what was asked of a subscription that has ended: refused in whatever way, if at all
}

// told is a message with an id.
type told struct {
	pane *pane
	what string
}

// begin is the beginning of a connection.
func (g *guest) begin(w *who) {
	g.may, g.expired = []*who{w}, false
	g.bad, g.tokens, g.said, g.void = map[string]string{}, map[string]*who{}, map[string]told{}, map[string]bool{}
	g.era++
}

func (g *guest) is() *who { return g.may[len(g.may)-1] }

// changed reports whether the identity is another one than when a get was sent, or may be.
func (l *line) changed(a *ask) bool {
	return l.guest != nil && (a.era != l.guest.era || len(l.guest.may) > 1)
}

// stale reports whether what is shown is from before the last change of identity, as far as can be known.
func (p *pane) stale() bool { return p.line.guest != nil && p.seen != p.line.guest.era }

// hear looks at a message before anybody else. It is done if it is about the identity.
func (g *guest) hear(f received, data []byte) (done bool, err error) {
	if f.Func != "error" {
		if g.expired && len(g.tokens) == 0 {
			return true, fmt.Errorf("the credentials have expired, and this comes: %s", data)
		}
		return false, nil
	}
	if token, ok := g.bad[f.ID]; ok && f.ID != "" {
		delete(g.bad, f.ID)
		if f.ErrorCode != 9 || strings.Contains(f.Message, token) {
			return true, fmt.Errorf("a token that must be refused: %s", data)
		}
		return true, nil
	}
	if f.ErrorCode == 11 && f.ID == "" {
		return true, g.expire(f, data)
	}
	p := g.about(f)
	if p == nil {
		return true, fmt.Errorf("about no view of this connection: %s", data)
	}
	if f.ErrorCode == 8 && !g.void[f.ID] {
		return false, nil
	}
	p.note("< " + string(data))
	if g.void[f.ID] {
		p.line.tally["void"]++
		delete(g.void, f.ID)
		return true, nil
	}
	if err := g.refuse(p, f); err != nil {
		return true, p.failed("%v: %s", err, data)
	}
	return true, nil
}

func (g *guest) expire(f received, data []byte) error {
	if g.expired || f.Type != "" || f.Name != "" {
		return fmt.Errorf("expired once more, or about something: %s", data)
	}
	g.expired = true
	g.note("expired")
	g.line.tally["expired"]++
	return nil
}

// about is the view that an error names.
func (g *guest) about(f received) *pane {
	i := slices.IndexFunc(g.line.panes, func(p *pane) bool { return p.menu.name == f.Name && p.view == f.View })
	if i < 0 {
		return nil
	}
	return g.line.panes[i]
}

// refuse takes a refusal of a view, or of something that was asked about it.
func (g *guest) refuse(p *pane, f received) error {
	if f.Message == "" {
		return errors.New("no message")
	}
	if f.ID == "" {
		return g.end(p, f)
	}
	s, ok := g.said[f.ID]
	if !g.mayRefuse(p, f.ErrorCode) && s.what != "unsubscribe" && p.dropping == 0 {
		return errors.New("why?")
	}
	if ok && s.pane == p {
		return g.unsaid(f.ID, s)
	}
	if p.dropping > 0 {
		return nil // it was asked of what we have ended
	}
	if p.resume == f.ID {
		p.resume = ""
		return nil
	}
	i := slices.IndexFunc(p.asks, func(a ask) bool { return a.id == f.ID })
	if i < 0 {
		return errors.New("nobody has asked")
	}
	p.asks = slices.Delete(p.asks, i, i+1)
	return nil
}

// mayRefuse reports whether there is a reason for the code.
func (g *guest) mayRefuse(p *pane, code int) bool {
	switch code {
	case 1, 3: // there is no subscription any more
		return p.ended
	case 9:
		return g.forbids(p)
	case 11:
		return g.expired || slices.ContainsFunc(g.may, func(w *who) bool { return !w.ends.IsZero() })
	}
	return false
}

// forbids reports whether the identity may not use the list, or may be one that may not.
func (g *guest) forbids(p *pane) bool {
	return slices.ContainsFunc(g.may, func(w *who) bool { return !w.mayUse(p.menu) })
}

// end takes the end of a subscription that nobody asked for.
func (g *guest) end(p *pane, f received) error {
	if f.ErrorCode != 9 {
		return errors.New("only error 9 ends a subscription")
	}
	if p.dropping > 0 {
		return nil // it crossed our own end
	}
	if p.ended || !g.forbids(p) {
		return errors.New("why?")
	}
	g.finish(p)
	g.line.tally["ended"]++
	return nil
}

// finish forgets the subscription. What was asked of it may be refused yet.
func (g *guest) finish(p *pane) {
	for _, a := range p.asks {
		g.void[a.id] = true
	}
	if p.resume != "" {
		g.void[p.resume] = true
	}
	p.asks, p.live, p.state, p.resume, p.still, p.ended = nil, false, running, "", false, true
}

// unsaid takes the refusal of what an ok would have confirmed.
func (g *guest) unsaid(id string, s told) error {
	done := g.line.oks[id]
	delete(g.line.oks, id)
	delete(g.said, id)
	switch s.what {
	case "subscribe":
		g.line.tally["not allowed to subscribe"]++
		if s.pane.dropping == 0 {
			g.finish(s.pane)
		}
	case "unsubscribe":
		done() // there was nothing to end
	case "pause":
		s.pane.state = unsure
	}
	return nil
}

// token sends a token. A nil identity is a token of nobody.
func (g *guest) token(text string, w *who) {
	g.line.send(nil, func(id string) string {
		if w == nil {
			g.bad[id] = text
		} else {
			g.era++
			g.may = append(g.may, w)
			g.note("sends the token of %s", w)
			g.tokens[id] = w
			g.line.oks[id] = func() {
				delete(g.tokens, id)
				g.may, g.expired = []*who{w}, false
				g.era++
				g.note("is by token %s", w)
			}
		}
		return fmt.Sprintf(`{"func":"authenticate","token":%s,"id":%q}`, jsonOf(text), id)
	})
}

// mark waits until everything has come that was sent before.
func (g *guest) mark() {
	g.token("no such token", nil)
	g.line.until(func() string { return fmt.Sprintf("the answers to tokens: %v, %v", g.bad, g.tokens) }, func() bool {
		return len(g.bad) == 0 && len(g.tokens) == 0
	})
}

// becoming notes that the server gives the line another identity from now on, and settled that it has.
func (g *guest) becoming(w ...*who) {
	g.line.mu.Lock()
	defer g.line.mu.Unlock()
	g.may = append(g.may, w...)
	g.era++
	g.note("is becoming %v", w)
}

// note puts into the logs what happens to the identity.
func (g *guest) note(format string, args ...any) {
	for _, p := range g.line.panes {
		p.note("*** " + fmt.Sprintf(format, args...))
	}
}

func (g *guest) settled() {
	g.mark()
	g.line.mu.Lock()
	defer g.line.mu.Unlock()
	g.may = g.may[len(g.may)-1:]
	g.era++
	g.note("is %s", g.is())
}

// lapse waits for the news that the credentials have expired.
func (g *guest) lapse() {
	g.line.t.Helper()
	g.line.until(func() string { return "error 11" }, func() bool { return g.expired })
}

// resubscribe begins a subscription again that was ended.
func (p *pane) resubscribe() {
	p.line.mu.Lock()
	p.ended = false
	p.line.mu.Unlock()
	p.subscribe()
}
