package view

import "github.com/socksync/socksync/internal/window"

// onVar runs fn with a var on the feed goroutine and waits for it.
func (e *Engine) onVar(name string, fn func(*variable)) {
	done := make(chan struct{})
	e.feed.Do(func() {
		defer close(done)
		for _, v := range e.vars {
			if v.def.Name == name {
				fn(v)
			}
		}
	})
	<-done
}

// Followers returns how many subscriptions follow a var or wait for it.
func (e *Engine) Followers(name string) (n int) {
	e.onVar(name, func(v *variable) {
		for _, i := range v.instances {
			n += len(i.followed)
		}
	})
	return n
}

// VarHeld is what is kept of a var, and of all vars with parameters together.
type VarHeld struct {
	Instances       int // of the var
	All, Idle, Line int // of all vars: instances, those nobody follows, and those that wait for their turn
}

// VarHeld returns what is kept of a var.
func (e *Engine) VarHeld(name string) (held VarHeld) {
	e.onVar(name, func(v *variable) {
		a := e.instances
		held = VarHeld{len(v.instances), a.count, a.idle.Len(), a.line.Len()}
	})
	return held
}

// VarFailing returns how many instances of a var have failed and are tried again.
func (e *Engine) VarFailing(name string) (n int) {
	e.onVar(name, func(v *variable) { n = v.failing })
	return n
}

// ResolveParams returns the values that a filter gives to parameters, and their key.
func ResolveParams(names []string, filter []window.Condition) (key string, values []any, err error) {
	p, err := (&statement{chosen: names}).params(filter)
	return p.key, p.values, err
}

// FreeTurns returns how many queries of vars with parameters more may run.
func (e *Engine) FreeTurns() int {
	free := make(chan int)
	e.feed.Do(func() { free <- e.instances.free })
	return <-free
}
