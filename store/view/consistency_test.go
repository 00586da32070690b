package view_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/pgtest"
	"github.com/socksync/socksync/internal/window"
)

// account is a row between which money moves. Only one has a version: it counts the
// transactions.
type account struct {
	_       struct{} `socksync:"table=accounts; max_page_size=100"`
	ID      int64    `db:"id" json:"id" socksync:"pk"`
	Owner   string   `db:"owner" json:"owner"`
	Amount  int64    `db:"amount" json:"amount"`
	Version int64    `db:"version" json:"version"`
}

const (
	money         = 20 * 100
	accountsTable = `
CREATE TABLE accounts (id bigint PRIMARY KEY, owner text NOT NULL, amount bigint NOT NULL, version bigint NOT NULL DEFAULT 0);
INSERT INTO accounts SELECT g, 'Owner ' || md5(g::text), 100, 0 FROM generate_series(1, 20) g;
INSERT INTO accounts VALUES (0, 'clock', 0, 1);
CREATE TABLE transfers (id bigint PRIMARY KEY, n bigint NOT NULL);
INSERT INTO transfers VALUES (1, 0);`
)

// transfer is the row that is changed by every transaction, in a list of its own.
type transfer struct {
	_  struct{} `socksync:"table=transfers; list=transfers"`
	ID int64    `db:"id" json:"id" socksync:"pk"`
	N  int64    `db:"n" json:"n"`
}

// auditor looks at every state that the engine publishes of one window. It is called
// on the feed goroutine.
type auditor struct {
	mu      sync.Mutex
	about   string
	whole   bool // the window shows the whole list
	last    *window.State
	sum     int64
	version int64
	steps   int
	faults  []error
	after   func() // told after each step
}

func (a *auditor) fault(format string, args ...any) {
	a.faults = append(a.faults, fmt.Errorf(a.about+": "+format, args...))
}

// look takes a state in.
func (a *auditor) look(s *window.State) {
	a.last, a.sum = s, 0
	version := int64(0)
	for _, row := range s.Rows {
		var r account
		if err := json.Unmarshal(row.JSON, &r); err != nil {
			a.fault("row %q: %w", row.JSON, err)
		}
		a.sum += r.Amount
		version = max(version, r.Version)
	}
	if !a.whole {
		return
	}
	if a.sum != money {
		a.fault("the sum is %d after step %d", a.sum, a.steps)
	}
	if s.Total != len(s.Rows) {
		a.fault("total %d with %d rows", s.Total, len(s.Rows))
	}
	if version < a.version {
		a.fault("version %d after %d: the past is back", version, a.version)
	}
	a.version = version
}

// Step implements window.Sink.
func (a *auditor) Step(s *window.Step) {
	a.mu.Lock()
	if a.last != nil {
		if s.From != a.last {
			a.fault("step %d does not begin where the last one ended", a.steps)
		}
		a.steps++
		a.look(s.To)
	}
	a.mu.Unlock()
	if a.after != nil {
		a.after()
	}
}

// Answer implements window.Sink.
func (a *auditor) Answer(s *window.State, _ int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.look(s)
}

// Resume implements window.Sink.
func (a *auditor) Resume(step *window.Step, gets int) { a.Answer(step.To, gets) }

// Still implements window.Sink.
func (*auditor) Still(error) {}

// Fail implements window.Sink.
func (a *auditor) Fail(err error, _ int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault("refused: %w", err)
}

func (a *auditor) holds() (ok bool, sum int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last != nil, a.sum
}

// TestConsistency moves money between rows that are shown on one page, in many
// transactions at once, with accounts that are opened, closed and renumbered. In
// every state that the engine publishes the sum is right, also over the pages of a
// list that is shown on several, and states never go back: while the lists are
// placed by Go and by Postgres, and while they are loaded anew.
func TestConsistency(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]pgtest.Option{
		"C.UTF-8":   nil,
		"ICU en-US": {pgtest.ICU("en-US")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t, append(options, pgtest.MaxConns(10))...)
			_, err := pool.Exec(context.Background(), accountsTable)
			require.NoError(t, err)
			auditConsistency(t, pool)
		})
	}
}

