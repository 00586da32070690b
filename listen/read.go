package listen

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const (
	beginSQL = "begin isolation level repeatable read read only"
	// stateSQL reads where the log stands. The flag is read from the sequence itself and not by its function, whose lock
	// is that of a writer.
	stateSQL = `select pg_catalog.pg_current_snapshot()::text,
		coalesce((select id::text from socksync.epoch), ''), coalesce((select id::text from socksync.epoch_twin), ''),
		coalesce((select upto::text from socksync.pruned), ''), (select last_value from socksync.bell),
		coalesce((select xmin::text::pg_catalog.int8 from socksync.epoch), 0)`
	pooledStateSQL = stateSQL + `, pg_catalog.pg_is_in_recovery(), ` + identitySQL
	// changesSQL reads the log, and how many texts each row of a table has in it: the length of the last dimension.
	changesSQL = `select c.relation::pg_catalog.int8, c.keys,
		coalesce(pg_catalog.array_length(c.keys, pg_catalog.array_ndims(c.keys)), 0) from socksync.changes($1, $2) c`
)

// state is what the feed's own tables say, all in one snapshot but for the flag, which is outside transactions.
type state struct {
	text        string // of the snapshot
	snapshot    Snapshot
	epoch, twin string
	pruned      string // the mark, as text
	flag        int64
	born        uint32 // the transaction that began the epoch, without its upper half
	standby     bool
	identity    string
}

// limit is the transaction id below which the triggers log.
func (st *state) limit() uint64 { return uint64(st.flag) >> 16 } //nolint:gosec // a sequence with minvalue 0

// name is the epoch's: the same as long as no change can have gone unseen.
func (st *state) name() string { return st.epoch + "/" + st.identity }

// queueState reads the state. Behind a pooler it asks which database this is; otherwise the session knows.
func queueState(b *pgx.Batch, pooled bool, into *state) {
	sql := stateSQL
	fields := []any{&into.text, &into.epoch, &into.twin, &into.pruned, &into.flag, &into.born}
	if pooled {
		sql = pooledStateSQL
		fields = append(fields, &into.standby, &into.identity)
	}
	b.Queue(sql).QueryRow(func(row pgx.Row) (err error) {
		if err := row.Scan(fields...); err != nil {
			return fmt.Errorf("read the state of the log: %w", err)
		}
		into.snapshot, err = ParseSnapshot(into.text)
		return err
	})
}

// queueChanges reads the log from a snapshot to the transaction's.
func queueChanges(b *pgx.Batch, from Snapshot, into *collect) {
	xmax, running := from.difference()
	b.Queue(changesSQL, xmax, running).Query(func(rows pgx.Rows) error {
		var relation int64
		var keys []string
		var width int
		_, err := pgx.ForEachRow(rows, []any{&relation, &keys, &width}, func() error {
			into.add(relation, keys, width)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read the change log: %w", err)
		}
		return nil
	})
}

// begin starts the transaction of an attempt, and reads the state and the log in one round trip. The attempt's
// transaction is set if there is one, also with an error.
func (s *session) begin(ctx context.Context, a *attempt) error {
	b := &pgx.Batch{}
	b.BeginTx(pgx.TxOptions{BeginQuery: beginSQL})
	pooled := s.feed.config.PollOnly
	if pooled {
		b.Queue(set(s.feed.config.drainSettings(), true))
	}
	queueState(b, pooled, &a.state)
	if from := s.feed.position.snapshot; !from.IsZero() {
		queueChanges(b, from, &a.log)
	}
	for _, j := range a.joins {
		j.log = collect{tables: &s.feed.tables, limit: s.feed.config.MaxKeys}
		queueChanges(b, j.state.snapshot, &j.log)
	}
	s.rung.Store(false) // a ring from now on may be for a change that this snapshot does not see
	results := s.conn.SendBatch(ctx, b)
	a.tx = results.Tx()
	err := results.Close()
	if !pooled {
		a.state.identity = s.identity
	}
	if a.state.standby {
		return errStandby
	}
	return err
}
