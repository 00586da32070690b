package view

import (
	"errors"
	"fmt"
	"maps"
	"reflect"

	"github.com/socksync/socksync/internal/choice"
)

// Invariants holds every count and index of the engine against what it should be, between two drains.
func (e *Engine) Invariants() error {
	result := make(chan error)
	e.feed.Do(func() {
		c := &checker{}
		c.engine(e)
		result <- errors.Join(c.errs...)
	})
	return <-result
}

// Settled reports whether no view is being loaded.
func (e *Engine) Settled() bool {
	loads := make(chan int)
	e.feed.Do(func() {
		n := 0
		for _, l := range e.lists {
			for _, v := range l.views {
				if v.load != nil {
					n++
				}
			}
		}
		loads <- n
	})
	return <-loads == 0
}

// checker collects what is wrong.
type checker struct{ errs []error }

func (c *checker) equal(what string, have, want any) {
	if !reflect.DeepEqual(have, want) {
		c.errs = append(c.errs, fmt.Errorf("%s is %v, should be %v", what, have, want))
	}
}

func (c *checker) engine(e *Engine) {
	k := &e.keeper
	var chosen, rows, idle, idleRows int
	for _, l := range e.lists {
		c.list(l)
		for _, v := range l.views {
			if !v.choice.IsDefault() {
				chosen++
			}
			c.equal("a view that rests", v.resting != nil, !v.permanent() && v.users == 0)
			rows += v.counted
			if v.resting != nil {
				idle, idleRows = idle+1, idleRows+v.counted
			}
		}
	}
	c.equal("chosen views", k.chosen, chosen)
	c.equal("rows", k.rows, rows)
	c.equal("idle views", k.idle.Len(), idle)
	c.equal("rows of idle views", k.idleRows, idleRows)
}

func (c *checker) list(l *list) {
	shown, following := 0, map[*group]int{}
	for key, v := range l.views {
		c.equal("key of a view", v.key, key)
		c.view(v)
		shown += v.pages.len()
		if v.group != nil {
			following[v.group]++
		}
	}
	c.equal("windows", l.shown, shown)
	c.equal("staged", len(l.staged)+len(l.joining), 0)
	c.equal("groups", len(l.groups), len(following))
	for _, set := range []map[*view]struct{}{l.waiters, l.stands} {
		for v := range set {
			c.equal("a waiting view is one of the list", l.views[v.key] == v, true)
		}
	}
	for key, g := range l.groups {
		c.equal("key of a group", g.key, key)
		c.equal("views of a group", g.views, following[g])
		c.group(g)
	}
}

func (c *checker) view(v *view) {
	users, waiting := v.homeless.len(), 0
	for p := range v.pages.all() {
		users += p.subs.len() + p.waiting.len()
		waiting += p.waiting.len()
		c.equal("view of a window", p.view == v, true)
		c.equal("a window for nobody", p.subs.len()+p.waiting.len() == 0 && p.left == 0, false)
	}
	for at, p := range v.places {
		c.equal("place of a window", p.at, at)
		c.equal("a window in a place is there", v.pages.has(p), true)
	}
	for _, k := range v.kept {
		c.equal("the window of a kept state is there", v.pages.has(k.page), true)
	}
	c.equal("users", v.users, users)
	c.equal("waiting", v.waiting, waiting)
	if _, is := v.list.waiters[v]; waiting+v.homeless.len() > 0 {
		c.equal("a view where gets wait is known as one", is, true)
	}
	c.equal("a view is staged", v.stage != nil, false)
	c.equal("a view is loaded or follows", v.load == nil, v.group != nil)
	c.equal("indexed", v.indexed, v.group != nil)
	c.equal("frozen", v.frozen != 0, v.tree != nil && v.group == nil)
	if !v.permanent() {
		n := 0
		if v.tree != nil {
			n = v.tree.Len()
		}
		c.equal("rows of a view", v.counted, n)
	}
}

func (c *checker) group(g *group) {
	orders, views := map[orderColumn]int{}, 0
	var choices []*choice.Choice
	for name, f := range g.families {
		c.equal("name of a family", familyName(f), name)
		c.equal("a family has a view", len(f.buckets) > 0, true)
		c.family(f)
		for _, b := range f.buckets {
			for _, v := range b.views {
				views++
				choices = append(choices, v.read.choice)
				for _, t := range v.read.terms {
					orders[orderColumn{t.Column, v.read.encoded}]++
				}
				c.equal("a view is where it is found", v.group == g && v.bucket == b && v.read == v.plan, true)
				columns, values := v.read.choice.Pins()
				c.equal("what a view pins", fmt.Sprintf("%q %q", columns, values), fmt.Sprintf("%q %q", f.columns, b.values))
			}
		}
	}
	c.equal("views in families", views, g.views)
	c.equal("order columns", g.orders, orders)
	c.equal("what is asked", g.matcher.SQL(), g.relation.rules.Matcher(choices, len(g.list.def.Key)+1).SQL())
}

func (c *checker) family(f *family) {
	var has map[string]*bucket
	if len(f.columns) > 0 {
		has = map[string]*bucket{}
	}
	for values, b := range f.buckets {
		c.equal("values of a bucket", b.values, values)
		c.equal("a bucket has a view", len(b.views) > 0, true)
		for _, v := range b.views {
			for _, key := range v.tree.Keys(0, v.tree.Len()) {
				if has != nil {
					has[key] = b
				}
			}
		}
	}
	c.equal("rows that a family has", maps.Equal(f.has, has), true)
}
