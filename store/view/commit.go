package view

import (
	"encoding/json"
	"errors"
	"log/slog"
	"slices"

	"github.com/socksync/socksync/internal/window"
)

// commit makes what a view has staged the present, and tells the subscribers.
func (v *view) commit() {
	s := v.stage
	if s.again != nil {
		v.log().Log(v.engine.ctx, level(s.again), "list is loaded again", "reason", s.again)
		s.undo()
		if s.joined {
			v.fail(s.again)
		}
		v.restart()
		return
	}
	v.stage = nil
	if s.joined {
		v.joined(s)
	}
	v.bucket.settle(v, s)
	for _, ps := range s.pages {
		v.publish(ps, s)
	}
	for _, ps := range s.pages {
		ps.page.admit()
	}
	v.engine.keeper.count(v)
	if s.joined {
		for sub := range v.homeless.all() {
			v.homeless.remove(sub)
			sub.homeless = nil
			v.open(sub)
			v.part()
		}
	}
}

// joined takes what a load has brought.
func (v *view) joined(s *stage) {
	v.plan, v.choice, v.tree, v.rows = s.plan, s.plan.choice, s.tree, s.rows
	v.load, v.err, v.frozen, v.asleep = nil, nil, 0, false
	v.indexed = true
	v.recompute()
	if v.list.relation.Load() == nil {
		v.list.relation.Store(s.plan.relation)
		v.list.rules.Store(s.plan.rules)
	}
	v.advise()
}

// level is that of a list's being loaded again: large changes are nothing unusual.
func level(why error) slog.Level {
	if errors.Is(why, errMoved) {
		return slog.LevelDebug
	}
	return slog.LevelError
}

// publish moves a window on and tells its subscribers, if anything differs.
func (v *view) publish(ps *pageStage, s *stage) {
	p := ps.page
	if !v.pages.has(p) {
		return // its last subscriber has just left it, for a window of a view that moved on before this one
	}
	from, was := p.state, p.at
	p.first = ps.first
	p.move(ps.at)
	if from != nil && from.Total == v.tree.Len() && same(from.Rows, ps.rows) && was == ps.at {
		p.moves()
		return
	}
	p.state, p.since = v.state(p.at, v.tree.Len(), ps.rows), v.sequence()
	if from == nil {
		return
	}
	if from = v.recall(from, ps.rows, s.changed); from.Total == p.state.Total && same(from.Rows, ps.rows) && was == ps.at {
		p.moves()
		return // only that the rows are known now
	}
	v.past.remember(p, was, from)
	step := window.NewStep(from, p.state, s.single)
	p.told = false
	for sub := range p.subs.all() {
		sub.given, sub.seen = p.state, p.since
		sub.sink.Step(step)
	}
}

// moves tells the subscribers of a window that stood still, and shows what it did, that it moves again.
func (p *page) moves() {
	if !p.told {
		return
	}
	p.told = false
	for sub := range p.subs.all() {
		if sub.given != nil {
			sub.sink.Step(window.NewStep(sub.given, sub.given, ""))
		}
	}
}

// recall fills a state that held keys only with the rows that have been read since
// and did not change, so that reading them is no change of the window.
func (v *view) recall(from *window.State, rows []window.Row, changed map[string]struct{}) *window.State {
	if from.Filled() {
		return from
	}
	known := make(map[string]json.RawMessage, len(rows))
	for _, r := range rows {
		if _, ok := changed[r.Key]; !ok {
			known[r.Key] = r.JSON
		}
	}
	filled := v.state(place{page: from.Page, size: from.Size, anchored: from.Anchored}, from.Total, slices.Clone(from.Rows))
	filled.Rev, filled.After = from.Rev, from.After
	for i, r := range filled.Rows {
		if r.JSON == nil {
			filled.Rows[i].JSON = known[r.Key]
		}
	}
	return filled
}

// admit lets those in who waited for the window's rows.
func (p *page) admit() {
	if p.waiting.len() == 0 || !p.state.Filled() {
		return
	}
	for sub := range p.waiting.all() {
		sub.arrive(p)
	}
}
