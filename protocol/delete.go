package protocol

// Delete removes the item at an index of the page.
type Delete struct {
	Index int // from 0 to one less than the number of items held
}

// Delete decodes the fields of a delete. Whether the index is on the page that
// the receiver holds is for [Page.Delete] to say.
func (f *Frame) Delete() (Delete, error) {
	if err := f.require(fieldIndex); err != nil {
		return Delete{}, err
	}
	n, err := f.position(fieldIndex, 0)
	return Delete{Index: n}, err
}

// AppendDelete appends a delete.
func AppendDelete(dst []byte, name string, index int) []byte {
	return append(appendInt(appendHead(dst, FuncDelete, TypeList, name), fieldIndex, index), '}')
}
