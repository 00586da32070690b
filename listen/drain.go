package listen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	// errAgain has a drain repeated: what it stood on has changed.
	errAgain = errors.New("the drain is repeated")
	// errAltered says that a table was altered or rewritten during the drain, so that rows may have been read in a state
	// which they never had.
	errAltered = errors.New("a table was altered during the drain")
)

// A drain is repeated at once, but not for ever: after some repeats a table that is altered all the time is left out.
const (
	maxRepeats = 3
	lastRepeat = 20
)

// attempt is one transaction of a drain.
type attempt struct {
	state state
	tx    pgx.Tx
	log   collect
	joins []*join
	drain Drain
	part  []*table // the tables in drain.Tables
	ended bool
}

// drain brings the Drainer to the present. It reports whether the log had anything since the last time. An error means
// that the connection is of no use; an error of the Drainer's alone is dealt with here.
func (s *session) drain(ctx context.Context) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.feed.config.DrainTimeout)
	defer cancel()
	for _, t := range s.feed.inbox.takeWatched() {
		s.feed.tables.watch(t)
	}
	s.feed.asked = s.feed.inbox.takeKick() || s.feed.asked
	joins := s.feed.inbox.takeJoins()
	defer func() { s.feed.inbox.giveBack(joins) }()
	skip := make(map[string]error)
	for repeats := 0; ; repeats++ {
		a := &attempt{joins: joins, log: collect{tables: &s.feed.tables, limit: s.feed.config.MaxKeys}}
		err := s.attempt(ctx, a, skip, repeats >= maxRepeats)
		var te *TableError
		switch {
		case err == nil:
			for _, j := range joins {
				j.settle(nil)
			}
			joins, s.feed.asked = nil, false
			return a.log.rows > 0, nil
		case s.conn.IsClosed() || ctx.Err() != nil:
			return false, err
		case errors.Is(err, errAgain) && repeats < lastRepeat:
		case errors.As(err, &te) && skip[te.Table] == nil && s.feed.tables.byName[te.Table] != nil:
			skip[te.Table] = te.Err
			s.block(te)
			s.feed.tables.fresh = true // it may have been dropped
		default:
			return true, s.stumble(ctx, err) // what was found is still there
		}
	}
}

// drainError is an error of the Drainer.
type drainError struct{ error }

func (e drainError) Unwrap() error { return e.error }

// stumble waits after an error of the Drainer, on a connection that is good. Any other error ends the session.
func (s *session) stumble(ctx context.Context, err error) error {
	var de drainError
	if !errors.As(err, &de) {
		return err
	}
	s.feed.config.Log.Error("a drain failed and is repeated", "error", err)
	s.feed.status.failed(err, false)
	s.feed.tables.fresh = true // the reason may be that a table was altered
	s.feed.pause(ctx, s.failures.NextBackOff())
	return nil
}

// attempt makes one drain in one transaction.
func (s *session) attempt(ctx context.Context, a *attempt, skip map[string]error, worn bool) error {
	defer s.rollback(ctx, a)
	if err := s.learnTables(ctx); err != nil {
		return err
	}
	if err := s.begin(ctx, a); err != nil {
		return s.tooMuch(ctx, err)
	}
	if hook := s.feed.config.tuning.hooks.begun; hook != nil {
		hook()
	}
	if err := s.checkPast(ctx, a); err != nil {
		return err
	}
	s.compose(a, skip)
	if !s.feed.asked && len(a.drain.Tables) == 0 && len(a.joins) == 0 {
		return s.passOver(ctx, a)
	}
	if err := s.feed.drainer.Drain(ctx, a.tx, &a.drain); err != nil {
		return s.abort(ctx, a, drainError{fmt.Errorf("drain: %w", err)})
	}
	changed, err := s.end(ctx, a)
	if err != nil {
		return s.abort(ctx, a, err)
	}
	if s.spoiled(changed, skip, worn) {
		return s.abort(ctx, a, fmt.Errorf("%w: %w", errAgain, errAltered))
	}
	s.feed.drainer.Commit()
	s.advance(a)
	return nil
}

// tooMuch gives the past up if reading it takes too long, since it would take longer still the next time.
func (s *session) tooMuch(ctx context.Context, err error) error {
	if hasCode(err, queryCanceled) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		s.feed.config.Log.Warn("the change log is too long to be read; everything is read again", "error", err)
		s.feed.forgetPast()
	}
	return err
}

// passOver ends a drain that has nothing for the Drainer. If the log had rows, of relations that are not known, one of
// them may be a new partition.
func (s *session) passOver(ctx context.Context, a *attempt) error {
	if a.log.rows > 0 {
		changed, err := s.end(ctx, a)
		if err == nil && len(changed) > 0 {
			err = errAgain
		}
		if err != nil {
			return err
		}
	} else {
		a.ended = true
		if err := a.tx.Commit(ctx); err != nil {
			return fmt.Errorf("end the drain: %w", err)
		}
	}
	s.advance(a)
	return nil
}

