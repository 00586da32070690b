package choice

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/window"
)

// kinds are what decides the operators that compare with one value.
var kinds = map[binding.Operator]kind{
	binding.OpEq: equal, binding.OpNe: equal,
	binding.OpLt: less, binding.OpLte: lessOrEqual, binding.OpGt: greater, binding.OpGte: greaterOrEqual,
	binding.OpPrefix: startsWith, binding.OpContains: contains,
}

// condition decides whether a condition is allowed, and what it asks.
func (r *Rules) condition(w window.Condition) (condition, error) {
	a := r.byJSON[w.Column]
	if a == nil || a.operators == nil {
		return condition{}, refuse("cannot be filtered by %s", shown(w.Column))
	}
	o := binding.Operator(w.Operator)
	if !a.operators[o] {
		return condition{}, refuse("cannot be filtered by %s with %s", w.Column, shown(string(o)))
	}
	d, err := a.column.condition(o, bytes.TrimSpace(w.Value))
	if err != nil {
		return condition{}, refuse("filter: %s: %s %v", w.Column, o, err)
	}
	return d, nil
}

// condition reads the value. The error says what the operator takes.
func (c *Column) condition(o binding.Operator, raw json.RawMessage) (condition, error) {
	switch o {
	case binding.OpNull:
		return c.nullCondition(raw)
	case binding.OpIn:
		return c.anyCondition(raw)
	}
	if (o == binding.OpEq || o == binding.OpNe) && string(raw) == "null" {
		return c.nullness(o == binding.OpEq), nil
	}
	d := condition{column: c, kind: kinds[o], not: o == binding.OpNe}
	if isText := d.kind == startsWith || d.kind == contains; isText {
		text, ok := unquote(raw)
		if !ok {
			return condition{}, errNoText
		}
		d.values, d.sure = []string{text}, c.Unicode || isASCII(text)
		return d, nil
	}
	text, err := c.read(raw)
	if err != nil {
		return condition{}, err
	}
	text, d.sure = c.canonical(text)
	d.values = []string{text}
	return d, nil
}

func (c *Column) nullCondition(raw json.RawMessage) (condition, error) {
	if s := string(raw); s != "true" && s != "false" {
		return condition{}, errNoBool
	}
	return c.nullness(string(raw) == "true"), nil
}

func (c *Column) nullness(null bool) condition {
	if null {
		return condition{column: c, kind: isNull, sure: true}
	}
	return condition{column: c, kind: isNotNull, sure: true}
}

// anyCondition reads the values of an OpIn. No value is equal to null.
func (c *Column) anyCondition(raw json.RawMessage) (condition, error) {
	var list []json.RawMessage
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return condition{}, errNoArray
	}
	d := condition{column: c, kind: equal, sure: true}
	for _, element := range list {
		if string(element) == "null" {
			continue
		}
		text, err := c.read(element)
		if err != nil {
			return condition{}, err
		}
		text, sure := c.canonical(text)
		d.values, d.sure = append(d.values, text), d.sure && sure
	}
	slices.Sort(d.values)
	d.values = slices.Compact(d.values)
	return d, nil
}
