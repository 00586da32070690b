package listen

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// bellSetSQL sets bits, clears bits and moves the limit.
	bellSetSQL = "select socksync.bell_set($1, $2, $3)"
	lockSQL    = "select pg_catalog.pg_advisory_xact_lock(7305813, 1)"
	// orphansSQL clears the bits that are set and that no session has locked. It runs under the lock of bell_set: a feed
	// locks its bit before it sets it, so that no bit can be set between the look and the clearing.
	orphansSQL = `select socksync.bell_set(0, o.bits, null)
		from (select b.last_value & 65535 & ~coalesce((select pg_catalog.bit_or(1 << (l.objid::pg_catalog.int8 - 16)::pg_catalog.int4)
			from pg_catalog.pg_locks l where l.locktype = 'advisory' and l.classid = 7305813 and l.objsubid = 2 and l.granted
			and l.objid between 16 and 31
			and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())), 0) as bits
			from socksync.bell b) o where o.bits <> 0`
)

// bell is the feed's part of the doorbell: a flag that the triggers read, one bit of which is this session's while it
// sleeps. The proof that nobody is missed is in the package's comment; its steps are arm, the drain after it, and sleep.
type bell struct {
	bit     int64 // 0: the bell is not to be used
	crowded bool  // the notification queue is too full for more
	set     bool
	// holders is the set L: transactions that may have read the flag before the bit was set.
	holders map[string]bool
	since   time.Time // when holders was read
}

// rest waits until the next drain is worth while.
func (s *session) rest(ctx context.Context, found bool, took time.Duration) error {
	t := &s.feed.config.tuning
	if found {
		s.idle = t.busyMin
		if err := s.clearBit(ctx); err != nil {
			return err
		}
		s.feed.doze(ctx, min(max(took, t.busyMin), t.busyMax))
		return nil
	}
	if s.bell.bit == 0 || s.bell.crowded {
		if err := s.clearBit(ctx); err != nil {
			return err
		}
		s.idle = min(max(s.idle, t.busyMin)*3/2, s.feed.config.PollInterval)
		s.feed.doze(ctx, s.idle)
		return nil
	}
	if !s.bell.set {
		return s.arm(ctx)
	}
	if hook := t.hooks.armed; hook != nil {
		hook()
	}
	return s.sleep(ctx)
}

// doze waits without an eye on the bell.
func (f *Feed) doze(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-f.inbox.wake:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// arm sets the bit and then reads the holders, in this order.
func (s *session) arm(ctx context.Context) error {
	ctx, cancel := s.brief(ctx)
	defer cancel()
	s.bell.set = true // also if the statement fails, since setval is not undone
	holders := make(map[string]bool)
	err := write(ctx, s.conn, func(b *pgx.Batch) {
		b.Queue(bellSetSQL, s.bell.bit, int64(0), nil)
		queueHolders(b, holders)
	})
	s.bell.holders, s.bell.since = holders, time.Now()
	return err
}

// clearBit has transactions not ring any more.
func (s *session) clearBit(ctx context.Context) error {
	if !s.bell.set {
		return nil
	}
	ctx, cancel := s.brief(ctx)
	defer cancel()
	err := write(ctx, s.conn, func(b *pgx.Batch) { b.Queue(bellSetSQL, int64(0), s.bell.bit, nil) })
	if err == nil {
		s.bell.set, s.bell.holders = false, nil
	}
	return err
}

// sleep waits, with the bit set and an empty drain after it, for a ring, the end of a holder, something in the inbox, or
// the next maintenance.
func (s *session) sleep(ctx context.Context) error {
	for {
		until := s.next
		if len(s.bell.holders) > 0 {
			until = earlier(until, time.Now().Add(s.lookInterval()))
		}
		woken, err := s.await(ctx, until)
		if err != nil || woken || !time.Now().Before(s.next) {
			return err
		}
		if ended, err := s.look(ctx); err != nil || ended {
			return err
		}
	}
}

// lookInterval is a tenth of the time waited so far, within bounds.
func (s *session) lookInterval() time.Duration {
	t := &s.feed.config.tuning
	return min(max(time.Since(s.bell.since)/10, t.lookFirst), t.lookLast)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// await waits for a notification or for something in the inbox, and reports whether one came.
func (s *session) await(ctx context.Context, until time.Time) (woken bool, err error) {
	waitCtx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	inbox := s.feed.inbox
	quiet := inbox.waiting(cancel)
	defer inbox.waiting(nil)
	if !quiet || s.rung.Load() {
		return true, nil
	}
	if hook := s.feed.config.tuning.hooks.sleep; hook != nil {
		hook()
	}
	err = s.conn.PgConn().WaitForNotification(waitCtx)
	if err != nil && (waitCtx.Err() == nil || s.conn.IsClosed()) {
		return false, err
	}
	return s.rung.Load() || waitCtx.Err() == context.Canceled, nil
}

// look reports whether a holder has ended since the last look.
func (s *session) look(ctx context.Context) (ended bool, err error) {
	ctx, cancel := s.brief(ctx)
	defer cancel()
	now, err := s.readHolders(ctx)
	if err != nil {
		return false, err
	}
	for h := range s.bell.holders {
		if !now[h] {
			delete(s.bell.holders, h)
			ended = true
		}
	}
	return s.settleDebts(now) || ended, nil
}

// queueClearOrphans clears the bits of feeds that are gone. Without it every writer would ring for nobody.
func queueClearOrphans(b *pgx.Batch) {
	b.Queue(lockSQL)
	b.Queue(orphansSQL)
}

// patientSQL has a transaction wait for the lock of bell_set, for which lock_timeout may be too short.
const patientSQL = "set local lock_timeout = '10s'"

// write runs the queued queries in a transaction that may write, whatever the session's defaults.
func write(ctx context.Context, conn *pgx.Conn, queue func(*pgx.Batch)) error {
	b := &pgx.Batch{}
	b.Queue("begin isolation level read committed read write")
	b.Queue(patientSQL)
	queue(b)
	b.Queue("commit")
	return conn.SendBatch(ctx, b).Close()
}
