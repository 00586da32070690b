package listen

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/socksync/socksync/internal/lifecycle"
)

// Feed reads the change log and hands what changed to its [Drainer]. Its methods may be called from any goroutine.
//
// One goroutine, started by Start, owns the connection, the position, the tables and all calls of the Drainer. Others
// reach it through the inbox, and learn about it through the status, each of which has a mutex of its own.
type Feed struct {
	config  Config // fixed
	drainer Drainer
	service lifecycle.Service
	inbox   *inbox
	status  *status
	loads   *semaphore.Weighted
	names   names
	marks   chan Snapshot  // to the pruner, of size 1
	work    sync.WaitGroup // the pruner and a repair

	// Owned by the feed goroutine.
	position position
	tables   tables
	history  history
	repair   repair
	asked    bool // a Kick that no drain has answered
}

// position is where the feed stands. The zero value is nowhere: everything is to be read.
type position struct {
	epoch    string
	snapshot Snapshot // zero: the past is not known
	kept     string   // the last pruning mark that the snapshot was found to cover
	debts    []debt
}

// New returns a feed that has not been started. It returns an error when the configuration cannot be used.
func New(config *Config, drainer Drainer) (*Feed, error) {
	c, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	f := &Feed{
		config:  c,
		drainer: drainer,
		inbox:   newInbox(),
		status:  newStatus(),
		loads:   semaphore.NewWeighted(int64(c.Loads)),
		marks:   make(chan Snapshot, 1),
	}
	for _, t := range c.Tables {
		f.Watch(t)
	}
	return f, nil
}

// Start checks that the database can be used and then runs the feed in the background, until ctx ends or Stop is
// called. Errors of the check tell what to do; afterwards the feed reconnects for as long as it has to. Starting a feed
// that runs does nothing; a stopped one may be started again and reads everything anew.
func (f *Feed) Start(ctx context.Context) error {
	return f.service.Start(ctx, f.check, f.run)
}

// Stop ends the feed and waits until it has left the database: its connection is closed, its bit of the doorbell is
// clear. It may be called at any time and repeatedly, also after an earlier call that ctx ended.
func (f *Feed) Stop(ctx context.Context) error {
	return f.service.Stop(ctx)
}

// Ready returns nil when the feed runs and what it handed over is the present. Otherwise the error matches
// ErrNotRunning, ErrDown or ErrTriggers.
func (f *Feed) Ready() error { return f.status.ready(time.Now()) }

// Do has fn run on the feed goroutine, after the functions given before and not during a drain. It does not wait. While
// the database is away functions run all the same; before Start and after Stop they are kept.
func (f *Feed) Do(fn func()) {
	f.inbox.ask(func() { f.inbox.functions = append(f.inbox.functions, fn) })
}

// Kick asks for a drain that begins after now, even if nothing has changed. Requests that come together are one.
func (f *Feed) Kick() {
	f.inbox.ask(func() { f.inbox.kicked = true })
}

// Watch adds a table, which begins with a Change.All or Change.Missing. Of one that is watched already it adds the
// columns, those to be logged behind those that are, and the key if it had none.
func (f *Feed) Watch(t Table) {
	t.Key, t.Logged, t.Columns = slices.Clone(t.Key), slices.Clone(t.Logged), slices.Clone(t.Columns)
	f.names.add(t.Name)
	f.inbox.ask(func() { f.inbox.watched = append(f.inbox.watched, t) })
}

// names are the tables that are watched, for Load.
type names struct {
	mu    sync.Mutex
	known map[string]bool
}

func (n *names) add(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		n.known = make(map[string]bool)
	}
	n.known[name] = true
}

// unknown returns the first of the names that is not watched.
func (n *names) unknown(of []string) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(of, func(name string) bool { return !n.known[name] })
	if i < 0 {
		return "", false
	}
	return of[i], true
}
