package view

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/socksync/socksync/internal/sortkey"
	"github.com/socksync/socksync/internal/window"
)

// member is a row of the list as a drain read it.
type member struct {
	key   string
	place []byte
	json  json.RawMessage // nil if not read
}

// errTextFormat says that the connection delivers an order column as text, which
// has no encoding here. The view then lets Postgres place its rows.
var errTextFormat = errors.New("an order column is not delivered in binary format")

// reader decodes result rows of one list; what depends on an order, by plan.
type reader struct {
	*relation
	plan   *plan // nil if no places are read
	types  *pgtype.Map
	report func(key []string, err error) // a row that cannot be published as it is
}

// member decodes key and place.
func (r *reader) member(rows pgx.Rows) (member, error) {
	values, fields := rows.RawValues(), rows.FieldDescriptions()
	if err := r.checkKey(values); err != nil {
		return member{}, err
	}
	key := r.keyTexts(values)
	nk := len(r.def.Key)
	end := nk + len(r.plan.terms)
	place, err := encodePlace(r.plan, fields[nk:end], values[nk:end])
	if err != nil {
		return member{}, fmt.Errorf("place of row %q: %w", key, err)
	}
	return member{key: joinKey(key), place: place}, nil
}

// row decodes key and row.
func (r *reader) row(rows pgx.Rows) (string, json.RawMessage) {
	values, fields := rows.RawValues(), rows.FieldDescriptions()
	key := r.keyTexts(values)
	nk := len(key)
	return joinKey(key), r.json(key, fields[nk:], values[nk:])
}

// rowOf decodes the row behind so many columns after the key.
func (r *reader) rowOf(rows pgx.Rows, columns int) json.RawMessage {
	values, fields := rows.RawValues(), rows.FieldDescriptions()
	at := len(r.def.Key) + columns
	return r.json(r.keyTexts(values), fields[at:], values[at:])
}

func (r *reader) keyTexts(values [][]byte) []string {
	key := make([]string, len(r.def.Key))
	for i := range key {
		key[i] = string(values[i])
	}
	return key
}

func (r *reader) json(key []string, fields []pgconn.FieldDescription, values [][]byte) json.RawMessage {
	if r.rowType() == nil {
		if window.Depth(values[0]) <= window.MaxDepth {
			return append(json.RawMessage(nil), values[0]...)
		}
		r.report(key, errTooDeep)
		return keyOnly(r.keyJSON, r.keyOIDs, key)
	}
	out, err := encodeRow(r.types, r.rowType(), r.fields, fields, values)
	if err != nil {
		r.report(key, err)
		return keyOnly(r.keyJSON, r.keyOIDs, key)
	}
	return out
}

// encodePlace returns the encoded sort key, or, where Postgres places, bytes that are
// equal only if the values of the order columns are.
func encodePlace(p *plan, fields []pgconn.FieldDescription, values [][]byte) ([]byte, error) {
	if !p.encoded {
		return fingerprint(values), nil
	}
	var place []byte
	for i, v := range values {
		if fields[i].Format != pgtype.BinaryFormatCode && !textual(fields[i].DataTypeOID) {
			return nil, errTextFormat
		}
		var err error
		if place, err = sortkey.Append(place, p.order[i], v); err != nil {
			return nil, err
		}
	}
	return place, nil
}

// textual reports whether a type has the same form in both formats.
func textual(oid uint32) bool {
	return oid == pgtype.TextOID || oid == pgtype.VarcharOID || oid == pgtype.NameOID
}

// fingerprint joins the texts of values; where that is long, its SHA-256.
func fingerprint(values [][]byte) []byte {
	var b []byte
	for _, v := range values {
		if v == nil {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(v))+1)
		b = append(b, v...)
	}
	if len(b) <= sha256.Size {
		return b
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// collect runs fn for each row of a result.
func collect(rows pgx.Rows, fn func(pgx.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// inOrder returns the function that has the database put keys in list order, under the session by which they were read.
func (r *reader) inOrder(ctx context.Context, tx pgx.Tx, under *session) ordering {
	return func(among []string) ([]string, error) {
		keys := make([]string, 0, len(among))
		q := question{
			sql: r.plan.placeSQL, args: keyArrays(among, len(r.def.Key)), session: under,
			take: func(rows pgx.Rows) error {
				keys = append(keys, joinKey(r.keyTexts(rows.RawValues())))
				return nil
			},
			fail: func(err error) error { return err },
		}
		return keys, send(ctx, tx, []question{q})
	}
}
