package view_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// leaving leaves the table out of drains, as the feed does while somebody has locked it.
type leaving struct {
	listen.Drainer
	out  atomic.Bool
	keys [][]string
}

func (l *leaving) Drain(ctx context.Context, tx pgx.Tx, d *listen.Drain) error {
	const table = `"flights"`
	if c := d.Tables[table]; c != nil {
		l.keys = append(l.keys, c.Keys...)
		delete(d.Tables, table)
	}
	if l.out.Load() {
		d.Skipped = map[string]error{table: errors.New("locked")}
	} else if l.keys != nil {
		d.Tables[table], l.keys = &listen.Change{Keys: l.keys}, nil
	}
	return l.Drainer.Drain(ctx, tx, d)
}

// TestRevisionsOfWhatStandsStill asks for a window of a list that was left out of the last drain, and of one that is being
// loaded again: its revision is that of the snapshot that it shows.
func TestRevisionsOfWhatStandsStill(t *testing.T) {
	t.Parallel()
	for name, stand := range map[string]func(l *live, late *late, out *leaving){
		"left out":     func(_ *live, _ *late, out *leaving) { out.out.Store(true) },
		"loaded again": func(l *live, late *late, _ *leaving) { late.holds.Store(true); l.engine.PlaceByPostgres("flights") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t)
			exec(t, pool, flightsTable+"; CREATE TABLE other (id int PRIMARY KEY)")
			l := newLive(t, pool)
			source, others := l.list(allFlights()), l.list(plainList("other", "other", "", "id"))
			var mu sync.Mutex
			counts := map[int]int{} // rows by sequence
			l.engine.Inspect(func(ctx context.Context, tx pgx.Tx, sequence uint64) error {
				mu.Lock()
				defer mu.Unlock()
				var n int
				err := tx.QueryRow(ctx, "SELECT count(*) FROM flights").Scan(&n)
				counts[int(sequence)] = n
				return err
			})
			late := &late{Drainer: l.engine}
			out := &leaving{Drainer: late}
			l.run(out)
			witness, c := choose(t, others, nil), choose(t, source, nil)
			witness.get(window.Want{Size: 5})
			_, before := c.get(window.Want{Size: 1})
			stand(l, late, out)
			exec(t, pool, "INSERT INTO flights VALUES (1000, 'AMS', 1, ''); INSERT INTO other VALUES (1)")
			witness.shows(1)
			exec(t, pool, "INSERT INTO other VALUES (2)")
			witness.shows(1, 2)

			_, held := choose(t, source, nil).get(window.Want{Page: 900, Size: 1}) // nothing has to be read for it
			mu.Lock()
			defer mu.Unlock()
			require.Equal(t, before.Total, held.Total)
			require.Equal(t, counts[sequenceOf(t, held)], held.Total, "sequence %d", sequenceOf(t, held))
		})
	}
}
