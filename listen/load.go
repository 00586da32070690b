package listen

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// holdSQL keeps pruning off while a load is in progress: prune only tries this lock.
const holdSQL = "select pg_catalog.pg_advisory_xact_lock_shared(7305813, 2)"

// join is a load that has been read and is to be handed over in a drain. The inbox's mutex guards taken and withdrawn;
// log belongs to the feed goroutine; the rest is fixed.
type join struct {
	token  any
	tables []string
	state  state
	prints []fingerprint // of tables

	taken     bool  // by a drain that is under way
	withdrawn error // the caller does not wait any more
	settled   chan error

	log collect
}

// settle tells the caller of Load. It is called once.
func (j *join) settle(err error) { j.settled <- err }

// Load reads something large without holding the feed up. It takes a connection of the pool, calls read in a REPEATABLE
// READ, READ ONLY transaction with the settings of a drain, and waits for the next drain, which hands token to the
// Drainer with the changes of the tables since then. It returns nil when that drain was committed. After an error the
// token will not come, or not again if its drain was aborted: load anew, after a pause.
//
// The tables must be watched. While the database is away Load waits, and only so many loads read at a time
// (Config.Loads). read must not take another connection of the pool, which may have only one. Load must not be called on
// the feed goroutine.
func (f *Feed) Load(ctx context.Context, token any, tables []string, read func(ctx context.Context, tx pgx.Tx) error) error {
	if name, unknown := f.names.unknown(tables); unknown {
		return fmt.Errorf("%w: load of table %s, which is not watched", errConfig, name)
	}
	ctx, cancel := f.status.during(ctx)
	defer cancel()
	if err := f.loads.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("wait for other loads: %w", context.Cause(ctx))
	}
	defer f.loads.Release(1)
	if err := f.status.wait(ctx); err != nil {
		return fmt.Errorf("wait for the feed: %w", err)
	}
	conn, err := f.config.Pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("take a connection: %w", err)
	}
	defer conn.Release()
	j := &join{token: token, tables: slices.Clone(tables), settled: make(chan error, 1)}
	if err := f.load(ctx, conn, j, read); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

// load reads and waits for the drain. Its transaction, and with it the lock, is kept until then, unless a pooler may
// have no second connection for the drain. The position is checked against the pruning mark in any case.
func (f *Feed) load(ctx context.Context, conn *pgxpool.Conn, j *join, read func(context.Context, pgx.Tx) error) error {
	tx, err := f.beginLoad(ctx, conn.Conn(), j)
	if tx != nil {
		defer rollbackLoad(ctx, tx)
	}
	if err != nil {
		return err
	}
	if err := read(ctx, tx); err != nil {
		return err
	}
	if f.config.PollOnly {
		if err := tx.Commit(ctx); err != nil {
			return err
		}
	}
	return f.join(ctx, j)
}

// beginLoad starts the transaction of a load and reads where the log stands, and the fingerprints. They are what they
// are at the end of the drain that the load joins, or else the load is worthless.
func (f *Feed) beginLoad(ctx context.Context, conn *pgx.Conn, j *join) (pgx.Tx, error) {
	j.prints = make([]fingerprint, len(j.tables))
	b := &pgx.Batch{}
	b.BeginTx(pgx.TxOptions{BeginQuery: beginSQL})
	b.Queue(set(f.config.loadSettings(), true))
	b.Queue(holdSQL)
	queueState(b, true, &j.state)
	queuePrints(b, j.tables, j.prints)
	results := conn.SendBatch(ctx, b)
	tx := results.Tx()
	if err := results.Close(); err != nil {
		return tx, err
	}
	if j.state.standby {
		return tx, errStandby
	}
	return tx, nil
}

// rollbackLoad ends the transaction of a load, if it has not ended, and with it the lock.
func rollbackLoad(ctx context.Context, tx pgx.Tx) {
	if ctx.Err() != nil {
		_ = tx.Conn().Close(ctx) // the pool makes another
		return
	}
	_ = tx.Rollback(ctx) // it closes a connection on which it fails
}

// join waits until a drain has handed the load over.
func (f *Feed) join(ctx context.Context, j *join) error {
	f.inbox.ask(func() { f.inbox.joins = append(f.inbox.joins, j) })
	select {
	case err := <-j.settled:
		return err
	case <-ctx.Done():
		f.inbox.withdraw(j, context.Cause(ctx))
		return <-j.settled
	}
}

// joined returns what a drain says of a load.
func (f *Feed) joined(j *join, d *Drain, pruned string) Joined {
	mark, err := ParseSnapshot(pruned)
	joined := Joined{Token: j.token, Tables: make(map[string]*Change)}
	joined.Stale = err != nil || !j.state.snapshot.Covers(mark) || j.state.name() != f.position.epoch ||
		!d.Snapshot.Covers(j.state.snapshot)
	for i, name := range j.tables {
		t := f.tables.byName[name]
		if joined.Stale || !t.joinable(&j.prints[i], d) || !j.state.snapshot.Covers(t.floor) {
			return Joined{Token: j.token, Stale: true}
		}
		if delta := j.log.deltas[t]; delta != nil {
			joined.Tables[name] = delta.change()
		}
	}
	return joined
}

// joinable reports whether a load that read the table with a certain print can be brought up to date.
func (t *table) joinable(loaded *fingerprint, d *Drain) bool {
	if t == nil || t.missing != nil || d.Skipped[t.Name] != nil {
		return false
	}
	c := d.Tables[t.Name]
	return t.print.hash == loaded.hash && (c == nil || !c.All)
}
