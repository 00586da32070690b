package protocol

// PeerError decodes an error message. It is never answered, so nothing in it is
// required and nothing can be wrong: a code that is not an integer becomes 0, a
// message that is not a string becomes "".
func (f *Frame) PeerError() *Error {
	var e Error
	if code := f.present(fieldCode); code != nil {
		n, _ := integer(code)
		e.Code = Code(n)
	}
	if text, ok := unquote(f.fields[fieldMessage]); ok {
		e.Message = string(text)
	}
	return &e
}

// AppendError appends an error message.
func AppendError(dst []byte, e *Error) []byte {
	dst = appendInt(append(dst, `{"func":"error"`...), fieldCode, int(e.Code))
	return append(appendText(dst, fieldMessage, e.Message), '}')
}

// AppendErrorV2 appends an error message of version 2, which repeats what is known of the message that it answers. The
// type, the name and the parts of the route are left out where they are "".
func AppendErrorV2(dst []byte, e *Error, t ItemType, name string, r Route) []byte {
	dst = append(dst, `{"func":"error"`...)
	if t != "" {
		dst = appendText(dst, fieldType, string(t))
	}
	if name != "" {
		dst = appendText(dst, fieldName, name)
	}
	dst = appendInt(appendRoute(dst, r), fieldCode, int(e.Code))
	return append(appendText(dst, fieldMessage, e.Message), '}')
}
