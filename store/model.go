package store

import (
	"context"
	"database/sql"
	"errors"
	"reflect"

	"github.com/jmoiron/sqlx"

	"github.com/socksync/socksync/binding"
)

// Model reads and writes the rows of T's table. [New] makes one. It may be used
// by several goroutines at once, as far as its handle may.
type Model[T any] struct {
	db    sqlx.QueryerContext
	table *table
}

// New returns the model of T, a struct with tags; see package binding. db is an
// [sqlx.DB], most simply from [Open], or an [sqlx.Conn] or [sqlx.Tx]; its driver
// must be pgx. It stays the caller's to close.
//
// New checks the tags and the table: an error about them is a
// *[binding.DefinitionError], or several joined. A change to the table that adds
// or drops defaults or generated columns is noticed by a new model only.
func New[T any](ctx context.Context, db sqlx.QueryerContext) (*Model[T], error) {
	t, err := newTable(ctx, db, binding.Model[T]())
	if err != nil {
		return nil, err
	}
	return &Model[T]{db: db, table: t}, nil
}

// With returns the same model on another handle, such as the transaction of
// [InTx]. It does not ask the database anything.
func (m *Model[T]) With(db sqlx.QueryerContext) *Model[T] {
	return &Model[T]{db: db, table: m.table}
}

// Query says which rows to list. The zero value is all rows, in the order of their
// keys.
type Query struct {
	// Where is the condition on the rows; nil is all rows.
	Where Filter
	// Order is written as in tags: "-delay_minutes nulls last, id". It is
	// followed by the key columns that it does not name; empty is these alone.
	Order string
	// Limit is the most rows to return; 0 means no limit.
	Limit int
	// Offset is the number of rows to skip.
	Offset int
}

// Get returns the row with the key, whose values come in the order of the fields,
// or an error that is [ErrNotFound].
func (m *Model[T]) Get(ctx context.Context, key ...any) (T, error) {
	s := m.table.statement()
	s.write("SELECT ", m.table.columns, " FROM ", m.table.name)
	s.key(key)
	var row T
	if err := m.one(ctx, s, &row); err != nil {
		var none T
		return none, m.table.failed("get from", err)
	}
	return row, nil
}

// List returns the rows that q asks for; where there are none, an empty slice that
// is not nil. It holds all of them in memory.
func (m *Model[T]) List(ctx context.Context, q Query) ([]T, error) {
	s := m.table.statement()
	s.write("SELECT ", m.table.columns, " FROM ", m.table.name)
	s.where(q.Where)
	s.order(q.Order)
	s.slice(q.Limit, q.Offset)
	rows := []T{}
	err := m.read(ctx, s, func() *T {
		rows = append(rows, *new(T))
		return &rows[len(rows)-1]
	})
	if err != nil {
		return nil, m.table.failed("list", err)
	}
	return rows, nil
}

// Count returns the number of rows for which where is true; nil counts all.
func (m *Model[T]) Count(ctx context.Context, where Filter) (int, error) {
	s := m.table.statement()
	s.write("SELECT count(*) FROM ", m.table.name)
	s.where(where)
	var n int
	err := m.number(ctx, s, &n)
	return n, m.table.failed("count", err)
}

// Insert adds row and then fills it with what the database made of it: generated
// keys, defaults, what triggers changed.
//
// Without columns it writes all, except those that only the database can fill and
// the key columns that are zero and have a default or an identity. With columns
// it writes just these, so that the others get their defaults.
//
// A row that was written but cannot be read back is an error too.
func (m *Model[T]) Insert(ctx context.Context, row *T, columns ...string) error {
	return m.table.failed("insert into", m.insert(ctx, row, columns, false))
}

// Upsert is [Model.Insert] of all columns, except that it updates the row that has
// the key already, if there is one.
func (m *Model[T]) Upsert(ctx context.Context, row *T) error {
	return m.table.failed("upsert into", m.insert(ctx, row, nil, true))
}

func (m *Model[T]) insert(ctx context.Context, row *T, names []string, orUpdate bool) error {
	if row == nil {
		return errNoRow
	}
	s, value := m.table.statement(), reflect.ValueOf(row).Elem()
	columns := s.named(names)
	if len(names) == 0 {
		columns = m.table.inserted(value)
	}
	s.insert(value, columns)
	if orUpdate {
		s.orUpdate(columns)
	}
	s.returning()
	err := m.one(ctx, s, row)
	if errors.Is(err, ErrNotFound) {
		return errNotKept
	}
	return err
}

// Update writes the columns of row, or without columns all of them, to the row
// with its key, and then fills row with the whole row as it stands in the table.
// The key and what only the database can fill are not written. If no row has the
// key, the error is [ErrNotFound].
func (m *Model[T]) Update(ctx context.Context, row *T, columns ...string) error {
	return m.table.failed("update", m.update(ctx, row, columns))
}

func (m *Model[T]) update(ctx context.Context, row *T, names []string) error {
	if row == nil {
		return errNoRow
	}
	s, value := m.table.statement(), reflect.ValueOf(row).Elem()
	columns := s.named(names)
	if len(names) == 0 {
		columns = m.table.updated()
	}
	s.update(value, columns)
	var key []any
	for _, c := range m.table.key() {
		key = append(key, valueIn(value, c))
	}
	s.key(key)
	s.returning()
	return m.one(ctx, s, row)
}

// Delete deletes the row with the key, whose values come in the order of the
// fields. If no row has it, the error is [ErrNotFound].
func (m *Model[T]) Delete(ctx context.Context, key ...any) error {
	s := m.table.statement()
	s.write("DELETE FROM ", m.table.name)
	s.key(key)
	s.write(" RETURNING 1")
	err := m.number(ctx, s, new(int))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return m.table.failed("delete from", err)
}

// number runs a statement that returns one number.
func (m *Model[T]) number(ctx context.Context, s *statement, n *int) error {
	if err := s.err(); err != nil {
		return err
	}
	return sqlx.GetContext(ctx, m.db, n, s.sql.String(), s.args...)
}

// one runs a statement that returns one row.
func (m *Model[T]) one(ctx context.Context, s *statement, row *T) error {
	n := 0
	err := m.read(ctx, s, func() *T { n++; return row })
	switch {
	case err != nil:
		return err
	case n == 0:
		return ErrNotFound
	case n > 1:
		return errAmbiguous
	}
	return nil
}

// read runs a statement that returns rows, and scans each into what next returns.
func (m *Model[T]) read(ctx context.Context, s *statement, next func() *T) error {
	if err := s.err(); err != nil {
		return err
	}
	rows, err := m.db.QueryxContext(ctx, s.sql.String(), s.args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err says it
	d, err := newDecoder(rows, m.table.def)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := d.scan(reflect.ValueOf(next()).Elem()); err != nil {
			return err
		}
	}
	return rows.Err() // also of the end of the statement: deferred constraints are checked there
}
