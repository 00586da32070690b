package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
)

// Statements that begin an epoch, in one transaction under the lock of bell_set.
const (
	// limitSQL makes the limit what it should be, also where it was restored from another database, far ahead. This is
	// the one write to the flag that is not bell_set's.
	limitSQL = `select pg_catalog.setval('socksync.bell', ($1::pg_catalog.int8 << 16) | (last_value & 65535)) from socksync.bell`
	// The new id is written in a subtransaction, whose id is then the row's xmin: a transaction with a later id began to
	// write after the limit was set, and has logged everything.
	epochSQL = `insert into socksync.epoch (id) values (pg_catalog.gen_random_uuid()) on conflict (one) do update set id = excluded.id`
	twinSQL  = `insert into socksync.epoch_twin (id) select id from socksync.epoch on conflict (one) do update set id = excluded.id`
	// emptySQL empties the log of what no mark accounts for, and makes a mark for it.
	emptySQL = `with emptied as (delete from socksync.change)
		insert into socksync.pruned (upto) values (pg_catalog.pg_current_snapshot()) on conflict (one) do update set upto = excluded.upto`
)

// farAhead is how many times the usual distance a limit may be ahead before it is taken for another database's.
const farAhead = 10

// errEpoch has an epoch begin.
var errEpoch = errors.New("changes may have gone unseen")

// sound returns nil if every change since the epoch began has been logged.
func (st *state) sound(t *tuning) error {
	switch {
	case st.epoch == "" || st.epoch != st.twin:
		return fmt.Errorf("%w: the server crashed, or another took its place", errEpoch)
	case !st.markIsOurs():
		return fmt.Errorf("%w: the log is of another database", errEpoch)
	case st.limit() < st.snapshot.xmax+t.limitMargin:
		return fmt.Errorf("%w: no feed has run, or not for long", errEpoch)
	case st.limit() > st.snapshot.xmax+farAhead*t.limitAhead:
		return fmt.Errorf("%w: the flag is of another database", errEpoch)
	}
	return nil
}

// markIsOurs reports whether the pruning mark is there and not from the future.
func (st *state) markIsOurs() bool {
	mark, err := ParseSnapshot(st.pruned)
	return err == nil && mark.xmax <= st.snapshot.xmax
}

// checkPast finds out whether the changes since the position are known. If not, everything is read again; where that
// needs a new snapshot, it returns errAgain.
func (s *session) checkPast(ctx context.Context, a *attempt) error {
	p, st := &s.feed.position, &a.state
	if err := st.sound(&s.feed.config.tuning); err != nil {
		s.rollback(ctx, a)
		return s.beginEpoch(ctx, err)
	}
	if st.name() != p.epoch {
		s.rollback(ctx, a)
		return s.enterEpoch(ctx, st)
	}
	if p.snapshot.IsZero() {
		return nil
	}
	if !s.feed.position.covers(st.pruned) || !st.snapshot.Covers(p.snapshot) {
		s.feed.config.Log.Warn("the change log was pruned beyond this feed; everything is read again")
		s.feed.forgetPast()
	}
	return nil
}

// forgetPast has everything read again at the next snapshot.
func (f *Feed) forgetPast() {
	f.position.snapshot = Snapshot{}
	f.tables.markEverything()
}

// covers reports whether nothing that the position does not see has been pruned.
func (p *position) covers(mark string) bool {
	if p.kept == mark {
		return true // positions only move forward
	}
	m, err := ParseSnapshot(mark)
	if err != nil || !p.snapshot.Covers(m) {
		return false
	}
	p.kept = mark
	return true
}

// beginEpoch writes a new epoch, unless another feed has done so meanwhile.
func (s *session) beginEpoch(ctx context.Context, reason error) error {
	ctx, cancel := s.brief(ctx)
	defer cancel()
	options := pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}
	err := pgx.BeginTxFunc(ctx, s.conn, options, func(tx pgx.Tx) error {
		var st state
		b := &pgx.Batch{}
		b.Queue(patientSQL)
		b.Queue(lockSQL)
		queueState(b, false, &st)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		if err := st.sound(&s.feed.config.tuning); err == nil {
			return nil
		}
		level := slog.LevelInfo
		if st.limit() == 0 {
			level = slog.LevelDebug // the first feed that this database sees
		}
		s.feed.config.Log.Log(ctx, level, "a new epoch begins; everything is read again", "reason", reason)
		return tx.SendBatch(ctx, epochBatch(&st, &s.feed.config.tuning)).Close()
	})
	if err != nil {
		return fmt.Errorf("begin an epoch: %w", err)
	}
	return errAgain
}

func epochBatch(st *state, t *tuning) *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue(limitSQL, int64(st.snapshot.xmax+t.limitAhead)) //nolint:gosec // ids have 63 bits
	b.Queue("savepoint later")
	b.Queue(epochSQL)
	b.Queue(twinSQL)
	b.Queue("release savepoint later")
	if !st.markIsOurs() {
		b.Queue(emptySQL)
	}
	return b
}

// enterEpoch makes an epoch that is new to this feed its own: the past is forgotten. The next snapshot sees everything
// but the changes of transactions that were writing before the epoch began. Those are debts.
func (s *session) enterEpoch(ctx context.Context, st *state) error {
	debts, err := s.readDebts(ctx, st.born)
	if err != nil {
		return fmt.Errorf("read who is writing: %w", err)
	}
	s.feed.position = position{epoch: st.name(), debts: debts}
	s.feed.history = history{}
	s.feed.forgetPast()
	return errAgain
}
