package view

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/listen"
)

// variable is a live var: the result of a query that is run again, on a connection
// beside the feed, whenever one of its tables changed and somebody follows it.
// One query runs at a time and each starts after the commit that asked for it, so
// values never go back. All fields below the line are owned by the feed goroutine.
type variable struct {
	engine *Engine
	def    *binding.VarDef
	tables []string // as the feed names them
	log    *slog.Logger

	// ---------------------------------
	value    *window.Value // nil until the first query has ended well
	stale    bool          // a table may have changed since the last query began
	touched  bool          // the drain under way touches a table
	running  bool          // a query is under way
	failing  bool          // the last query failed
	retrying bool          // another try is due after a pause
	followed map[*follower]struct{}
}

// follower is one subscription of a var.
type follower struct {
	variable *variable
	sink     window.ValueSink
	asked    requests

	// Owned by the feed goroutine.
	gets   int  // unanswered
	owed   bool // a get was answered by an error, and no value has come since
	closed bool
}

func newVariable(e *Engine, def *binding.VarDef) *variable {
	return &variable{engine: e, def: def, log: e.log.With("var", def.Name), tables: feedNames(def.Tables)}
}

// reset forgets all that an earlier run of the feed has left.
func (v *variable) reset() {
	v.value, v.stale, v.touched = nil, true, false
	v.running, v.failing, v.retrying = false, false, false
	v.followed = map[*follower]struct{}{}
}

// Name implements [window.ValueSource].
func (v *variable) Name() string { return v.def.Name }

// Subscribe implements [window.ValueSource].
func (v *variable) Subscribe(sink window.ValueSink) window.ValueSubscription {
	f := &follower{variable: v, sink: sink}
	v.engine.feed.Do(func() {
		if !f.closed {
			v.followed[f] = struct{}{}
			v.refresh()
		}
	})
	return f
}

// Get implements [window.ValueSubscription].
func (f *follower) Get() {
	if f.asked.add(pageOf{}) {
		f.variable.engine.feed.Do(f.serve)
	}
}

// serve answers the gets that have come in, or has the query run.
func (f *follower) serve() {
	_, gets := f.asked.take()
	if f.closed {
		return
	}
	f.gets += gets
	f.variable.refresh()
	if !f.variable.running {
		f.answer()
	}
}

// Close implements [window.ValueSubscription].
func (f *follower) Close() {
	f.variable.engine.feed.Do(func() {
		f.closed = true
		delete(f.variable.followed, f)
	})
}

// answer answers the outstanding gets with the present value.
func (f *follower) answer() {
	if f.gets == 0 {
		return
	}
	gets := f.gets
	f.gets, f.owed = 0, false
	f.sink.Answer(f.variable.value, gets)
}

// tell says that the value is known, and whether it has changed. One who was told
// that it could not be read is told the value, also if it is what it was.
func (f *follower) tell(changed bool) {
	switch {
	case f.gets > 0:
		f.answer()
	case changed || f.owed:
		f.owed = false
		f.sink.Set(f.variable.value)
	}
}

// drained notes whether a drain touches one of the tables.
func (v *variable) drained(d *listen.Drain) {
	v.touched = slices.ContainsFunc(v.tables, func(t string) bool {
		c := d.Tables[t]
		return c != nil && (c.All || c.Missing != nil || len(c.Keys) > 0)
	})
}

func (v *variable) commit() {
	if v.touched {
		v.touched, v.stale = false, true
		v.refresh()
	}
}

func (v *variable) abort() { v.touched = false }

// refresh runs the query if its result is wanted and may differ.
func (v *variable) refresh() {
	if v.running || !v.stale || len(v.followed) == 0 || v.engine.ctx.Err() != nil {
		return
	}
	v.running, v.stale = true, false
	v.engine.work.Go(func() {
		value, err := v.query(v.engine.ctx)
		v.engine.feed.Do(func() { v.queried(value, err) })
	})
}

