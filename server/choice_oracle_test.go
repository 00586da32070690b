package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ledger is what the database held at each drain, as SQL said in the drain's own transaction. It answers by SQL too, which
// it runs over what it kept, on a connection of the test's own.
type ledger struct {
	t      testing.TB
	pool   *pgxpool.Pool
	tables []string

	mu     sync.Mutex    // guards all below
	drains []drained     // in the order of their sequences
	wake   chan struct{} // closed and replaced at every drain
	epoch  string        // of the first rev that was seen

	// Owned by the goroutine that asks.
	lists map[askedOf][]listed
	items map[itemsOf]map[string]string
}

// atRest is the sequence under which the ledger keeps what the database holds now.
const atRest = 0

// drained is what one drain saw: the rows of each table as the text of an array. A table that the drain could not read
// is not in it.
type drained struct {
	sequence uint64
	rows     map[string]string
	files    map[string]string // where the table is stored: another place after TRUNCATE
}

// askedOf is a question that has been answered.
type askedOf struct {
	choice   *choice
	who      *who
	sequence uint64
}

// itemsOf is a list at a drain.
type itemsOf struct {
	menu     *menu
	who      *who
	sequence uint64
}

// listed is a row of a list, in its place.
type listed struct {
	key    string // as in after: a JSON array
	json   string // as it is published
	sorted string // the values that it is sorted by, as text
}

// start is the anchor of a window that begins with the first row.
const start = "null"

func newLedger(t testing.TB, pool *pgxpool.Pool, tables ...string) *ledger {
	return &ledger{
		t: t, pool: pool, tables: tables, wake: make(chan struct{}),
		lists: map[askedOf][]listed{}, items: map[itemsOf]map[string]string{},
	}
}

// inspect is the server's drain hook. A drain that is repeated counts as it was the last time.
func (l *ledger) inspect(ctx context.Context, tx pgx.Tx, sequence uint64) error {
	d := drained{sequence: sequence, rows: map[string]string{}, files: map[string]string{}}
	for _, table := range l.tables {
		rows, file, err := copyOf(ctx, tx, table)
		if err != nil {
			return err
		}
		if rows != "" {
			d.rows[table], d.files[table] = rows, file
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.drains); n > 0 && l.drains[n-1].sequence >= sequence {
		l.drains = l.drains[:slices.IndexFunc(l.drains, func(d drained) bool { return d.sequence >= sequence })]
	}
	l.drains = append(l.drains, d)
	close(l.wake)
	l.wake = make(chan struct{})
	return nil
}

// copyOf returns the rows of a table and the file that they are in, and "" if they cannot be had: somebody has locked the table, or has rewritten it
// since the snapshot, which therefore shows no rows.
func copyOf(ctx context.Context, tx executor, table string) (rows, file string, err error) {
	const sql = `SELECT coalesce(array_agg(t)::text, '{}'), (SELECT relfilenode::text FROM pg_class WHERE oid = '%[1]s'::regclass),
		pg_relation_filenode('%[1]s'::regclass)::text FROM %[1]s t`
	var now string
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { // a savepoint
		return tx.QueryRow(ctx, fmt.Sprintf(sql, "public."+table), pgx.QueryExecModeSimpleProtocol).Scan(&rows, &file, &now)
	})
	const lockNotAvailable = "55P03"
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == lockNotAvailable {
		return "", "", nil
	}
	if err != nil || file != now {
		return "", "", err
	}
	return rows, file, nil
}

// last returns the number of drains so far.
func (l *ledger) last() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.drains)
}

// sequences returns the sequences of the drains with these numbers that could read the table.
func (l *ledger) sequences(table string, from, to int) []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []uint64
	for _, d := range l.drains[max(0, from):min(to, len(l.drains))] {
		if _, ok := d.rows[table]; ok {
			all = append(all, d.sequence)
		}
	}
	return all
}

// between returns the sequences after from and up to to of the drains that could read the table.
func (l *ledger) between(table string, from, to uint64) []uint64 {
	var all []uint64
	for _, s := range l.sequences(table, 0, l.last()) {
		if s > from && s <= to {
			all = append(all, s)
		}
	}
	return all
}

// copyAt returns the rows of a table as a drain saw them. Where it could not read the table the lists stand still: then it
// is those of the last drain before that could.
func (l *ledger) copyAt(table string, sequence uint64) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.drains, func(d drained) bool { return d.sequence == sequence })
	for ; i >= 0; i-- {
		if rows, ok := l.drains[i].rows[table]; ok {
			return rows, true
		}
	}
	return "", false
}

