package view_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// stumbling is a drainer of which some drains fail.
type stumbling struct {
	*faulty
	random  *rand.Rand  // of the feed goroutine
	skips   bool        // a table is left out of the drain under way
	skipped atomic.Bool // one was left out of the last that was committed
}

// Commit implements [listen.Drainer].
func (d *stumbling) Commit() {
	d.skipped.Store(d.skips)
	d.faulty.Commit()
}

func (d *stumbling) Drain(ctx context.Context, tx pgx.Tx, drain *listen.Drain) error {
	d.skips = len(drain.Skipped) > 0
	if d.random.IntN(4) > 0 {
		return d.Drainer.Drain(ctx, tx, drain)
	}
	return d.faulty.Drain(ctx, tx, drain)
}

// settle waits until all views have all that has been changed.
func settle(l *live, d *stumbling) {
	l.t.Helper()
	enough := d.committed.Load() + 2
	require.Eventually(l.t, func() bool {
		l.feed.Kick()
		return d.committed.Load() >= enough && !d.skipped.Load() && l.engine.Settled()
	}, patience, patience/10_000)
}

// disturb changes rows in ways that are rare: many at once, tables that are emptied or altered, and one that is locked
// meanwhile.
func disturb(l *live, draw *rand.Rand) {
	switch draw.IntN(24) {
	case 0:
		l.exec("TRUNCATE tags; INSERT INTO tags SELECT 'u' || i % 5, 1 + i % 60, i % 7 FROM generate_series(1, 20) i ON CONFLICT DO NOTHING")
	case 1:
		l.exec("TRUNCATE cities; INSERT INTO cities SELECT i, 'new city ' || i % 3 FROM generate_series(1, 4) i")
	case 2:
		l.exec("ALTER TABLE teams ALTER name TYPE " + []string{"text", "varchar(30)"}[draw.IntN(2)])
	case 3:
		l.exec("ALTER TABLE cities ALTER name TYPE " + []string{"text", "varchar(30)"}[draw.IntN(2)])
	case 4:
		l.exec("INSERT INTO notes SELECT g, 'u' || g % 5, g % 9, false, 'many ' || g % 50 FROM generate_series(1000, 22000) g ON CONFLICT DO NOTHING")
		l.exec(ownerChange(draw, "tags"))
		l.exec("UPDATE notes SET body = 'moved' || body, owner = 'u2' WHERE id >= 1000 AND id % 2 = 0")
	case 5, 6:
		l.exec("DELETE FROM notes WHERE id >= 1000")
	case 7, 8, 9, 10:
		locked(l, draw)
	}
}

// locked keeps everyone from a table while others change.
func locked(l *live, draw *rand.Rand) {
	table := []string{"teams", "cities", "tags"}[draw.IntN(3)]
	release := l.lock(table)
	for range 3 {
		l.exec(ownerChange(draw, table))
		l.feed.Kick()
	}
	if table != "teams" && draw.IntN(3) == 0 {
		l.exec("ALTER TABLE teams ALTER name TYPE " + []string{"text", "varchar(30)"}[draw.IntN(2)])
	}
	release()
}

// ownerChange draws a change that does not touch a table.
func ownerChange(draw *rand.Rand, not string) string {
	for {
		if sql := ownerChanges(draw)[0]; !strings.Contains(sql, " "+not+" ") {
			return sql
		}
	}
}

// again asks once more if the list could not be read.
func (o *owning) again() {
	if o.answer != "" && o.answer != "all" && o.answer != "step" {
		o.answer = ""
		o.sub.Get(o.want)
	}
}

// answered asks and waits for an answer that is no error.
func (o *owning) answered() (how string) {
	o.mu.Lock()
	o.answer = "" // that of the get before
	o.mu.Unlock()
	o.sub.Get(o.want)
	o.until("an answer of "+o.list.def.Name, func() bool {
		o.again()
		how = o.answer
		return how != ""
	})
	return how
}

// all returns all rows of the list as SQL has them.
func (o *owning) all(t testing.TB, pool *pgxpool.Pool) []string {
	answer, err := pool.Query(context.Background(), "SELECT row_to_json(w)::text FROM ("+o.sql("")+") w")
	require.NoError(t, err, o.sql(""))
	rows, err := pgx.CollectRows(answer, pgx.RowTo[string])
	require.NoError(t, err)
	return rows
}

