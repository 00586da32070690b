package protocol

// SetPending tells a subscriber that has paused a window what it is missing. It is of version 2.
type SetPending struct {
	Total   int // number of items in the whole list
	Pending int // items of the present page that the held page lacks or has with another value
}

// SetPending decodes the fields of a set_pending.
func (f *Frame) SetPending() (SetPending, error) {
	var s SetPending
	if err := f.require(fieldTotal, fieldPending); err != nil {
		return SetPending{}, err
	}
	if err := f.checkID(); err != nil {
		return SetPending{}, err
	}
	var err error
	if s.Total, err = f.total(); err != nil {
		return SetPending{}, err
	}
	var ok bool
	if s.Pending, ok = integer(f.fields[fieldPending]); !ok {
		return SetPending{}, wrongType(fieldPending, "an integer")
	}
	return s, nil
}

// AppendSetPending appends a set_pending.
func AppendSetPending(dst []byte, name string, r Route, total, pending int) []byte {
	dst = appendInt(AppendHead(dst, FuncSetPending, TypeList, name, r), fieldTotal, total)
	return append(appendInt(dst, fieldPending, pending), '}')
}
