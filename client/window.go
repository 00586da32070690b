package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/socksync/socksync/internal/peer"
	"github.com/socksync/socksync/protocol"
)

// Window says what to see of a list: which rows, in which order, and which part
// of them. The zero Window is the first page of the list as its provider orders
// it. Version 1 of the protocol has only Page and PageSize.
//
// Columns are called by their JSON names. What the list does not allow is an
// error of the other end that names the column.
type Window struct {
	// Page is counted from 0.
	Page int
	// PageSize is the greatest number of items. 0 means as many as the other end
	// gives unasked; it may be fewer in any case.
	PageSize int
	// Sort are the columns to sort by, each with a "-" in front for descending.
	// Nulls come last, or first if it is descending. None means the list's own
	// order.
	Sort []string
	// Filter are conditions that all must hold.
	Filter []Condition
	// Search are words, each of which one of the list's search columns must
	// contain, upper or lower case.
	Search string
	// Anchored has the window begin behind a row, wherever that row is, in place
	// of at a page: the row with the key After, in the order of [Page.Key]; nil is
	// the start of the list. Such a window can grow without end: see [List.Grow].
	Anchored bool
	After    []any
}

// want is the window as the connection has it.
func (w *Window) want() (peer.Want, error) {
	want := peer.Want{Page: w.Page, Size: w.PageSize, Anchored: w.Anchored}
	want.Choice.Sort, want.Choice.Search = w.Sort, w.Search
	for _, value := range w.After {
		raw, err := json.Marshal(value)
		if err != nil {
			return peer.Want{}, fmt.Errorf("client: after: %w", err)
		}
		want.After = append(want.After, raw)
	}
	for _, c := range w.Filter {
		encoded, err := c.encode()
		if err != nil {
			return peer.Want{}, err
		}
		want.Choice.Filter = append(want.Choice.Filter, encoded)
	}
	return want, nil
}

// Condition compares a column with a value. There is a function for each
// operator.
type Condition struct {
	Column   string
	Operator protocol.Operator
	// Value is encoded by encoding/json.
	Value any
}

// Eq takes the rows whose column is the value; nil takes those where it is null.
func Eq(column string, value any) Condition { return Condition{column, protocol.OpEq, value} }

// Ne takes the rows that Eq does not take.
func Ne(column string, value any) Condition { return Condition{column, protocol.OpNe, value} }

// Lt takes the rows whose column is less than the value.
func Lt(column string, value any) Condition { return Condition{column, protocol.OpLt, value} }

// Lte takes the rows whose column is the value or less.
func Lte(column string, value any) Condition { return Condition{column, protocol.OpLte, value} }

// Gt takes the rows whose column is greater than the value.
func Gt(column string, value any) Condition { return Condition{column, protocol.OpGt, value} }

// Gte takes the rows whose column is the value or greater.
func Gte(column string, value any) Condition { return Condition{column, protocol.OpGte, value} }

// In takes the rows whose column is one of the values, a slice or array of at
// most 100.
func In(column string, values any) Condition { return Condition{column, protocol.OpIn, values} }

// Prefix takes the rows whose column begins with a text.
func Prefix(column, text string) Condition { return Condition{column, protocol.OpPrefix, text} }

// Contains takes the rows whose column contains a text.
func Contains(column, text string) Condition { return Condition{column, protocol.OpContains, text} }

// Null takes the rows whose column is null, or those where it is not.
func Null(column string, null bool) Condition { return Condition{column, protocol.OpNull, null} }

func (c *Condition) encode() (protocol.Condition, error) {
	raw, err := json.Marshal(c.Value)
	if err != nil {
		return protocol.Condition{}, fmt.Errorf("client: filter: %s: %w", c.Column, err)
	}
	if c.Operator == protocol.OpIn && bytes.Equal(raw, []byte("null")) {
		raw = []byte("[]") // a slice that is nil
	}
	return protocol.Condition{Column: c.Column, Operator: c.Operator, Value: raw}, nil
}

// conditions are the values of a var's parameters.
func conditions(params map[string]any) ([]protocol.Condition, error) {
	var all []protocol.Condition
	for _, name := range slices.Sorted(maps.Keys(params)) {
		c := Eq(name, params[name])
		encoded, err := c.encode()
		if err != nil {
			return nil, err
		}
		all = append(all, encoded)
	}
	return all, nil
}
