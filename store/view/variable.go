package view

import (
	"log/slog"
	"slices"
	"time"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// variable is a live var: the result of a query that is run again, on a connection
// beside the feed, whenever one of its tables changed and somebody follows it. It has
// one instance, or if it has parameters or depends on who subscribes, one for each set of
// them and each identity that somebody has asked for. All fields below the line are owned
// by the feed goroutine.
type variable struct {
	engine    *Engine
	def       *binding.VarDef
	statement statement
	identity  []string // the values of an identity that it needs: the statement's, then others of the settings
	role      *role
	tables    []string // as the feed names them
	log       *slog.Logger

	// ---------------------------------
	instances map[string]*instance // by the key of their parameters
	touched   bool                 // the drain under way touches a table
	failing   int                  // instances whose last query failed
	retrying  bool                 // another try is due after a pause
}

func newVariable(e *Engine, def *binding.VarDef) *variable {
	v := &variable{engine: e, def: def, log: e.log.With("var", def.Name), tables: feedNames(def.Tables)}
	v.statement = newStatement(def)
	v.identity = identityNames(v.statement, def.Settings)
	v.role = newRole(def.Role, def.Settings)
	return v
}

// single reports whether the var has one value for everybody.
func (v *variable) single() bool { return !v.hasParams() && len(v.identity) == 0 }

// hasParams reports whether the var has parameters, which a get gives.
func (v *variable) hasParams() bool { return len(v.statement.chosen) > 0 }

// reset forgets all that an earlier run of the feed has left.
func (v *variable) reset() {
	v.instances = map[string]*instance{}
	v.touched, v.failing, v.retrying = false, 0, false
	if v.single() {
		v.instances[""] = newInstance(v, params{})
	}
}

// Name implements [window.ValueSource].
func (v *variable) Name() string { return v.def.Name }

// Subscribe implements [window.ValueSource]. The subscriber follows a var without
// parameters from now on, one with parameters from its first get on.
func (v *variable) Subscribe(sink window.ValueSink, options window.Options) window.ValueSubscription {
	f := &follower{variable: v, sink: sink}
	f.who, f.barred = v.subject(options.Identity)
	if !v.hasParams() && f.barred == nil {
		v.engine.feed.Do(f.open)
	}
	if options.Instead != nil {
		options.Instead.Close() // after open: what both follow is not let go meanwhile
	}
	return f
}

// instance returns the instance for the parameters, which is made if there is none. The
// error is fit for the peer.
func (v *variable) instance(p params) (*instance, error) {
	if i, ok := v.instances[p.key]; ok {
		return i, nil
	}
	if !v.engine.instances.add() {
		return nil, errTooMany
	}
	i := newInstance(v, p)
	v.instances[p.key] = i
	return i, nil
}

var errTooMany = window.Refusal("too many values of vars with parameters are followed; try again later")

// drained notes whether a drain touches one of the tables.
func (v *variable) drained(d *listen.Drain) {
	v.touched = slices.ContainsFunc(v.tables, func(t string) bool {
		c := d.Tables[t]
		return c != nil && (c.All || c.Missing != nil || len(c.Keys) > 0)
	})
}

func (v *variable) commit() {
	if !v.touched {
		return
	}
	v.touched = false
	for _, i := range v.instances {
		i.stale = true
		i.refresh()
	}
}

func (v *variable) abort() { v.touched = false }

// note counts the instances that cannot be read. The operator is told of the first one.
func (v *variable) note(i *instance, err error) {
	switch {
	case err == nil && i.failing:
		v.failing--
	case err != nil && !i.failing:
		v.failing++
		if v.failing == 1 {
			v.log.Error("var cannot be read; it is tried again", "error", err)
		}
	}
	i.failing = err != nil
}

// retry has what failed run again after a pause; once, however often it has failed since.
func (v *variable) retry() {
	if v.retrying {
		return
	}
	v.retrying = true
	v.engine.later(v.engine.config.Retry, func() {
		v.retrying = false
		for _, i := range v.instances {
			if i.failing {
				i.refresh()
			}
		}
	})
}

// later has fn run on the feed goroutine after a while, unless the engine stops first.
func (e *Engine) later(pause time.Duration, fn func()) {
	ctx := e.ctx
	e.work.Go(func() {
		select {
		case <-time.After(pause):
			e.feed.Do(func() {
				if ctx.Err() == nil {
					fn()
				}
			})
		case <-ctx.Done():
		}
	})
}