// list is the whole result of a choice at a drain.
func (l *ledger) list(c *choice, sequence uint64) ([]listed, error) {
	asked := askedOf{c.first(), c.who, sequence}
	if list, ok := l.lists[asked]; ok {
		return list, nil
	}
	from, copies, err := l.relationAt(c.menu, sequence)
	if err != nil {
		return nil, err
	}
	items, err := l.itemsAt(c, sequence, from, copies)
	if err != nil {
		return nil, err
	}
	list, err := c.ask(l.pool, items, from, copies...)
	if err == nil {
		l.lists[asked] = list
	}
	return list, err
}

// relationAt is what a list reads, as a drain saw it.
func (l *ledger) relationAt(m *menu, sequence uint64) (from string, copies []any, err error) {
	from = m.from()
	for i, table := range m.tables() {
		rows, ok := l.copyAt(table, sequence)
		if !ok {
			return "", nil, fmt.Errorf("there was no drain with the sequence %d of %d", sequence, l.last())
		}
		from = strings.ReplaceAll(from, "{"+table+"}", fmt.Sprintf("unnest($%d::text::public.%s[])", i+1, table))
		copies = append(copies, rows)
	}
	return from, copies, nil
}

func (m *menu) tables() []string {
	if m.reads != nil {
		return m.reads
	}
	return []string{m.table}
}

func (m *menu) from() string {
	if m.relation != "" {
		return m.relation
	}
	return fmt.Sprintf("{%[1]s} AS %[1]s", m.table)
}

// fromNow is what a list reads, as the database is.
func (m *menu) fromNow() string {
	from := m.from()
	for _, table := range m.tables() {
		from = strings.ReplaceAll(from, "{"+table+"}", "public."+table)
	}
	return from
}

func (l *ledger) itemsAt(c *choice, sequence uint64, from string, copies []any) (map[string]string, error) {
	at := itemsOf{c.menu, c.who, sequence}
	if items, ok := l.items[at]; ok {
		return items, nil
	}
	items, err := c.items(l.pool, from, copies...)
	if err == nil {
		l.items[at] = items
	}
	return items, err
}

// now is the whole result of a choice as the database is, which has not changed since forget was called.
func (l *ledger) now(c *choice) ([]listed, error) {
	asked := askedOf{c.first(), c.who, atRest}
	if list, ok := l.lists[asked]; ok {
		return list, nil
	}
	items, err := l.itemsAt(c, atRest, c.menu.fromNow(), nil)
	if err != nil {
		return nil, err
	}
	list, err := c.ask(l.pool, items, c.menu.fromNow())
	if err == nil {
		l.lists[asked] = list
	}
	return list, err
}

// forget drops the answers: the database changes, or a long run would keep them all.
func (l *ledger) forget() {
	clear(l.lists)
	clear(l.items)
}

// anchors returns where the anchors may be at a sequence that were at these places at an earlier one: each stays with its
// row, and where that moved or left with the row that was before it.
func (l *ledger) anchors(c *choice, from, to uint64, at []string) ([]string, error) {
	sequences := append([]uint64{from}, l.between(c.menu.table, from, to)...)
	lists, may := make([][]listed, len(sequences)), make([][]string, len(sequences))
	for j, sequence := range sequences {
		var err error
		if lists[j], err = l.list(c, sequence); err != nil {
			return nil, err
		}
		if j == 0 {
			may[j] = at
			continue
		}
		may[j] = follows(lists[j-1], lists[j], may[j-1])
		for i := range j - 1 {
			if l.rewritten(c.menu.table, sequences[i], sequence) {
				may[j] = slices.Concat(may[j], follows(lists[i], lists[j], may[i]), remains(lists[i], lists[j], may[i]))
			}
		}
		slices.Sort(may[j])
		may[j] = slices.Compact(may[j])
	}
	return may[len(may)-1], nil
}

// rewritten reports whether a table was truncated between two drains. Then a list may have been loaded again, and the
// states in between are not shown.
func (l *ledger) rewritten(table string, from, to uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	file := func(sequence uint64) (file string) {
		for _, d := range l.drains {
			if of, ok := d.files[table]; ok && d.sequence <= sequence {
				file = of
			}
		}
		return file
	}
	return file(from) != file(to)
}

