package view

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/window"
)

// statement is the query of a var as Postgres takes it.
type statement struct {
	sql   string
	names []string // of the parameters $1, $2 and so on
}

// newStatement numbers the parameters of a query. The query of a var without parameters
// stays as it is: an @ in it is an operator.
func newStatement(def *binding.VarDef) (statement, error) {
	if len(def.Params) == 0 {
		return statement{sql: def.Query}, nil
	}
	own := make(pgx.StrictNamedArgs, len(def.Params))
	for _, name := range def.Params {
		own[name] = name
	}
	s := statement{sql: def.Query, names: def.Params}
	sql, args, err := own.RewriteQuery(context.Background(), nil, def.Query, nil)
	if err != nil {
		return s, fmt.Errorf("parameters %q: %w", def.Params, err)
	}
	s.sql, s.names = sql, make([]string, len(args))
	for i, arg := range args {
		s.names[i], _ = arg.(string)
	}
	return s, nil
}

// params are the values of a statement's parameters.
type params struct {
	key    string // equal for equal values
	values []any  // a text, which Postgres reads as a value of the type that it finds, or nil for NULL
}

// maxParams is how many bytes the texts of an instance's parameters may have together.
const maxParams = 4096

// params returns the values that a filter gives, the others NULL. An error is fit for
// the peer.
func (s *statement) params(filter []window.Condition) (params, error) {
	p := params{values: make([]any, len(s.names))}
	for _, c := range filter {
		n := slices.Index(s.names, c.Column)
		if n < 0 {
			return params{}, badParam(c.Column, "the var has no such parameter")
		}
		if binding.Operator(c.Operator) != binding.OpEq {
			return params{}, badParam(c.Column, "a parameter has no operator but eq")
		}
		value, ok := scalar(c.Value)
		if !ok {
			return params{}, badParam(c.Column, "a parameter is a string, number, boolean or null")
		}
		p.values[n] = value
	}
	key, size := appendParams(nil, p.values)
	if size > maxParams {
		return params{}, window.Refusal(fmt.Sprintf("filter: the parameters have more than %d bytes together", maxParams))
	}
	p.key = string(key)
	return p, nil
}

func badParam(name, what string) error { return window.Refusal("filter: " + name + ": " + what) }

// scalar returns the text of a JSON value that is not compound, nil for null.
func scalar(raw json.RawMessage) (text any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // every digit as it was sent
	var value any
	if d.Decode(&value) != nil {
		return nil, false
	}
	switch v := value.(type) {
	case nil, string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return nil, false
}

// appendParams appends the key of values: each with its length in front, or a sign for
// NULL. It also returns how many bytes the values have.
func appendParams(dst []byte, values []any) (key []byte, size int) {
	for _, value := range values {
		text, given := value.(string)
		if !given {
			dst = append(dst, '-')
			continue
		}
		size += len(text)
		dst = append(strconv.AppendInt(dst, int64(len(text)), 10), ':')
		dst = append(dst, text...)
	}
	return dst, size
}

// given reports whether any parameter is not NULL.
func (p params) given() bool {
	return slices.ContainsFunc(p.values, func(value any) bool { return value != nil })
}

// refuse decides whether a query failed because of the values of its parameters: some
// type or function of Postgres does not take them. What it made of them is not for the
// peer.
func (v *variable) refuse(p params, err error) error {
	var pg *pgconn.PgError
	if !p.given() || !errors.As(err, &pg) {
		return nil
	}
	switch pg.Code[:min(2, len(pg.Code))] {
	case "22", "23": // not of the type, or not of the domain
		return window.Refusal("filter: " + v.def.String() + " cannot be read with these parameters")
	}
	return nil
}
