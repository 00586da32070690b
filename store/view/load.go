package view

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/socksync/socksync/internal/choice"
	"github.com/socksync/socksync/internal/ranktree"
	"github.com/socksync/socksync/internal/sortkey"
	"github.com/socksync/socksync/internal/window"
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

// loaded is a load, its result, and the feed's token for it.
type loaded struct {
	view *view
	most int // rows that it may have
	plan *plan
	tree *ranktree.Tree
	rows map[string]json.RawMessage // all of them, of a list that is recomputed
	stop context.CancelFunc
}

// reload loads the view again in the background, until it succeeds. Until the load
// joins, the windows stand still.
func (v *view) reload() { v.reloadAfter(0) }

func (v *view) reloadAfter(pause time.Duration) {
	v.exit()
	v.freeze(v.list.sequence)
	if v.load != nil || v.engine.ctx.Err() != nil {
		return
	}
	v.outdated, v.begun = false, v.engine.clock()
	if pause == 0 && v.isSmall() {
		v.load = &loaded{view: v, most: v.engine.most(v), stop: func() {}}
		v.list.enqueue(v.load)
		return
	}
	v.loadAlone(pause)
}

// loadAlone begins a load in a transaction of its own.
func (v *view) loadAlone(pause time.Duration) {
	ctx, stop := context.WithCancel(v.engine.ctx)
	v.load = &loaded{view: v, most: v.engine.most(v), stop: stop}
	load, encode := v.load, v.encode
	v.engine.work.Go(func() {
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
func (v *view) restart() {
	if v.load != nil {
		v.load.stop()
		v.load = nil
	}
	pause := time.Duration(0)
	if v.stage != nil && v.stage.joined {
		pause = v.engine.config.Retry
	}
	v.stage = nil
	v.reloadAfter(pause)
}

// run runs in a goroutine of its own. It ends when the load has joined the feed,
// or is given up.
func (load *loaded) run(ctx context.Context, encode bool) {
	v := load.view
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = 50 * time.Millisecond
	wait.MaxInterval = v.engine.config.Retry
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := load.once(ctx, encode)
		if isUnencodable(err) {
			encode = false
		}
		if err != nil && ctx.Err() == nil {
			v.engine.feed.Do(func() { v.loadFailed(load, err) })
		}
		return struct{}{}, err
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(0))
	if err != nil {
		v.log().Debug("load given up", "error", err)
	}
}

// loadFailed answers those who wait; the load itself goes on, unless it is of no use.
func (v *view) loadFailed(load *loaded, err error) {
	switch {
	case v.load != load:
	case isUnencodable(err):
		v.encode = false
		v.log().Warn("rows are placed by the database from now on", "reason", err)
	case window.IsRefusal(err) && v.tree == nil && !v.permanent():
		v.refuse(err)
		v.list.drop(v)
	default:
		v.fail(err)
	}
}

// once reads every key in list order from one snapshot.
func (load *loaded) once(ctx context.Context, encode bool) error {
	l := load.view.list
	err := l.engine.feed.Load(ctx, load, l.tables, func(ctx context.Context, tx pgx.Tx) error {
		if err := load.settle(ctx, tx, encode); err != nil {
			return err
		}
		if err := l.session(load.plan.choice).assume(ctx, tx); err != nil {
			return err
		}
		// Not prepared for good: loads are rare, and often follow a change of the columns.
		args := append([]any{pgx.QueryExecModeDescribeExec}, load.plan.loadArgs...)
		rows, err := tx.Query(ctx, load.plan.loadSQL, args...)
		if err != nil {
			return err
		}
		return load.read(rows, tx.Conn().TypeMap())
	})
	if load.isRefused(err) {
		load.view.log().Error("a value of an identity is not of the type that the list's condition takes", "error", err)
		return choice.ErrIdentity
	}
	if err != nil {
		return fmt.Errorf("load list %s: %w", l.def.Name, err)
	}
	return nil
}

// isRefused reports whether Postgres does not take a value of the identity: mostly because it is not of the type.
func (load *loaded) isRefused(err error) bool {
	var pg *pgconn.PgError
	return load.plan != nil && load.plan.choice.Tested() && errors.As(err, &pg) && strings.HasPrefix(pg.Code, "22")
}

// settle makes the plan: it reads the relation's definition if that is not known, and has Postgres read the values of the
// choice.
func (load *loaded) settle(ctx context.Context, tx pgx.Tx, encode bool) error {
	v := load.view
	r := v.list.relation.Load()
	if r == nil {
		var err error
		if r, err = newRelation(ctx, tx, v.engine, v.list.def); err != nil {
			return err
		}
	}
	var asked window.Choice
	if v.asked != nil {
		asked = *v.asked
	}
	c, err := r.rules.Resolve(asked, v.owner) // again: the columns may be of other types than when it was asked for
	if err != nil {
		return err
	}
	if c, err = c.Settle(ctx, tx); err != nil {
		return err
	}
	load.plan = newPlan(r, c, encode)
	return nil
}

var errTooManyRows = window.Refusal("the choice has more rows than this server has room for")

// read reads the whole list. Places that do not ascend prove that Go's order
// is not Postgres's.
func (load *loaded) read(rows pgx.Rows, types *pgtype.Map) error {
	r := load.view.reader(types, load.plan)
	tree := ranktree.New()
	var last []byte
	load.rows = nil
	if r.def.Recompute > 0 {
		load.rows = map[string]json.RawMessage{}
	}
	err := collect(rows, func(rows pgx.Rows) error {
		m, err := r.member(rows)
		if err != nil {
			return err
		}
		if tree.Has(m.key) {
			return errDuplicate
		}
		if tree.Len() >= load.most {
			return errTooManyRows
		}
		if r.plan.encoded && last != nil && bytes.Compare(last, m.place) >= 0 {
			return errOrder
		}
		last = m.place
		tree.Append(m.key, m.place)
		if load.rows != nil {
			load.rows[m.key] = r.rowOf(rows, len(r.plan.terms))
		}
		return nil
	})
	load.tree = tree
	return err
}
