package protocol

import "encoding/json"

// SetVar is the value of a var: the answer to a get, and sent at every change.
type SetVar struct {
	Value json.RawMessage // any JSON value, also null
}

// SetVar decodes the fields of a set for a var.
func (f *Frame) SetVar() (SetVar, error) {
	if err := f.require(fieldValue); err != nil {
		return SetVar{}, err
	}
	if err := f.checkID(); err != nil {
		return SetVar{}, err
	}
	return SetVar{Value: f.fields[fieldValue]}, nil
}

// AppendSetVar appends a set for a var.
func AppendSetVar(dst []byte, name string, value json.RawMessage) []byte {
	return append(appendRaw(appendHead(dst, FuncSet, TypeVar, name), fieldValue, value), '}')
}

// AppendSetVarV2 appends a set for a var, of version 2.
func AppendSetVarV2(dst []byte, name string, r Route, value json.RawMessage) []byte {
	return append(appendRaw(AppendHead(dst, FuncSet, TypeVar, name, r), fieldValue, value), '}')
}
