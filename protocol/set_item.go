package protocol

import "encoding/json"

// SetItem replaces the item at an index of the page.
type SetItem struct {
	Index int             // from 0 to one less than the number of items held
	Value json.RawMessage // any JSON value, also null
}

// SetItem decodes the fields of a set for a list. Whether the index is on the
// page that the receiver holds is for [Page.SetItem] to say.
func (f *Frame) SetItem() (SetItem, error) {
	index, value, err := f.indexed()
	return SetItem{Index: index, Value: value}, err
}

// AppendSetItem appends a set for a list.
func AppendSetItem(dst []byte, name string, index int, value json.RawMessage) []byte {
	dst = appendInt(appendHead(dst, FuncSet, TypeList, name), fieldIndex, index)
	return append(appendRaw(dst, fieldValue, value), '}')
}
