package protocol

// AppendSubscribe appends the message with which a subscriber starts to follow
// an item. It has no fields of its own.
func AppendSubscribe(dst []byte, t ItemType, name string) []byte {
	return append(appendHead(dst, FuncSubscribe, t, name), '}')
}

// AppendSimpleV2 appends a message of version 2 that has no fields of its own: subscribe, unsubscribe, pause or resume.
func AppendSimpleV2(dst []byte, f Func, t ItemType, name string, r Route) []byte {
	return append(AppendHead(dst, f, t, name, r), '}')
}
