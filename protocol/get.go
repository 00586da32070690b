package protocol

// AppendGetVar appends the message that asks for the value of a var. It has no
// fields of its own.
func AppendGetVar(dst []byte, name string) []byte {
	return append(appendHead(dst, FuncGet, TypeVar, name), '}')
}

// GetList is the message that chooses a page of a list and asks for it.
type GetList struct {
	// Page counts from 0; nil means 0.
	Page *int
	// PageSize is at least 1; nil means the provider's maximum for the list,
	// to which a greater one is cut down.
	PageSize *int
}

// GetList decodes the fields of a get for a list. Page times page size may be
// more than an int holds.
func (f *Frame) GetList() (GetList, error) {
	var g GetList
	if f.present(fieldPage) != nil {
		n, err := f.position(fieldPage, 0)
		if err != nil {
			return GetList{}, err
		}
		g.Page = &n
	}
	if f.present(fieldPageSize) != nil {
		n, err := f.position(fieldPageSize, 1)
		if err != nil {
			return GetList{}, err
		}
		g.PageSize = &n
	}
	return g, nil
}

// AppendGetList appends a get for a list, without the fields that are nil.
func AppendGetList(dst []byte, name string, g GetList) []byte {
	dst = appendHead(dst, FuncGet, TypeList, name)
	if g.Page != nil {
		dst = appendInt(dst, fieldPage, *g.Page)
	}
	if g.PageSize != nil {
		dst = appendInt(dst, fieldPageSize, *g.PageSize)
	}
	return append(dst, '}')
}
