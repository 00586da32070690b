package view

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/window"
)

// encodeRow scans the values into a new value of the struct type and encodes it. A
// panic of a type's own Scan or MarshalJSON is an error like any other: one bad
// row must not stop a list.
func encodeRow(m *pgtype.Map, t reflect.Type, fields []binding.Column, descriptions []pgconn.FieldDescription, values [][]byte) (_ json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	row := reflect.New(t)
	for i, f := range fields {
		if err := scan(m, descriptions[i], values[i], f.In(row.Elem())); err != nil {
			return nil, fmt.Errorf("column %s: %w", f.Name, err)
		}
	}
	out, err := json.Marshal(row.Interface())
	if err == nil && window.Depth(out) > window.MaxDepth {
		return nil, errTooDeep
	}
	return out, err
}

// errTooDeep says that no peer would accept the row.
var errTooDeep = fmt.Errorf("nested deeper than %d", window.MaxDepth)

// scan puts one value into target, times in UTC: how a time is shown must not
// depend on where the server runs.
func scan(m *pgtype.Map, d pgconn.FieldDescription, value []byte, target reflect.Value) error {
	if err := m.Scan(d.DataTypeOID, d.Format, value, target.Addr().Interface()); err != nil {
		return err
	}
	toUTC(target)
	return nil
}

// toUTC puts the times in a value into UTC: in pointers, slices, and the structs of
// database/sql and pgtype. Other structs are their owner's business.
func toUTC(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			toUTC(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		if mayHoldTime(v.Type().Elem()) {
			for i := range v.Len() {
				toUTC(v.Index(i))
			}
		}
	case reflect.Interface:
		if t, ok := v.Interface().(time.Time); ok {
			v.Set(reflect.ValueOf(t.UTC()))
		}
	case reflect.Struct:
		structToUTC(v)
	}
}

func structToUTC(v reflect.Value) {
	if t, ok := v.Addr().Interface().(*time.Time); ok {
		*t = t.UTC()
		return
	}
	if p := v.Type().PkgPath(); p != sqlPackage && p != pgtypePackage {
		return
	}
	for i := range v.NumField() {
		if f := v.Field(i); f.CanSet() {
			toUTC(f)
		}
	}
}

var (
	sqlPackage    = reflect.TypeFor[sql.NullTime]().PkgPath()
	pgtypePackage = reflect.TypeFor[pgtype.Timestamptz]().PkgPath()
)

func mayHoldTime(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Interface, reflect.Struct:
		return true
	}
	return false
}

// scannable reports whether a value of a Postgres type can be scanned into a Go
// type. The type map says so only by the plan that it makes.
func scannable(m *pgtype.Map, d pgconn.FieldDescription, t reflect.Type) bool {
	failing := reflect.TypeOf(m.PlanScan(0, pgtype.BinaryFormatCode, new(chan int)))
	return reflect.TypeOf(m.PlanScan(d.DataTypeOID, d.Format, reflect.New(t).Interface())) != failing
}

// keyOnly is the JSON of a row that cannot be read or encoded: its key columns,
// as far as they are published.
func keyOnly(names []string, oids []uint32, texts []string) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range names {
		if name == "" {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.Write(mustJSON(name))
		b.WriteByte(':')
		b.Write(keyValue(oids[i], texts[i]))
	}
	b.WriteByte('}')
	return b.Bytes()
}

// keyValue is the JSON of one key column: numbers and booleans as such, everything
// else as a string.
func keyValue(oid uint32, text string) []byte {
	switch oid {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID:
		if json.Valid([]byte(text)) { // not NaN or Infinity
			return []byte(text)
		}
	case pgtype.BoolOID:
		return mustJSON(text == "true" || text == "t")
	}
	return mustJSON(text)
}

// mustJSON encodes a string or a bool, which cannot fail.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
