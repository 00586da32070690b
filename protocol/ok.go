package protocol

// AppendOK appends the answer of version 2 to a request that asks for nothing but to be done.
func AppendOK(dst []byte, id string) []byte {
	return append(appendText(append(dst, `{"func":"ok"`...), fieldID, id), '}')
}

// AppendOKExpires appends the answer to an authenticate whose credentials end after so many seconds. Those that do not end
// are answered by [AppendOK].
func AppendOKExpires(dst []byte, id string, seconds int) []byte {
	dst = appendText(append(dst, `{"func":"ok"`...), fieldID, id)
	return append(appendInt(dst, fieldExpiresIn, seconds), '}')
}

// ExpiresIn reads after how many seconds the credentials end that an ok confirms; 0 if they do not. An ok is never
// answered, so nothing can be wrong: what is not an integer is not there.
func (f *Frame) ExpiresIn() int {
	raw := f.present(fieldExpiresIn)
	if raw == nil {
		return 0
	}
	seconds, _ := integer(raw)
	return seconds
}
