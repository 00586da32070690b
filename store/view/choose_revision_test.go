package view_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
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

// TestAnchorsOverALoad moves the row that a window begins after while the list is loaded again.
func TestAnchorsOverALoad(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	exec(t, pool, flightsTable+"; DELETE FROM flights WHERE id > 9")
	l := newLive(t, pool)
	source := l.list(allFlights(binding.Order("origin, id"))) // 3 6 9, 1 4 7, 2 5 8
	keeper := &late{Drainer: l.engine}
	l.run(keeper)
	moves, leaves, stays := choose(t, source, nil), choose(t, source, nil), choose(t, source, nil)
	for c, after := range map[*chooser]string{moves: "9", leaves: "4", stays: "7"} {
		how, _ := c.get(window.Want{Size: 2, Anchored: true, After: []json.RawMessage{json.RawMessage(after)}})
		require.Equal(t, "all", how)
	}
	l.engine.PlaceByPostgres("flights")
	require.Eventually(t, func() bool { return !l.engine.Loading("flights") }, patience, patience/10_000)
	keeper.holds.Store(true)
	l.engine.PlaceByPostgres("flights")
	exec(t, pool, "UPDATE flights SET origin = 'ZZZ' WHERE id = 9; DELETE FROM flights WHERE id IN (6, 4); UPDATE flights SET note = 'x' WHERE id = 2")
	keeper.holds.Store(false)
	l.feed.Kick()
	for c, want := range map[*chooser][]string{moves: {"3", "1", "7"}, leaves: {"1", "7", "2"}, stays: {"7", "2", "5"}} {
		held := c.until("the rows that are left", func() bool { return c.held.Total == 7 })
		require.Equal(t, want[0], string(held.After[0]))
		require.Equal(t, want[1:], strings.Fields(strings.Trim(fmt.Sprint(idsOf(held)), "[]")))
	}
}