// remains returns the nearest row before each anchor, or the anchor, that there is afterwards too: what TRUNCATE removed
// and is there again may count as the row that it was.
func remains(old, now []listed, at []string) (next []string) {
	is := places(now)
	for _, anchor := range at {
		last := start
		for _, r := range old {
			if _, ok := is[r.key]; ok && anchor != start {
				last = r.key
			}
			if r.key == anchor {
				break
			}
		}
		next = append(next, last)
	}
	return next
}

// follows is anchors for one change.
func follows(old, now []listed, at []string) []string {
	next := map[string]bool{}
	s := newShift(old, now)
	for _, anchor := range at {
		s.follow(anchor, next)
	}
	var all []string
	for anchor := range next {
		all = append(all, anchor)
	}
	slices.Sort(all)
	return all
}

// shift is what a change did to the places of the rows.
type shift struct {
	old, now []listed
	was, is  map[string]int // the places, by key
	stayed   map[string]int // of the rows whose sorted values are what they were: how many of them are before it
}

func newShift(old, now []listed) *shift {
	s := &shift{old: old, now: now, was: places(old), is: places(now), stayed: map[string]int{}}
	for _, r := range old {
		if i, ok := s.is[r.key]; ok && now[i].sorted == r.sorted {
			s.stayed[r.key] = len(s.stayed)
		}
	}
	return s
}

func places(rows []listed) map[string]int {
	at := make(map[string]int, len(rows))
	for i, r := range rows {
		at[r.key] = i
	}
	return at
}

// follow adds where an anchor may be. A row that was sorted anew and came to stand where it stood may count as one that
// moved and as one that did not.
func (s *shift) follow(anchor string, next map[string]bool) {
	i, ok := s.was[anchor]
	if !ok {
		i = -1 // the start, and what was no row
	}
	for ; i >= 0; i-- {
		key := s.old[i].key
		if _, stayed := s.stayed[key]; stayed {
			next[key] = true
			return
		}
		if at, is := s.is[key]; is && stayedBefore(s, s.old[:i]) == stayedBefore(s, s.now[:at]) {
			next[key] = true
		}
	}
	next[start] = true
}

// stayedBefore counts the rows that stayed.
func stayedBefore(s *shift, rows []listed) (n int) {
	for _, r := range rows {
		if _, ok := s.stayed[r.key]; ok {
			n++
		}
	}
	return n
}

// behind returns the rows behind an anchor.
func behind(list []listed, after string) ([]listed, bool) {
	if after == start {
		return list, true
	}
	i := slices.IndexFunc(list, func(r listed) bool { return r.key == after })
	if i < 0 {
		return nil, false
	}
	return list[i+1:], true
}

// ask runs the choice's SQL over rows that the FROM clause gives, and whose JSON is known.
func (c *choice) ask(pool querier, items map[string]string, from string, args ...any) ([]listed, error) {
	rows, err := pool.Query(context.Background(), c.query(from), slices.Concat([]any{pgx.QueryExecModeDescribeExec}, args)...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (listed, error) {
		var r listed
		err := row.Scan(&r.key, &r.sorted)
		r.key = canonical(json.RawMessage(r.key))
		r.json = items[r.key]
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c, err)
	}
	return list, nil
}

// items returns the JSON of the rows of the list by key.
func (c *choice) items(pool querier, from string, args ...any) (map[string]string, error) {
	m := c.menu
	sql := "SELECT " + m.read + " FROM " + from
	if m.where != "" {
		sql += " WHERE " + c.who.fill(m.where)
	}
	rows, err := pool.Query(context.Background(), sql, slices.Concat([]any{pgx.QueryExecModeDescribeExec}, args)...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", m.table, err)
	}
	texts, err := m.rows(rows)
	items := make(map[string]string, len(texts))
	for _, text := range texts {
		items[m.keyOf(text)] = text
	}
	return items, err
}

// keyOf returns the key of an item, as it stands in after.
func (m *menu) keyOf(item string) string {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(item), &fields); err != nil {
		return "no JSON: " + item
	}
	key := make([]json.RawMessage, len(m.keyJSON))
	for i, name := range m.keyJSON {
		key[i] = fields[name]
	}
	text, err := json.Marshal(key)
	if err != nil {
		return "no key: " + item
	}
	return canonical(text)
}

// canonical returns JSON without white space and with the escapes of encoding/json, so that equal values are equal texts.
func canonical(text json.RawMessage) string {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return "no JSON: " + string(text)
	}
	out, err := json.Marshal(value)
	if err != nil {
		return "no JSON: " + string(text)
	}
	return string(out)
}
