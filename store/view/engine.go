package view

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// Config configures an Engine.
type Config struct {
	// Pool serves checks, and the queries of vars. It is never closed here.
	Pool *pgxpool.Pool
	// Log takes what an operator should know. Default: slog.Default().
	Log *slog.Logger
	// Retry is the longest time between two attempts to load a list or var
	// that cannot be read. Default: 1 s.
	Retry time.Duration
	// Views is how many choices of subscribers may be open at the same time, in all
	// lists together. One more is refused. Default: 10,000.
	Views int
	// Rows is how many rows these may have together when one is opened. Default: 10,000,000, which take
	// about 600 MB.
	Rows int
	// KeptRows is how many rows the earlier states of windows may have together, that are kept for subscribers who
	// come back, and how many the windows that they have left. The oldest go first. Default: 1,000,000, which take about 40 MB.
	KeptRows int
	// QueryTimeout bounds one query of a var. Default: 30 s.
	QueryTimeout time.Duration
	// Grace is how long something that subscribers have chosen is kept for
	// nobody. Default: 30 s.
	Grace time.Duration
	// MaxVarInstances bounds the sets of parameters for which the values of
	// vars are kept, of all vars together. Default: 10,000.
	MaxVarInstances int
}

// Engine keeps lists and vars live. It is the feed's [listen.Drainer].
//
// Lists are owned by the feed goroutine. Loads and var queries run in goroutines
// of their own, which Stop ends and waits for; they hand their results to the
// feed goroutine through [listen.Feed.Do].
type Engine struct {
	config Config
	log    *slog.Logger
	feed   *listen.Feed
	lists  []*list
	vars   []*variable
	probed bool
	tables []listen.Table
	look   func(ctx context.Context, tx pgx.Tx, sequence uint64) error // nil for none
	down   bool                                                        // the feed has said so, and no drain has come since; owned by the feed goroutine

	// Owned by the feed goroutine.
	keeper   keeper
	born     time.Time // the clock counts from here
	epoch    string    // of the revisions
	sequence uint64    // of the last drain that was committed
	catches  bool      // a drain is going to be asked for, for lists that are owed changes
	past     *past

	instances *instances // of vars with parameters; owned by the feed goroutine

	unreadable atomic.Int64

	ctx    context.Context //nolint:containedctx // the life of the background work, ended by Stop
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// New returns an engine without lists.
func New(config *Config) *Engine {
	e := &Engine{config: *config, log: config.Log}
	if e.log == nil {
		e.log = slog.Default()
	}
	e.config.Retry = cmp.Or(e.config.Retry, time.Second)
	e.config.QueryTimeout = cmp.Or(e.config.QueryTimeout, 30*time.Second)
	e.config.Grace = cmp.Or(e.config.Grace, 30*time.Second)
	e.config.Views = cmp.Or(e.config.Views, 10_000)
	e.config.Rows = cmp.Or(e.config.Rows, 10_000_000)
	e.config.MaxVarInstances = cmp.Or(e.config.MaxVarInstances, 10_000)
	e.config.KeptRows = cmp.Or(e.config.KeptRows, 1_000_000)
	return e
}

// List adds a list. It must be called before Start.
func (e *Engine) List(def *binding.ListDef) window.Source {
	l := newList(e, def)
	e.lists = append(e.lists, l)
	return source{l}
}

// Var adds a var. It must be called before Start.
func (e *Engine) Var(def *binding.VarDef) window.ValueSource {
	v := newVariable(e, def)
	e.vars = append(e.vars, v)
	return v
}

// Inspect has a function called at the end of each drain in its transaction, with the sequence of the states that it
// leads to: the second part of their revisions. A drain that is repeated has the same. An error undoes the drain. It is
// for tests, and must be called before Start.
func (e *Engine) Inspect(fn func(ctx context.Context, tx pgx.Tx, sequence uint64) error) { e.look = fn }

// Tables returns the tables that the feed must watch, with their keys. It is valid
// after Check.
func (e *Engine) Tables() []listen.Table { return e.tables }

// Check holds every definition against the database and returns all mistakes.
func (e *Engine) Check(ctx context.Context) error {
	var errs []error
	err := pgx.BeginTxFunc(ctx, e.config.Pool, readOnly, func(tx pgx.Tx) error {
		var err error
		e.probed, err = probe(ctx, tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the catalog: %w", err)
	}
	for _, l := range e.lists {
		errs = append(errs, e.try(ctx, func(tx pgx.Tx) error {
			r, err := newRelation(ctx, tx, e, l.def)
			if err != nil {
				return err
			}
			l.rules.Store(r.rules)
			return l.checkRole(ctx, tx, r)
		}))
	}
	for _, v := range e.vars {
		errs = append(errs, e.try(ctx, func(tx pgx.Tx) error { return v.check(ctx, tx) }))
	}
	errs = append(errs, e.try(ctx, func(tx pgx.Tx) error { return e.findTables(ctx, tx) }))
	return errors.Join(errs...)
}

var readOnly = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}

func (e *Engine) try(ctx context.Context, fn func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, e.config.Pool, readOnly, fn)
}

// Start begins to load the lists through the feed. It comes before the feed's own
// start, from which on that calls the engine.
func (e *Engine) Start(feed *listen.Feed) {
	e.feed = feed
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.down = false // not in the function, which may run after the feed has lost the database
	e.work.Go(e.sweeps)
	feed.Do(func() {
		e.catches = false
		e.instances = newInstances(e)
		e.keeper, e.born = keeper{}, time.Now()
		e.epoch, e.sequence, e.past = strconv.FormatInt(time.Now().UnixMicro(), 10), 0, &past{maxRows: e.config.KeptRows}
		for _, l := range e.lists {
			l.reset()
			if l.standard != nil {
				l.standard.reload()
			}
		}
		for _, v := range e.vars {
			v.reset()
		}
	})
}

// clock is the time since the start: what is noted of every view and window takes less than a time of day.
func (e *Engine) clock() time.Duration { return time.Since(e.born) + 1 }

// away reports whether the database cannot be reached, as far as the feed knows.
func (e *Engine) away() bool {
	e.down = e.down && errors.Is(e.feed.Ready(), listen.ErrDown)
	return e.down
}

// Stop ends loads and queries and waits for them. The feed must have stopped. It does
// nothing if the engine was not started.
func (e *Engine) Stop() {
	if e.cancel != nil {
		e.cancel()
	}
	e.work.Wait()
}

// Unreadable returns how many times a row could not be scanned or encoded and was
// published with its key only.
func (e *Engine) Unreadable() int64 { return e.unreadable.Load() }

// refused reports whether the server understood the statement and did not run it:
// the connection is good, the statement is not. One that takes too long counts, or it
// would hold up all other lists for ever.
func refused(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	const tooLong = "57014"
	switch pg.Code[:min(2, len(pg.Code))] {
	case "08", "57", "53", "40", "25", "": // connection, shutdown and cancel, resources, conflicts, transaction state
		return pg.Code == tooLong
	}
	return true
}
