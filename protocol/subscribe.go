package protocol

// AppendSubscribe appends the message with which a subscriber starts to follow
// an item. It has no fields of its own.
func AppendSubscribe(dst []byte, t ItemType, name string) []byte {
	return append(appendHead(dst, FuncSubscribe, t, name), '}')
}