// key returns what is published of a row's key.
func (o *owning) key(row string) string {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal([]byte(row), &fields)
	var key []string
	for _, name := range o.list.def.Key {
		if v, ok := fields[name]; ok {
			key = append(key, string(v))
		}
	}
	return strings.Join(key, ",")
}

func keyOfAnchor(after []json.RawMessage) string {
	texts := make([]string, len(after))
	for i, v := range after {
		texts[i] = string(v)
	}
	return strings.Join(texts, ",")
}

// after returns the place of the row after an anchor; it is -1 if there is no such row.
func (o *owning) after(rows []string, anchor []json.RawMessage) int {
	if anchor == nil {
		return 0
	}
	at := slices.IndexFunc(rows, func(row string) bool { return o.key(row) == keyOfAnchor(anchor) })
	if at < 0 {
		return -1
	}
	return at + 1
}

// moor has the window be one that comes after a row, or at the start.
func (o *owning) moor(draw *rand.Rand, rows []string) {
	o.want = window.Want{Size: o.want.Size, Anchored: true, Choice: o.want.Choice}
	if len(rows) > 0 && draw.IntN(4) > 0 {
		row := rows[draw.IntN(min(12, len(rows)))]
		for part := range strings.SplitSeq(o.key(row), ",") {
			o.want.After = append(o.want.After, json.RawMessage(part))
		}
	}
	o.answered()
}

// expected is the anchor that a window has when its subscriber becomes somebody else: the nearest row before that both
// see.
func (o *owning) expected(old, now []string) string {
	anchor := keyOfAnchor(o.held.After)
	if o.held.After == nil || slices.ContainsFunc(now, func(row string) bool { return o.key(row) == anchor }) {
		return anchor
	}
	if o.list.def.Name == "tagged" {
		return "" // rows of two users have nothing in common but a part of the key
	}
	sees := map[string]bool{}
	for _, row := range now {
		sees[o.key(row)] = true
	}
	for i := o.after(old, o.held.After) - 2; i >= 0; i-- {
		if sees[o.key(old[i])] {
			return o.key(old[i])
		}
	}
	return ""
}

// becomes has another user take the subscriber's place; sometimes a third one in between, who gets no answer.
func (o *owning) becomes(t testing.TB, source window.Source, pool *pgxpool.Pool, draw *rand.Rand) *owning {
	user := fmt.Sprintf("u%d", draw.IntN(5))
	o.moor(draw, o.all(t, pool))
	o.check(t, pool)
	old, former := o.all(t, pool), o.sub
	if draw.IntN(2) == 0 {
		between := chooseAs(t, source, window.Options{Quiet: true, Identity: identityOf("u4"), Instead: former})
		former = between.sub
	}
	now := &owning{list: o.list, user: user, want: o.want}
	now.want.After = o.held.After
	now.chooser = chooseAs(t, source, window.Options{Quiet: true, Identity: identityOf(user), Instead: former})
	require.Equal(t, "all", now.answered())
	want := o.expected(old, now.all(t, pool))
	require.Equal(t, want, keyOfAnchor(now.held.After), "%s: %s becomes %s at %s of\n%v", o.list.def.Name, o.user, user, o.held.After, old)
	return now
}

// returns has the subscriber come back, as the same or as somebody else, who is not told how to go on.
func (o *owning) returns(t testing.TB, source window.Source, draw *rand.Rand) *owning {
	held := o.held
	o.sub.Leave()
	now := &owning{list: o.list, user: o.user, want: o.want}
	if draw.IntN(2) == 0 {
		now.user = fmt.Sprintf("u%d", draw.IntN(5))
	}
	now.want.Rev, now.want.After = held.Rev, held.After
	now.chooser = chooseAs(t, source, window.Options{Quiet: true, Identity: identityOf(now.user)})
	how := now.answered()
	if now.user != o.user && o.list.where != "true" {
		require.NotEqual(t, "step", how, "%s becomes %s", o.user, now.user)
	}
	if how == "step" {
		require.True(t, now.steps[0].From.Same(held) || now.steps[0].From.Rev != held.Rev)
	}
	now.want.Rev = ""
	return now
}
