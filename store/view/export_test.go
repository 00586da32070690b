package view

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/listen"
)

// on runs fn with a list on the feed goroutine and waits for it.
func (e *Engine) on(name string, fn func(*list)) {
	done := make(chan struct{})
	e.feed.Do(func() {
		defer close(done)
		for _, l := range e.lists {
			if l.def.Name == name {
				fn(l)
			}
		}
	})
	<-done
}

// Encoded reports whether a list places its rows by encoded keys.
func (e *Engine) Encoded(name string) (encoded bool) {
	e.on(name, func(l *list) { encoded = l.plan.encoded })
	return encoded
}

// PlaceByPostgres has a list load again and let Postgres place its rows from then on.
func (e *Engine) PlaceByPostgres(name string) {
	e.on(name, func(l *list) {
		l.encode = false
		l.restart()
	})
}

// Haunt puts a row that does not exist into each load that joins.
func Haunt(d *listen.Drain) (haunted int) {
	for _, j := range d.Joined {
		if load, ok := j.Token.(*loaded); ok && !load.tree.Has("-1000") {
			load.tree.Insert(0, "-1000", nil)
			haunted++
		}
	}
	return haunted
}

// Held is what a list keeps for its subscribers.
type Held struct {
	Pages, Homeless, Waiting int
}

// Held returns what a list keeps for its subscribers.
func (e *Engine) Held(name string) (held Held) {
	e.on(name, func(l *list) { held = Held{len(l.pages), len(l.homeless), l.waiting} })
	return held
}

// Loading reports whether a list is being loaded.
func (e *Engine) Loading(name string) (loading bool) {
	e.on(name, func(l *list) { loading = l.load != nil })
	return loading
}

// Followers returns how many subscriptions a var has.
func (e *Engine) Followers(name string) int {
	n := make(chan int)
	e.feed.Do(func() {
		for _, v := range e.vars {
			if v.def.Name == name {
				n <- len(v.followed)
			}
		}
	})
	return <-n
}

// Plans explains the statements of a list that look rows up by key, planned for any
// parameters under the settings of a drain.
func (e *Engine) Plans(ctx context.Context, name string) (plans []string, err error) {
	var p *plan
	e.on(name, func(l *list) { p = l.plan })
	nothing := strings.Repeat(", '{}'", len(p.def.Key))[2:]
	err = e.try(ctx, func(tx pgx.Tx) error {
		for i, sql := range []string{p.changedSQL, p.fullSQL, p.rowsSQL, p.placeSQL} {
			name := fmt.Sprintf("explained_%s_%d", p.def.Name, i)
			setUp := indexesSQL + "; SET LOCAL plan_cache_mode = force_generic_plan; PREPARE " + name + " AS " + sql
			if _, err := tx.Exec(ctx, setUp, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
			rows, err := tx.Query(ctx, "EXPLAIN EXECUTE "+name+"("+nothing+")", pgx.QueryExecModeSimpleProtocol)
			if err != nil {
				return err
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			plans = append(plans, strings.Join(lines, "\n"))
		}
		return nil
	})
	return plans, err
}
