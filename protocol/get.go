package protocol

import "encoding/json"

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

	// The following are of version 2.

	// Anchored says that the message has after instead of page; After is the key of the row before the window, nil for
	// the start.
	Anchored bool
	After    []json.RawMessage
	// Choice is what of the list is wanted.
	Choice Choice
	// Rev is the state that the subscriber holds, "" for none.
	Rev string
}

// GetList decodes the fields of a get for a list. Page times page size may be
// more than an int holds.
//
// Of version 2, that the columns exist and may be chosen is not decided here, nor that a Rev is one.
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
	if f.Version != V2 {
		return g, nil
	}
	if err := f.readChoice(&g); err != nil {
		return GetList{}, err
	}
	return g, nil
}

// readChoice reads what a get for a list has in version 2 only.
func (f *Frame) readChoice(g *GetList) error {
	err := f.checkID()
	if err != nil {
		return err
	}
	if g.Anchored, g.After, err = f.after(); err != nil {
		return err
	}
	if g.Anchored && g.Page != nil {
		return errPageAndAfter
	}
	if g.Choice, err = f.choice(); err != nil {
		return err
	}
	if f.present(fieldRev) != nil {
		g.Rev, err = f.text(fieldRev)
	}
	return err
}

var errPageAndAfter = &Error{Other, "page and after exclude each other"}

// GetVar is the message that asks for the value of a var.
type GetVar struct {
	// Filter are the values of the var's parameters, all with OpEq. It is of version 2.
	Filter []Condition
}

// GetVar decodes the fields of a get for a var. Version 1 has none.
func (f *Frame) GetVar() (GetVar, error) {
	if f.Version != V2 {
		return GetVar{}, nil
	}
	if err := f.checkID(); err != nil {
		return GetVar{}, err
	}
	filter, err := f.filter()
	if err != nil {
		return GetVar{}, err
	}
	for _, c := range filter {
		if c.Operator != OpEq {
			return GetVar{}, &Error{Other, "filter: " + c.Column + ": a parameter has no operator but eq"}
		}
	}
	return GetVar{Filter: filter}, nil
}

// AppendGetVarV2 appends a get for a var, of version 2.
func AppendGetVarV2(dst []byte, name string, r Route, filter []Condition) []byte {
	return append(appendFilter(AppendHead(dst, FuncGet, TypeVar, name, r), filter), '}')
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

// AppendGetListV2 appends a get for a list, of version 2, without what is nil or zero. It has page or after, not both.
func AppendGetListV2(dst []byte, name string, r Route, g GetList) []byte {
	dst = AppendHead(dst, FuncGet, TypeList, name, r)
	if g.Anchored {
		dst = appendAfter(dst, g.After)
	} else if g.Page != nil {
		dst = appendInt(dst, fieldPage, *g.Page)
	}
	if g.PageSize != nil {
		dst = appendInt(dst, fieldPageSize, *g.PageSize)
	}
	dst = appendChoice(dst, g.Choice)
	if g.Rev != "" {
		dst = appendText(dst, fieldRev, g.Rev)
	}
	return append(dst, '}')
}
