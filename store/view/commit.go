package view

import (
	"encoding/json"
	"errors"
	"log/slog"
	"slices"

	"github.com/socksync/socksync/internal/window"
)

// commit makes what a list has staged the present, and tells the subscribers.
func (l *list) commit() {
	s := l.stage
	if s.again != nil {
		l.log.Log(l.engine.ctx, level(s.again), "list is loaded again", "reason", s.again)
		s.undo()
		if s.joined {
			l.fail(s.again)
		}
		l.restart()
		return
	}
	l.stage = nil
	if s.joined {
		l.plan, l.tree = s.plan, s.tree
		l.load, l.err = nil, nil
	}
	for _, ps := range s.pages {
		l.publish(ps, s)
	}
	for _, ps := range s.pages {
		ps.page.admit()
	}
	if s.joined {
		for sub := range l.homeless {
			delete(l.homeless, sub)
			l.serve(sub)
		}
	}
}

// level is that of a list's being loaded again: large changes are nothing unusual.
func level(why error) slog.Level {
	if errors.Is(why, errMoved) {
		return slog.LevelDebug
	}
	return slog.LevelError
}

// publish moves a window on and tells its subscribers, if anything differs.
func (l *list) publish(ps *pageStage, s *stage) {
	p := ps.page
	from := p.state
	if from != nil && from.Total == l.tree.Len() && same(from.Rows, ps.rows) {
		return
	}
	p.state = l.state(p.at, l.tree.Len(), ps.rows)
	if from == nil {
		return
	}
	if from = l.recall(from, ps.rows, s.changed); from.Total == p.state.Total && same(from.Rows, ps.rows) {
		return // only that the rows are known now
	}
	step := window.NewStep(from, p.state, s.single)
	for sub := range p.subs {
		sub.sink.Step(step)
	}
}

// recall fills a state that held keys only with the rows that have been read since
// and did not change, so that reading them is no change of the window.
func (l *list) recall(from *window.State, rows []window.Row, changed map[string]struct{}) *window.State {
	if from.Filled() {
		return from
	}
	known := make(map[string]json.RawMessage, len(rows))
	for _, r := range rows {
		if _, ok := changed[r.Key]; !ok {
			known[r.Key] = r.JSON
		}
	}
	filled := slices.Clone(from.Rows)
	for i, r := range filled {
		if r.JSON == nil {
			filled[i].JSON = known[r.Key]
		}
	}
	return l.state(pageOf{from.Page, from.Size}, from.Total, filled)
}

// admit lets those in who waited for the window's rows.
func (p *page) admit() {
	if len(p.waiting) == 0 || !p.state.Filled() {
		return
	}
	for sub := range p.waiting {
		sub.arrive(p)
	}
}
