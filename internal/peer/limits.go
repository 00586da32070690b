package peer

// Limits bound what one connection may use. In each field, 0 means the default.
type Limits struct {
	// MessageBytes is the size of the largest message that is taken; a larger
	// one closes the connection with 1009. Default 1 MiB. It is the connection
	// that enforces it.
	MessageBytes int64
	// Subscriptions is how many items, or views of items, the other end may be
	// subscribed to at the same time. Default 256. One more is error 8.
	Subscriptions int
	// Calls is how many functions may run for the other end at the same time.
	// Default 32. One more is error 8.
	Calls int
	// ReplyBytes is how much may wait to be written in errors, results and
	// answered vars before no further message is read. Default 1 MiB.
	ReplyBytes int
	// Views is how many choices of its own (sort, filter, search) the other end may have open at the same time, in
	// version 2. Default 64. One more is error 8.
	Views int
	// Rows is how many rows the lists that it has chosen so may have together. Default 1,000,000. More is error 8.
	Rows int
}

// WithDefaults returns the limits with every zero replaced by its default.
func (l Limits) WithDefaults() Limits {
	return Limits{
		MessageBytes:  or(l.MessageBytes, 1<<20),
		Subscriptions: or(l.Subscriptions, 256),
		Calls:         or(l.Calls, 32),
		ReplyBytes:    or(l.ReplyBytes, 1<<20),
		Views:         or(l.Views, 64),
		Rows:          or(l.Rows, 1_000_000),
	}
}

func or[N int | int64](n, standard N) N {
	if n > 0 {
		return n
	}
	return standard
}
