package view

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/internal/ranktree"
	"github.com/socksync/socksync/internal/sortkey"
)

// errOrder says that the encoded keys of a list do not ascend in Postgres's order.
// It would be a mistake of ours; the list then lets Postgres place its rows.
var errOrder = errors.New("the encoded order differs from the database's")

// errDuplicate says that two rows have the same key: the constraint that was there when
// the triggers were installed is gone. The list waits until one of the rows is, too.
var errDuplicate = errors.New("two rows have the same key")

// isUnencodable reports whether a load failed because rows cannot be placed by encoded
// keys. Postgres can place them.
func isUnencodable(err error) bool {
	return errors.Is(err, errOrder) || errors.Is(err, errTextFormat) || errors.Is(err, sortkey.ErrMalformed)
}

// reload loads the list again in the background, until it succeeds. Until the load
// joins, the windows stand still.
func (l *list) reload() { l.reloadAfter(0) }

func (l *list) reloadAfter(pause time.Duration) {
	if l.load != nil || l.engine.ctx.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(l.engine.ctx)
	l.load = &loaded{list: l, stop: stop}
	load, encode := l.load, l.encode
	l.engine.work.Go(func() {
		defer stop()
		select {
		case <-time.After(pause):
			load.run(ctx, encode)
		case <-ctx.Done():
		}
	})
}

// restart gives up what is staged and the load that is under way or joining, and
// begins a new one; after a pause if what a load brought was of no use, so that a list
// that fails each time is not loaded all the time.
func (l *list) restart() {
	if l.load != nil {
		l.load.stop()
		l.load = nil
	}
	pause := time.Duration(0)
	if l.stage != nil && l.stage.joined {
		pause = l.engine.config.Retry
	}
	l.stage = nil
	l.reloadAfter(pause)
}

// run runs in a goroutine of its own. It ends when the load has joined the feed,
// or is given up.
func (load *loaded) run(ctx context.Context, encode bool) {
	l := load.list
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = 50 * time.Millisecond
	wait.MaxInterval = l.engine.config.Retry
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := load.once(ctx, encode)
		if isUnencodable(err) {
			encode = false
		}
		if err != nil && ctx.Err() == nil {
			l.engine.feed.Do(func() { l.loadFailed(load, err) })
		}
		return struct{}{}, err
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(0))
	if err != nil {
		l.log.Debug("load given up", "error", err)
	}
}

// loadFailed answers those who wait; the load itself goes on.
func (l *list) loadFailed(load *loaded, err error) {
	if l.load != load {
		return
	}
	if isUnencodable(err) {
		l.encode = false
		l.log.Warn("rows are placed by the database from now on", "reason", err)
		return
	}
	l.fail(err)
}

// once reads every key in list order from one snapshot.
func (load *loaded) once(ctx context.Context, encode bool) error {
	l := load.list
	err := l.engine.feed.Load(ctx, load, []string{l.table}, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		if load.plan, err = newPlan(ctx, tx, l.def, l.engine.probed, encode); err != nil {
			return err
		}
		load.tree, err = readTree(ctx, tx, &reader{plan: load.plan, types: tx.Conn().TypeMap()})
		return err
	})
	if err != nil {
		return fmt.Errorf("load list %s: %w", l.def.Name, err)
	}
	return nil
}

// readTree reads the whole list. Places that do not ascend prove that Go's order
// is not Postgres's.
func readTree(ctx context.Context, tx pgx.Tx, r *reader) (*ranktree.Tree, error) {
	// Not prepared for good: loads are rare, and often follow a change of the columns.
	rows, err := tx.Query(ctx, r.loadSQL, pgx.QueryExecModeDescribeExec)
	if err != nil {
		return nil, err
	}
	tree := ranktree.New()
	var last []byte
	err = collect(rows, func(rows pgx.Rows) error {
		m, err := r.member(rows)
		if err != nil {
			return err
		}
		if tree.Has(m.key) {
			return errDuplicate
		}
		if r.encoded && last != nil && bytes.Compare(last, m.place) >= 0 {
			return errOrder
		}
		last = m.place
		tree.Append(m.key, m.place)
		return nil
	})
	return tree, err
}
