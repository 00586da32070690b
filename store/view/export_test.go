package view

import (
	"context"
	"fmt"
	"strings"
	"unsafe"

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

// Encoded reports whether all views of a list place their rows by encoded keys.
func (e *Engine) Encoded(name string) (encoded bool) {
	e.on(name, func(v *view) {
		encoded = v.plan.encoded
		for _, other := range v.list.views {
			encoded = encoded && other.encode
		}
	})
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
	e.on(name, func(v *view) { held = Held{v.pages.len(), v.homeless.len(), v.waiting} })
	return held
}

// Loading reports whether a list is being loaded.
func (e *Engine) Loading(name string) (loading bool) {
	e.on(name, func(v *view) { loading = v.load != nil })
	return loading
}

// Due reports whether a list is going to be recomputed.
func (e *Engine) Due(name string) (due bool) {
	e.on(name, func(v *view) { due = v.due })
	return due
}

// Plans explains the statements of a list that look rows up by key, planned for any
// parameters under the settings of a drain.
func (e *Engine) Plans(ctx context.Context, name string) (plans []string, err error) {
	var p *plan
	var changed *reading
	e.on(name, func(v *view) { p, changed = v.plan, v.group.how() })
	nothing := strings.Repeat(", '{}'", len(p.def.Key))[2:]
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
		n = e.keeper.chosen
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

// BytesPerRow returns how many bytes a row takes in the views of a list that has some: in their trees, in the map that finds
// them by key, and as JSON in their windows.
func (e *Engine) BytesPerRow(name string) (bytes int) {
	done := make(chan struct{})
	e.feed.Do(func() {
		defer close(done)
		for _, l := range e.lists {
			if l.def.Name == name {
				bytes = l.bytesPerRow()
			}
		}
	})
	<-done
	return bytes
}

func (l *list) bytesPerRow() int {
	total, rows := 0, 0
	for _, v := range l.views {
		rows += v.tree.Len()
		total += v.tree.Bytes()
		for p := range v.pages.all() {
			for _, r := range p.state.Rows {
				total += int(unsafe.Sizeof(r)) + len(r.Key) + len(r.JSON)
			}
		}
	}
	const entry = 48 // of the map: a key and a pointer, of which two thirds are used, and the key's text
	return total/rows + entry
}

// OnFeed runs fn on the feed goroutine and waits for it.
func (e *Engine) OnFeed(fn func()) {
	done := make(chan struct{})
	e.feed.Do(func() {
		defer close(done)
		fn()
	})
	<-done
}
