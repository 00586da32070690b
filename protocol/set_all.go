package protocol

import "encoding/json"

// SetAll replaces everything that a subscriber holds of a list.
type SetAll struct {
	Page, PageSize int               // as in force
	Total          int               // number of items in the whole list
	Items          []json.RawMessage // the items of the page, never nil after decoding

	// The following are of version 2.

	Rev      string            // names the state
	Anchored bool              // the window is anchored: After counts, Page does not
	After    []json.RawMessage // the key of the row before the window, nil for the start
	Key      []string          // the JSON names of the columns that identify a row; nil if there are none
}

// SetAll decodes the fields of a set_all. More items than the page size are not
// an error.
func (f *Frame) SetAll() (SetAll, error) {
	var s SetAll
	err := f.require(f.setAllFields()...)
	if err != nil {
		return SetAll{}, err
	}
	if f.present(fieldPage) != nil {
		if s.Page, err = f.position(fieldPage, 0); err != nil {
			return SetAll{}, err
		}
	}
	if s.PageSize, err = f.position(fieldPageSize, 1); err != nil {
		return SetAll{}, err
	}
	if f.Version == V2 {
		if err := f.readState(&s); err != nil {
			return SetAll{}, err
		}
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

// setAllFields returns the fields that a set_all must have.
func (f *Frame) setAllFields() []field {
	if f.Version != V2 {
		return []field{fieldPage, fieldPageSize, fieldTotal, fieldItems}
	}
	if f.fields[fieldAfter] != nil {
		return []field{fieldRev, fieldPageSize, fieldTotal, fieldItems}
	}
	return []field{fieldRev, fieldPage, fieldPageSize, fieldTotal, fieldItems}
}

// readState reads what a set_all has in version 2 only.
func (f *Frame) readState(s *SetAll) error {
	err := f.checkID()
	if err != nil {
		return err
	}
	if s.Rev, err = f.text(fieldRev); err != nil {
		return err
	}
	if s.Anchored, s.After, err = f.after(); err != nil {
		return err
	}
	if s.Anchored && f.present(fieldPage) != nil {
		return errPageAndAfter
	}
	s.Key, err = f.key()
	return err
}

// key reads the names of the columns that identify a row.
func (f *Frame) key() ([]string, error) {
	raw := f.present(fieldKey)
	if raw == nil {
		return nil, nil
	}
	if raw[0] != '[' {
		return nil, errKey
	}
	var names []string
	for _, element := range elements(raw) {
		text, ok := unquote(element)
		if !ok || len(names) == MaxKey {
			return nil, errKey
		}
		names = append(names, string(text))
	}
	return names, nil
}

var errKey = wrongType(fieldKey, "an array of at most 32 column names")

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
