package protocol

// AppendOK appends the answer of version 2 to a request that asks for nothing but to be done.
func AppendOK(dst []byte, id string) []byte {
	return append(appendText(append(dst, `{"func":"ok"`...), fieldID, id), '}')
}
