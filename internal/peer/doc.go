// Package peer is the engine of both ends of a connection: what is provided to
// the other end, what is followed there, and which message belongs to what.
//
// A [Registry] holds the items that are provided, for any number of
// connections. A [Peer] is one end of one connection. It takes messages from
// one goroutine, [Peer.Run], and gives out messages when the connection asks
// for some, through [Peer.Next]: there is no queue of what was published. What a
// slow connection has not been sent is kept as one folded step per
// subscription, so its memory is bounded by its subscriptions.
//
// # Order
//
// A subscription keeps a script of what it still has to say: answers, steps and
// errors in the order of the gets and states that they belong to, folded where
// the protocol allows it. Everything else, such as results of functions and our
// own requests, is said in the order in which it came up, before the scripts of
// the subscriptions take their turns.
//
// # Versions
//
// A Peer speaks version 1 of the protocol unless [Peer.Speak] says otherwise. In
// version 2 the other end may be subscribed to any number of views of one item,
// and every request says what it is answered by. What a list is to a view is a
// window: the state that the other end has, the newest one, and one step between
// the two, which is said when the connection takes it, or when a pause ends.
//
// # Goroutines and locks
//
// Three kinds of goroutines meet in a Peer: the reader, which is the one that
// called Run; the writer, of which there is at most one at a time, in Next; and
// all others, which publish changes, finish functions, follow items and call
// functions. The reader alone owns what is subscribed. Everything shared is
// guarded by one mutex, which is never held while something is encoded, sent,
// waited for, or told to a list, an item that is followed, or the application.
package peer
