package view

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/socksync/socksync/internal/ranktree"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// place returns where the window begins that a get asks for, and its size in force.
func (v *view) place(s *subscription) (place, error) {
	def, want := v.list.def, s.want
	most := def.MaxPageSize
	if want.Anchored {
		most = def.MaxWindow
	}
	at := place{page: want.Page, size: def.PageSize}
	if want.Size > 0 {
		at.size = min(want.Size, most)
	}
	if !want.Anchored {
		return at, nil
	}
	at.page, at.anchored = 0, true
	if want.After == nil {
		return at, nil
	}
	if s.named == nil {
		key, err := v.plan.anchorTexts(want.After)
		if err != nil {
			return at, err
		}
		s.named = &anchor{row: true, key: joinKey(key)}
	}
	at.after = *s.named
	return at, nil
}

var errNoAnchor = window.Refusal("after: no such row")

// locate takes a subscription to a place, once it is certain which row its anchor is.
func (v *view) locate(s *subscription, at place) (place, bool) {
	if s.longer(v, at) {
		s.grows = true
		to := s.at.at
		to.size = at.size
		return to, true
	}
	if !at.anchored || !at.after.row || v.tree.Has(at.after.key) {
		return at, true
	}
	if before, ok := s.succeeds(v); ok {
		at.after = before
		s.named = &before
		return at, true
	}
	v.ask(s)
	return at, false
}

// succeeds returns the anchor for a subscription that takes the place of another one, whose anchor the view does not have:
// the nearest row before it, as the other one saw the list, that the view has.
func (s *subscription) succeeds(v *view) (anchor, bool) {
	if s.former == nil {
		return anchor{}, false
	}
	p := s.predecessor().at
	if p == nil || !p.at.anchored {
		return anchor{}, true
	}
	at, tree := p.at.after, p.view.takenTree()
	if p.view.stage != nil { // it is committed after this view: its tree has moved on, its windows have not
		at = p.view.stage.anchor(p)
	}
	if tree == nil || !at.row || !tree.Has(at.key) {
		return anchor{}, true
	}
	if v.tree.Has(at.key) {
		return at, true
	}
	return lastBefore(tree, at.key, v.tree.Has), true
}

// longer reports whether a get differs from the window where the subscription is only in a greater size, which may be more
// than the maximum. Its anchor may have become another row since the subscriber named it.
func (s *subscription) longer(v *view, at place) bool {
	p := s.at
	if !s.options.Quiet || s.want.Rev != "" || p == nil || p.view != v || s.given == nil {
		return false
	}
	if s.want.Size <= p.at.size || at.size < p.at.size || at.anchored != p.at.anchored || at.page != p.at.page {
		return false
	}
	if at.page > 0 && at.size < s.want.Size {
		return false // the subscriber could not tell where the page begins that was cut down
	}
	return at.after == p.at.after || at.after == s.origin
}

// anchorTexts returns the texts of a key as a client writes it, which are those that Postgres has for the types of which
// keys mostly are. What the identity says of the key the client does not write.
func (p *plan) anchorTexts(after []json.RawMessage) ([]string, error) {
	texts := make([]string, len(p.def.Key))
	rest := after
	for i, name := range p.def.Key {
		if p.keyJSON[i] == "" {
			texts[i], _ = p.choice.PinnedValue(name)
			continue
		}
		if len(rest) == 0 {
			return nil, errKeyColumns
		}
		text, err := anchorText(rest[0])
		if err != nil {
			return nil, err
		}
		texts[i], rest = text, rest[1:]
	}
	if len(rest) > 0 {
		return nil, errKeyColumns
	}
	return texts, nil
}

var errKeyColumns = window.Refusal("after: the key has another number of columns")

// anchorText returns the text of a value of a key.
func anchorText(raw json.RawMessage) (string, error) {
	var text string
	switch {
	case raw[0] == '"' && json.Unmarshal(raw, &text) != nil, raw[0] == '{', raw[0] == '[', raw[0] == 'n',
		strings.ContainsRune(text, 0):
		return "", window.Refusal("after: not a key")
	case raw[0] == '"':
		return text, nil
	}
	return string(raw), nil
}

// certain reports whether equal keys of the list have equal texts, in JSON and in Postgres.
func (r *relation) certain() bool {
	for _, oid := range r.keyOIDs {
		switch oid {
		case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.TextOID, pgtype.VarcharOID:
		default:
			return false
		}
	}
	return true
}

