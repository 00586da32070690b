package view

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/internal/window"
)

// chosen returns how many views there are that subscribers have chosen.
func (e *Engine) chosen() int {
	n := 0
	for _, l := range e.lists {
		n += len(l.views) - 1
	}
	return n
}

// most returns how many rows a view may have when it is opened, so that the views that subscribers have chosen are within
// bounds.
func (e *Engine) most(v *view) int {
	if v.standard() || v.tree != nil {
		return math.MaxInt
	}
	return max(0, e.config.Rows-e.indexed(func(other *view) bool { return other != v && other.watched() }))
}

// indexed returns how many rows those of the chosen views have for which something holds.
func (e *Engine) indexed(holds func(*view) bool) int {
	rows := 0
	for _, l := range e.lists {
		for _, v := range l.views {
			if !v.standard() && holds(v) {
				rows += v.len()
			}
		}
	}
	return rows
}

// watched reports whether somebody looks at the view or waits for it.
func (v *view) watched() bool {
	if len(v.homeless) > 0 {
		return true
	}
	for p := range v.pages {
		if len(p.subs) > 0 || len(p.waiting) > 0 {
			return true
		}
	}
	return false
}

// evict lets the view go that nobody has watched for longest, and reports whether there is one.
func (e *Engine) evict() bool {
	var oldest *view
	for _, l := range e.lists {
		for _, v := range l.views {
			if !v.standard() && !v.watched() && (oldest == nil || v.idle.Before(oldest.idle)) {
				oldest = v
			}
		}
	}
	if oldest != nil {
		oldest.list.drop(oldest)
	}
	return oldest != nil
}

// makeRoom lets views go that nobody watches until there is room for the rows of another.
func (e *Engine) makeRoom(v *view, rows int) {
	others := func(other *view) bool { return other != v }
	for rows+e.indexed(others) > e.config.Rows {
		if !e.evict() {
			return
		}
	}
}

// len is how many rows the view has as far as is known.
func (v *view) len() int {
	switch {
	case v.tree != nil:
		return v.tree.Len()
	case v.stage != nil: // its first load joins
		return v.stage.tree.Len()
	}
	return 0
}

// release takes back what an account is charged with for a view.
func (e *Engine) release(a *window.Account, v **view) {
	if *v != nil {
		a.Release(*v)
		*v = nil
	}
}

// unqueue takes a subscription out of those that wait for the first load.
func (v *view) unqueue(s *subscription) {
	if _, waits := v.homeless[s]; !waits {
		return
	}
	delete(v.homeless, s)
	v.idle = time.Now()
}

// sweep lets go what nobody has watched for as long as it is kept.
func (e *Engine) sweep() {
	until := time.Now().Add(-e.config.Grace)
	for _, l := range e.lists {
		for _, v := range l.views {
			for p := range v.pages {
				if len(p.subs) == 0 && len(p.waiting) == 0 && p.left.Before(until) {
					v.forget(p)
				}
			}
			if !v.standard() && len(v.pages) == 0 && len(v.homeless) == 0 && v.idle.Before(until) {
				l.drop(v)
			}
		}
	}
}

// sweeps runs sweep from time to time, until the engine stops.
func (e *Engine) sweeps() {
	ticker := time.NewTicker(max(e.config.Grace/4, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			e.feed.Do(e.sweep)
		case <-e.ctx.Done():
			return
		}
	}
}

// maxAdvice is how many orders of a list are looked at for an index that is missing.
const maxAdvice = 100

// advise looks, once for each order of a list and once for its search, whether an index serves it, and tells the operator
// which one would.
func (v *view) advise() {
	l, p := v.list, v.plan
	order := p.orderSQL()
	if _, done := l.advised[order]; done || len(l.advised) >= maxAdvice {
		return
	}
	l.advised[order] = struct{}{}
	v.engine.advise(l.log.With("order", order), "no index yields the order of a list: each load sorts its rows",
		func(ctx context.Context, tx pgx.Tx) (string, error) {
			return orderAdviceWhere(ctx, tx, tableName(l.def), l.def.Where, p.terms)
		})
	if len(l.def.Search) == 0 || l.searched {
		return
	}
	l.searched = true
	v.engine.advise(l.log, "no index serves the search of a list: each search reads all rows",
		func(ctx context.Context, tx pgx.Tx) (string, error) {
			return searchAdvice(ctx, tx, tableName(l.def), p.rules.Search())
		})
}

// advise looks for an index beside the feed, and warns with the statement that makes one if there is none.
func (e *Engine) advise(log *slog.Logger, what string, look func(context.Context, pgx.Tx) (string, error)) {
	e.work.Go(func() {
		ctx, cancel := context.WithTimeout(e.ctx, e.config.QueryTimeout)
		defer cancel()
		var advice string
		err := pgx.BeginTxFunc(ctx, e.config.Pool, readOnly, func(tx pgx.Tx) (err error) {
			// Advice is not worth a place in the queue for a lock, where everybody else would come to stand behind it.
			if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '100ms'"); err != nil {
				return err
			}
			advice, err = look(ctx, tx)
			return err
		})
		switch {
		case err != nil:
			log.Debug("cannot look for an index", "error", err)
		case advice != "":
			log.Warn(what, "advice", advice)
		}
	})
}
