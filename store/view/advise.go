package view

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"
)

// maxAdvice is how many things of a list are looked at for an index that is missing, of which orders are most.
const maxAdvice = 100

// advise looks, once for each order of a list, once for its search and once for what it depends on, whether an index serves
// it, and tells the operator which one would.
func (v *view) advise() {
	l, p := v.list, v.plan
	pinned, _ := p.choice.Pins()
	if order := p.orderSQL(); l.first("order " + order) {
		log := l.log.With("order", order)
		if len(pinned) == 0 {
			v.engine.advise(log, "no index yields the order of a list: each load sorts its rows",
				func(ctx context.Context, tx pgx.Tx) (string, error) {
					return p.orderAdvice(ctx, tx, p.rules.Static(), p.terms)
				})
		} else if p.rules.Owned() {
			v.engine.advise(log, "no index finds the rows of one subscriber: each load reads those of all",
				func(ctx context.Context, tx pgx.Tx) (string, error) { return p.ownerAdvice(ctx, tx, pinned, p.terms) })
		}
	}
	if len(l.def.Search) > 0 && l.first("search") {
		v.engine.advise(l.log, "no index serves the search of a list: each search reads all rows", p.searchAdvice)
	}
	if len(l.tables) > 1 && l.first("depends") {
		v.engine.advise(l.log, "no index finds the rows that refer to changed rows of another table", p.dependsAdvice)
	}
}

// first reports whether an index for something was not looked for before.
func (l *list) first(what string) bool {
	if _, done := l.advised[what]; done || len(l.advised) >= maxAdvice {
		return false
	}
	l.advised[what] = struct{}{}
	return true
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