// end commits and then reads the fingerprints, in one round trip. They are read after the transaction, in a snapshot of
// their own: if they are what they were before it began, no table was altered, attached, truncated or rewritten in
// between, hence neither before the transaction's snapshot nor under it, where such a table would look empty.
func (s *session) end(ctx context.Context, a *attempt) (changed []*table, err error) {
	a.ended = true
	prints := make([]fingerprint, len(s.feed.tables.list))
	b := &pgx.Batch{}
	b.Queue("commit").Exec(func(tag pgconn.CommandTag) error {
		if tag.String() == "ROLLBACK" {
			return drainError{errors.New("a statement of the drain failed, and the Drainer went on")}
		}
		return nil
	})
	queuePrints(b, s.feed.tables.listNames(), prints)
	if err := s.conn.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("end the drain: %w", err)
	}
	return s.setPrints(ctx, prints)
}

// learnTables reads the fingerprints if some are not known.
func (s *session) learnTables(ctx context.Context) error {
	if !s.feed.tables.fresh {
		return nil
	}
	_, err := s.readPrints(ctx)
	return err
}

func (s *session) readPrints(ctx context.Context) (changed []*table, err error) {
	prints := make([]fingerprint, len(s.feed.tables.list))
	b := &pgx.Batch{}
	queuePrints(b, s.feed.tables.listNames(), prints)
	if err := s.conn.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	return s.setPrints(ctx, prints)
}

// setPrints takes new fingerprints. Statements prepared on a table that has changed would fail.
func (s *session) setPrints(ctx context.Context, prints []fingerprint) (changed []*table, err error) {
	changed = s.feed.tables.update(prints)
	s.feed.checkTriggers()
	if len(changed) == 0 {
		return nil, nil
	}
	if err := s.conn.DeallocateAll(ctx); err != nil {
		return nil, fmt.Errorf("forget prepared statements: %w", err)
	}
	return changed, nil
}

// spoiled reports whether a table that the drain may have read was altered during it. A table that is altered again and
// again is left out of the next attempt.
func (s *session) spoiled(changed []*table, skip map[string]error, worn bool) (spoiled bool) {
	for _, t := range changed {
		if skip[t.Name] != nil {
			continue
		}
		spoiled = true
		if worn {
			skip[t.Name] = errAltered
			s.block(&TableError{Table: t.Name, Err: errAltered})
		}
	}
	return spoiled
}

// compose finds what to hand over. Tables that are blocked are left out until a try is due.
func (s *session) compose(a *attempt, skip map[string]error) {
	now := time.Now()
	a.drain = Drain{
		Snapshot: a.state.snapshot, Epoch: s.feed.position.epoch,
		Tables: make(map[string]*Change), Skipped: make(map[string]error),
	}
	for _, t := range s.feed.tables.list {
		d := a.log.deltas[t]
		if b := t.blocked; b != nil && skip[t.Name] == nil && !b.due(now, d != nil) {
			skip[t.Name] = b.err
		}
		if err := skip[t.Name]; err != nil {
			a.drain.Skipped[t.Name] = err
			continue
		}
		if c := t.change(d, s.feed.config.MaxKeys); c != nil {
			a.drain.Tables[t.Name] = c
		}
		a.part = append(a.part, t)
	}
	for _, j := range a.joins {
		a.drain.Joined = append(a.drain.Joined, s.feed.joined(j, &a.drain, a.state.pruned))
	}
}

// change returns what the Drainer is to be told of a table that can be read: what was pending and what is new.
func (t *table) change(d *delta, limit int) *Change {
	if t.missing != nil {
		if t.told {
			return nil
		}
		return &Change{Missing: t.missing}
	}
	if d == nil {
		d = &delta{}
	}
	if !t.pending.empty() {
		all := &delta{}
		all.merge(&t.pending, limit)
		all.merge(d, limit)
		d = all
	}
	if d.empty() {
		return nil
	}
	return d.change()
}

// abort ends the transaction and has the Drainer drop what it staged.
func (s *session) abort(ctx context.Context, a *attempt, err error) error {
	s.rollback(ctx, a)
	s.feed.drainer.Abort(err)
	return err
}

// rollback ends the transaction if it has not ended, also when ctx has.
func (s *session) rollback(ctx context.Context, a *attempt) {
	if a.tx == nil || a.ended {
		return
	}
	a.ended = true
	ctx, cancel := s.brief(context.WithoutCancel(ctx))
	defer cancel()
	_ = a.tx.Rollback(ctx) // it closes a connection on which it fails
}

// advance makes the drain's snapshot the position.
func (s *session) advance(a *attempt) {
	f, now := s.feed, time.Now()
	for t, d := range a.log.deltas {
		if a.drain.Skipped[t.Name] != nil {
			t.pending.merge(d, f.config.MaxKeys)
		}
	}
	for _, t := range a.part {
		s.unblock(t)
		if t.pending.all {
			t.floor = a.state.snapshot
		}
		t.pending = delta{}
		t.told = t.missing != nil
	}
	f.position.snapshot = a.state.snapshot
	f.history.add(a.state.snapshot, a.log.rows, now, f.config.tuning.second)
	s.worked, s.limit, s.flag = true, a.state.limit(), a.state.flag&0xffff
	s.failures.Reset()
	f.status.succeeded(now)
	if hook := f.config.tuning.hooks.drained; hook != nil {
		hook(&a.drain)
	}
}