// queried takes a result, on the feed goroutine.
func (v *variable) queried(value json.RawMessage, err error) {
	v.running = false
	if err != nil {
		v.failed(err)
		return
	}
	v.failing = false
	first := v.value == nil
	differs := first || !bytes.Equal(v.value.JSON, value)
	if differs {
		v.value = &window.Value{Name: v.def.Name, JSON: value}
	}
	for f := range v.followed {
		f.tell(differs && !first)
	}
	v.refresh()
}

// failed answers those who wait and tries again later.
func (v *variable) failed(err error) {
	if v.engine.ctx.Err() != nil {
		return
	}
	if !v.failing {
		v.log.Error("var cannot be read; it is tried again", "error", err)
	}
	v.stale, v.failing = true, true
	for f := range v.followed {
		if gets := f.gets; gets > 0 {
			f.gets, f.owed = 0, true
			f.sink.Fail(window.Refusal("the var cannot be read now"), gets)
		}
	}
	v.retry()
}

// retry has the query run again after a pause; once, however often it has failed since.
func (v *variable) retry() {
	if v.retrying {
		return
	}
	v.retrying = true
	v.engine.work.Go(func() {
		select {
		case <-time.After(v.engine.config.Retry):
			v.engine.feed.Do(func() {
				v.retrying = false
				v.refresh()
			})
		case <-v.engine.ctx.Done():
		}
	})
}

// query reads the value as JSON.
func (v *variable) query(ctx context.Context) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, v.engine.config.QueryTimeout)
	defer cancel()
	var value json.RawMessage
	err := pgx.BeginTxFunc(ctx, v.engine.config.Pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, v.def.Query)
		if err != nil {
			return err
		}
		value, err = v.read(tx, rows)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("query of %s: %w", v.def, err)
	}
	return value, nil
}

// errRows says that a var's query gave more than one row.
var errRows = errors.New("the query gave more than one row")

func (v *variable) read(tx pgx.Tx, rows pgx.Rows) (json.RawMessage, error) {
	value := json.RawMessage("null")
	count := 0
	err := collect(rows, func(rows pgx.Rows) error {
		count++
		if count > 1 {
			return errRows
		}
		var err error
		value, err = v.encode(tx, rows)
		return err
	})
	return value, err
}

// encode makes the JSON of the one row, under the rules of encodeRow.
func (v *variable) encode(tx pgx.Tx, rows pgx.Rows) (_ json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	fields, values := rows.FieldDescriptions(), rows.RawValues()
	m := tx.Conn().TypeMap()
	if v.def.Type == nil {
		return checkDepth(v.encodeUntyped(rows))
	}
	target := reflect.New(v.def.Type).Elem()
	if len(v.def.Columns) == 0 {
		if err := scan(m, fields[0], values[0], target); err != nil {
			return nil, err
		}
	}
	for _, c := range v.def.Columns {
		i, err := indexOf(fields, c.Name)
		if err != nil {
			return nil, err
		}
		if err := scan(m, fields[i], values[i], c.In(target)); err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	out, err := binding.Publishable(target.Interface())
	if err != nil {
		return nil, err
	}
	return checkDepth(json.Marshal(out))
}

// maxValueDepth is how deep the value of a var may be nested: it has one level of
// its message around it, where a row has two.
const maxValueDepth = window.MaxDepth + 1

// checkDepth refuses a value that no peer would accept.
func checkDepth(value []byte, err error) (json.RawMessage, error) {
	if err == nil && window.Depth(value) > maxValueDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxValueDepth)
	}
	return value, err
}

// check has Postgres parse the query, and holds its columns against the Go type.
func (v *variable) check(ctx context.Context, tx pgx.Tx) error {
	prepared, err := tx.Conn().Prepare(ctx, "", v.def.Query)
	if err != nil {
		return fmt.Errorf("%s: %w", v.def, err)
	}
	if len(prepared.ParamOIDs) > 0 {
		return fmt.Errorf("%s: the query has parameters, which nobody gives", v.def)
	}
	m := tx.Conn().TypeMap()
	if len(v.def.Columns) == 0 {
		return v.checkValue(m, prepared.Fields)
	}
	var errs []error
	for _, c := range v.def.Columns {
		errs = append(errs, v.checkColumn(m, prepared.Fields, c))
	}
	return errors.Join(errs...)
}
