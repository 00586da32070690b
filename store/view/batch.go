package view

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Views of single owners are small and many: when everybody comes at once, most of the time would go into transactions. So
// they are loaded together, as many as wait.

// maxBatch is how many views are loaded in one transaction.
const maxBatch = 200

// loadQueue are the loads of a list that wait for others to be loaded with. It is owned by the feed goroutine.
type loadQueue struct {
	waiting []*loaded
	busy    bool // a batch is under way, or about to be
}

// batchLoad is the feed's token for several loads.
type batchLoad struct {
	loads   []*loaded
	encodes []bool
}

// isSmall reports whether a view is loaded with others.
func (v *view) isSmall() bool {
	columns, _ := v.choice.Pins()
	return v.owner != nil && len(columns) > 0 && v.list.def.Role == "" && v.list.def.Recompute == 0
}

// enqueue has a load done with others.
func (l *list) enqueue(load *loaded) {
	l.batch.waiting = append(l.batch.waiting, load)
	if !l.batch.busy {
		l.batch.busy = true
		l.engine.feed.Do(l.nextBatch) // after whatever else asks for a load right now
	}
}

// nextBatch begins to load those that wait.
func (l *list) nextBatch() {
	b := &batchLoad{}
	for len(l.batch.waiting) > 0 && len(b.loads) < maxBatch {
		load := l.batch.waiting[0]
		l.batch.waiting = l.batch.waiting[1:]
		if load.view.load == load { // else it was given up
			b.loads = append(b.loads, load)
			b.encodes = append(b.encodes, load.view.encode)
		}
	}
	if l.batch.busy = len(b.loads) > 0; !l.batch.busy {
		l.batch.waiting = nil
		return
	}
	l.engine.work.Go(func() {
		err := l.loadBatch(l.engine.ctx, b)
		l.engine.feed.Do(func() {
			if err != nil {
				b.alone(err)
			}
			l.nextBatch()
		})
	})
}

// alone has each of the views loaded by itself, after they could not be loaded together.
func (b *batchLoad) alone(err error) {
	for _, load := range b.loads {
		v := load.view
		if v.load != load {
			continue
		}
		v.log().Debug("views are loaded one by one", "error", err)
		v.load = nil
		v.loadAlone(0)
	}
}

// loadBatch reads all views from one snapshot, in two round trips.
func (l *list) loadBatch(ctx context.Context, b *batchLoad) error {
	err := l.engine.feed.Load(ctx, b, l.tables, func(ctx context.Context, tx pgx.Tx) error {
		batch := &pgx.Batch{}
		for i, load := range b.loads {
			if err := load.settle(ctx, tx, b.encodes[i]); err != nil {
				return err
			}
			batch.Queue(load.plan.loadSQL, load.plan.loadArgs...)
		}
		results := tx.SendBatch(ctx, batch)
		defer func() { _ = results.Close() }() // errors have been returned
		for _, load := range b.loads {
			rows, err := results.Query()
			if err != nil {
				return err
			}
			if err := load.read(rows, tx.Conn().TypeMap()); err != nil {
				return err
			}
		}
		return results.Close()
	})
	if err != nil {
		return fmt.Errorf("load views of list %s: %w", l.def.Name, err)
	}
	return nil
}
