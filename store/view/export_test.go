package view

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/listen"
)

// on runs fn with the standard view of a list on the feed goroutine and waits for it.
func (e *Engine) on(name string, fn func(*view)) {
	done := make(chan struct{})
	e.feed.Do(func() {
		defer close(done)
		for _, l := range e.lists {
			if l.def.Name == name {
				fn(l.standard)
			}
		}
	})
	<-done
}

// Encoded reports whether a list places its rows by encoded keys.
func (e *Engine) Encoded(name string) (encoded bool) {
	e.on(name, func(v *view) { encoded = v.plan.encoded })
	return encoded
}

// PlaceByPostgres has a list load again and let Postgres place its rows from then on.
func (e *Engine) PlaceByPostgres(name string) {
	e.on(name, func(v *view) {
		v.encode = false
		v.restart()
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
	e.on(name, func(v *view) { held = Held{len(v.pages), len(v.homeless), v.waiting} })
	return held
}

// Loading reports whether a list is being loaded.
func (e *Engine) Loading(name string) (loading bool) {
	e.on(name, func(v *view) { loading = v.load != nil })
	return loading
}

// Plans explains the statements of a list that look rows up by key, planned for any
// parameters under the settings of a drain.
func (e *Engine) Plans(ctx context.Context, name string) (plans []string, err error) {
	var p *plan
	e.on(name, func(v *view) { p = v.plan })
	nothing := strings.Repeat(", '{}'", len(p.def.Key))[2:]
	changed := newReading([]*plan{p})
	err = e.try(ctx, func(tx pgx.Tx) error {
		for i, sql := range []string{changed.sql, changed.fullSQL, p.rowsSQL, p.placeSQL} {
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

// Chosen returns how many views there are that subscribers have chosen.
func (e *Engine) Chosen() (n int) {
	done := make(chan struct{})
	e.feed.Do(func() {
		defer close(done)
		n = e.chosen()
	})
	<-done
	return n
}

// Swept lets go what nobody watches until something holds.
func (e *Engine) Swept(until func() bool) {
	for !until() {
		done := make(chan struct{})
		e.feed.Do(func() {
			defer close(done)
			e.sweep()
		})
		<-done
	}
}

// AdviseAgain looks for the indexes of a list again.
func (e *Engine) AdviseAgain(name string) {
	e.on(name, func(v *view) {
		clear(v.list.advised)
		v.advise()
	})
}
