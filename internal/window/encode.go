package window

import "github.com/socksync/socksync/protocol"

// encode returns the version 1 messages that lead from one state to the next.
func encode(from, to *State, changed string) [][]byte {
	var messages [][]byte
	if from.Total != to.Total {
		messages = append(messages, protocol.AppendSetCount(nil, to.Name, to.Total))
	}
	for _, c := range Diff(from.Rows, to.Rows, changed) {
		messages = append(messages, c.message(to.Name))
	}
	if changed == "" && to.Filled() && size(messages) > atLeast(to) && size(messages) > len(to.SetAll()) {
		return [][]byte{to.SetAll()}
	}
	return messages
}

func (c Change) message(name string) []byte {
	switch c.Op {
	case OpDelete:
		return protocol.AppendDelete(nil, name, c.Index)
	case OpInsert:
		return protocol.AppendInsert(nil, name, c.Index, c.Value)
	default:
		return protocol.AppendSetItem(nil, name, c.Index, c.Value)
	}
}

func size(messages [][]byte) int {
	n := 0
	for _, m := range messages {
		n += len(m)
	}
	return n
}

// atLeast is a lower bound for the length of a state's set_all, which saves
// encoding it where the changes are plainly shorter.
func atLeast(s *State) int {
	n := len(s.Name)
	for i := range s.Rows {
		n += len(s.Rows[i].JSON)
	}
	return n
}