// ask has Postgres read an anchor that the view does not have: another spelling of a key may mean a row that it has. The
// get is answered then.
func (v *view) ask(s *subscription) {
	if v.plan.certain() || v.engine.away() || s.asking {
		s.fail(errNoAnchor)
		return
	}
	s.asking = true
	ctx, cancel := context.WithTimeout(v.engine.ctx, v.engine.config.QueryTimeout)
	s.giveUp = cancel
	pending, key, sql := s.pending, splitKey(s.named.key, len(v.list.def.Key)), v.plan.spellSQL()
	v.engine.work.Go(func() {
		defer cancel()
		spelled, err := v.engine.spell(ctx, sql, key)
		v.engine.feed.Do(func() {
			if s.closed || s.pending != pending {
				return
			}
			defer func() { s.asking = false }()
			switch {
			case refused(err): // it is no key
				s.fail(errNoAnchor)
				return
			case err != nil:
				s.fail(v.unreadable())
				return
			}
			s.named = &anchor{row: true, key: joinKey(spelled)}
			v.list.serve(s)
		})
	})
}

// spellSQL is the query that gives the texts of a key, one parameter for each column.
func (r *relation) spellSQL() string {
	var texts []string
	for i, k := range r.def.Key {
		c := r.columns[k]
		value := fmt.Sprintf("$%d::pg_catalog.text::%s", i+1, c.typeName)
		texts = append(texts, c.textSQL("("+value+")"))
	}
	return "SELECT " + strings.Join(texts, ", ")
}

// spell asks for the texts of a key under the settings of the feed, on which they may depend.
func (e *Engine) spell(ctx context.Context, sql string, key []string) (spelled []string, err error) {
	args := make([]any, len(key))
	for i, text := range key {
		args[i] = text
	}
	err = pgx.BeginTxFunc(ctx, e.config.Pool, readOnly, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, listen.PinSettings()); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		return collect(rows, func(rows pgx.Rows) error {
			for _, value := range rows.RawValues() {
				spelled = append(spelled, string(value))
			}
			return nil
		})
	})
	return spelled, err
}

// unmoor finds out what becomes of the anchors of windows when rows leave their places. It is called before the rows
// leave, with those that do.
func (s *stage) unmoor(pages *few[*page], deletes []string) {
	if s.joined {
		return // the windows know another tree; see remoor
	}
	gone := make(map[string]struct{}, len(deletes))
	for _, key := range deletes {
		gone[key] = struct{}{}
	}
	for p := range pages.all() {
		at := s.anchor(p)
		if _, moves := gone[at.key]; p.at.anchored && at.row && moves {
			s.before[p] = s.firm(at.key, gone)
		}
	}
}

// firm returns the nearest row before a row that stays where it is, or the start.
func (s *stage) firm(key string, moved map[string]struct{}) anchor {
	return lastBefore(s.tree, key, func(key string) bool { _, moves := moved[key]; return !moves })
}

// moor settles the anchors after all rows are in their places: an anchor that has the same rows before it has not moved,
// any other gives way to the row that was before it.
func (s *stage) moor(inserts []*member) {
	if len(s.before) == 0 {
		return
	}
	moved := make(map[string]struct{}, len(inserts))
	for _, m := range inserts {
		moved[m.key] = struct{}{}
	}
	for p, before := range s.before {
		at := s.anchor(p)
		if s.tree.Has(at.key) && s.firm(at.key, moved) == before {
			continue
		}
		s.anchors[p] = before
	}
}

// remoor settles the anchors after a load has joined, by the rules of moor: the rows that did not leave their places are
// those that both trees have at the same place.
func (s *stage) remoor(old *view) {
	same := old.plan.encoded == s.plan.encoded && slices.Equal(old.plan.order, s.plan.order)
	stays := func(key string) bool {
		was, _ := old.tree.Rank(key)
		is, ok := s.tree.Rank(key)
		return ok && (!same || bytes.Equal(old.tree.Place(was), s.tree.Place(is)))
	}
	for p := range old.pages.all() {
		at := p.at.after
		if !p.at.anchored || !at.row || stays(at.key) {
			continue
		}
		before := lastBefore(old.tree, at.key, stays)
		has := func(key string) bool { return old.tree.Has(key) && stays(key) }
		if !s.tree.Has(at.key) || lastBefore(s.tree, at.key, has) != before {
			s.anchors[p] = before
		}
	}
}

// lastBefore returns the nearest row before a row for which something holds, or the start.
func lastBefore(t *ranktree.Tree, key string, holds func(string) bool) anchor {
	rank, _ := t.Rank(key)
	for rank--; rank >= 0; rank-- {
		if key := t.At(rank); holds(key) {
			return anchor{row: true, key: key}
		}
	}
	return anchor{}
}

// anchor returns the anchor of a window as the stage has it.
func (s *stage) anchor(p *page) anchor {
	if at, ok := s.anchors[p]; ok {
		return at
	}
	return p.at.after
}

// at returns the place of a window as the stage has it.
func (s *stage) at(p *page) place {
	at := p.at
	at.after = s.anchor(p)
	return at
}
