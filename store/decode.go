package store

import (
	"database/sql"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jmoiron/sqlx"

	"github.com/socksync/socksync/binding"
)

// decoder scans the rows of a result into structs. It belongs to one result,
// because a type map is not safe for concurrent use.
//
// sqlx's own StructScan is not enough: it finds fields by rules other than those
// of package binding, and database/sql converts scalars only.
type decoder struct {
	rows    *sqlx.Rows
	columns []binding.Column
	row     func() reflect.Value
	types   *pgtype.Map
	names   []string // of the columns' types
	oids    []uint32 // of the columns' types, 0 where types does not know it
	targets []any
}

func newDecoder(rows *sqlx.Rows, def *binding.ModelDef) (*decoder, error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	d := &decoder{
		rows: rows, columns: def.Columns, row: def.NewRow, types: pgtype.NewMap(),
		targets: make([]any, len(types)),
	}
	for _, t := range types {
		name := strings.ToLower(t.DatabaseTypeName())
		d.names = append(d.names, name)
		d.oids = append(d.oids, d.oid(name))
	}
	return d, nil
}

// oid returns the number of the type; the driver gives the number itself for the
// name of a type that it does not know.
func (d *decoder) oid(name string) uint32 {
	if t, ok := d.types.TypeForName(name); ok {
		return t.OID
	}
	oid, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(oid)
}

// scan reads the current row into the struct row.
func (d *decoder) scan(row reflect.Value) error {
	for i, c := range d.columns {
		d.targets[i] = d.target(i, c.In(row).Addr().Interface())
	}
	if err := d.rows.Scan(d.targets...); err != nil {
		return d.explain(err)
	}
	for _, c := range d.columns {
		toUTC(c.In(row).Addr().Interface())
	}
	return nil
}

// target returns what column i is scanned into so that it arrives in field.
func (d *decoder) target(i int, field any) any {
	if _, ok := field.(sql.Scanner); ok {
		return field
	}
	return value{d.types, d.oids[i], field}
}

// value scans one value into field as pgx would if it read the row itself, and so
// as lists do.
type value struct {
	types *pgtype.Map
	oid   uint32
	field any
}

// Scan implements [sql.Scanner]. The driver hands over numbers, times and the like
// as Go values, which go back to what they were on the wire. All else is text.
func (v value) Scan(src any) error {
	format, data := int16(pgtype.TextFormatCode), []byte(nil)
	switch src := src.(type) {
	case nil:
	case string:
		data = []byte(src)
	case []byte:
		data = src
		if v.oid == pgtype.ByteaOID {
			format = pgtype.BinaryFormatCode
		}
	default:
		var err error
		format = pgtype.BinaryFormatCode
		if data, err = v.types.Encode(v.oid, format, src, nil); err != nil {
			return err
		}
	}
	return v.types.Scan(v.oid, format, data, v.field)
}

// fits reports whether column i can be scanned into its field. The type map says
// so only by the plan that it makes.
func (d *decoder) fits(i int) bool {
	field := d.columns[i].In(d.row()).Addr().Interface()
	if _, ok := field.(sql.Scanner); ok {
		return true
	}
	plan := func(oid uint32, format int16, field any) reflect.Type {
		return reflect.TypeOf(d.types.PlanScan(oid, format, field))
	}
	none := plan(0, pgtype.BinaryFormatCode, new(chan int))
	return plan(d.oids[i], pgtype.TextFormatCode, field) != none || plan(d.oids[i], pgtype.BinaryFormatCode, field) != none
}

// explain says which column of the current row could not be scanned.
func (d *decoder) explain(cause error) error {
	for i, c := range d.columns {
		var found any
		targets := make([]any, len(d.columns))
		for j := range targets {
			targets[j] = new(any)
		}
		targets[i] = &found
		if d.rows.Scan(targets...) != nil {
			break
		}
		targets[i] = d.targets[i]
		if d.rows.Scan(targets...) == nil {
			continue
		}
		what := "a value of type " + d.names[i]
		if found == nil {
			what = "NULL"
		}
		return &hidden{fmt.Sprintf("column %q: %s cannot be read into %v", c.Name, what, c.Type), cause}
	}
	return &hidden{"a row cannot be read", cause}
}

// toUTC puts a time in UTC: how it is shown must not depend on where the program
// runs.
func toUTC(field any) {
	switch v := field.(type) {
	case *time.Time:
		*v = v.UTC()
	case **time.Time:
		if *v != nil {
			**v = (*v).UTC()
		}
	case *sql.NullTime:
		v.Time = v.Time.UTC()
	case *sql.Null[time.Time]:
		v.V = v.V.UTC()
	case *pgtype.Timestamptz:
		v.Time = v.Time.UTC()
	}
}
