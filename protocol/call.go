package protocol

import "encoding/json"

// Call asks the provider to run a function.
type Call struct {
	ID   string          // chosen by the caller, fresh for the connection
	Args json.RawMessage // an object; nil if there are none
}

// Call decodes the fields of a call. inFlight reports whether a call with the
// id is being run for this connection, which is error 6; it is asked in its
// place in the order of the error table, and may be nil.
func (f *Frame) Call(inFlight func(id string) bool) (Call, error) {
	if err := f.require(fieldID); err != nil {
		return Call{}, err
	}
	id, err := f.identifier()
	if err != nil {
		return Call{}, err
	}
	if inFlight != nil && inFlight(id) {
		return Call{}, &Error{BadID, "a call with this id is in flight"}
	}
	args := f.present(fieldArgs)
	if args != nil && args[0] != '{' {
		return Call{}, wrongType(fieldArgs, "an object")
	}
	return Call{ID: id, Args: args}, nil
}

// AppendCall appends a call, without args if they are nil.
func AppendCall(dst []byte, name, id string, args json.RawMessage) []byte {
	dst = appendText(appendHead(dst, FuncCall, TypeFunction, name), fieldID, id)
	if len(args) > 0 {
		dst = appendRaw(dst, fieldArgs, args)
	}
	return append(dst, '}')
}
