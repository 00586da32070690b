package protocol

// AppendUnsubscribe appends the message with which a subscriber stops following
// an item. It has no fields of its own.
func AppendUnsubscribe(dst []byte, t ItemType, name string) []byte {
	return append(appendHead(dst, FuncUnsubscribe, t, name), '}')
}

// AppendUnsubscribeAll appends the message with which a subscriber stops
// following everything. It has no type and no name.
func AppendUnsubscribeAll(dst []byte) []byte {
	return append(dst, `{"func":"unsubscribe_all"}`...)
}

// AppendUnsubscribeAllV2 appends an unsubscribe_all of version 2, without an id if it is "".
func AppendUnsubscribeAllV2(dst []byte, id string) []byte {
	dst = append(dst, `{"func":"unsubscribe_all"`...)
	if id != "" {
		dst = appendText(dst, fieldID, id)
	}
	return append(dst, '}')
}
