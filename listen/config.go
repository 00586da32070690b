package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Table is a table to watch. Two tables are the same when their names are.
type Table struct {
	// Name as SQL writes it: flights, public.flights, "Flights". It is resolved by the search path of the pool's
	// connections, and again whenever the table was dropped or renamed.
	Name string
	// Key are the names of the key columns, in the order in which the triggers log them. Without a key, each change of
	// the table is a Change.All.
	Key []string
	// Logged are the names of further columns whose values the triggers log behind the key, those that a row had and
	// those that it has. Each must exist for the table to count as present. The triggers may log more than these and in
	// another order; while they do not log one of them, each change of the table is a Change.All. Nil means none.
	Logged []string
	// Columns are the names of further columns that must exist for the table to count as present. Nil means none.
	Columns []string
}

// Config configures a feed.
type Config struct {
	// Pool is the database. The feed keeps one connection of its own, made like those of the pool (its connection
	// settings, BeforeConnect and AfterConnect apply; its tracer does not) but beside it, so that a busy pool does not
	// hold the feed up. Loads and pruning take connections from the pool. It is never closed here. Required.
	Pool *pgxpool.Pool
	// Tables to watch from the start. More can be added by Watch.
	Tables []Table
	// PollOnly is for a pooler in transaction mode (PgBouncer): no LISTEN and no session state. The feed then asks for
	// changes every PollInterval. Default: false.
	PollOnly bool
	// PollInterval is the longest time between two looks at the log where the doorbell cannot be used. Default: 20 ms.
	PollInterval time.Duration
	// StatementTimeout bounds one statement in a drain, by statement_timeout. Default: 30 s.
	StatementTimeout time.Duration
	// LockTimeout bounds how long a drain, and with it all tables, waits for a lock of one table. Default: 50 ms.
	LockTimeout time.Duration
	// DrainTimeout bounds a drain as a whole, which also finds a connection that died silently. Default: 1 min.
	DrainTimeout time.Duration
	// LoadTimeout bounds one statement of a load. Default: 5 min.
	LoadTimeout time.Duration
	// Loads is how many loads may read at the same time, each on a connection of the pool. Default: half of the pool,
	// at least 1 and at most 4.
	Loads int
	// MaxKeys is the number of keys and rows of logged values of one table up to which they are handed over; with more,
	// the table has Change.All. Default: 250,000.
	MaxKeys int
	// Repair puts the triggers on tables that lack some, for instance migrations.Install. It is called in the background,
	// with what the triggers log for other processes in Table.Logged too.
	// Nil: missing triggers are reported by the log and by Ready, and someone else has to install them.
	Repair func(ctx context.Context, tables []Table) error
	// Log takes what an operator should know. Default: slog.Default().
	Log *slog.Logger

	tuning tuning
}

// tuning are the constants of the feed, which tests change.
type tuning struct {
	second       time.Duration // between two rounds of maintenance; also the safety poll
	busyMin      time.Duration // between two drains under load
	busyMax      time.Duration
	lookFirst    time.Duration // between two looks at the holders
	lookLast     time.Duration
	retryMin     time.Duration // between two tries to read a table that is locked, and after a failed drain
	retryMax     time.Duration
	redialMin    time.Duration // between two tries to connect
	redialMax    time.Duration
	pruneLag     time.Duration // how far pruning stays behind, for feeds that are slower
	limitAhead   uint64        // transactions for which the triggers go on logging without a feed
	limitMargin  uint64        // nearer to the limit, some may have stopped logging
	queueLimit   float64       // part of the notification queue above which the bell is not used
	loadLock     time.Duration // that a load waits for a lock, of a table or of the pruner
	setupTimeout time.Duration // for statements that must not take long
	hooks        hooks
}

// hooks are where tests step in. Nil ones do nothing.
type hooks struct {
	armed   func()           // the bit is set, the holders are known, and the drain after it found nothing
	sleep   func()           // the feed is about to wait
	session func(pid uint32) // a connection has been set up
	drained func(*Drain)     // a drain was committed; nil for one that had nothing for the Drainer
	begun   func()           // a drain has its snapshot
	pruned  func(deleted int64)
}

// errConfig says that a Config cannot be used.
var errConfig = errors.New("invalid feed configuration")

// withDefaults returns a copy of the configuration without zero values.
func (c *Config) withDefaults() (Config, error) {
	var d Config
	if c != nil {
		d = *c
	}
	if d.Pool == nil {
		return d, fmt.Errorf("%w: Pool is missing", errConfig)
	}
	for _, t := range d.Tables {
		if !validName(t.Name) {
			return d, fmt.Errorf("%w: %q is not the name of a table", errConfig, t.Name)
		}
	}
	orDefault(&d.PollInterval, 20*time.Millisecond)
	orDefault(&d.StatementTimeout, 30*time.Second)
	orDefault(&d.LockTimeout, 50*time.Millisecond)
	orDefault(&d.DrainTimeout, time.Minute)
	orDefault(&d.LoadTimeout, 5*time.Minute)
	orDefault(&d.Loads, int(min(4, max(1, d.Pool.Config().MaxConns/2))))
	orDefault(&d.MaxKeys, 250_000)
	if d.Log == nil {
		d.Log = slog.Default()
	}
	d.tuning.setDefaults()
	return d, nil
}

func (t *tuning) setDefaults() {
	orDefault(&t.second, time.Second)
	orDefault(&t.busyMin, 2*time.Millisecond)
	orDefault(&t.busyMax, 5*time.Millisecond)
	orDefault(&t.lookFirst, 2*time.Millisecond)
	orDefault(&t.lookLast, 100*time.Millisecond)
	orDefault(&t.retryMin, 20*time.Millisecond)
	orDefault(&t.retryMax, time.Second)
	orDefault(&t.redialMin, 50*time.Millisecond)
	orDefault(&t.redialMax, 5*time.Second)
	orDefault(&t.pruneLag, 10*time.Second)
	orDefault(&t.limitAhead, 10_000_000)
	orDefault(&t.limitMargin, 1_000_000)
	orDefault(&t.queueLimit, 0.25)
	orDefault(&t.loadLock, time.Second)
	orDefault(&t.setupTimeout, 10*time.Second)
}

func orDefault[T comparable](value *T, d T) {
	var zero T
	if *value == zero {
		*value = d
	}
}
