package listen

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"
)

const (
	// holdersSQL reads the transactions that hold the lock which a trigger takes on the bell before it reads the flag.
	// They are named by their virtual transaction id, since it is not used again while the server runs; that of a
	// prepared transaction holds its transaction id.
	holdersSQL = `select distinct l.virtualtransaction from pg_catalog.pg_locks l where ` + onBellSQL
	onBellSQL  = `l.locktype = 'relation' and l.relation = 'socksync.bell'::pg_catalog.regclass
		and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
		and l.mode = 'RowExclusiveLock' and l.granted and l.pid is distinct from pg_catalog.pg_backend_pid()`
	// debtsSQL reads the holders that began to write before a transaction, together with the relations that they may have
	// written. All locks are read once, since two readings could miss what happens in between. Each transaction holds a
	// lock on its id. Ids are compared by their age, which goes wrong for one of two billion transactions ago: it looks
	// young, and all holders old, which costs a needless reload.
	debtsSQL = `with locks as materialized (select * from pg_catalog.pg_locks)
		select l.virtualtransaction, array(select r.relation::pg_catalog.int8 from locks r
			where r.virtualtransaction = l.virtualtransaction and r.locktype = 'relation' and r.database = l.database
			and r.mode not in ('AccessShareLock', 'RowShareLock'))
		from locks l where ` + onBellSQL + ` and exists (select from locks x where x.virtualtransaction = l.virtualtransaction
			and x.locktype = 'transactionid' and x.granted and pg_catalog.age(x.transactionid) >= pg_catalog.age($1::text::pg_catalog.xid))`
)

// debt is a transaction that may have written tables while nothing was logged: it was running when an epoch began, or
// its log rows were lost in a crash which it survived prepared. When it ends its tables are to be read again.
type debt struct {
	holder string
	tables []string
}

func queueHolders(b *pgx.Batch, into map[string]bool) {
	b.Queue(holdersSQL).Query(func(rows pgx.Rows) error {
		var holder string
		_, err := pgx.ForEachRow(rows, []any{&holder}, func() error {
			into[holder] = true
			return nil
		})
		return err
	})
}

func (s *session) readHolders(ctx context.Context) (map[string]bool, error) {
	holders := make(map[string]bool)
	b := &pgx.Batch{}
	queueHolders(b, holders)
	return holders, s.conn.SendBatch(ctx, b).Close()
}

// readDebts returns the transactions that run and may have written before the transaction born, which began the epoch.
// From then on all triggers log. It is called before the snapshot at which everything is read, so that who has ended by
// now is visible there.
func (s *session) readDebts(ctx context.Context, born uint32) ([]debt, error) {
	rows, err := s.conn.Query(ctx, debtsSQL, strconv.FormatUint(uint64(born), 10))
	if err != nil {
		return nil, err
	}
	var debts []debt
	var holder string
	var relations []int64
	_, err = pgx.ForEachRow(rows, []any{&holder, &relations}, func() error {
		if names := s.feed.tables.names(relations); len(names) > 0 {
			debts = append(debts, debt{holder, names})
		}
		return nil
	})
	return debts, err
}

// settleDebts has the tables of transactions that have ended read again, and reports whether there are any.
func (s *session) settleDebts(holders map[string]bool) (settled bool) {
	p := &s.feed.position
	var open []debt
	for _, d := range p.debts {
		if holders[d.holder] {
			open = append(open, d)
			continue
		}
		settled = true
		for _, name := range d.tables {
			s.feed.tables.markAll(name)
		}
	}
	p.debts = open
	return settled
}
