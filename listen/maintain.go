package listen

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const usageSQL = "select pg_catalog.pg_notification_queue_usage()"

// maintain does, once a second, what keeps the log and the bell in order. It reads the fingerprints, so that DDL is
// noticed while nothing is written.
func (s *session) maintain(ctx context.Context) error {
	now := time.Now()
	if now.Before(s.next) || !s.worked {
		return nil
	}
	s.next = now.Add(s.feed.config.tuning.second)
	ctx, cancel := s.brief(ctx)
	defer cancel()
	if err := s.maintainBell(ctx); err != nil {
		return fmt.Errorf("maintain the doorbell: %w", err)
	}
	if _, err := s.readPrints(ctx); err != nil {
		return err
	}
	s.feed.offerMark(now)
	return nil
}

// maintainBell moves the limit on and clears the bits of feeds that are gone.
func (s *session) maintainBell(ctx context.Context) error {
	var usage float64
	holders := make(map[string]bool)
	limit := s.feed.position.snapshot.xmax + s.feed.config.tuning.limitAhead
	err := write(ctx, s.conn, func(b *pgx.Batch) {
		b.Queue(bellSetSQL, int64(0), int64(0), int64(limit)) //nolint:gosec // ids have 63 bits
		if s.flag&^s.bell.bit != 0 {
			queueClearOrphans(b)
		}
		if len(s.feed.position.debts) > 0 {
			queueHolders(b, holders)
		}
		b.Queue(usageSQL).QueryRow(func(row pgx.Row) error { return row.Scan(&usage) })
	})
	if err != nil {
		return err
	}
	s.settleDebts(holders)
	if crowded := usage > s.feed.config.tuning.queueLimit; crowded != s.bell.crowded {
		s.bell.crowded = crowded
		s.feed.config.Log.Warn("the notification queue decides whether the doorbell is used", "usage", usage, "used", !crowded)
	}
	return nil
}
