package protocol

import "encoding/json"

// Return is the result of a call.
type Return struct {
	ID    string          // the id of the call
	Value json.RawMessage // any JSON value; nil if the function has no result
}

// Return decodes the fields of a return. That the id is of a call that was never
// made or has returned already is for the caller to find out; it is error 6
// too, and no row of the error table comes in between.
func (f *Frame) Return() (Return, error) {
	if err := f.require(fieldID); err != nil {
		return Return{}, err
	}
	id, err := f.identifier()
	if err != nil {
		return Return{}, err
	}
	return Return{ID: id, Value: f.fields[fieldValue]}, nil
}

// AppendReturn appends a return, without a value if it is nil.
func AppendReturn(dst []byte, name, id string, value json.RawMessage) []byte {
	dst = appendText(appendHead(dst, FuncReturn, TypeFunction, name), fieldID, id)
	if len(value) > 0 {
		dst = appendRaw(dst, fieldValue, value)
	}
	return append(dst, '}')
}
