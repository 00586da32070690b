package view

import (
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// encodeUntyped makes the JSON of a row without a Go type: of the values that pgx
// gives, in the order of the definition.
func (v *variable) encodeUntyped(rows pgx.Rows) (json.RawMessage, error) {
	values, err := untyped(rows)
	if err != nil {
		return nil, err
	}
	if len(v.def.Columns) == 0 {
		return json.Marshal(values[0])
	}
	object := []byte{'{'}
	for _, c := range v.def.Columns {
		i, err := indexOf(rows.FieldDescriptions(), c.Name)
		if err != nil {
			return nil, err
		}
		if c.JSON == "" {
			continue
		}
		value, err := json.Marshal(values[i])
		if err != nil {
			return nil, err
		}
		if len(object) > 1 {
			object = append(object, ',')
		}
		object = append(append(object, mustJSON(c.JSON)...), ':')
		object = append(object, value...)
	}
	return append(object, '}'), nil
}

// untyped returns the values of a row as they are published.
func untyped(rows pgx.Rows) ([]any, error) {
	values, err := rows.Values()
	if err != nil {
		return nil, err
	}
	m := rows.Conn().TypeMap()
	for i, f := range rows.FieldDescriptions() {
		values[i] = plain(values[i])
		if f.DataTypeOID != pgtype.JSONOID && f.DataTypeOID != pgtype.JSONBOID || values[i] == nil {
			continue
		}
		var text json.RawMessage // as it is: a float would round its numbers
		if err := m.Scan(f.DataTypeOID, f.Format, rows.RawValues()[i], &text); err != nil {
			return nil, err
		}
		values[i] = text
	}
	return values, nil
}

// plain returns a value of pgx's as it is published: times in UTC, and a uuid, which
// comes as bytes, as its text.
func plain(value any) any {
	switch v := value.(type) {
	case time.Time:
		return v.UTC()
	case [16]byte:
		return pgtype.UUID{Bytes: v, Valid: true}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return value
}
