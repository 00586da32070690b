package view

import (
	"bytes"
	chain "container/list"
	"encoding/json"
	"errors"
	"time"

	"github.com/socksync/socksync/internal/window"
)

// instance is the value of a var for one set of parameters and one identity. One query of
// it runs at a time and each starts after the commit that asked for it, so values never go
// back. It is owned by the feed goroutine.
type instance struct {
	variable *variable
	params   params

	value    *window.Value // nil until the first query has ended well
	stale    bool          // a table may have changed since the last query began
	underWay bool          // a query runs, or waits for its turn
	failing  bool          // the last query failed

	followed map[*follower]struct{} // by those whose value it is, and those who wait for it
	turn     *chain.Element         // in the line of those whose query waits for its turn
	idle     *chain.Element         // among those that nobody follows
	since    time.Time              // when its last follower left
}

func newInstance(v *variable, p params) *instance {
	return &instance{variable: v, params: p, stale: true, followed: map[*follower]struct{}{}}
}

func (i *instance) join(f *follower) {
	i.followed[f] = struct{}{}
	i.variable.engine.instances.watched(i)
}

func (i *instance) leave(f *follower) {
	delete(i.followed, f)
	i.release()
}

// release lets an instance go that nobody follows: one without a value at once, one with
// a value after a while.
func (i *instance) release() {
	v := i.variable
	if len(i.followed) > 0 || v.single() || v.instances[i.params.key] != i {
		return
	}
	v.engine.instances.dequeue(i)
	if i.value == nil && !i.underWay {
		v.engine.instances.drop(i)
		return
	}
	v.engine.instances.unwatched(i)
}

// present reports whether the value is known and no query is to come.
func (i *instance) present() bool { return i.value != nil && !i.stale && !i.underWay }

// refresh has the query run if its result is wanted and may differ.
func (i *instance) refresh() {
	e := i.variable.engine
	if i.underWay || !i.stale || len(i.followed) == 0 || e.ctx.Err() != nil {
		return
	}
	if i.variable.single() {
		i.run(func() {})
		return
	}
	e.instances.enqueue(i)
}

// run runs the query, and then the function on the feed goroutine.
func (i *instance) run(then func()) {
	e := i.variable.engine
	ctx := e.ctx
	i.stale, i.underWay = false, true
	e.work.Go(func() {
		value, err := i.variable.query(ctx, i.params)
		e.feed.Do(func() {
			if ctx.Err() == nil {
				i.queried(value, err)
				then()
			}
		})
	})
}

// queried takes a result.
func (i *instance) queried(value json.RawMessage, err error) {
	i.underWay = false
	if err != nil {
		i.failed(err)
		return
	}
	i.variable.note(i, nil)
	first := i.value == nil
	differs := first || !bytes.Equal(i.value.JSON, value)
	if differs {
		i.value = &window.Value{Name: i.variable.def.Name, JSON: value}
	}
	for f := range i.followed {
		f.tell(i, differs && !first)
	}
	i.refresh()
}

// failed answers those who wait and tries again later. Parameters that have never given
// a value and are refused are not tried again before a table changes.
func (i *instance) failed(err error) {
	v := i.variable
	i.stale = true
	if len(i.followed) == 0 {
		i.release()
		return
	}
	var refusal error
	if i.value == nil && errors.Is(err, errParams) {
		refusal = v.refusal()
	}
	if refusal != nil {
		v.log.Debug("parameters are refused", "error", err)
		v.note(i, nil)
	} else {
		v.note(i, err)
		v.retry()
	}
	for f := range i.followed {
		f.fail(i, refusal)
	}
}