func auditConsistency(t *testing.T, pool *pgxpool.Pool) {
	named := func(name, order string) *binding.ListDef {
		return binding.List[account](binding.Name(name), binding.Order(order))
	}
	l, sources := start(t, pool, named("by_id", "id"), named("by_amount", "-amount"), named("by_owner", "owner"), named("pages", "amount, owner"),
		binding.List[transfer]())
	var auditors, pages []*auditor
	audit := func(source window.Source, page, size int) *auditor {
		a := &auditor{about: fmt.Sprintf("%s page %d", source.Name(), page), whole: size == 100}
		sub := source.Subscribe(a, window.Options{})
		sub.Get(window.Want{Page: page, Size: size})
		t.Cleanup(sub.Close)
		require.Eventually(t, func() bool { ok, _ := a.holds(); return ok }, patience, patience/1000)
		auditors = append(auditors, a)
		return a
	}
	for _, source := range sources[:3] {
		audit(source, 0, 100)
	}
	for page := range 6 {
		pages = append(pages, audit(sources[3], page, 6))
	}
	last := &auditor{about: "transfers"}
	last.after = func() { // the list of the last source is told last of a change
		sum := int64(0)
		for _, a := range pages {
			_, s := a.holds()
			sum += s
		}
		if sum != money {
			last.fault("the sum over all pages is %d", sum)
		}
	}
	sub := sources[4].Subscribe(last, window.Options{})
	sub.Get(window.Want{Page: 0, Size: 1})
	t.Cleanup(sub.Close)

	transact(l)
	for _, a := range append(auditors, last) {
		a.mu.Lock()
		require.NoError(t, errors.Join(a.faults...), a.about)
		require.True(t, a.steps > 3 || !a.whole, "%s: %d steps", a.about, a.steps)
		a.mu.Unlock()
	}
	var version int64
	require.NoError(t, pool.QueryRow(context.Background(), "SELECT max(version) FROM accounts").Scan(&version))
	for _, a := range auditors[:3] {
		require.Eventually(t, func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.version == version
		}, patience, patience/1000, "%s sees the last transaction", a.about)
	}
}

// transact runs writers side by side, and has the lists loaded anew meanwhile.
func transact(l *live) {
	seed := rand.Uint64()
	l.t.Logf("seed %d", seed)
	var writers sync.WaitGroup
	for i := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, i))
		writers.Go(func() {
			for range 60 {
				if err := move(l.pool, random); err != nil {
					l.t.Error(err)
				}
			}
		})
	}
	l.exec("ALTER TABLE accounts ADD COLUMN remark text DEFAULT 'new'")
	writers.Wait()
}

// move is one transaction, in which no money is lost. Some statements of it are
// rolled back, and sometimes all.
func move(pool *pgxpool.Pool, r *rand.Rand) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	errGiveUp := errors.New("rolled back on purpose")
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// The first statement is also the lock that keeps writers from a deadlock.
		if _, err := tx.Exec(ctx, "UPDATE accounts SET version = version + 1 WHERE id = 0"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE transfers SET n = n + 1"); err != nil {
			return err
		}
		for range 1 + r.IntN(3) {
			if err := step(ctx, tx, r); err != nil {
				return err
			}
		}
		if r.IntN(8) == 0 {
			return errGiveUp
		}
		return nil
	})
	if errors.Is(err, errGiveUp) {
		return nil
	}
	return err
}

// steps are statements that lose no money, of two accounts and an amount.
var steps = [...]string{
	// A transfer.
	`UPDATE accounts SET amount = amount + CASE id WHEN $1::int THEN -$3::bigint ELSE $3::bigint END
		WHERE id IN ($1::int, $2::int) AND $1 <> $2 AND (SELECT count(*) FROM accounts WHERE id IN ($1::int, $2::int)) = 2`,
	// An account is closed; another one gets what was in it.
	`WITH closed AS (DELETE FROM accounts WHERE id = $1::int AND $1 <> $2::int AND $3::bigint >= 0
			AND EXISTS (SELECT FROM accounts WHERE id = $2) RETURNING amount)
		UPDATE accounts SET amount = accounts.amount + closed.amount FROM closed WHERE id = $2`,
	// An account is opened with the money of another one.
	`WITH opened AS (INSERT INTO accounts SELECT $1::int, 'new ' || $2::int, $3::bigint
			WHERE EXISTS (SELECT FROM accounts WHERE id = $2::int) ON CONFLICT DO NOTHING RETURNING amount)
		UPDATE accounts SET amount = accounts.amount - opened.amount FROM opened WHERE id = $2::int`,
	// An account gets another number and owner.
	`UPDATE accounts SET id = $2::int, owner = owner || $3::bigint
		WHERE id = $1::int AND NOT EXISTS (SELECT FROM accounts WHERE id = $2::int)`,
}

// step is a part of a transaction; some are rolled back to a savepoint.
func step(ctx context.Context, tx pgx.Tx, r *rand.Rand) error {
	inner, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	a, b, amount := 1+r.IntN(24), 1+r.IntN(24), r.IntN(40)
	sql := steps[r.IntN(len(steps))]
	if _, err := inner.Exec(ctx, sql, a, b, amount); err != nil {
		return errors.Join(err, inner.Rollback(ctx))
	}
	if r.IntN(6) == 0 {
		return inner.Rollback(ctx)
	}
	return inner.Commit(ctx)
}

var _ window.Sink = (*auditor)(nil)
