package view

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/sqltext"
	"github.com/socksync/socksync/internal/window"
)

// statement is the query of a var as Postgres takes it.
type statement struct {
	sql      string
	chosen   []string // the parameters $1, $2 and so on, which subscribers choose
	identity []string // those behind them, which are values of the subscriber's identity
}

// newStatement numbers what a query names: first the parameters, then the other names, which are the identity's.
func newStatement(def *binding.VarDef) statement {
	s := statement{chosen: def.Params}
	for _, name := range sqltext.Find(def.Query).Names {
		if !slices.Contains(def.Params, name) {
			s.identity = append(s.identity, name)
		}
	}
	s.sql = sqltext.Replace(def.Query, func(name string) string {
		return "$" + strconv.Itoa(1+slices.Index(slices.Concat(s.chosen, s.identity), name))
	})
	return s
}

// arguments are the values of the statement's $1, $2 and so on.
func (s *statement) arguments(p params) []any {
	return slices.Concat(p.values, p.who.values[:len(s.identity)])
}

// params are the values on which an instance of a var depends.
type params struct {
	key    string  // equal for equal values
	values []any   // of the parameters: a text, which Postgres reads as a value of the type that it finds, or nil for NULL
	who    subject // whose instance it is
}

// maxParams is how many bytes the texts of an instance's parameters may have together.
const maxParams = 4096

// params returns the values that a filter gives, the others NULL. An error is fit for
// the peer.
func (s *statement) params(filter []window.Condition) (params, error) {
	p := params{values: make([]any, len(s.chosen))}
	for _, c := range filter {
		n := slices.Index(s.chosen, c.Column)
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

// errParams says that a query failed because of the values of its parameters: some type or function of Postgres does not
// take them.
var errParams = errors.New("the parameters are refused")

// blames decides whether a query failed because of the parameters that the subscriber chose. Where it depends on values of
// the identity too, and so on rows that not everybody sees, that is said only if it shows without either: the parameters
// are not of their types, and the identity's values are.
func (v *variable) blames(ctx context.Context, p params, err error) bool {
	if !p.given() || errors.Is(err, errRole) || !refusesValues(err) {
		return false
	}
	if len(v.identity) == 0 {
		return true
	}
	theirs := slices.Concat(p.values, make([]any, len(v.statement.identity)))
	others := slices.Concat(make([]any, len(p.values)), p.who.values[:len(v.statement.identity)])
	return refusesValues(v.bind(ctx, p.who, theirs)) && v.bind(ctx, p.who, others) == nil
}

// refusesValues reports whether Postgres says that a value is not of the type, or not of the domain.
func refusesValues(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	class := pg.Code[:min(2, len(pg.Code))]
	return class == "22" || class == "23"
}

// refusal is what the subscriber is told of parameters that are refused. What Postgres made of them is not for the peer.
func (v *variable) refusal() error {
	return window.Refusal("filter: " + v.def.String() + " cannot be read with these parameters")
}
