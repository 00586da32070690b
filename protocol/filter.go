package protocol

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// choice reads sort, filter and search.
func (f *Frame) choice() (Choice, error) {
	var c Choice
	var err error
	if c.Sort, err = f.sort(); err != nil {
		return Choice{}, err
	}
	if c.Filter, err = f.filter(); err != nil {
		return Choice{}, err
	}
	if c.Search, err = f.search(); err != nil {
		return Choice{}, err
	}
	return c, nil
}

// refusal is an error about a column, which the message names.
func refusal(k field, column, what string) error {
	return &Error{Other, fieldNames[k] + ": " + column + ": " + what}
}

// sort reads the columns to sort by. No columns are nil.
func (f *Frame) sort() ([]string, error) {
	raw := f.present(fieldSort)
	if raw == nil {
		return nil, nil
	}
	if raw[0] != '[' {
		return nil, wrongType(fieldSort, "an array of column names")
	}
	var columns []string
	for _, element := range elements(raw) {
		text, ok := unquote(element)
		if !ok || !validLength(len(bytes.TrimPrefix(text, []byte("-")))) {
			return nil, wrongType(fieldSort, "an array of column names")
		}
		if columns = append(columns, string(text)); len(columns) > MaxSort {
			return nil, &Error{Other, "sort: too many columns"}
		}
	}
	return columns, nil
}

// search reads the words to search for.
func (f *Frame) search() (string, error) {
	if f.present(fieldSearch) == nil {
		return "", nil
	}
	text, err := f.text(fieldSearch)
	switch {
	case err != nil:
		return "", err
	case strings.Contains(text, "\x00"):
		return "", &Error{Other, "search: no text holds U+0000"}
	case len(text) > MaxSearch:
		return "", &Error{Other, "search: too long"}
	case len(strings.Fields(text)) > MaxWords:
		return "", &Error{Other, "search: too many words"}
	}
	return text, nil
}

// member is a member of an object.
type member struct {
	name  string
	value json.RawMessage
}

// members returns the members of an object by name; of a repeated one the last counts. It is false if there are more than
// limit, or a name is not one.
func members(object []byte, limit int) ([]member, bool) {
	var all []member
	ok := true
	eachMember(object, func(name, value []byte) {
		text, valid := unquote(name)
		if ok = ok && valid && validLength(len(text)) && len(all) < limit; ok {
			all = append(all, member{string(text), value})
		}
	})
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	return slices.CompactFunc(all, func(a, b member) bool { return a.name == b.name }), ok
}

// filter reads the conditions, in the order of column and operator. No conditions are nil.
func (f *Frame) filter() ([]Condition, error) {
	raw := f.present(fieldFilter)
	if raw == nil {
		return nil, nil
	}
	if raw[0] != '{' {
		return nil, wrongType(fieldFilter, "an object")
	}
	columns, ok := members(raw, MaxConditions)
	if !ok {
		return nil, &Error{Other, "filter: too many columns, or one that has no name"}
	}
	var conditions []Condition
	for _, c := range columns {
		var err error
		if conditions, err = appendConditions(conditions, c); err != nil {
			return nil, err
		}
	}
	return conditions, nil
}

// appendConditions reads what a filter says of one column: a value, or an object of operators.
func appendConditions(dst []Condition, column member) ([]Condition, error) {
	operators := []member{{string(OpEq), column.value}}
	if column.value[0] == '{' {
		var ok bool
		if operators, ok = members(column.value, MaxConditions); !ok || len(operators) == 0 {
			return nil, refusal(fieldFilter, column.name, "no operators, or too many")
		}
	}
	for _, o := range operators {
		c := Condition{Column: column.name, Operator: Operator(o.name), Value: o.value}
		if err := c.check(); err != nil {
			return nil, err
		}
		if dst = append(dst, c); len(dst) > MaxConditions {
			return nil, &Error{Other, "filter: too many conditions"}
		}
	}
	return dst, nil
}

