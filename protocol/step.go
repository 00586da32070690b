package protocol

import (
	"encoding/json"
	"slices"
)

// Step leads a window of version 2 from one state to the next. A receiver applies all of its changes before anyone sees
// one.
type Step struct {
	Rev      string            // the state that it leads to
	Anchored bool              // the message has after: the anchor is another row now
	After    []json.RawMessage // the new anchor, nil for the start
	Changes  []Change
}

// Change is one change of a step.
type Change struct {
	Func  Func            // FuncSetCount, FuncDelete, FuncInsert or FuncSet
	Total int             // of FuncSetCount
	Index int             // of the others
	Value json.RawMessage // of FuncInsert and FuncSet
}

// Step decodes the fields of a step. Whether its indexes are on the page that the receiver holds is for [Page.Step] to
// say. The changes are decoded in their order, behind everything else: the error of one is that of a message of its own.
func (f *Frame) Step() (Step, error) {
	if err := f.require(fieldRev, fieldChanges); err != nil {
		return Step{}, err
	}
	if err := f.checkID(); err != nil {
		return Step{}, err
	}
	var s Step
	var err error
	if s.Rev, err = f.text(fieldRev); err != nil {
		return Step{}, err
	}
	if s.Anchored, s.After, err = f.after(); err != nil {
		return Step{}, err
	}
	s.Changes, err = f.changes()
	return s, err
}

// changes reads the changes of a step, each as a frame of its own.
func (f *Frame) changes() ([]Change, error) {
	raw := f.fields[fieldChanges]
	if raw[0] != '[' {
		return nil, wrongType(fieldChanges, "an array")
	}
	list := elements(raw)
	changes := make([]Change, len(list))
	var c Frame
	for i, element := range list {
		if element[0] != '{' {
			return nil, wrongType(fieldChanges, "an array of objects")
		}
		c = Frame{Version: f.Version}
		eachMember(element, c.keep)
		var err error
		if changes[i], err = c.change(); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// change decodes one change of a step, by the rows of the error table.
func (f *Frame) change() (Change, error) {
	text, _ := unquote(f.fields[fieldFunc])
	switch c := (Change{Func: knownFuncs[string(text)]}); c.Func {
	case FuncSetCount:
		m, err := f.SetCount()
		c.Total = m.Total
		return c, err
	case FuncDelete:
		m, err := f.Delete()
		c.Index = m.Index
		return c, err
	case FuncInsert, FuncSet:
		var err error
		c.Index, c.Value, err = f.indexed()
		return c, err
	}
	return Change{}, errChange
}

var errChange = &Error{InvalidFunc, "func of a change must be set_count, delete, insert or set"}

// AppendStepBody appends what follows the head of a step, from rev to the closing brace: the bytes are the same for all
// subscribers of a window.
func AppendStepBody(dst []byte, s Step) []byte {
	dst = appendText(dst, fieldRev, s.Rev)
	if s.Anchored {
		dst = appendAfter(dst, s.After)
	}
	dst = append(appendKey(dst, fieldChanges), '[')
	for i, c := range s.Changes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendChange(dst, c)
	}
	return append(dst, ']', '}')
}

func appendChange(dst []byte, c Change) []byte {
	dst = append(append(append(dst, `{"func":"`...), c.Func...), '"')
	if c.Func == FuncSetCount {
		return append(appendInt(dst, fieldTotal, c.Total), '}')
	}
	dst = appendInt(dst, fieldIndex, c.Index)
	if c.Func != FuncDelete {
		dst = appendRaw(dst, fieldValue, c.Value)
	}
	return append(dst, '}')
}

// after reads the key of the row before an anchored window, and whether the message has one at all.
func (f *Frame) after() (anchored bool, key []json.RawMessage, err error) {
	switch raw := f.fields[fieldAfter]; {
	case raw == nil:
		return false, nil, nil
	case isNull(raw):
		return true, nil, nil
	case raw[0] == '[':
		if key = elements(raw); len(key) >= 1 && len(key) <= MaxKey && !slices.ContainsFunc(key, isNoKey) {
			return true, key, nil
		}
	}
	return false, nil, errAfter
}

var errAfter = &Error{Other, "after must be null or an array of 1 to 32 strings, numbers, booleans or nulls"}

// isNoKey reports whether a value cannot be in a key.
func isNoKey(raw json.RawMessage) bool { return isCompound(raw) || raw[0] == '"' && !isText(raw) }

// isCompound reports whether a value is an object or an array.
func isCompound(raw json.RawMessage) bool { return raw[0] == '{' || raw[0] == '[' }

func appendAfter(dst []byte, key []json.RawMessage) []byte {
	dst = appendKey(dst, fieldAfter)
	if key == nil {
		return append(dst, "null"...)
	}
	return appendArray(dst, key)
}

func appendArray(dst []byte, values []json.RawMessage) []byte {
	dst = append(dst, '[')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendValue(dst, v)
	}
	return append(dst, ']')
}

// AppendSetAllBody appends what follows the head of a set_all of version 2, from rev to the closing brace: the bytes are
// the same for all subscribers of a window. page is left out if the window is anchored.
func AppendSetAllBody(dst []byte, s SetAll) []byte {
	dst = appendText(dst, fieldRev, s.Rev)
	if s.Anchored {
		dst = appendAfter(dst, s.After)
	} else {
		dst = appendInt(dst, fieldPage, s.Page)
	}
	dst = appendInt(dst, fieldPageSize, s.PageSize)
	dst = appendInt(dst, fieldTotal, s.Total)
	if s.Key != nil {
		dst = appendTexts(appendKey(dst, fieldKey), s.Key)
	}
	return append(appendArray(appendKey(dst, fieldItems), s.Items), '}')
}
