package view_test

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/store/view"
)

const (
	owners   = 100_000
	rowsEach = 10
	// Each owner has ten tasks of a million.
	makeTasks = `CREATE TABLE tasks (id bigint PRIMARY KEY, owner bigint NOT NULL, due int NOT NULL, title text NOT NULL);
		INSERT INTO tasks SELECT i, i % 100000, i::bigint * 7919 % 525600, 'task ' || i FROM generate_series(1, 1000000) i;
		CREATE INDEX ON tasks (owner, due, id)`
)

func ownTasks() *binding.ListDef {
	return &binding.ListDef{
		Name: "tasks", Table: "tasks", Key: []string{"id"}, Columns: columnsNamed("id", "owner", "due", "title"),
		Where: "owner = @user", Order: []binding.OrderTerm{{Column: "due"}},
	}
}

// nobody is a subscriber that keeps nothing.
type nobody struct{ stepped chan<- *window.Step }

func (s nobody) Step(step *window.Step) {
	if s.stepped != nil {
		s.stepped <- step
	}
}
func (nobody) Answer(*window.State, int) {}
func (nobody) Resume(*window.Step, int)  {}
func (nobody) Fail(error, int)           {}
func (nobody) Still(error)               {}

// countedAnswers counts the answers that have come.
type countedAnswers struct {
	nobody
	answered chan<- struct{}
}

func (s countedAnswers) Answer(*window.State, int) { s.answered <- struct{}{} }

// BenchmarkOwners measures a change of one row of a list while so many users, each with a view and a window of 10 rows of
// their own, are subscribed, all at the same time. The change moves the due date of a row. p50-ms and p99-ms are from the
// return of the commit to the step of the one whose row it is; open-s is how long it took to open all views, B/view what
// one takes of the heap beyond its rows: the tree with their keys and places, their texts in the window, and the map that
// finds the owner of a row.
func BenchmarkOwners(b *testing.B) {
	pool := pgtest.New(b)
	l := &live{t: b, pool: pool, engine: view.New(&view.Config{Pool: pool, Log: quiet})}
	l.exec(makeTasks)
	l.exec("VACUUM ANALYZE tasks")
	source := l.list(ownTasks())
	l.run(nil)
	open := 0
	identities, subs := make([]window.Identity, owners), make([]window.Subscription, owners) // not a view's
	for i := range identities {
		user := strconv.Itoa(i)
		identities[i] = window.Identity{"user": &user}
	}
	b.Cleanup(func() {
		for _, sub := range subs[:open] {
			sub.Close()
		}
	})
	stepped := make(chan *window.Step, 16)
	for _, users := range []int{10, 1000, owners} {
		before, began := heap(), time.Now()
		answered := make(chan struct{}, owners)
		more := users - open
		for ; open < users; open++ {
			subs[open] = source.Subscribe(countedAnswers{nobody{stepped}, answered}, window.Options{Quiet: true, Identity: identities[open]})
			subs[open].Get(window.Want{Size: 25})
		}
		for range more {
			<-answered
		}
		opened := time.Since(began)
		size := float64(heap()-before)/float64(more) - float64(rowsEach*l.engine.BytesPerRow("tasks"))
		for range 50 { // the first ones prepare statements
			l.due(stepped, users)
		}
		b.Run(fmt.Sprint(users), func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				took = append(took, l.due(stepped, users))
			}
			report(b, "", took)
			b.ReportMetric(opened.Seconds(), "open-s")
			b.ReportMetric(size, "B/view")
		})
	}
}

// due changes a row of one of so many users and waits for the step.
func (l *live) due(stepped <-chan *window.Step, users int) time.Duration {
	user := int(time.Now().UnixNano()) % users
	l.exec("UPDATE tasks SET due = 525600 - due WHERE id = $1", user+owners*(1+user%8))
	began := time.Now()
	step := <-stepped
	require.Equal(l.t, rowsEach, step.To.Total)
	return time.Since(began)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