// check decides whether the operator is one, and has a value of its kind.
func (c *Condition) check() error {
	takes, ok := operands[c.Operator]
	if !ok {
		return refusal(fieldFilter, c.Column, "unknown operator "+shortened(string(c.Operator)))
	}
	if !takes.fits(c.Value) {
		return refusal(fieldFilter, c.Column, string(c.Operator)+" takes "+takes.what)
	}
	return nil
}

// operand is what an operator compares with.
type operand struct {
	what string
	fits func(raw json.RawMessage) bool
}

var (
	anyScalar = operand{"a string, number, boolean or null, of at most 4096 bytes", isScalar}
	anyValue  = operand{"a string, number or boolean, of at most 4096 bytes", isValue}
	aList     = operand{"an array of at most 100 values, each as eq takes it", isList}
	aString   = operand{"a string of at most 4096 bytes", isString}
	aBoolean  = operand{"true or false", isBoolean}

	operands = map[Operator]operand{
		OpEq: anyScalar, OpNe: anyScalar, OpLt: anyValue, OpLte: anyValue, OpGt: anyValue, OpGte: anyValue,
		OpIn: aList, OpPrefix: aString, OpContains: aString, OpNull: aBoolean,
	}
)

// isScalar reports whether a value can be compared with: not compound, not too long, and no text that cannot be one.
func isScalar(raw json.RawMessage) bool {
	return !isCompound(raw) && len(raw) <= MaxValue && (raw[0] != '"' || isText(raw))
}

func isValue(raw json.RawMessage) bool { return isScalar(raw) && !isNull(raw) }

func isString(raw json.RawMessage) bool { return isScalar(raw) && raw[0] == '"' }

func isBoolean(raw json.RawMessage) bool { return raw[0] == 't' || raw[0] == 'f' }

func isList(raw json.RawMessage) bool {
	if raw[0] != '[' {
		return false
	}
	list := elements(raw)
	return len(list) <= MaxIn && !slices.ContainsFunc(list, func(v json.RawMessage) bool { return !isScalar(v) })
}

// isText reports whether a value is a string that a table can hold: without half a surrogate pair and U+0000.
func isText(raw json.RawMessage) bool {
	text, ok := unquote(raw)
	return ok && !slices.Contains(text, 0)
}

// shortened is what of a peer's own text is repeated to it.
func shortened(text string) string {
	if len(text) > 32 {
		return "of too many bytes"
	}
	return text
}

func appendChoice(dst []byte, c Choice) []byte {
	if len(c.Sort) > 0 {
		dst = appendTexts(appendKey(dst, fieldSort), c.Sort)
	}
	dst = appendFilter(dst, c.Filter)
	if c.Search != "" {
		dst = appendText(dst, fieldSearch, c.Search)
	}
	return dst
}

// appendFilter appends the filter, if there is one, as columns with their operators. The conditions may be in any order; of
// the same operator twice for one column the receiver takes the last.
func appendFilter(dst []byte, filter []Condition) []byte {
	if len(filter) == 0 {
		return dst
	}
	sorted := slices.Clone(filter)
	slices.SortStableFunc(sorted, func(a, b Condition) int {
		return cmp.Or(cmp.Compare(a.Column, b.Column), cmp.Compare(a.Operator, b.Operator))
	})
	dst = append(appendKey(dst, fieldFilter), '{')
	for i, c := range sorted {
		switch {
		case i == 0:
			dst = append(appendString(dst, c.Column), ':', '{')
		case c.Column == sorted[i-1].Column:
			dst = append(dst, ',')
		default:
			dst = append(appendString(append(dst, '}', ','), c.Column), ':', '{')
		}
		dst = appendValue(append(appendString(dst, string(c.Operator)), ':'), c.Value)
	}
	return append(dst, '}', '}')
}

func appendTexts(dst []byte, texts []string) []byte {
	dst = append(dst, '[')
	for i, text := range texts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, text)
	}
	return append(dst, ']')
}
