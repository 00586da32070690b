package protocol

// SetCount is the number of items in the whole list.
type SetCount struct {
	Total int
}

// SetCount decodes the fields of a set_count.
func (f *Frame) SetCount() (SetCount, error) {
	if err := f.require(fieldTotal); err != nil {
		return SetCount{}, err
	}
	n, err := f.total()
	return SetCount{Total: n}, err
}

// AppendSetCount appends a set_count.
func AppendSetCount(dst []byte, name string, total int) []byte {
	return append(appendInt(appendHead(dst, FuncSetCount, TypeList, name), fieldTotal, total), '}')
}
