package view

import (
	chain "container/list"
	"time"
)

// instances are those of all vars with parameters. A few of their queries run at a time,
// so that they leave the pool to others however many there are; the others wait in line.
// Instances that nobody follows are kept for a while. It is owned by the feed goroutine.
type instances struct {
	engine  *Engine
	count   int
	free    int        // how many queries more may run: of half of the pool
	line    chain.List // instances whose query waits for its turn
	idle    chain.List // instances that nobody follows, the longest idle first
	waiting bool       // the time of the first of those is being waited for
}

func newInstances(e *Engine) *instances {
	return &instances{engine: e, free: max(1, int(e.config.Pool.Stat().MaxConns()/2))}
}

// enqueue has the query of an instance run when its turn comes.
func (a *instances) enqueue(i *instance) {
	i.underWay = true
	i.turn = a.line.PushBack(i)
	a.next()
}

// dequeue takes an instance out of the line.
func (a *instances) dequeue(i *instance) {
	if i.turn != nil {
		a.line.Remove(i.turn)
		i.turn, i.underWay = nil, false
	}
}

// next runs the queries whose turn it is.
func (a *instances) next() {
	for a.free > 0 && a.line.Len() > 0 {
		i := instanceAt(a.line.Front())
		a.line.Remove(i.turn)
		i.turn = nil
		a.free--
		i.run(func() {
			a.free++
			a.next()
		})
	}
}

// instanceAt returns the instance at a place in a line.
func instanceAt(e *chain.Element) *instance {
	return e.Value.(*instance) //nolint:errcheck // nothing else is in a line
}

// add counts a new instance. If there are too many, the one that nobody has followed for
// the longest time makes room; it is false if all are followed.
func (a *instances) add() bool {
	if a.count >= a.engine.config.MaxVarInstances {
		first := a.idle.Front()
		if first == nil {
			return false
		}
		a.drop(instanceAt(first))
	}
	a.count++
	return true
}

// drop forgets an instance.
func (a *instances) drop(i *instance) {
	a.watched(i)
	i.variable.note(i, nil)
	delete(i.variable.instances, i.params.key)
	a.count--
}

// watched takes an instance out of the idle ones.
func (a *instances) watched(i *instance) {
	if i.idle != nil {
		a.idle.Remove(i.idle)
		i.idle = nil
	}
}

// unwatched keeps an instance that nobody follows for Config.Grace.
func (a *instances) unwatched(i *instance) {
	if i.idle == nil {
		i.since = time.Now()
		i.idle = a.idle.PushBack(i)
		a.wait()
	}
}

// wait has sweep run when the time of the first idle instance is over.
func (a *instances) wait() {
	first := a.idle.Front()
	if first == nil || a.waiting || a.engine.ctx.Err() != nil {
		return
	}
	a.waiting = true
	since := instanceAt(first).since
	a.engine.later(time.Until(since.Add(a.engine.config.Grace)), func() {
		a.waiting = false
		a.sweep()
	})
}

// sweep drops the instances that have been idle for long enough.
func (a *instances) sweep() {
	for first := a.idle.Front(); first != nil; first = a.idle.Front() {
		i := instanceAt(first)
		if time.Since(i.since) < a.engine.config.Grace {
			break
		}
		a.drop(i)
	}
	a.wait()
}
