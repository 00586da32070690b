package protocol

import "encoding/json"

// SetAll replaces everything that a subscriber holds of a list.
type SetAll struct {
	Page, PageSize int               // as in force
	Total          int               // number of items in the whole list
	Items          []json.RawMessage // the items of the page, never nil after decoding
}

// SetAll decodes the fields of a set_all. More items than the page size are not
// an error.
func (f *Frame) SetAll() (SetAll, error) {
	var s SetAll
	err := f.require(fieldPage, fieldPageSize, fieldTotal, fieldItems)
	if err != nil {
		return SetAll{}, err
	}
	if s.Page, err = f.position(fieldPage, 0); err != nil {
		return SetAll{}, err
	}
	if s.PageSize, err = f.position(fieldPageSize, 1); err != nil {
		return SetAll{}, err
	}
	if s.Total, err = f.total(); err != nil {
		return SetAll{}, err
	}
	items := f.fields[fieldItems]
	if items[0] != '[' {
		return SetAll{}, wrongType(fieldItems, "an array")
	}
	s.Items = elements(items)
	return s, nil
}

// total reads total_item_count, which is not among the fields of row i: a bad
// one is a field of the wrong type.
func (f *Frame) total() (int, error) {
	n, ok := integer(f.fields[fieldTotal])
	if !ok {
		return 0, wrongType(fieldTotal, "an integer")
	}
	return n, nil
}

// AppendSetAll appends a set_all.
func AppendSetAll(dst []byte, name string, page, pageSize, total int, items []json.RawMessage) []byte {
	dst = appendHead(dst, FuncSetAll, TypeList, name)
	dst = appendInt(dst, fieldPage, page)
	dst = appendInt(dst, fieldPageSize, pageSize)
	dst = appendInt(dst, fieldTotal, total)
	dst = append(appendKey(dst, fieldItems), '[')
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendValue(dst, item)
	}
	return append(dst, ']', '}')
}
