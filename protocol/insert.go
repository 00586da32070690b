package protocol

import "encoding/json"

// Insert puts an item before the one at an index of the page.
type Insert struct {
	Index int             // from 0 to the number of items held
	Value json.RawMessage // any JSON value, also null
}

// Insert decodes the fields of an insert. Whether the index is on the page that
// the receiver holds is for [Page.Insert] to say.
func (f *Frame) Insert() (Insert, error) {
	index, value, err := f.indexed()
	return Insert{Index: index, Value: value}, err
}

// indexed decodes the fields that insert and set have in common.
func (f *Frame) indexed() (int, json.RawMessage, error) {
	if err := f.require(fieldIndex, fieldValue); err != nil {
		return 0, nil, err
	}
	n, err := f.position(fieldIndex, 0)
	if err != nil {
		return 0, nil, err
	}
	return n, f.fields[fieldValue], nil
}

// AppendInsert appends an insert.
func AppendInsert(dst []byte, name string, index int, value json.RawMessage) []byte {
	dst = appendInt(appendHead(dst, FuncInsert, TypeList, name), fieldIndex, index)
	return append(appendRaw(dst, fieldValue, value), '}')
}
